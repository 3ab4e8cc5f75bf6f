/**
 * gfs2: the hash table of a large directory, read in under the directory's glock.
 *
 * Source: fs/gfs2/dir.c, fs/gfs2/glock.c, Linux 4.10 and 4.12; spec/vmalloc-gfp.md §10. Differs: offsets are ours; a glock is a mutex, held exclusively on this node.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { sharedObject } from '../cpu/shared-object.js';
import { gfp } from '../mm/gfp.js';
import { kmalloc } from '../mm/kmalloc.js';
import { __vmalloc } from '../mm/vmalloc.js';
import { defineStruct } from '../shared/layout.js';
import { type Mutex, mutex_init, mutex_lock, mutex_unlock } from '../shared/mutex.js';
import { memalloc_nofs_restore, memalloc_nofs_save } from '../shared/task.js';
import { NULL, type Ptr, ptr, type Vaddr } from '../shared/types.js';

export const struct_gfs2_glock = defineStruct('gfs2_glock', 20, { holder: [0, 16], pflags: 16 });
export type Gfs2Glock = Ptr<'gfs2_glock'>;

const holderOf = (gl: Gfs2Glock): Mutex => ptr<'mutex'>(gl + struct_gfs2_glock.holder.offset);

export const gfs2_glock_init = (k: Kernel, gl: Gfs2Glock): void => mutex_init(k, holderOf(gl));

/** With `sc` allocations of the task are NOFS until gfs2_glock_dq(). Context: process, may sleep. */
export function gfs2_glock_nq(k: Kernel, gl: Gfs2Glock): void {
  mutex_lock(k, holderOf(gl));
  if (k.patched.sc) k.write(gl, struct_gfs2_glock.pflags, memalloc_nofs_save(k));
}

export function gfs2_glock_dq(k: Kernel, gl: Gfs2Glock): void {
  if (k.patched.sc) memalloc_nofs_restore(k, k.read(gl, struct_gfs2_glock.pflags));
  mutex_unlock(k, holderOf(gl));
}

/** Differs: what is read into the table is left out. Context: process, may sleep; the glock is held. Return: NULL without memory. */
export function get_hash_table(k: Kernel, depth: number): Vaddr {
  const { GFP_NOFS, __GFP_NOWARN } = gfp(k);
  const hsize = 8 << depth;
  const hc = kmalloc(k, hsize, GFP_NOFS | __GFP_NOWARN);
  return hc !== NULL ? hc : __vmalloc(k, hsize, GFP_NOFS);
}

/** Eviction of an inode takes its glock. */
export const gfs2_inode_cache = (name: string): Shrinker => ({
  name: 'gfs2_inode_cache',
  gate: 'FS',
  shrink: function gfs2_evict_inode(k) {
    const gl = sharedObject<'gfs2_glock'>(k, name);
    mutex_lock(k, holderOf(gl));
    mutex_unlock(k, holderOf(gl));
    return 0;
  },
});
