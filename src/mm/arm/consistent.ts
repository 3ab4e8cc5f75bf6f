/**
 * arch/arm/mm/consistent.c: memory that a device and the CPUs see alike, because no cache keeps it.
 *
 * Source: arch/arm/mm/consistent.c, Linux 2.5.53: pages from the allocator, mapped a second time, uncached, by __ioremap(); spec/vmalloc-gfp.md
 * §9.2. With the patch `rmk2` the allocator of consistent-region.ts takes its place.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_set, clear_bit, set_bit } from '../../shared/atomic.js';
import { BUG_ON } from '../../shared/bug.js';
import { in_interrupt } from '../../shared/irqflags.js';
import { PG_reserved, struct_page } from '../../shared/structs/page.js';
import { NULL, type Paddr, type Vaddr, vaddr } from '../../shared/types.js';
import { vmalloc_to_page } from '../memory.js';
import { get_order, type Page, page_plus, page_to_phys } from '../page.js';
import { __free_page, __free_pages, alloc_pages } from '../page_alloc.js';
import { PAGE_ALIGN, PAGE_SIZE } from '../vmalloc/vm-struct.js';
import { __vunmap } from '../vmalloc/vmlist.js';
import { region_alloc, region_free } from './consistent-region.js';
import { __ioremap } from './ioremap.js';

/** Where an allocation is: for the CPUs, and for devices. */
export interface Consistent {
  readonly addr: Vaddr;
  readonly handle: Paddr;
}

const FAILED: Consistent = { addr: NULL, handle: 0 as Paddr };

const flagsOf = (page: Page): Vaddr => vaddr(page + struct_page.flags.offset);

/**
 * @size bytes, uncached, not zeroed.
 *
 * Context: process, sleeps. With the patch `arm-consistent-no-bug` in interrupts too, which needs `rmk1` to be right; with `rmk2` as @gfp allows.
 * Return:  NULL without memory.
 * Errors:  BUG in an interrupt.
 */
export function consistent_alloc(k: Kernel, gfp_mask: number, size: number): Consistent {
  if (k.patched.rmk2) return region_alloc(k, gfp_mask, size);
  const forbidden = in_interrupt(k) && !k.patched['arm-consistent-no-bug'];
  BUG_ON(k, forbidden, 'arch/arm/mm/consistent.c consistent_alloc: in interrupt');
  const bytes = PAGE_ALIGN(size);
  const order = get_order(bytes);
  const page = alloc_pages(k, gfp_mask, order);
  if (page === NULL) return FAILED;
  const handle = page_to_phys(k, page);
  k.contextWatch?.request(gfp_mask);
  const addr = __ioremap(k, handle, bytes, gfp_mask);
  k.contextWatch?.requestEnds();
  if (addr === NULL) {
    __free_pages(k, page, order);
    return FAILED;
  }
  reserve(k, page, bytes >>> 12, order);
  return { addr, handle };
}

/** Each page gets a reference of its own; those that the rounding to an order has added are freed. */
export function reserve(k: Kernel, first: Page, count: number, order: number): void {
  for (let i = 0; i < 1 << order; i++) {
    const page = page_plus(first, i);
    atomic_set(k, vaddr(page + struct_page._count.offset), 1);
    if (i < count) set_bit(k, PG_reserved, flagsOf(page));
    else __free_page(k, page);
  }
}

/** A page of consistent memory is an ordinary page again, and free. */
export function unreserve(k: Kernel, page: Page): void {
  clear_bit(k, PG_reserved, flagsOf(page));
  __free_page(k, page);
}

/**
 * Context: process. With `arm-consistent-no-bug` in interrupts too. The area is one of __ioremap(), so that its pages are freed here.
 * Errors:  BUG in an interrupt.
 */
export function consistent_free(k: Kernel, memory: Consistent, size: number): void {
  const addr = vaddr(memory.addr);
  if (k.patched.rmk2) {
    region_free(k, addr, size);
    return;
  }
  const forbidden = in_interrupt(k) && !k.patched['arm-consistent-no-bug'];
  BUG_ON(k, forbidden, 'arch/arm/mm/consistent.c consistent_free: in interrupt', addr);
  const pages: Page[] = [];
  for (let at = 0; at < size; at += PAGE_SIZE) pages.push(vmalloc_to_page(k, addr + at));
  __vunmap(k, addr, true);
  for (const page of pages) if (page !== NULL) unreserve(k, page);
}
