/**
 * Claim: before 4.12 a transaction of XFS is marked by PF_FSTRANS, which only XFS itself looks at. It takes __GFP_FS out of the mask for __vmalloc(); page tables do not
 * obey the mask, and nobody else knows the flag. XFS therefore opened a NOIO scope around the call, stronger than it needed.
 *
 * As in 2017-06-xfs-kmem-nofs-deadlock, in a transaction and without KM_NOFS.
 *
 * Kernels: 4.10 without the scope: deadlock. With it, with one in vmalloc() (`mp`, here NOIO: there are no NOFS scopes yet), or with the lock (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import { KM_SLEEP, race, xfs_inode_cache, xfs_inode_init, xfs_trans_alloc, xfs_trans_cancel } from '../src/index.js';
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
  id: '2017-02-xfs-transaction-deadlock',
  title: 'XFS in a transaction of 4.10 waits for its own inode lock: PF_FSTRANS does not reach page tables',
  source: 'seed 003',
  spec: ['vmalloc/V003-18'],
  machine: { ...SHORT_OF_LOWMEM, kernel: '4.10' },
  stepsMax: 100_000,
  cases: callerWithScope("XFS's own scope, as in 4.10", 'deadlock'),
  shared: { ...XFS_INODE, ...CLEAN_PAGES },
  shrinkers: [xfs_inode_cache('inode'), anybodysPages],

  setup(k) {
    xfs_inode_init(k, xfsInode(k));
    useUpLowmem(k, 32);
  },
  threads: [
    (k) => {
      const transaction = xfs_trans_alloc(k);
      zallocUnderIlock(k, KM_SLEEP);
      xfs_trans_cancel(k, transaction);
    },
  ],
});
