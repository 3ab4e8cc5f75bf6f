/**
 * Claim: what deadlocks in 2017-06-xfs-kmem-nofs-deadlock is the allocation of the page table. If an earlier area has left one for the same two megabytes, the same call
 * under the same pressure comes to its end, scope or not. That is why the defect was not noticed for so long.
 *
 * As there, but vmalloc space has been used before.
 *
 * Kernels: 4.12 without any scope, with XFS's own, with the scope in vmalloc() (`mp`), with one that begins with the lock (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
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
  vfree,
  vmalloc,
  wordsOf,
  xfs_ilock,
  xfs_inode_cache,
  xfs_inode_init,
  xfs_iunlock,
} from '../src/index.js';

const inode = (k: Kernel) => sharedObject<'xfs_inode'>(k, 'inode');

export default race({
  id: '2017-06-xfs-kmem-table-there-clean',
  title: 'XFS with KM_NOFS does not wait for itself where the page table is there already',
  source: 'seed 003',
  spec: ['vmalloc/V003-08'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.12', watermarks: true, lowmemPages: 512, highmemPages: 512 },
  stepsMax: 100_000,
  cases: [
    { name: 'no scope', machine: { patches: ['mutant-no-caller-scopes'] }, outcome: 'clean' },
    { name: "XFS's own scope, as in 4.12", outcome: 'clean' },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' },
    { name: 'scope with the lock (SC)', machine: { patches: ['sc', 'mutant-no-caller-scopes'] }, outcome: 'clean' },
  ],
  shared: { inode: wordsOf(struct_xfs_inode), cleanPages: wordsOf(struct_clean_pages) },
  shrinkers: [xfs_inode_cache('inode'), page_cache_clean('cleanPages')],

  setup(k) {
    xfs_inode_init(k, inode(k));
    vfree(k, vmalloc(k, 64 << 10));
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
