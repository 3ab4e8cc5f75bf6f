/**
 * mm/util.c: kvmalloc(), physically contiguous if that is cheap, else from vmalloc(). Source: mm/util.c, Linux 4.12; spec/vmalloc-gfp.md §6.6.
 */
import type { Kernel } from '../cpu/kernel.js';
import { WARN_ON_ONCE } from '../shared/bug.js';
import { NULL, type Vaddr, vaddr } from '../shared/types.js';
import { gfp, gfpflags_allow_blocking, gfpOfVersion } from './gfp.js';
import { kfree, kmalloc } from './kmalloc.js';
import { is_vmalloc_addr } from './vmalloc/vm-struct.js';
import { __vmalloc, vfree } from './vmalloc.js';

const PAGE_SIZE = 4096;
/** PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER: up to here the allocator tries hard by itself. */
const COSTLY = PAGE_SIZE << 3;

/**
 * Context: process, may sleep: vmalloc() and its page tables do, whatever the mask. With `mp` the mask need not be GFP_KERNEL, it has only to
 *          allow to sleep.
 * Return:  NULL without memory; of a page or less never a vmalloc address.
 * Errors:  WARN_ON_ONCE for a mask that page tables do not obey. __GFP_NORETRY and __GFP_NOFAIL of the caller are not supported.
 */
export function kvmalloc(k: Kernel, size: number, flags: number): Vaddr {
  flags = gfpOfVersion(k, flags);
  const { GFP_KERNEL, __GFP_NOWARN, __GFP_NORETRY, __GFP_REPEAT } = gfp(k);
  const odd = k.patched.mp ? !gfpflags_allow_blocking(k, flags) : (flags & GFP_KERNEL) !== GFP_KERNEL;
  WARN_ON_ONCE(k, odd, 'mm/util.c kvmalloc_node()');
  let kmalloc_flags = flags;
  if (size > PAGE_SIZE) {
    kmalloc_flags |= __GFP_NOWARN;
    if ((kmalloc_flags & __GFP_REPEAT) === 0 || size <= COSTLY) kmalloc_flags |= __GFP_NORETRY;
  }
  const ret = kmalloc(k, size, kmalloc_flags);
  return ret !== NULL || size <= PAGE_SIZE ? ret : __vmalloc(k, size, flags);
}

/** kvmalloc() of zeros. */
export const kvzalloc = (k: Kernel, size: number, flags: number): Vaddr => kvmalloc(k, size, flags | gfp(k).__GFP_ZERO);

/** Context: process; any for what kmalloc() gave. */
export function kvfree(k: Kernel, addr: Vaddr): void {
  addr = vaddr(addr);
  if (is_vmalloc_addr(k, addr)) vfree(k, addr);
  else kfree(k, addr);
}
