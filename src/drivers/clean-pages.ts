/**
 * Pages that a cache can give back under pressure: clean page cache, or what hangs on an inode. Ours; what reclaim hooks are in
 * spec/vmalloc-gfp.md §4.7.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { sharedObject } from '../cpu/shared-object.js';
import { gfp } from '../mm/gfp.js';
import { struct_zone, zone_nr } from '../mm/mmzone.js';
import { type Page, ZONE_NORMAL } from '../mm/page.js';
import { __free_pages_ok, drainZone } from '../mm/page_alloc/pcp.js';
import { alloc_page } from '../mm/page_alloc.js';
import { atomic_dec_and_test } from '../shared/atomic.js';
import { defineStruct } from '../shared/layout.js';
import { container_of, INIT_LIST_HEAD, list_add, list_del, list_empty, list_next, list_of } from '../shared/list.js';
import { type SpinLock, spin_lock, spin_lock_init, spin_unlock } from '../shared/spinlock.js';
import { struct_page } from '../shared/structs/page.js';
import { NULL, type Ptr, ptr, vaddr } from '../shared/types.js';

export const struct_clean_pages = defineStruct('clean_pages', 12, { lock: 0, pages: [4, 8] });
export type CleanPages = Ptr<'clean_pages'>;

const lockOf = (cache: CleanPages): SpinLock => ptr<'spinlock'>(cache + struct_clean_pages.lock.offset);
const listOf = (cache: CleanPages) => list_of(cache, struct_clean_pages.pages.offset);

/** For a setup, before memory is short: a cache with @count pages of lowmem. */
export function fillCleanPages(k: Kernel, cache: CleanPages, count: number): void {
  spin_lock_init(k, lockOf(cache));
  INIT_LIST_HEAD(k, listOf(cache));
  for (let i = 0; i < count; i++) {
    const page = alloc_page(k, gfp(k).GFP_KERNEL);
    list_add(k, list_of(page, struct_page.lru.offset), listOf(cache));
  }
}

/** For a setup: lowmem has no page more than its min mark, so that who wants one has to reclaim. */
export function lowmemAtMin(k: Kernel): void {
  const zone = zone_nr(k, ZONE_NORMAL);
  drainZone(k, zone, k.read(zone, struct_zone.pages_min));
}

/** Off the list; NULL: it is empty. */
function takePage(k: Kernel, cache: CleanPages): Page {
  spin_lock(k, lockOf(cache));
  let page: Page = NULL;
  if (!list_empty(k, listOf(cache))) {
    const entry = list_next(k, listOf(cache));
    list_del(k, entry);
    page = container_of<'page'>(entry, struct_page.lru.offset);
  }
  spin_unlock(k, lockOf(cache));
  return page;
}

/**
 * Give back a page, unless lowmem is above its min mark. It goes to the buddy system, past the lists of this CPU, so that it counts as free.
 *
 * Context: any that may take the cache's lock.
 * Return:  pages freed.
 */
export function shrinkCleanPages(k: Kernel, cache: CleanPages): number {
  const zone = zone_nr(k, ZONE_NORMAL);
  if (k.read(zone, struct_zone.free_pages) > k.read(zone, struct_zone.pages_min)) return 0;
  const page = takePage(k, cache);
  if (page === NULL || !atomic_dec_and_test(k, vaddr(page + struct_page._count.offset))) return 0;
  __free_pages_ok(k, page, 0);
  return 1;
}

/** The shrinker of clean page cache, which any reclaim may ask. @name: of the race's shared object. */
export const page_cache_clean = (name: string): Shrinker => ({
  name: 'page_cache_clean',
  gate: 'none',
  shrink: (k) => shrinkCleanPages(k, sharedObject<'clean_pages'>(k, name)),
});
