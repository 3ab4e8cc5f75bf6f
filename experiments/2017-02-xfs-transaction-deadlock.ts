/**
 * Claim: before 4.12 a transaction of XFS is marked by PF_FSTRANS, which only XFS itself looks at. It takes __GFP_FS out of the mask for __vmalloc(); page tables do not
 * obey the mask, and nobody else knows the flag. XFS therefore opened a NOIO scope around the call, stronger than it needed.
 *
 * As in 2017-06-xfs-kmem-nofs-deadlock, in a transaction and without KM_NOFS.
 *
 * Kernels: 4.10 without the scope: deadlock. With it, with one in vmalloc() (`mp`, here NOIO: there are no NOFS scopes yet), or with the lock (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  expect,
  fillCleanPages,
  type Kernel,
  KM_SLEEP,
  kmem_free,
  kmem_zalloc_large,
  lowmemAtMin,
  NULL,
  page_cache_clean,
  race,
  sharedObject,
  struct_clean_pages,
  struct_xfs_inode,
  wordsOf,
  xfs_ilock,
  xfs_inode_cache,
  xfs_inode_init,
  xfs_iunlock,
  xfs_trans_alloc,
  xfs_trans_cancel,
} from '../src/index.js';

const inode = (k: Kernel) => sharedObject<'xfs_inode'>(k, 'inode');

export default race({
  id: '2017-02-xfs-transaction-deadlock',
  title: 'XFS in a transaction of 4.10 waits for its own inode lock: PF_FSTRANS does not reach page tables',
  source: 'seed 003',
  spec: ['vmalloc/V003-18'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.10', watermarks: true, lowmemPages: 512, highmemPages: 512 },
  stepsMax: 100_000,
  cases: [
    { name: 'no scope', machine: { patches: ['mutant-no-caller-scopes'] }, outcome: 'deadlock' },
    { name: "XFS's own scope, as in 4.10", outcome: 'clean' },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' },
    { name: 'scope with the lock (SC)', machine: { patches: ['sc', 'mutant-no-caller-scopes'] }, outcome: 'clean' },
  ],
  shared: { inode: wordsOf(struct_xfs_inode), cleanPages: wordsOf(struct_clean_pages) },
  shrinkers: [xfs_inode_cache('inode'), page_cache_clean('cleanPages')],

  setup(k) {
    xfs_inode_init(k, inode(k));
    fillCleanPages(k, sharedObject(k, 'cleanPages'), 32);
    lowmemAtMin(k);
  },
  threads: [
    (k) => {
      const transaction = xfs_trans_alloc(k);
      xfs_ilock(k, inode(k));
      const p = kmem_zalloc_large(k, 64 << 10, KM_SLEEP);
      expect(p !== NULL, 'there is memory');
      kmem_free(k, p);
      xfs_iunlock(k, inode(k));
      xfs_trans_cancel(k, transaction);
    },
  ],
});
