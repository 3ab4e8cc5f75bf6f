/**
 * Claim: what deadlocks in 2017-06-xfs-kmem-nofs-deadlock needs pressure. With enough memory every allocation is served at once, whatever its mask, and reclaim is
 * never asked.
 *
 * As there, but lowmem is free.
 *
 * Kernels: 4.12 without any scope, with XFS's own, with the scope in vmalloc() (`mp`), with one that begins with the lock (`sc`): clean, and no cache is asked.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  expect,
  type Kernel,
  KM_NOFS,
  kmem_free,
  kmem_zalloc_large,
  NULL,
  race,
  sharedObject,
  struct_xfs_inode,
  wordsOf,
  xfs_ilock,
  xfs_inode_cache,
  xfs_inode_init,
  xfs_iunlock,
} from '../src/index.js';

const inode = (k: Kernel) => sharedObject<'xfs_inode'>(k, 'inode');

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
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.12', watermarks: true, lowmemPages: 512, highmemPages: 512 },
  stepsMax: 100_000,
  cases: [
    { name: 'no scope', machine: { patches: ['mutant-no-caller-scopes'] }, outcome: 'clean' },
    { name: "XFS's own scope, as in 4.12", outcome: 'clean' },
    { name: 'scope in vmalloc() (MP)', machine: { patches: ['mp'] }, outcome: 'clean' },
    { name: 'scope with the lock (SC)', machine: { patches: ['sc', 'mutant-no-caller-scopes'] }, outcome: 'clean' },
  ],
  shared: { inode: wordsOf(struct_xfs_inode), asked: 0 },
  shrinkers: [{ ...xfs_inode_cache('inode'), shrink: asked }],

  setup(k) {
    xfs_inode_init(k, inode(k));
  },
  threads: [
    (k) => {
      xfs_ilock(k, inode(k));
      const p = kmem_zalloc_large(k, 64 << 10, KM_NOFS);
      expect(p !== NULL, 'there is memory');
      kmem_free(k, p);
      xfs_iunlock(k, inode(k));
      expect(k.shared.asked === 0, 'no cache is asked');
    },
  ],
});
