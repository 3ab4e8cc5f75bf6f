/**
 * Claim: what deadlocks in 2017-06-xfs-kmem-nofs-deadlock needs pressure. With enough memory every allocation is served at once, whatever its mask, and reclaim is
 * never asked.
 *
 * As there, but lowmem is free.
 *
 * Kernels: 4.12 without any scope, with XFS's own, with the scope in vmalloc() (`mp`), with one that begins with the lock (`sc`): clean, and no cache is asked.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import { expect, type Kernel, KM_NOFS, race, xfs_inode_cache, xfs_inode_init } from '../src/index.js';
import { callerWithScope, SHORT_OF_LOWMEM, XFS_INODE, xfsInode, zallocUnderIlock } from './lib/reclaim.js';

/** Instead of eviction, which would not come back. */
function asked(k: Kernel): number {
  k.store(k.at('asked' as never), 1);
  return 0;
}

export default race({
  id: '2017-06-xfs-kmem-enough-memory-clean',
  title: 'XFS with KM_NOFS does not wait for itself while there is memory',
  source: 'seed 003',
  spec: ['vmalloc/V003-09'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 100_000,
  cases: callerWithScope("XFS's own scope, as in 4.12", 'clean'),
  shared: { ...XFS_INODE, asked: 0 },
  shrinkers: [{ ...xfs_inode_cache('inode'), shrink: asked }],

  setup(k) {
    xfs_inode_init(k, xfsInode(k));
  },
  threads: [
    (k) => {
      zallocUnderIlock(k, KM_NOFS);
      expect(k.shared.asked === 0, 'no cache is asked');
    },
  ],
});
