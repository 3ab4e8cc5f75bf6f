/**
 * Claim: what `2003-01-xfs-kmem-nosleep-sleeps` says is no matter of messages. XFS allocates with KM_NOSLEEP under a spinlock; when memory is short the page table, which
 * is allocated with GFP_KERNEL, waits for reclaim, and the spinlock sleeps with it. Who then wants the lock on that CPU spins, and the owner never runs again.
 *
 * A second thread of the CPU is woken under the lock and wants it next. Lowmem has as many pages above what an atomic request may take as the data need,
 * and a few clean ones, fewer than reclaim looks for.
 *
 * Kernels: 2.5.53: deadlock, with CONFIG_PREEMPT and without. With the caller's mask passed on (`rmk1`) the allocation fails or not, and nobody sleeps: clean. The
 * private region (`rmk2`) is not for this: deadlock.
 * Source: seed 000; fs/xfs/support/kmem.c, mm/vmalloc.c, mm/page_alloc.c, mm/vmscan.c, Linux 2.5.53; spec/vmalloc-gfp.md §4.4, §4.7, §10, §12.1.
 */
import {
  __free_pages,
  alloc_page,
  alloc_pages,
  type Completion,
  complete,
  gfp,
  init_completion,
  type Kernel,
  KM_NOSLEEP,
  kfree,
  kmalloc,
  kmem_alloc,
  lowmemAtMin,
  lru_cache_add,
  ptr,
  race,
  spin_lock,
  spin_unlock,
  wait_for_completion,
} from '../src/index.js';

const BYTES = 128 << 10;
const ORDER = 5;
/** Less than the 32 that are enough for reclaim. */
const CLEAN = 24;
const locked = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data + 64);

export default race({
  id: '2003-01-xfs-kmem-nosleep-deadlock',
  title: 'kmem_alloc(KM_NOSLEEP) sleeps with a spinlock that the next thread of the CPU spins on',
  source: 'seed 000',
  spec: ['vmalloc/V000-07', 'vmalloc/V000-08'],
  machine: { core: 'arm926', cpus: 1, kernel: '2.5.53', watermarks: true, lowmemPages: 512, highmemPages: 0 },
  stepsMax: 100_000,
  cases: [
    { name: 'CONFIG_PREEMPT', outcome: 'deadlock' },
    { name: 'without CONFIG_PREEMPT', machine: { preempt: false }, outcome: 'deadlock' },
    { name: 'GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: 'own region (RMK2)', machine: { patches: ['rmk2'] }, outcome: 'deadlock' },
  ],
  locks: ['lock'],

  setup(k) {
    const { GFP_KERNEL } = gfp(k);
    init_completion(k, locked(k));
    // The slab caches of vm_struct and array have room.
    for (const bytes of [32, 128]) kfree(k, kmalloc(k, bytes, GFP_KERNEL));
    const data = alloc_pages(k, GFP_KERNEL, ORDER);
    for (let i = 0; i < CLEAN; i++) lru_cache_add(k, alloc_page(k, GFP_KERNEL));
    lowmemAtMin(k);
    __free_pages(k, data, ORDER);
  },
  threads: [
    (k) => {
      spin_lock(k, k.locks.lock);
      complete(k, locked(k));
      kmem_alloc(k, BYTES, KM_NOSLEEP);
      spin_unlock(k, k.locks.lock);
    },
    {
      cpu: 0,
      run(k) {
        wait_for_completion(k, locked(k));
        spin_lock(k, k.locks.lock);
        spin_unlock(k, k.locks.lock);
      },
    },
  ],
});
