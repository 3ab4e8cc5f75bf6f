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
import {
  expect,
  fillCleanPages,
  type Kernel,
  KM_NOFS,
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
} from '../src/index.js';

const inode = (k: Kernel) => sharedObject<'xfs_inode'>(k, 'inode');

export default race({
  id: '2017-06-xfs-kmem-nofs-deadlock',
  title: 'XFS with KM_NOFS waits for its own inode lock, because the page table is allocated without NOFS',
  source: 'seed 003',
  spec: ['vmalloc/V003-01'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.12', watermarks: true, lowmemPages: 512, highmemPages: 512 },
  stepsMax: 100_000,
  cases: [
    { name: 'no scope', machine: { patches: ['mutant-no-caller-scopes'] }, outcome: 'deadlock' },
    { name: "XFS's own scope, as in 4.12", outcome: 'clean' },
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
      xfs_ilock(k, inode(k));
      const p = kmem_zalloc_large(k, 64 << 10, KM_NOFS);
      expect(p !== NULL, 'there is memory');
      kmem_free(k, p);
      xfs_iunlock(k, inode(k));
    },
  ],
});
