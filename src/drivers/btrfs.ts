/**
 * btrfs: a bitmap of free space, allocated in a transaction that others wait for.
 *
 * Source: fs/btrfs/free-space-tree.c, fs/btrfs/transaction.c, Linux 4.10 and 4.12; spec/vmalloc-gfp.md §10. Differs: offsets are ours; a transaction has one handle at a time,
 * so who waits for its writers waits for the task that has it.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { sharedObject } from '../cpu/shared-object.js';
import { gfp } from '../mm/gfp.js';
import { kzalloc } from '../mm/kmalloc.js';
import { kvfree } from '../mm/util.js';
import { __vmalloc } from '../mm/vmalloc.js';
import { atomic_dec, atomic_inc, atomic_read } from '../shared/atomic.js';
import { defineStruct } from '../shared/layout.js';
import { memalloc_nofs_restore, memalloc_nofs_save } from '../shared/task.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION } from '../shared/version.js';
import { init_waitqueue_head, type WaitQueueHead, wait_event, wake_up } from '../shared/wait.js';

export const struct_btrfs_transaction = defineStruct('btrfs_transaction', 20, {
  num_writers: 0,
  writer_wait: [4, 12],
  pflags: 16,
});
export type BtrfsTransaction = Ptr<'btrfs_transaction'>;

const writersOf = (trans: BtrfsTransaction): Vaddr => vaddr(trans + struct_btrfs_transaction.num_writers.offset);
const waitOf = (trans: BtrfsTransaction): WaitQueueHead =>
  ptr<'wait_queue_head'>(trans + struct_btrfs_transaction.writer_wait.offset);

export const btrfs_transaction_init = (k: Kernel, trans: BtrfsTransaction): void =>
  init_waitqueue_head(k, waitOf(trans));

/** With `sc` allocations of the task are NOFS until btrfs_end_transaction(). */
export function btrfs_start_transaction(k: Kernel, trans: BtrfsTransaction): void {
  atomic_inc(k, writersOf(trans));
  k.lockHeld(trans);
  if (k.patched.sc) k.write(trans, struct_btrfs_transaction.pflags, memalloc_nofs_save(k));
}

export function btrfs_end_transaction(k: Kernel, trans: BtrfsTransaction): void {
  if (k.patched.sc) memalloc_nofs_restore(k, k.read(trans, struct_btrfs_transaction.pflags));
  k.lockDropped(trans);
  atomic_dec(k, writersOf(trans));
  wake_up(k, waitOf(trans));
}

/** Wait until nobody writes to the transaction any more. Context: process, sleeps. */
export function btrfs_commit_transaction(k: Kernel, trans: BtrfsTransaction): void {
  k.sleepsOn(trans);
  wait_event(k, waitOf(trans), () => atomic_read(k, writersOf(trans)) === 0);
  k.sleepsOn(0);
}

/** Context: process, may sleep. Return: zeroed memory, or NULL. */
export function alloc_bitmap(k: Kernel, bitmap_size: number): Vaddr {
  const { GFP_NOFS, __GFP_HIGHMEM, __GFP_ZERO } = gfp(k);
  const mem = kzalloc(k, bitmap_size, GFP_NOFS);
  if (mem !== NULL) return mem;
  const highmem = k.LINUX_VERSION_CODE < KERNEL_VERSION(4, 12, 0) ? __GFP_HIGHMEM : 0;
  return __vmalloc(k, bitmap_size, GFP_NOFS | highmem | __GFP_ZERO);
}

export const free_bitmap = (k: Kernel, mem: Vaddr): void => kvfree(k, mem);

/** Eviction of an inode commits the running transaction. */
export const btrfs_inode_cache = (name: string): Shrinker => ({
  name: 'btrfs_inode_cache',
  gate: 'FS',
  shrink: function btrfs_evict_inode(k) {
    btrfs_commit_transaction(k, sharedObject<'btrfs_transaction'>(k, name));
    return 0;
  },
});
