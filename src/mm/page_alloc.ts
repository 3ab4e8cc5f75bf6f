/**
 * mm/page_alloc.c: pages in blocks of 2^order.
 *
 * The parts are in mm/page_alloc/: the two buddy systems, the lists of each CPU, watermarks, and the allocation paths of Linux 2.5.53, 2.6.22
 * and 4.12 side by side. A version in between runs the path of the last of these before it.
 * Left out: nodes, migrate types, compaction, memory cgroups, cpusets.
 */
import { virt_addr_valid, virt_to_page } from '../arch/arm/memory.js';
import type { Kernel } from '../cpu/kernel.js';
import { Ev } from '../cpu/tracer.js';
import { atomic_dec_and_test, atomic_set } from '../shared/atomic.js';
import { BUG_ON } from '../shared/bug.js';
import { PG_reserved, struct_page } from '../shared/structs/page.js';
import { NULL, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { LINUX_2_6, LINUX_4_4 } from '../shared/version.js';
import { gfp, gfpOfVersion } from './gfp.js';
import { page_address } from './highmem.js';
import { kasan_alloc_pages, kasan_free_pages, kasan_put_page } from './kasan.js';
import { debug_check_no_locks_freed_page } from './lockdep.js';
import { MAX_ORDER } from './mmzone.js';
import { lowmem_page_address, type Page, page_plus } from './page.js';
import { compound_order, destroy_compound_page, PageCompound } from './page_alloc/compound.js';
import { __alloc_pages_2_5_53 } from './page_alloc/linux-2.5.53.js';
import { __alloc_pages_2_6_22 } from './page_alloc/linux-2.6.22.js';
import { __alloc_pages_4_12 } from './page_alloc/linux-4.12.js';
import { __free_pages_ok, free_hot_cold_page } from './page_alloc/pcp.js';
import { clear_page, page_count_addr } from './page_alloc/prep.js';

export { compound_head, compound_order, PageCompound, PageTail } from './page_alloc/compound.js';
export { free_area_init } from './page_alloc/init.js';
export { warn_alloc } from './page_alloc/linux-4.12.js';
export { drain_local_pages, drainZone, pagesOnCpuLists } from './page_alloc/pcp.js';
export { clear_highpage, clear_page } from './page_alloc/prep.js';

/** Masks of 2.6.22 to 2.6.35 as constants, which stand for those of 4.x there: see gfpOfVersion(). Code for any version asks gfp(). Source: include/linux/gfp.h, Linux 2.6.30. */
export const __GFP_HIGHMEM = 0x02;
export const __GFP_WAIT = 0x10;
export const __GFP_IO = 0x40;
export const __GFP_FS = 0x80;
export const GFP_KERNEL = __GFP_WAIT | __GFP_IO | __GFP_FS;
export const GFP_HIGHUSER = GFP_KERNEL | __GFP_HIGHMEM;

/**
 * A block of 2^order pages, with a reference on the first. Its contents are whatever the frames held.
 *
 * Context: any if the mask does not allow blocking, else process, may sleep. Takes and releases zone->lock (irqsave).
 * Return:  NULL when the zones of the mask have nothing above their marks and waiting does not help or is not allowed.
 * Source:  mm/page_alloc.c, Linux 4.12; __alloc_pages() before 2.6.31.
 */
export function __alloc_pages_nodemask(k: Kernel, gfp_mask: number, order: number): Page {
  k.op();
  const page = allocOfVersion(k, gfp_mask, order);
  k.trace(Ev.pageAlloc, page, order, gfp_mask);
  kasan_alloc_pages(k, page, order, gfp_mask);
  return page;
}

function allocOfVersion(k: Kernel, gfp_mask: number, order: number): Page {
  if (k.LINUX_VERSION_CODE >= LINUX_4_4) return __alloc_pages_4_12(k, gfp_mask, order);
  return k.LINUX_VERSION_CODE >= LINUX_2_6
    ? __alloc_pages_2_6_22(k, gfp_mask, order)
    : __alloc_pages_2_5_53(k, gfp_mask, order);
}

/** See __alloc_pages_nodemask(). Return: NULL too for an order that no block has. Source: include/linux/gfp.h, Linux 2.6.22. */
export function alloc_pages(k: Kernel, gfp_mask: number, order: number): Page {
  gfp_mask = gfpOfVersion(k, gfp_mask);
  if (order >= MAX_ORDER) return NULL;
  return __alloc_pages_nodemask(k, gfp_mask, order);
}

export function alloc_page(k: Kernel, gfp_mask: number): Page {
  return alloc_pages(k, gfp_mask, 0);
}

/**
 * Drop a reference; the last one frees the block.
 *
 * Context: any. Takes and releases zone->lock (irqsave).
 * Source:  mm/page_alloc.c, Linux 2.6.22. 2.5.53 leaves a reserved page alone.
 */
export function __free_pages(k: Kernel, page: Page, order: number): void {
  page = ptr<'page'>(page);
  const reserved = (k.read(page, struct_page.flags) & (1 << PG_reserved)) !== 0;
  if (reserved && k.LINUX_VERSION_CODE < LINUX_2_6) return;
  kasan_put_page(k, page);
  if (!atomic_dec_and_test(k, page_count_addr(page))) return;
  k.trace(Ev.pageFree, page, order);
  kasan_free_pages(k, page, order);
  if (order !== 0 && PageCompound(k, page)) destroy_compound_page(k, page, compound_order(k, page));
  debug_check_no_locks_freed_page(k, page, order);
  if (order === 0) free_hot_cold_page(k, page, false);
  else __free_pages_ok(k, page, order);
}

export function __free_page(k: Kernel, page: Page): void {
  __free_pages(k, page, 0);
}

/**
 * A block by its linear address. A highmem page has none: until 2.6.22 the answer is then NULL and the page is lost.
 *
 * Context: as alloc_pages().
 * Errors:  BUG for a mask with __GFP_HIGHMEM in 4.x.
 * Source:  mm/page_alloc.c, Linux 2.6.22, 4.12 (CONFIG_DEBUG_VM).
 */
export function __get_free_pages(k: Kernel, gfp_mask: number, order: number): Vaddr {
  const wantsHighmem = (gfp_mask & gfp(k).__GFP_HIGHMEM) !== 0;
  BUG_ON(k, wantsHighmem && k.LINUX_VERSION_CODE >= LINUX_4_4, 'mm/page_alloc.c __get_free_pages: __GFP_HIGHMEM');
  const page = alloc_pages(k, gfp_mask, order);
  if (page === NULL) return NULL;
  return page_address(k, page);
}

export function __get_free_page(k: Kernel, gfp_mask: number): Vaddr {
  return __get_free_pages(k, gfp_mask, 0);
}

/**
 * A page of zeros by its linear address.
 *
 * Errors:  BUG for a mask with __GFP_HIGHMEM.
 * Source:  mm/page_alloc.c, Linux 2.5.53, which clears the page itself, and 2.6.22.
 */
export function get_zeroed_page(k: Kernel, gfp_mask: number): Vaddr {
  const { __GFP_HIGHMEM, __GFP_ZERO } = gfp(k);
  BUG_ON(k, (gfp_mask & __GFP_HIGHMEM) !== 0, 'mm/page_alloc.c get_zeroed_page: __GFP_HIGHMEM');
  const page = alloc_pages(k, gfp_mask | __GFP_ZERO, 0);
  if (page === NULL) return NULL;
  const addr = lowmem_page_address(k, page);
  if (__GFP_ZERO === 0) clear_page(k, addr);
  return addr;
}

/**
 * Give back what __get_free_pages() answered.
 *
 * Errors:  BUG for an address outside the direct map; NULL is ignored.
 */
export function free_pages(k: Kernel, addr: Vaddr, order: number): void {
  addr = vaddr(addr);
  if (addr === NULL) return;
  BUG_ON(k, !virt_addr_valid(k, addr), 'mm/page_alloc.c free_pages: not a linear address', addr);
  __free_pages(k, virt_to_page(k, addr), order);
}

export function free_page(k: Kernel, addr: Vaddr): void {
  free_pages(k, addr, 0);
}

/** Each page of a block gets a reference of its own. Source: mm/page_alloc.c, Linux 2.6.22. */
export function split_page(k: Kernel, page: Page, order: number): void {
  page = ptr<'page'>(page);
  for (let i = 1; i < 1 << order; i++) atomic_set(k, page_count_addr(page_plus(page, i)), 1);
}
