/**
 * The buddy system of 2.5.53: a bit for each pair of buddies, toggled whenever one of the two is taken or given back. It is set while exactly
 * one of them is free as a block of that order.
 *
 * Source: mm/page_alloc.c (`__free_pages_bulk`, `__rmqueue`, `expand`, `MARK_USED`), Linux 2.5.53. A block that is split hands out its upper
 * half: pages come in descending order, which was turned round in the 2.6 series.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { container_of, list_add, list_del, list_empty, list_next } from '../../shared/list.js';
import { struct_page } from '../../shared/structs/page.js';
import { NULL, type Ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { free_area, free_list, MAX_ORDER, struct_free_area, type Zone, zone_start_pfn } from '../mmzone.js';
import { type Page, page_plus, page_to_pfn } from '../page.js';
import { countBlocks, lru } from './buddy.js';

/** Toggle the bit of the pair. Return: what it was. Not atomic: zone->lock is held. */
function changeBit(k: Kernel, zone: Zone, index: number, order: number): boolean {
  const bit = index >>> (1 + order);
  const map = k.read(free_area(zone, order), struct_free_area.map) as Vaddr;
  const word = vaddr(map + (bit >>> 5) * 4);
  const old = k.load(word);
  k.store(word, old ^ (1 << (bit & 31)));
  return (old & (1 << (bit & 31))) !== 0;
}

/**
 * Put a block back, together with its buddy as long as the bit of the two says that the buddy is free.
 *
 * Context: zone->lock held, interrupts masked. free_pages is the caller's business.
 */
export function __free_one_page(k: Kernel, block: Page, zone: Zone, first: number): void {
  const base = zone_start_pfn(k, zone);
  let idx = page_to_pfn(k, block) - base;
  let page = block;
  let order = first;
  for (; order < MAX_ORDER - 1 && changeBit(k, zone, idx, order); order++) {
    const buddyIdx = idx ^ (1 << order);
    list_del(k, lru(page_plus(page, buddyIdx - idx)));
    countBlocks(k, zone, order, -1);
    page = page_plus(page, (idx & buddyIdx) - idx);
    idx &= buddyIdx;
  }
  list_add(k, lru(page), free_list(free_area(zone, order)));
  countBlocks(k, zone, order, 1);
}

/**
 * Take a block of 2^order pages: the highest of the smallest block that is large enough; its lower halves go back.
 *
 * Context: zone->lock held, interrupts masked.
 * Return:  NULL when there is none. free_pages is the caller's business.
 */
export function __rmqueue(k: Kernel, zone: Zone, order: number): Page {
  for (let current = order; current < MAX_ORDER; current++) {
    const list = free_list(free_area(zone, current));
    if (list_empty(k, list)) continue;
    const page: Ptr<'page'> = container_of<'page'>(list_next(k, list), struct_page.lru.offset);
    list_del(k, lru(page));
    countBlocks(k, zone, current, -1);
    const index = page_to_pfn(k, page) - zone_start_pfn(k, zone);
    if (current !== MAX_ORDER - 1) changeBit(k, zone, index, current);
    return expand(k, zone, page, index, order, current);
  }
  return NULL;
}

function expand(k: Kernel, zone: Zone, block: Page, first: number, low: number, high: number): Page {
  let page = block;
  let index = first;
  for (let order = high - 1; order >= low; order--) {
    list_add(k, lru(page), free_list(free_area(zone, order)));
    countBlocks(k, zone, order, 1);
    changeBit(k, zone, index, order);
    index += 1 << order;
    page = page_plus(page, 1 << order);
  }
  return page;
}
