/**
 * XFS as far as vmalloc() has to do with it: memory for a transaction, and an inode that reclaim evicts.
 *
 * Source: fs/xfs/support/kmem.c, Linux 2.5.53; fs/xfs/kmem.c, fs/xfs/xfs_trans.c, fs/xfs/xfs_inode.c, Linux 4.10 and 4.12; spec/vmalloc-gfp.md §10.
 * Differs: the numbers of the KM_ flags are those of 4.12 in every version; the inode's lock is a mutex; a transaction is its effect on the task.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { sharedObject } from '../cpu/shared-object.js';
import { congestion_wait } from '../cpu/timer.js';
import { gfp } from '../mm/gfp.js';
import { kfree, kmalloc } from '../mm/kmalloc.js';
import { is_vmalloc_addr } from '../mm/vmalloc/vm-struct.js';
import { __vmalloc, vfree } from '../mm/vmalloc.js';
import { HZ } from '../shared/jiffies.js';
import { defineStruct } from '../shared/layout.js';
import { type Mutex, mutex_init, mutex_lock, mutex_unlock } from '../shared/mutex.js';
import {
  clear_task_flags,
  memalloc_nofs_restore,
  memalloc_nofs_save,
  memalloc_noio_restore,
  memalloc_noio_save,
  PF_FSTRANS,
  set_task_flags,
  task_flags,
} from '../shared/task.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION, LINUX_2_6 } from '../shared/version.js';

export const KM_SLEEP = 0x1;
export const KM_NOSLEEP = 0x2;
export const KM_NOFS = 0x4;
export const KM_MAYFAIL = 0x8;
export const KM_ZERO = 0x10;

/** From here on 2.5.53 takes vmalloc() instead of kmalloc(). */
const MAX_SLAB_SIZE = 0x10000;
const MAX_VMALLOCS = 6;

const isOld = (k: Kernel): boolean => k.LINUX_VERSION_CODE < LINUX_2_6;
const is4_12 = (k: Kernel): boolean => k.LINUX_VERSION_CODE >= KERNEL_VERSION(4, 12, 0);

// ---- transaction and inode ---------------------------------------------------------------------------------------------

/**
 * The task's part of a transaction: file systems are not to be entered again.
 *
 * Return: what xfs_trans_cancel() is to be given.
 */
export function xfs_trans_alloc(k: Kernel): number {
  if (is4_12(k)) return memalloc_nofs_save(k);
  const old = task_flags(k) & PF_FSTRANS;
  set_task_flags(k, PF_FSTRANS);
  return old;
}

export function xfs_trans_cancel(k: Kernel, old: number): void {
  if (is4_12(k)) memalloc_nofs_restore(k, old);
  else if (old === 0) clear_task_flags(k, PF_FSTRANS);
}

/** Differs: offsets are ours. `pflags` is for the scope that `sc` opens with the lock. */
export const struct_xfs_inode = defineStruct('xfs_inode', 20, { i_lock: [0, 16], pflags: 16 });
export type XfsInode = Ptr<'xfs_inode'>;

const lockOf = (ip: XfsInode): Mutex => ptr<'mutex'>(ip + struct_xfs_inode.i_lock.offset);

export const xfs_inode_init = (k: Kernel, ip: XfsInode): void => mutex_init(k, lockOf(ip));

/** ILOCK, exclusively. Context: process, may sleep. With `sc` allocations of the task are NOFS until xfs_iunlock(), before 4.12 NOIO. */
export function xfs_ilock(k: Kernel, ip: XfsInode): void {
  mutex_lock(k, lockOf(ip));
  if (k.patched.sc) k.write(ip, struct_xfs_inode.pflags, is4_12(k) ? memalloc_nofs_save(k) : memalloc_noio_save(k));
}

export function xfs_iunlock(k: Kernel, ip: XfsInode): void {
  if (k.patched.sc && is4_12(k)) memalloc_nofs_restore(k, k.read(ip, struct_xfs_inode.pflags));
  else if (k.patched.sc) memalloc_noio_restore(k, k.read(ip, struct_xfs_inode.pflags));
  mutex_unlock(k, lockOf(ip));
}

/** The inode cache: to evict the inode it takes its lock. @free: what that gives, in pages. Context: process, may sleep. */
export const xfs_inode_cache = (name: string, free: (k: Kernel) => number = () => 0): Shrinker => ({
  name: 'inode_cache',
  gate: 'FS',
  shrink: function xfs_reclaim_inodes(k) {
    const ip = sharedObject<'xfs_inode'>(k, name);
    mutex_lock(k, lockOf(ip));
    const freed = free(k);
    mutex_unlock(k, lockOf(ip));
    return freed;
  },
});

// ---- memory ------------------------------------------------------------------------------------------------------------

/** flag_convert() of 2.5.53, kmem_flags_convert() later. */
export function kmem_flags_convert(k: Kernel, flags: number): number {
  const { GFP_ATOMIC, GFP_KERNEL, GFP_NOFS, __GFP_NOWARN, __GFP_FS, __GFP_ZERO } = gfp(k);
  const inTransaction = !is4_12(k) && (task_flags(k) & PF_FSTRANS) !== 0;
  const nofs = inTransaction || (flags & KM_NOFS) !== 0;
  if (isOld(k)) return (flags & KM_NOSLEEP) !== 0 ? GFP_ATOMIC : nofs ? GFP_NOFS : GFP_KERNEL;
  let lflags = ((flags & KM_NOSLEEP) !== 0 ? GFP_ATOMIC : GFP_KERNEL) | __GFP_NOWARN;
  if ((flags & KM_NOSLEEP) === 0 && nofs) lflags &= ~__GFP_FS;
  if ((flags & KM_ZERO) !== 0) lflags |= __GFP_ZERO;
  return lflags;
}

/**
 * Context: process, may sleep; any with KM_NOSLEEP, as far as what is below keeps to it.
 * Return:  NULL only with KM_NOSLEEP or KM_MAYFAIL, in 2.5.53 also when all has been tried.
 */
export function kmem_alloc(k: Kernel, size: number, flags: number): Vaddr {
  return isOld(k) ? kmem_alloc_2_5_53(k, size, flags) : kmem_alloc_4_12(k, size, flags);
}

/** Differs: without the caches that kmem_shake() asks, which have a list of their own. */
function kmem_alloc_2_5_53(k: Kernel, size: number, flags: number): Vaddr {
  const lflags = kmem_flags_convert(k, flags);
  const large = size > MAX_SLAB_SIZE;
  for (let retries = 0; ; retries++) {
    const p = large ? __vmalloc(k, size, lflags) : kmalloc(k, size, lflags);
    if (p !== NULL || (flags & KM_NOSLEEP) !== 0 || retries === MAX_VMALLOCS) return p;
    congestion_wait(k, HZ / 10);
  }
}

function kmem_alloc_4_12(k: Kernel, size: number, flags: number): Vaddr {
  const lflags = kmem_flags_convert(k, flags);
  for (;;) {
    const p = kmalloc(k, size, lflags);
    if (p !== NULL || (flags & (KM_MAYFAIL | KM_NOSLEEP)) !== 0) return p;
    congestion_wait(k, HZ / 50);
  }
}

/** Does XFS restrict the task itself for vmalloc()? The seed's patch takes that out. */
function scopeOf(k: Kernel, flags: number): 'nofs' | 'noio' | null {
  if (k.patched.mp || k.patched['mutant-no-caller-scopes']) return null;
  if (is4_12(k)) return (flags & KM_NOFS) !== 0 ? 'nofs' : null;
  return (flags & KM_NOFS) !== 0 || (task_flags(k) & PF_FSTRANS) !== 0 ? 'noio' : null;
}

/**
 * Zeroed memory that need not be contiguous.
 *
 * Context: process, may sleep.
 * Return:  NULL without memory or room.
 */
export function kmem_zalloc_large(k: Kernel, size: number, flags: number): Vaddr {
  const p = kmem_alloc(k, size, flags | KM_ZERO | KM_MAYFAIL);
  if (p !== NULL) return p;
  const scope = scopeOf(k, flags);
  const lflags = kmem_flags_convert(k, flags) | gfp(k).__GFP_ZERO | (is4_12(k) ? 0 : gfp(k).__GFP_HIGHMEM);
  let old = 0;
  if (scope === 'nofs') old = memalloc_nofs_save(k);
  if (scope === 'noio') old = memalloc_noio_save(k);
  const large = __vmalloc(k, size, lflags);
  if (scope === 'nofs') memalloc_nofs_restore(k, old);
  if (scope === 'noio') memalloc_noio_restore(k, old);
  return large;
}

/** Context: process, may sleep if it is a vmalloc address. */
export function kmem_free(k: Kernel, p: Vaddr): void {
  p = vaddr(p);
  if (is_vmalloc_addr(k, p)) vfree(k, p);
  else kfree(k, p);
}
