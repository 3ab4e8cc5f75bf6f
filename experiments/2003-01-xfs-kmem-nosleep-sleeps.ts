/**
 * Claim: XFS allocates with KM_NOSLEEP under a spinlock, __vmalloc() gets GFP_ATOMIC for it, and may sleep all the same: the vm_struct and the page table are allocated
 * with GFP_KERNEL. The kernel notices only where it counts spinlocks, that is with CONFIG_PREEMPT; without, nobody is told.
 *
 * A thread holds a spinlock and asks for 128 KB. Where the kernel is silent, the masks that reach the allocator tell: one that allows to sleep has been made by nobody who may.
 *
 * Kernels: 2.5.53 with CONFIG_PREEMPT: "sleeping function called from illegal context"; without: no message, and the same masks. With the caller's mask passed on
 * (`rmk1`): clean. The private region (`rmk2`) is not for this: as without.
 * Source: seed 000; fs/xfs/support/kmem.c, mm/vmalloc.c, Linux 2.5.53; spec/vmalloc-gfp.md §5.1, §10, §12.1.
 */
import {
  expect,
  GfpSite,
  gfp,
  gfpEvents,
  type Kernel,
  KM_NOSLEEP,
  kmem_alloc,
  NULL,
  race,
  spin_lock,
  spin_unlock,
  traceGfp,
} from '../src/index.js';

/** The page table of a request that must not sleep is allocated as if it might: the defect, of which this kernel says nothing. */
const LOST_FLAGS = ['context: GFP context'];
const SLEEPS = 'sleeping function called from illegal context';

export default race({
  id: '2003-01-xfs-kmem-nosleep-sleeps',
  title: 'kmem_alloc(KM_NOSLEEP) under a spinlock allocates a page table with GFP_KERNEL',
  source: 'seed 000',
  spec: ['vmalloc/V000-07', 'vmalloc/V000-08'],
  machine: { core: 'arm926', cpus: 1, kernel: '2.5.53', lowmemPages: 512, highmemPages: 0 },
  cases: [
    { name: 'CONFIG_PREEMPT', outcome: 'warn', says: [SLEEPS] },
    { name: 'CONFIG_PREEMPT, GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: 'CONFIG_PREEMPT, own region (RMK2)', machine: { patches: ['rmk2'] }, outcome: 'warn', says: [SLEEPS] },
    { name: 'without CONFIG_PREEMPT', machine: { preempt: false }, outcome: 'clean', reports: LOST_FLAGS },
    {
      name: 'without CONFIG_PREEMPT, masks',
      machine: { preempt: false, parameters: { masks: 1 } },
      outcome: 'report',
      says: ['a request under a spinlock may sleep (000001d0)'],
    },
    {
      name: 'without CONFIG_PREEMPT, masks, GFP flags passed on (RMK1)',
      machine: { preempt: false, patches: ['rmk1'], parameters: { masks: 1 } },
      outcome: 'clean',
    },
  ],
  locks: ['lock'],

  setup: (k) => traceGfp(k, [GfpSite.might_sleep]),

  threads: [
    (k) => {
      spin_lock(k, k.locks.lock);
      const p = kmem_alloc(k as Kernel, 128 << 10, KM_NOSLEEP);
      spin_unlock(k, k.locks.lock);
      expect(p !== NULL, 'there is memory');
    },
  ],
  check(k) {
    if (k.config.parameters.masks !== 1) return;
    const { __GFP_WAIT } = gfp(k);
    for (const { gfp_mask } of gfpEvents(k)) {
      expect((gfp_mask & __GFP_WAIT) === 0, 'a request under a spinlock may sleep', gfp_mask);
    }
  },
});
