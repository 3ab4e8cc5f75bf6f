/**
 * kmalloc() and kfree() straight from the page allocator: a block is 2^order pages.
 *
 * Stands in for a slab allocator (mm/slab.c, mm/slub.c) where one is not the subject: who allocates, with which mask, in which context, and that
 * it can fail are as in the kernel; two objects never share a page, and no cache of free objects hides a wrong mask.
 * Differs: no size classes; the order of a block stands in page->index of its first page.
 */
import { virt_to_page } from '../arch/arm/memory.js';
import type { Kernel } from '../cpu/kernel.js';
import { BUG_ON } from '../shared/bug.js';
import { struct_page } from '../shared/structs/page.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { gfp } from './gfp.js';
import { __get_free_pages, clear_page, free_pages } from './page_alloc.js';

/** The largest block, in bytes. Source: include/linux/kmalloc_sizes.h, Linux 2.5.53. */
export const KMALLOC_MAX_SIZE = 128 << 10;

/** Smallest n with @size <= 2^n pages. Source: include/asm-generic/page.h. */
export const get_order = (size: number): number => (size <= 4096 ? 0 : 32 - Math.clz32((size - 1) >>> 12));

/**
 * Context: process if @gfp_mask allows to sleep, else any.
 * Return:  linear address of @size bytes that hold junk; NULL without memory.
 * Errors:  BUG for a mask with __GFP_HIGHMEM, as a slab that grows has it.
 */
export function kmalloc<T extends string>(k: Kernel, size: number, gfp_mask: number): Ptr<T> {
  BUG_ON(k, (gfp_mask & gfp(k).__GFP_HIGHMEM) !== 0, 'mm/slab.c kmalloc: __GFP_HIGHMEM', gfp_mask);
  if (size > KMALLOC_MAX_SIZE) return NULL;
  const order = get_order(size);
  const addr = __get_free_pages(k, gfp_mask, order);
  if (addr === NULL) return NULL;
  k.write(virt_to_page(k, addr), struct_page.index, order);
  return ptr<T>(addr);
}

/** kmalloc() of zeros. */
export function kzalloc<T extends string>(k: Kernel, size: number, gfp_mask: number): Ptr<T> {
  const addr = kmalloc<T>(k, size, gfp_mask);
  if (addr !== NULL) for (let i = 0; i < 1 << get_order(size); i++) clear_page(k, vaddr(addr + i * 4096));
  return addr;
}

/** Context: any. NULL is ignored. */
export function kfree(k: Kernel, block: Vaddr): void {
  if (block !== NULL) free_pages(k, block, k.read(virt_to_page(k, vaddr(block)), struct_page.index));
}
