/**
 * NFS with block layouts: the list of written extents goes to the server in pages of a vmalloc area, while a bit of the inode keeps others out.
 *
 * Source: fs/nfs/blocklayout/extent_tree.c, fs/nfs/pnfs.c, Linux 4.10 and 4.12; spec/vmalloc-gfp.md §10. Differs: offsets are ours; what is encoded is a pattern.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { sharedObject } from '../cpu/shared-object.js';
import { gfp } from '../mm/gfp.js';
import { vmalloc_to_page } from '../mm/memory.js';
import type { Page } from '../mm/page.js';
import { __vmalloc, vfree } from '../mm/vmalloc.js';
import { defineStruct } from '../shared/layout.js';
import { memalloc_nofs_restore, memalloc_nofs_save } from '../shared/task.js';
import { NULL, type Ptr, type Vaddr, vaddr } from '../shared/types.js';
import { clear_and_wake_up_bit, wait_on_bit_lock } from '../shared/wait-bit.js';

const NFS_INO_LAYOUTCOMMITTING = 10;

export const struct_nfs_inode = defineStruct('nfs_inode', 8, { flags: 0, pflags: 4 });
export type NfsInode = Ptr<'nfs_inode'>;

const flagsOf = (nfsi: NfsInode): Vaddr => vaddr(nfsi + struct_nfs_inode.flags.offset);
const scoped = (k: Kernel): boolean => k.patched.sc && !k.patched['mutant-sc-forgotten'];

/** What an RPC sends: the pages of the area. */
export interface LayoutUpdate {
  readonly start_p: Vaddr;
  readonly pages: readonly Page[];
}

/** Memory for the extents. Context: process, may sleep. Return: null without memory. */
export function ext_tree_prepare_commit(k: Kernel, buffer_size: number): LayoutUpdate | null {
  const { GFP_NOFS } = gfp(k);
  const start_p = __vmalloc(k, buffer_size, GFP_NOFS);
  if (start_p === NULL) return null;
  const pages = Array.from({ length: buffer_size >>> 12 }, (_, i) => vmalloc_to_page(k, start_p + i * 4096));
  return { start_p, pages };
}

/**
 * Send the written extents: @encode fills them in and sends them. A second one waits until the first is through. With `sc` allocations are NOFS
 * while the bit is set.
 *
 * Context: process, may sleep.
 */
export function pnfs_layoutcommit_inode(
  k: Kernel,
  nfsi: NfsInode,
  buffer_size: number,
  encode: (k: Kernel, update: LayoutUpdate) => void = () => {},
): void {
  wait_on_bit_lock(k, flagsOf(nfsi), NFS_INO_LAYOUTCOMMITTING);
  if (scoped(k)) k.write(nfsi, struct_nfs_inode.pflags, memalloc_nofs_save(k));
  const update = buffer_size === 0 ? null : ext_tree_prepare_commit(k, buffer_size);
  if (update !== null) {
    encode(k, update);
    vfree(k, update.start_p);
  }
  if (scoped(k)) memalloc_nofs_restore(k, k.read(nfsi, struct_nfs_inode.pflags));
  clear_and_wake_up_bit(k, NFS_INO_LAYOUTCOMMITTING, flagsOf(nfsi));
}

/** Eviction of the inode commits its layout, and waits for that; it has no more extents to send. */
export const nfs_inode_cache = (name: string): Shrinker => ({
  name: 'nfs_inode_cache',
  gate: 'FS',
  shrink: function nfs4_evict_inode(k) {
    pnfs_layoutcommit_inode(k, sharedObject<'nfs_inode'>(k, name), 0);
    return 0;
  },
});
