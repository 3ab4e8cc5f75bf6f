/**
 * Where the allocators tell lockdep of reclaim, and of memory that is given back. Nothing here is a step: a machine that is watched goes the
 * same ways as one that is not.
 */
import type { Kernel } from '../cpu/kernel.js';
import { PF_MEMALLOC, PF_MEMALLOC_NOFS, PF_MEMALLOC_NOIO } from '../shared/task.js';
import type { Vaddr } from '../shared/types.js';
import { struct_task_struct } from '../shared/wait.js';
import { WaitType } from '../shared/wait-type.js';
import { gfp } from './gfp.js';
import { lowmem_page_address, type Page, PageHighMem } from './page.js';
import type { Cache } from './slab-common.js';

/** May reclaim on behalf of the request call into filesystems? @always: for who reclaims already. */
function reclaimsFs(k: Kernel, gfp_mask: number, always: boolean): boolean {
  const { __GFP_WAIT, __GFP_DIRECT_RECLAIM, __GFP_FS, __GFP_NOMEMALLOC } = gfp(k);
  const flags = k.words[k.wordIndex(k.current + struct_task_struct.flags.offset)] as number;
  if ((gfp_mask & (__GFP_WAIT | __GFP_DIRECT_RECLAIM)) === 0 || (gfp_mask & __GFP_FS) === 0) return false;
  if ((flags & (PF_MEMALLOC_NOFS(k) | PF_MEMALLOC_NOIO)) !== 0) return false;
  return always || (flags & PF_MEMALLOC) === 0 || (gfp_mask & __GFP_NOMEMALLOC) !== 0;
}

/**
 * An allocation begins: every lock that is held may be wanted by reclaim.
 *
 * Source: kernel/lockdep.c, Linux 2.6.30 and 4.12; called by the page allocator and the slab allocators at their entries.
 */
export function lockdep_trace_alloc(k: Kernel, gfp_mask: number): void {
  if (k.lockWatch !== null) k.lockWatch.alloc(reclaimsFs(k, gfp_mask, false));
}

/** Reclaim begins, with these flags. Source: include/linux/lockdep.h, Linux 2.6.30. Return: for lockdep_clear_current_reclaim_state(). */
export function lockdep_set_current_reclaim_state(k: Kernel, gfp_mask: number): boolean {
  if (k.lockWatch === null || !reclaimsFs(k, gfp_mask, true)) return false;
  k.lockWatch.reclaim(true);
  return true;
}

export function lockdep_clear_current_reclaim_state(k: Kernel, set: boolean): void {
  if (set) k.lockWatch?.reclaim(false);
}

/**
 * @lock is of the class @key from now on, whichever lock it was initialised with. Classes of one name have numbers: `name#2`.
 *
 * Context: nobody holds the lock.
 * Source:  include/linux/lockdep.h, Linux 2.6.30. Differs: a key is a text.
 */
export function lockdep_set_class_and_name(k: Kernel, lock: Vaddr, key: string, name: string): void {
  k.lockWatch?.init(lock, name, key, WaitType.same);
}

export function lockdep_set_class(k: Kernel, lock: Vaddr, key: string): void {
  lockdep_set_class_and_name(k, lock, key, key);
}

/** The task returns to user space: for threads that stand for a system call. Source: kernel/lockdep.c, Linux 2.6.30; called on the way out. */
export function lockdep_sys_exit(k: Kernel): void {
  k.lockWatch?.sysExit();
}

/** An object of the cache @s is given back. Source: kernel/lockdep.c, Linux 2.6.30. */
export function debug_check_no_locks_freed(k: Kernel, object: Vaddr, s: Cache): void {
  if (k.lockWatch === null) return;
  k.lockWatch.freed(object, k.words[k.wordIndex(s + k.structs.kmem_cache.objsize.offset)] as number);
}

/** The same for pages; nobody has a lock in highmem. */
export function debug_check_no_locks_freed_page(k: Kernel, page: Page, order: number): void {
  if (k.lockWatch !== null && !PageHighMem(k, page)) k.lockWatch.freed(lowmem_page_address(k, page), 4096 << order);
}
