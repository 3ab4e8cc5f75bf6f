/**
 * UBI's self-checks, called by UBIFS with a journal head locked: a buffer as large as what has just been written.
 *
 * Source: drivers/mtd/ubi/io.c, fs/ubifs/journal.c, Linux 4.10 and 4.12; spec/vmalloc-gfp.md §10. Differs: offsets are ours; flash is left out, so nothing is compared.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { sharedObject } from '../cpu/shared-object.js';
import { gfp } from '../mm/gfp.js';
import { __vmalloc, vfree } from '../mm/vmalloc.js';
import { defineStruct } from '../shared/layout.js';
import { type Mutex, mutex_init, mutex_lock, mutex_unlock } from '../shared/mutex.js';
import { memalloc_nofs_restore, memalloc_nofs_save } from '../shared/task.js';
import { NULL, type Ptr, ptr } from '../shared/types.js';

export const struct_ubifs_jhead = defineStruct('ubifs_jhead', 20, { io_mutex: [0, 16], pflags: 16 });
export type UbifsJhead = Ptr<'ubifs_jhead'>;

const mutexOf = (jhead: UbifsJhead): Mutex => ptr<'mutex'>(jhead + struct_ubifs_jhead.io_mutex.offset);

export const ubifs_jhead_init = (k: Kernel, jhead: UbifsJhead): void => mutex_init(k, mutexOf(jhead));

/** make_reservation(): the journal head is this task's. With `sc` its allocations are NOFS until release_head(). */
export function make_reservation(k: Kernel, jhead: UbifsJhead): void {
  mutex_lock(k, mutexOf(jhead));
  if (k.patched.sc) k.write(jhead, struct_ubifs_jhead.pflags, memalloc_nofs_save(k));
}

export function release_head(k: Kernel, jhead: UbifsJhead): void {
  if (k.patched.sc) memalloc_nofs_restore(k, k.read(jhead, struct_ubifs_jhead.pflags));
  mutex_unlock(k, mutexOf(jhead));
}

/** Read back what has been written. Context: process, may sleep. Return: 0; also without memory, for want of which nothing is checked. */
export function self_check_write(k: Kernel, len: number): number {
  const buf1 = __vmalloc(k, len, gfp(k).GFP_NOFS);
  if (buf1 === NULL) {
    k.printk('ubi0 error: self_check_write: cannot allocate memory to check writes');
    return 0;
  }
  vfree(k, buf1);
  return 0;
}

/** Is the erased range all ones? Context: process, may sleep. Return: as self_check_write(). */
export function ubi_self_check_all_ff(k: Kernel, len: number): number {
  const buf = __vmalloc(k, len, gfp(k).GFP_NOFS);
  if (buf === NULL) {
    k.printk('ubi0 error: ubi_self_check_all_ff: cannot allocate memory to check for 0xFFs');
    return 0;
  }
  vfree(k, buf);
  return 0;
}

/** Writeback of a dirty page needs the journal head. */
export const ubifs_writeback = (name: string): Shrinker => ({
  name: 'ubifs_writeback',
  gate: 'FS',
  shrink: function ubifs_writepage(k) {
    const jhead = sharedObject<'ubifs_jhead'>(k, name);
    mutex_lock(k, mutexOf(jhead));
    mutex_unlock(k, mutexOf(jhead));
    return 0;
  },
});
