/** What a fresh block gets before its owner sees it. Source: mm/page_alloc.c (`prep_new_page`, `prep_zero_page`), Linux 2.6.22. */

import { km_type } from '../../arch/arm/memory.js';
import { PAGE_SIZE } from '../../cpu/config.js';
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_set } from '../../shared/atomic.js';
import { BUG_ON } from '../../shared/bug.js';
import { in_interrupt } from '../../shared/irqflags.js';
import { Point } from '../../shared/point.js';
import { struct_page } from '../../shared/structs/page.js';
import { type Vaddr, vaddr } from '../../shared/types.js';
import { kmap_atomic, kunmap_atomic } from '../arm/highmem.js';
import { kernel_map_pages } from '../debug-pagealloc.js';
import { gfp } from '../gfp.js';
import { lowmem_page_address, type Page, PageHighMem, page_plus } from '../page.js';
import { prep_compound_page } from './compound.js';

export const page_count_addr = (page: Page): Vaddr => vaddr(page + struct_page._count.offset);

/** Differs: one scheduling point for the page, since nobody else has it yet. */
export function clear_page(k: Kernel, addr: Vaddr): void {
  k.point(Point.CachedStore, addr);
  for (let offset = 0; offset < PAGE_SIZE; offset += 4) k.mmu.store32(vaddr(addr + offset), 0);
}

/** Zeros through the linear address, or through an atomic mapping for highmem. Context: any for lowmem, else not in interrupts. */
export function clear_highpage(k: Kernel, page: Page): void {
  if (!PageHighMem(k, page)) {
    clear_page(k, lowmem_page_address(k, page));
    return;
  }
  const addr = kmap_atomic(k, page, km_type.KM_USER0);
  clear_page(k, addr);
  kunmap_atomic(k, addr, km_type.KM_USER0);
}

/**
 * Zeros for a block. A highmem page is cleared through a slot that interrupts must leave alone.
 *
 * Errors:  with CONFIG_DEBUG_VM, BUG for a highmem mask in an interrupt, or without __GFP_WAIT.
 * Source:  prep_zero_page(), mm/page_alloc.c, Linux 2.6.22. 4.x clears in prep_new_page() and does not ask.
 */
function prep_zero_page(k: Kernel, page: Page, order: number, gfp_mask: number): void {
  const { __GFP_HIGHMEM, __GFP_WAIT } = gfp(k);
  if (k.config.debugVm && __GFP_WAIT !== 0 && (gfp_mask & __GFP_HIGHMEM) !== 0) {
    BUG_ON(k, (gfp_mask & __GFP_WAIT) === 0, 'mm/page_alloc.c prep_zero_page: __GFP_HIGHMEM without __GFP_WAIT');
    BUG_ON(k, in_interrupt(k), 'mm/page_alloc.c prep_zero_page: __GFP_HIGHMEM in an interrupt');
  }
  for (let i = 0; i < 1 << order; i++) clear_highpage(k, page_plus(page, i));
}

/** One reference on the first page of the block; zeros and a compound page if the mask asks for them. */
export function prep_new_page(k: Kernel, page: Page, order: number, gfp_mask: number): void {
  const { __GFP_ZERO, __GFP_COMP } = gfp(k);
  k.write(page, struct_page.private, 0);
  atomic_set(k, page_count_addr(page), 1);
  kernel_map_pages(k, page, 1 << order, true);
  if ((gfp_mask & __GFP_ZERO) !== 0) prep_zero_page(k, page, order, gfp_mask);
  if (order !== 0 && (gfp_mask & __GFP_COMP) !== 0) prep_compound_page(k, page, order);
}
