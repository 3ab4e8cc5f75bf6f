/**
 * Claim: a mask that forbids to sleep is not obeyed by vmalloc() either, and no scope can help: a scope takes __GFP_FS and __GFP_IO away, never __GFP_DIRECT_RECLAIM.
 * alloc_vmap_area() says so in every call from 4.10 on; the page table is allocated with GFP_KERNEL.
 *
 * A thread holds a spinlock and asks for an area with GFP_ATOMIC.
 *
 * Kernels: 4.12, with the scope in vmalloc() (`mp`), and in a scope of the caller (`sc`): "sleeping function called from invalid context".
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  __vmalloc,
  expect,
  GfpSite,
  gfp,
  gfpEvents,
  memalloc_noio_restore,
  memalloc_noio_save,
  NULL,
  race,
  spin_lock,
  spin_unlock,
  traceGfp,
} from '../src/index.js';

const SLEEPS = ['sleeping function called from invalid context', '(might_sleep) from [<????????>] (alloc_vmap_area)'];

export default race({
  id: '2017-06-vmalloc-atomic-sleeps-under-lock',
  title: '__vmalloc(GFP_ATOMIC) under a spinlock may sleep, with or without allocation scopes',
  source: 'seed 003',
  spec: ['vmalloc/V003-10'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.12', lowmemPages: 512, highmemPages: 128 },
  cases: [
    { name: 'as in 4.12', outcome: 'warn', says: SLEEPS },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'warn', says: SLEEPS },
    { name: "scope of the caller's (SC)", machine: { patches: ['sc'] }, outcome: 'warn', says: SLEEPS },
  ],
  locks: ['lock'],
  vars: ['area'],

  setup: (k) => traceGfp(k, [GfpSite.pte_alloc]),

  threads: [
    (k) => {
      const scope = k.patched.sc ? memalloc_noio_save(k) : 0;
      spin_lock(k, k.locks.lock);
      k.vars.area = __vmalloc(k, 4096, gfp(k).GFP_ATOMIC);
      spin_unlock(k, k.locks.lock);
      if (k.patched.sc) memalloc_noio_restore(k, scope);
      expect(k.vars.area !== NULL, 'there is memory');
    },
  ],
  check(k) {
    const { __GFP_DIRECT_RECLAIM } = gfp(k);
    const masks = gfpEvents(k).map((event) => event.gfp_mask);
    expect(masks.length > 0 && masks.every((mask) => (mask & __GFP_DIRECT_RECLAIM) !== 0), 'the table may reclaim');
  },
});
