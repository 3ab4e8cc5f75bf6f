/**
 * Claim: the mask that __vmalloc() is given does not reach its page tables. XFS asks for memory with KM_NOFS while it holds an inode's lock; every page is allocated
 * without __GFP_FS, but the page table of a new window of vmalloc space with GFP_KERNEL. If there is no page for it, reclaim enters the file system, and
 * eviction wants the lock that the task itself holds.
 *
 * Lowmem is at its min mark, highmem is free. Reclaim may take clean pages one by one, or evict the inode.
 *
 * Kernels: 4.12 without a scope of XFS's own: deadlock. With its scope, as 4.12 has it; with the scope in vmalloc() (`mp`); with one that begins with the lock
 * (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §8, §10, §12.2.
 */
import { KM_NOFS, race, xfs_inode_cache, xfs_inode_init } from '../src/index.js';
import {
  anybodysPages,
  CLEAN_PAGES,
  callerWithScope,
  SHORT_OF_LOWMEM,
  useUpLowmem,
  XFS_INODE,
  xfsInode,
  zallocUnderIlock,
} from './lib/reclaim.js';

export default race({
  id: '2017-06-xfs-kmem-nofs-deadlock',
  title: 'XFS with KM_NOFS waits for its own inode lock, because the page table is allocated without NOFS',
  source: 'seed 003',
  spec: ['vmalloc/V003-01'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 100_000,
  cases: callerWithScope("XFS's own scope, as in 4.12", 'deadlock'),
  shared: { ...XFS_INODE, ...CLEAN_PAGES },
  shrinkers: [xfs_inode_cache('inode'), anybodysPages],

  setup(k) {
    xfs_inode_init(k, xfsInode(k));
    useUpLowmem(k, 32);
  },
  threads: [
    (k) => {
      zallocUnderIlock(k, KM_NOFS);
    },
  ],
});
