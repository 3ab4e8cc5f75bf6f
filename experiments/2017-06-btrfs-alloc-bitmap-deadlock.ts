/**
 * Claim: btrfs allocates bitmaps of free space with GFP_NOFS in a transaction. A bitmap that is too large for kmalloc() comes from __vmalloc(), whose page table does not
 * obey. Eviction of an inode commits the transaction, and waits until nobody has a handle of it.
 *
 * Lowmem is at its min mark, highmem is free. Reclaim may take clean pages one by one, or do what needs the lock.
 *
 * Kernels: 4.12 has no scope there: deadlock. With the scope in vmalloc() (`mp`), or one that begins with the transaction (`sc`): clean.
 * Source: seed 003; spec/vmalloc-gfp.md §10, §12.2.
 */
import {
  alloc_bitmap,
  btrfs_end_transaction,
  btrfs_inode_cache,
  btrfs_start_transaction,
  btrfs_transaction_init,
  expect,
  free_bitmap,
  type Kernel,
  NULL,
  race,
  sharedObject,
  struct_btrfs_transaction,
  wordsOf,
} from '../src/index.js';
import { anybodysPages, CALLER_WITHOUT_SCOPE, CLEAN_PAGES, SHORT_OF_LOWMEM, useUpLowmem } from './lib/reclaim.js';

const transaction = (k: Kernel) => sharedObject<'btrfs_transaction'>(k, 'transaction');

export default race({
  id: '2017-06-btrfs-alloc-bitmap-deadlock',
  title: 'btrfs waits for its own transaction when it allocates a bitmap',
  source: 'seed 003',
  spec: ['vmalloc/V003-05'],
  machine: SHORT_OF_LOWMEM,
  stepsMax: 100_000,
  cases: CALLER_WITHOUT_SCOPE,
  shared: { transaction: wordsOf(struct_btrfs_transaction), ...CLEAN_PAGES },
  shrinkers: [btrfs_inode_cache('transaction'), anybodysPages],

  setup(k) {
    btrfs_transaction_init(k, transaction(k));
    useUpLowmem(k, 48);
  },
  threads: [
    (k) => {
      btrfs_start_transaction(k, transaction(k));
      const bitmap = alloc_bitmap(k, 64 << 10);
      expect(bitmap !== NULL, 'there is memory');
      free_bitmap(k, bitmap);
      btrfs_end_transaction(k, transaction(k));
    },
  ],
});
