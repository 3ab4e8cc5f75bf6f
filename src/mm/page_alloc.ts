/**
 * Order-0 pages from the free list of a zone.
 *
 * Models what the callers of mm/page_alloc.c see: a page with one reference, or NULL. Left out: orders, watermarks, per-CPU lists,
 * reclaim, and falling back from one zone to another except from highmem to lowmem.
 */
import type { Kernel } from '../cpu/kernel.js';
import { atomic_dec_and_test, atomic_set } from '../shared/atomic.js';
import { defineStruct } from '../shared/layout.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_add_tail,
  list_del,
  list_empty,
  list_next,
  list_of,
} from '../shared/list.js';
import { type SpinLock, spin_lock_irqsave, spin_unlock_irqrestore } from '../shared/spinlock.js';
import { struct_page } from '../shared/structs/page.js';
import { NULL, type Ptr, ptr, vaddr } from '../shared/types.js';
import { type Page, page_zonenum, pfn_to_page, ZONE_HIGHMEM, ZONE_NORMAL } from './page.js';

/** Differs: offsets are ours. */
export const struct_zone = defineStruct('zone', 32, { lock: 0, free_list: [4, 8], nr_free: 12 });

declare module '../shared/kernel-base.js' {
  interface Symbols {
    zones: Ptr<'zone'>;
  }
}

/** Allocation flags. Source: include/linux/gfp.h, Linux 2.6.30. */
export const __GFP_HIGHMEM = 0x02;
export const __GFP_WAIT = 0x10;
export const __GFP_IO = 0x40;
export const __GFP_FS = 0x80;
export const GFP_KERNEL = __GFP_WAIT | __GFP_IO | __GFP_FS;
export const GFP_HIGHUSER = GFP_KERNEL | __GFP_HIGHMEM;

const zoneOf = (k: Kernel, nr: number): Ptr<'zone'> => ptr<'zone'>(k.sym.zones + nr * struct_zone.sizeof);
const lockOf = (zone: Ptr<'zone'>): SpinLock => ptr<'spinlock'>(zone + struct_zone.lock.offset);
const listOf = (zone: Ptr<'zone'>): List => list_of(zone, struct_zone.free_list.offset);
const lru = (page: Page): List => list_of(page, struct_page.lru.offset);
const countOf = (page: Page) => vaddr(page + struct_page._count.offset);

/** Boot, one CPU: all frames from @firstFree on are free, lowest first. */
export function free_area_init(k: Kernel, firstFree: number): void {
  const first = k.config.core.physBase >>> 12;
  for (let nr = ZONE_NORMAL; nr <= ZONE_HIGHMEM; nr++) {
    INIT_LIST_HEAD(k, listOf(zoneOf(k, nr)));
    k.write(zoneOf(k, nr), struct_zone.nr_free, 0);
  }
  for (let frame = firstFree; frame < k.config.lowmemPages + k.config.highmemPages; frame++) {
    const page = pfn_to_page(k, (first + frame) as never);
    const zone = zoneOf(k, page_zonenum(k, page));
    list_add_tail(k, lru(page), listOf(zone));
    k.write(zone, struct_zone.nr_free, k.read(zone, struct_zone.nr_free) + 1);
  }
}

function takeFrom(k: Kernel, zone: Ptr<'zone'>): Page {
  const flags = spin_lock_irqsave(k, lockOf(zone));
  let page: Page = NULL;
  if (!list_empty(k, listOf(zone))) {
    const entry = list_next(k, listOf(zone));
    list_del(k, entry);
    page = container_of<'page'>(entry, struct_page.lru.offset);
    k.write(zone, struct_zone.nr_free, k.read(zone, struct_zone.nr_free) - 1);
  }
  spin_unlock_irqrestore(k, lockOf(zone), flags);
  return page;
}

/**
 * One page with one reference. Its contents are whatever the frame held.
 *
 * Context: any; takes and releases zone->lock (irqsave). Never sleeps in this model.
 * Return:  NULL when the zone is empty.
 */
export function alloc_page(k: Kernel, gfp: number): Page {
  k.op();
  let page: Page = NULL;
  if ((gfp & __GFP_HIGHMEM) !== 0) page = takeFrom(k, zoneOf(k, ZONE_HIGHMEM));
  if (page === NULL) page = takeFrom(k, zoneOf(k, ZONE_NORMAL));
  if (page !== NULL) atomic_set(k, countOf(page), 1);
  return page;
}

/** Drop a reference; the last one frees the page. Context: any. */
export function __free_page(k: Kernel, page: Page): void {
  if (!atomic_dec_and_test(k, countOf(page))) return;
  const zone = zoneOf(k, page_zonenum(k, page));
  const flags = spin_lock_irqsave(k, lockOf(zone));
  list_add(k, lru(page), listOf(zone));
  k.write(zone, struct_zone.nr_free, k.read(zone, struct_zone.nr_free) + 1);
  spin_unlock_irqrestore(k, lockOf(zone), flags);
}
