/**
 * Claim: it takes no lock that the allocating task holds twice. UBI's self-check allocates under a journal head; reclaim evicts an inode of gfs2 and waits for its glock, whose
 * holder waits for the journal head. Lockdep would not see it either: the two locks are never taken in two orders by code that has one on top of the other in the source.
 *
 * Thread 0 checks what has been written, with the journal head. Thread 1 has the glock and wants the journal head. Lowmem is at its min mark, highmem is free; what vmalloc()
 * needs besides the page table is there.
 *
 * Kernels: 4.12: deadlock, a cycle of two tasks. With the scope in vmalloc() (`mp`), or with the lock (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  gfp,
  gfs2_glock_dq,
  gfs2_glock_init,
  gfs2_glock_nq,
  gfs2_inode_cache,
  type Kernel,
  kfree,
  kmalloc,
  make_reservation,
  race,
  release_head,
  self_check_write,
  sharedObject,
  struct_gfs2_glock,
  struct_ubifs_jhead,
  ubifs_jhead_init,
  wordsOf,
} from '../src/index.js';
import { anybodysPages, CALLER_WITHOUT_SCOPE, CLEAN_PAGES, SHORT_OF_LOWMEM, useUpLowmem } from './lib/reclaim.js';

const jhead = (k: Kernel) => sharedObject<'ubifs_jhead'>(k, 'jhead');
const glock = (k: Kernel) => sharedObject<'gfs2_glock'>(k, 'glock');

export default race({
  id: '2017-06-vmalloc-nofs-two-tasks-deadlock',
  title: 'a task that reclaims for a page table waits for one that waits for its lock',
  source: 'seed 003',
  spec: ['vmalloc/V003-19'],
  machine: { ...SHORT_OF_LOWMEM, cpus: 2 },
  cases: CALLER_WITHOUT_SCOPE,
  shared: {
    jhead: wordsOf(struct_ubifs_jhead),
    glock: wordsOf(struct_gfs2_glock),
    ...CLEAN_PAGES,
  },
  shrinkers: [gfs2_inode_cache('glock'), anybodysPages],

  setup(k) {
    ubifs_jhead_init(k, jhead(k));
    gfs2_glock_init(k, glock(k));
    // A slab each for vm_struct and array, and for vmap_area.
    for (const bytes of [4, 32, 64]) kfree(k, kmalloc(k, bytes, gfp(k).GFP_KERNEL));
    useUpLowmem(k, 16);
  },
  threads: [
    (k) => {
      make_reservation(k, jhead(k));
      self_check_write(k, 4096);
      release_head(k, jhead(k));
    },
    (k) => {
      gfs2_glock_nq(k, glock(k));
      make_reservation(k, jhead(k));
      release_head(k, jhead(k));
      gfs2_glock_dq(k, glock(k));
    },
  ],
});
