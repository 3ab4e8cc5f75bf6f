/**
 * Claim: XFS allocates with KM_NOSLEEP under a spinlock, __vmalloc() gets GFP_ATOMIC for it, and may sleep all the same: the vm_struct and the page table are allocated
 * with GFP_KERNEL. The kernel notices only where it counts spinlocks, that is with CONFIG_PREEMPT; without, nobody is told.
 *
 * A thread holds a spinlock and asks for 128 KB.
 *
 * Kernels: 2.5.53 with CONFIG_PREEMPT: "sleeping function called from illegal context"; without: no message, and the same defect. With the caller's mask passed on
 * (`rmk1`): clean.
 * Source: seed 000; fs/xfs/support/kmem.c, mm/vmalloc.c, Linux 2.5.53; spec/vmalloc-gfp.md §5.1, §10, §12.1.
 */
import { expect, type Kernel, KM_NOSLEEP, kmem_alloc, NULL, race, spin_lock, spin_unlock } from '../src/index.js';

export default race({
  id: '2003-01-xfs-kmem-nosleep-sleeps',
  title: 'kmem_alloc(KM_NOSLEEP) under a spinlock allocates a page table with GFP_KERNEL',
  source: 'seed 000',
  spec: ['vmalloc/V000-07', 'vmalloc/V000-08'],
  machine: { core: 'arm926', cpus: 1, kernel: '2.5.53', lowmemPages: 512, highmemPages: 0 },
  cases: [
    { name: 'CONFIG_PREEMPT', outcome: 'warn' },
    { name: 'CONFIG_PREEMPT, GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: 'without CONFIG_PREEMPT', machine: { preempt: false }, outcome: 'clean' },
  ],
  locks: ['lock'],

  threads: [
    (k) => {
      spin_lock(k, k.locks.lock);
      const p = kmem_alloc(k as Kernel, 128 << 10, KM_NOSLEEP);
      spin_unlock(k, k.locks.lock);
      expect(p !== NULL, 'there is memory');
    },
  ],
});
