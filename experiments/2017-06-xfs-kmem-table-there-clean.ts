/**
 * Claim: what deadlocks in 2017-06-xfs-kmem-nofs-deadlock is the allocation of the page table. If an earlier area has left one for the same two megabytes, the same call
 * under the same pressure comes to its end, scope or not. That is why the defect was not noticed for so long.
 *
 * As there, but vmalloc space has been used before.
 *
 * Kernels: 4.12 without any scope, with XFS's own, with the scope in vmalloc() (`mp`), with one that begins with the lock (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import { KM_NOFS, race, vfree, vmalloc, xfs_inode_cache, xfs_inode_init } from '../src/index.js';
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
  id: '2017-06-xfs-kmem-table-there-clean',
  title: 'XFS with KM_NOFS does not wait for itself where the page table is there already',
  source: 'seed 003',
  spec: ['vmalloc/V003-08'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 100_000,
  cases: callerWithScope("XFS's own scope, as in 4.12", 'clean'),
  shared: { ...XFS_INODE, ...CLEAN_PAGES },
  shrinkers: [xfs_inode_cache('inode'), anybodysPages],

  setup(k) {
    xfs_inode_init(k, xfsInode(k));
    vfree(k, vmalloc(k, 64 << 10));
    useUpLowmem(k, 32);
  },
  threads: [
    (k) => {
      zallocUnderIlock(k, KM_NOFS);
    },
  ],
});
