/**
 * Claim: while extents are encoded for the server the bit NFS_INO_LAYOUTCOMMITTING keeps others out. The buffer is a vmalloc area asked for with GFP_NOFS, its page table is
 * not. Eviction of the inode commits too, and waits for the bit.
 *
 * Lowmem is at its min mark, highmem is free. Reclaim may take clean pages one by one, or do what needs the lock.
 *
 * Kernels: 4.12 has no scope there: deadlock. With the scope in vmalloc() (`mp`): clean. With a scope that begins with the bit (`sc`): clean; if this call site has been
 * forgotten: deadlock. That is what speaks for `mp`.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  type Kernel,
  nfs_inode_cache,
  pnfs_layoutcommit_inode,
  race,
  sharedObject,
  struct_nfs_inode,
  wordsOf,
} from '../src/index.js';
import { anybodysPages, CALLER_WITHOUT_SCOPE, CLEAN_PAGES, SHORT_OF_LOWMEM, useUpLowmem } from './lib/reclaim.js';

const inode = (k: Kernel) => sharedObject<'nfs_inode'>(k, 'inode');

export default race({
  id: '2017-06-nfs-layoutcommit-deadlock',
  title: 'NFS waits for its own bit when it evicts the inode whose layout it commits',
  source: 'seed 003',
  spec: ['vmalloc/V003-04', 'vmalloc/V003-16'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 100_000,
  cases: [
    ...CALLER_WITHOUT_SCOPE,
    { name: 'this call site forgotten (SC)', machine: { patches: ['sc', 'mutant-sc-forgotten'] }, outcome: 'deadlock' },
  ],
  shared: { inode: wordsOf(struct_nfs_inode), ...CLEAN_PAGES },
  shrinkers: [nfs_inode_cache('inode'), anybodysPages],

  setup(k) {
    useUpLowmem(k, 48);
  },
  threads: [
    (k) => {
      pnfs_layoutcommit_inode(k, inode(k), 64 << 10);
    },
  ],
});
