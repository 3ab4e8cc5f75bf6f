/**
 * Compound pages: a block that is one page of a larger size.
 *
 * Source: mm/page_alloc.c (`prep_compound_page`), include/linux/mm.h, Linux 2.6.22. Every page carries PG_compound; tails carry PG_reclaim
 * besides and point at the head with their word `private`; the first tail keeps the order. Differs: 4.12 has its own encoding of the same.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { struct_list_head } from '../../shared/list.js';
import { PG_compound, PG_reclaim, struct_page } from '../../shared/structs/page.js';
import { ptr } from '../../shared/types.js';
import { type Page, page_plus } from '../page.js';
import { lru } from './buddy.js';

const TAIL = (1 << PG_compound) | (1 << PG_reclaim);

export const PageCompound = (k: Kernel, page: Page): boolean =>
  (k.read(page, struct_page.flags) & (1 << PG_compound)) !== 0;
export const PageTail = (k: Kernel, page: Page): boolean => (k.read(page, struct_page.flags) & TAIL) === TAIL;

/** The head of the compound page, or the page itself. */
export function compound_head(k: Kernel, page: Page): Page {
  return PageTail(k, page) ? ptr<'page'>(k.read(page, struct_page.private)) : page;
}

/** Order of a compound page by its head; 0 for any other page. */
export function compound_order(k: Kernel, head: Page): number {
  return PageCompound(k, head) ? k.read(lru(page_plus(head, 1)), struct_list_head.prev) : 0;
}

const setFlags = (k: Kernel, page: Page, bits: number): void =>
  k.write(page, struct_page.flags, k.read(page, struct_page.flags) | bits);
const clearFlags = (k: Kernel, page: Page, bits: number): void =>
  k.write(page, struct_page.flags, k.read(page, struct_page.flags) & ~bits);

/** Context: the pages are the caller's alone. */
export function prep_compound_page(k: Kernel, head: Page, order: number): void {
  setFlags(k, head, 1 << PG_compound);
  k.write(lru(page_plus(head, 1)), struct_list_head.prev, order);
  for (let i = 1; i < 1 << order; i++) {
    setFlags(k, page_plus(head, i), TAIL);
    k.write(page_plus(head, i), struct_page.private, head);
  }
}

/** Context: the last reference is gone. */
export function destroy_compound_page(k: Kernel, head: Page, order: number): void {
  clearFlags(k, head, 1 << PG_compound);
  for (let i = 1; i < 1 << order; i++) {
    clearFlags(k, page_plus(head, i), TAIL);
    k.write(page_plus(head, i), struct_page.private, 0);
  }
}
