/**
 * The buddy system of 2.6.22 to 4.12: a free block carries PG_buddy and its order in page->private.
 *
 * Source: mm/page_alloc.c (`__free_one_page`, `__rmqueue`, `expand`), Linux 2.6.22; the lists by migrate type of 4.x are left out.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { container_of, type List, list_add, list_del, list_empty, list_next, list_of } from '../../shared/list.js';
import { PG_buddy, struct_page } from '../../shared/structs/page.js';
import { NULL } from '../../shared/types.js';
import {
  free_area,
  free_list,
  MAX_ORDER,
  spanned_pages,
  struct_free_area,
  type Zone,
  zone_start_pfn,
} from '../mmzone.js';
import { type Page, page_plus, page_to_pfn } from '../page.js';

export const lru = (page: Page): List => list_of(page, struct_page.lru.offset);

/** Free blocks of an order, one more or one less. Not in 2.5.53, where nobody counts them: there for reports. */
export function countBlocks(k: Kernel, zone: Zone, order: number, change: number): void {
  const area = free_area(zone, order);
  k.write(area, struct_free_area.nr_free, k.read(area, struct_free_area.nr_free) + change);
}

export const page_order = (k: Kernel, page: Page): number => k.read(page, struct_page.private);
export const PageBuddy = (k: Kernel, page: Page): boolean => (k.read(page, struct_page.flags) & (1 << PG_buddy)) !== 0;

function set_page_order(k: Kernel, page: Page, order: number): void {
  k.write(page, struct_page.private, order);
  k.write(page, struct_page.flags, k.read(page, struct_page.flags) | (1 << PG_buddy));
}

function rmv_page_order(k: Kernel, page: Page): void {
  k.write(page, struct_page.flags, k.read(page, struct_page.flags) & ~(1 << PG_buddy));
  k.write(page, struct_page.private, 0);
}

/**
 * Put a block back, together with its buddy as long as that is free at the same order.
 *
 * Context: zone->lock held, interrupts masked. free_pages is the caller's business.
 */
export function __free_one_page(k: Kernel, block: Page, zone: Zone, first: number): void {
  const start = zone_start_pfn(k, zone);
  const span = spanned_pages(k, zone);
  let page = block;
  let order = first;
  let idx = page_to_pfn(k, page) - start;
  while (order < MAX_ORDER - 1) {
    const buddyIdx = idx ^ (1 << order);
    const buddy = page_plus(page, buddyIdx - idx);
    if (buddyIdx + (1 << order) > span || !PageBuddy(k, buddy) || page_order(k, buddy) !== order) break;
    list_del(k, lru(buddy));
    countBlocks(k, zone, order, -1);
    rmv_page_order(k, buddy);
    page = page_plus(page, (idx & buddyIdx) - idx);
    idx &= buddyIdx;
    order++;
  }
  set_page_order(k, page, order);
  list_add(k, lru(page), free_list(free_area(zone, order)));
  countBlocks(k, zone, order, 1);
}

/**
 * Take a block of 2^order pages: the lowest of the smallest block that is large enough; its upper halves go back.
 *
 * Context: zone->lock held, interrupts masked.
 * Return:  NULL when there is none. free_pages is the caller's business.
 */
export function __rmqueue(k: Kernel, zone: Zone, order: number): Page {
  for (let current = order; current < MAX_ORDER; current++) {
    const list = free_list(free_area(zone, current));
    if (list_empty(k, list)) continue;
    const page = container_of<'page'>(list_next(k, list), struct_page.lru.offset);
    list_del(k, lru(page));
    rmv_page_order(k, page);
    countBlocks(k, zone, current, -1);
    expand(k, zone, page, order, current);
    return page;
  }
  return NULL;
}

function expand(k: Kernel, zone: Zone, page: Page, low: number, high: number): void {
  for (let order = high - 1; order >= low; order--) {
    const upper = page_plus(page, 1 << order);
    list_add(k, lru(upper), free_list(free_area(zone, order)));
    countBlocks(k, zone, order, 1);
    set_page_order(k, upper, order);
  }
}
