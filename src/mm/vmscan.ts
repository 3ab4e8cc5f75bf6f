/**
 * mm/vmscan.c: reclaim, by the task that wants memory and by kswapd.
 *
 * Source: mm/vmscan.c, Linux 2.5.53 (`try_to_free_pages`), 2.6.22 and 4.12 (`do_try_to_free_pages`); spec/vmalloc-gfp.md §4.7. What there is to
 * reclaim: clean page cache on the inactive list of a zone, and the registered caches (`Shrinker`), each called if the mask allows what it does.
 * Left out: the active list, dirty pages, swap, memory cgroups, throttling by kswapd.
 */
import type { Kernel, Shrinker } from '../cpu/kernel.js';
import { cond_resched, congestion_wait } from '../cpu/timer.js';
import { atomic_dec_and_test, clear_bit, set_bit } from '../shared/atomic.js';
import { advance_jiffies, HZ } from '../shared/jiffies.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { container_of, list_add, list_del, list_empty, struct_list_head } from '../shared/list.js';
import { spin_lock_irqsave, spin_unlock_irqrestore } from '../shared/spinlock.js';
import { PG_lru, struct_page } from '../shared/structs/page.js';
import { ptr, type Vaddr, vaddr } from '../shared/types.js';
import { current_gfp_context, gfp } from './gfp.js';
import { GfpSite, gfpEvent } from './gfp-events.js';
import { kasan_free_pages } from './kasan.js';
import { inactive_list, lru_lock, page_zone, struct_zone, type Zone } from './mmzone.js';
import { out_of_memory_2_5_53 } from './oom_kill.js';
import type { Page } from './page.js';
import { lru } from './page_alloc/buddy.js';
import { free_hot_cold_page } from './page_alloc/pcp.js';
import { page_count_addr } from './page_alloc/prep.js';

export const DEF_PRIORITY = 12;
export const SWAP_CLUSTER_MAX = 32;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** A bit for each registered shrinker. */
    shrinker_list: Vaddr;
  }
}

export const vmscanSymbols: Record<string, SymbolSpec> = { shrinker_list: { bytes: 4, align: 4 } };

const shrinkerNr = (k: Kernel, name: string): number => k.shrinkers.findIndex((s) => s.name === name);

/** The cache takes part in reclaim again. All do after boot. */
export const register_shrinker = (k: Kernel, name: string): void =>
  set_bit(k, shrinkerNr(k, name), k.sym.shrinker_list);
export const unregister_shrinker = (k: Kernel, name: string): void =>
  clear_bit(k, shrinkerNr(k, name), k.sym.shrinker_list);

function allowed(k: Kernel, shrinker: Shrinker, gfp_mask: number): boolean {
  const { __GFP_FS, __GFP_IO } = gfp(k);
  if (shrinker.gate === 'none') return true;
  return (gfp_mask & (shrinker.gate === 'FS' ? __GFP_FS : __GFP_IO)) !== 0;
}

/** Ask every cache that the mask allows. Context: process, may sleep. Return: pages freed. */
function shrink_slab(k: Kernel, gfp_mask: number): number {
  let freed = 0;
  const registered = k.load(k.sym.shrinker_list);
  k.shrinkers.forEach((shrinker, nr) => {
    if ((registered & (1 << nr)) === 0 || !allowed(k, shrinker, gfp_mask)) return;
    freed += shrinker.shrink(k, SWAP_CLUSTER_MAX, gfp_mask);
  });
  return freed;
}

/** @page, with the reference of its caller, becomes clean page cache that reclaim may take. Source: lru_cache_add(), mm/swap.c. */
export function lru_cache_add(k: Kernel, page: Page): void {
  page = ptr<'page'>(page);
  const zone = page_zone(k, page);
  const flags = spin_lock_irqsave(k, lru_lock(zone));
  set_bit(k, PG_lru, vaddr(page + struct_page.flags.offset));
  list_add(k, lru(page), inactive_list(zone));
  k.write(zone, struct_zone.nr_inactive, k.read(zone, struct_zone.nr_inactive) + 1);
  spin_unlock_irqrestore(k, lru_lock(zone), flags);
}

/** The oldest page of the list, off it; 0: the list is empty. */
function isolate(k: Kernel, zone: Zone): Page {
  const flags = spin_lock_irqsave(k, lru_lock(zone));
  const list = inactive_list(zone);
  let page = 0 as Page;
  if (!list_empty(k, list)) {
    const entry = k.read(list, struct_list_head.prev) as typeof list;
    list_del(k, entry);
    page = container_of<'page'>(entry, struct_page.lru.offset);
    clear_bit(k, PG_lru, vaddr(page + struct_page.flags.offset));
    k.write(zone, struct_zone.nr_inactive, k.read(zone, struct_zone.nr_inactive) - 1);
    k.write(zone, struct_zone.pages_scanned, k.read(zone, struct_zone.pages_scanned) + 1);
  }
  spin_unlock_irqrestore(k, lru_lock(zone), flags);
  return page;
}

/** Free up to a cluster of clean pages of @zone. Return: how many. */
function shrink_zone(k: Kernel, zone: Zone): number {
  let freed = 0;
  while (freed < SWAP_CLUSTER_MAX) {
    const page = isolate(k, zone);
    if (page === 0) break;
    if (!atomic_dec_and_test(k, page_count_addr(page))) continue;
    kasan_free_pages(k, page, 0);
    free_hot_cold_page(k, page, false);
    freed++;
  }
  return freed;
}

function shrink_zones(k: Kernel, zones: readonly Zone[]): number {
  let freed = 0;
  for (const zone of zones) freed += shrink_zone(k, zone);
  return freed;
}

/**
 * Direct reclaim of 2.5.53. The caches are asked only after a pass over the page lists that found less than a cluster, and only with
 * __GFP_FS; the order does not matter.
 *
 * Context: process, may sleep. PF_MEMALLOC set.
 * Return:  pages freed.
 */
export function try_to_free_pages_2_5_53(k: Kernel, zones: readonly Zone[], gfp_mask: number): number {
  gfpEvent(k, GfpSite.reclaim, gfp_mask);
  const { __GFP_FS } = gfp(k);
  let freed = 0;
  for (let priority = DEF_PRIORITY; priority >= 0; priority--) {
    freed += shrink_zones(k, zones);
    if (freed >= SWAP_CLUSTER_MAX) return freed;
    if ((gfp_mask & __GFP_FS) === 0) return freed;
    congestion_wait(k, HZ / 4);
    freed += shrink_slab(k, gfp_mask);
  }
  if ((gfp_mask & __GFP_FS) !== 0) out_of_memory_2_5_53(k);
  return freed;
}

/** Direct reclaim of 2.6.22. Context: process, may sleep. PF_MEMALLOC set. Return: pages freed. */
export function try_to_free_pages_2_6_22(k: Kernel, zones: readonly Zone[], gfp_mask: number): number {
  gfpEvent(k, GfpSite.reclaim, gfp_mask);
  let freed = 0;
  for (let priority = DEF_PRIORITY; priority >= 0; priority--) {
    freed += shrink_zones(k, zones);
    freed += shrink_slab(k, gfp_mask);
    if (freed >= SWAP_CLUSTER_MAX) return freed;
    if (priority < DEF_PRIORITY - 2) congestion_wait(k, HZ / 10);
  }
  return freed;
}

/** Time that a pass of 4.x without success takes: waiting for congested writes, among others. Differs: a constant. */
const FAILED_RECLAIM_TICKS = HZ / 10;

/**
 * Direct reclaim of 4.12: the caches are asked in every round, with the mask that the task's scope leaves.
 *
 * Context: process, may sleep. PF_MEMALLOC set.
 * Return:  pages freed.
 */
export function try_to_free_pages_4_12(k: Kernel, zones: readonly Zone[], gfp_mask: number): number {
  const effective = current_gfp_context(k, gfp_mask);
  gfpEvent(k, GfpSite.reclaim, effective);
  let freed = 0;
  for (let priority = DEF_PRIORITY; priority >= 0; priority--) {
    freed += shrink_zones(k, zones);
    freed += shrink_slab(k, effective);
    if (freed >= SWAP_CLUSTER_MAX) return freed;
    cond_resched(k, 'mm/vmscan.c:0');
  }
  if (freed === 0) advance_jiffies(k, FAILED_RECLAIM_TICKS);
  return freed;
}

/** One pass of kswapd over a zone and the caches, with GFP_KERNEL. Return: pages freed. */
export function reclaimForKswapd(k: Kernel, zone: Zone): number {
  return shrink_zone(k, zone) + shrink_slab(k, gfp(k).GFP_KERNEL);
}
