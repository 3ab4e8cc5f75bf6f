/**
 * Buffers of dm-bufio: a client with its mutex, the allocation of a buffer's data, and the shrinker that needs the same mutex.
 *
 * Source: drivers/md/dm-bufio.c, Linux 4.9 to 4.12; spec/vmalloc-gfp.md §10. Differs: offsets are ours; clean buffers are pages that the client gives
 * back; there is no I/O.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { sharedObject } from '../cpu/shared-object.js';
import { gfp } from '../mm/gfp.js';
import { kfree, kmalloc } from '../mm/kmalloc.js';
import { __get_free_pages, free_pages } from '../mm/page_alloc.js';
import { is_vmalloc_addr } from '../mm/vmalloc/vm-struct.js';
import { __vmalloc, vfree } from '../mm/vmalloc.js';
import { defineStruct } from '../shared/layout.js';
import { type Mutex, mutex_init, mutex_lock, mutex_trylock, mutex_unlock } from '../shared/mutex.js';
import { memalloc_noio_restore, memalloc_noio_save } from '../shared/task.js';
import { NULL, type Ptr, ptr, type Vaddr } from '../shared/types.js';
import { type CleanPages, shrinkCleanPages, struct_clean_pages } from './clean-pages.js';

/** Blocks up to half a page come from a slab; up to the largest block of pages, if asking once is enough, from the page allocator. */
const DM_BUFIO_BLOCK_SIZE_SLAB_LIMIT = 4096 >> 1;
const DM_BUFIO_BLOCK_SIZE_GFP_LIMIT = 4096 << 10;

/** `pflags` is for the scope that `sc` opens with the lock. */
export const struct_dm_bufio_client = defineStruct('dm_bufio_client', 36, {
  lock: [0, 16],
  block_size: 16,
  pflags: 20,
  buffers: [24, struct_clean_pages.sizeof],
});
export type DmBufioClient = Ptr<'dm_bufio_client'>;

const lockOf = (c: DmBufioClient): Mutex => ptr<'mutex'>(c + struct_dm_bufio_client.lock.offset);

/** The buffers that can be given back, for fillCleanPages(). */
export const buffersOf = (c: DmBufioClient): CleanPages =>
  ptr<'clean_pages'>(c + struct_dm_bufio_client.buffers.offset);

export function dm_bufio_client_create(k: Kernel, c: DmBufioClient, block_size: number): void {
  mutex_init(k, lockOf(c));
  k.write(c, struct_dm_bufio_client.block_size, block_size);
}

/** With `sc` allocations of the task are NOIO until dm_bufio_unlock(). Context: process, may sleep. */
export function dm_bufio_lock(k: Kernel, c: DmBufioClient): void {
  mutex_lock(k, lockOf(c));
  if (k.patched.sc) k.write(c, struct_dm_bufio_client.pflags, memalloc_noio_save(k));
}

export function dm_bufio_unlock(k: Kernel, c: DmBufioClient): void {
  if (k.patched.sc) memalloc_noio_restore(k, k.read(c, struct_dm_bufio_client.pflags));
  mutex_unlock(k, lockOf(c));
}

/** A block's data. Context: as @gfp_mask says, but vmalloc() sleeps. Return: NULL without memory. */
export function alloc_buffer_data(k: Kernel, c: DmBufioClient, gfp_mask: number): Vaddr {
  const size = k.read(c, struct_dm_bufio_client.block_size);
  const once = (gfp_mask & gfp(k).__GFP_NORETRY) !== 0;
  if (size <= DM_BUFIO_BLOCK_SIZE_SLAB_LIMIT) return kmalloc(k, size, gfp_mask);
  if (size <= DM_BUFIO_BLOCK_SIZE_GFP_LIMIT && once) return __get_free_pages(k, gfp_mask, orderOf(size));
  const scoped = once && !k.patched.mp && !k.patched['mutant-no-caller-scopes'];
  const noio_flag = scoped ? memalloc_noio_save(k) : 0;
  const data = __vmalloc(k, size, gfp_mask);
  if (scoped) memalloc_noio_restore(k, noio_flag);
  return data;
}

const orderOf = (size: number): number => 31 - Math.clz32(size >>> 12);

/**
 * Data for a new buffer; the client's lock is held. Until 4.9 the allocation is done under it; later only if it need not wait, then the lock is
 * dropped for one that may.
 */
export function dm_bufio_new(k: Kernel, c: DmBufioClient): Vaddr {
  const { GFP_NOIO, GFP_NOWAIT, __GFP_NORETRY, __GFP_NOMEMALLOC, __GFP_NOWARN } = gfp(k);
  const once = __GFP_NORETRY | __GFP_NOMEMALLOC | __GFP_NOWARN;
  if (!k.patched['dm-bufio-drop-lock']) return alloc_buffer_data(k, c, GFP_NOIO | once);
  const data = alloc_buffer_data(k, c, GFP_NOWAIT | once);
  if (data !== NULL) return data;
  dm_bufio_unlock(k, c);
  const later = alloc_buffer_data(k, c, GFP_NOIO | once);
  dm_bufio_lock(k, c);
  return later;
}

export function free_buffer_data(k: Kernel, c: DmBufioClient, data: Vaddr): void {
  const size = k.read(c, struct_dm_bufio_client.block_size);
  if (is_vmalloc_addr(k, data)) vfree(k, data);
  else if (size <= DM_BUFIO_BLOCK_SIZE_SLAB_LIMIT) kfree(k, data);
  else free_pages(k, data, orderOf(size));
}

/** Waits for the client's lock if the mask allows file systems, else only tries it. */
export const dm_bufio_shrinker = (name: string): Shrinker => ({
  name: 'dm_bufio',
  gate: 'none',
  shrink: function dm_bufio_shrink_scan(k, _nr, gfp_mask) {
    const c = sharedObject<'dm_bufio_client'>(k, name);
    if ((gfp_mask & gfp(k).__GFP_FS) !== 0) mutex_lock(k, lockOf(c));
    else if (!mutex_trylock(k, lockOf(c))) return 0;
    const freed = shrinkCleanPages(k, buffersOf(c));
    mutex_unlock(k, lockOf(c));
    return freed;
  },
});
