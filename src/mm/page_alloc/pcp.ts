/**
 * From a zone to a page: the lists that each CPU keeps, and the buddy system behind them.
 *
 * Source: mm/page_alloc.c (`buffered_rmqueue`, `rmqueue_bulk`, `free_pages_bulk`, `free_hot_cold_page`), Linux 2.5.53, 2.6.22 and 4.12;
 * spec/vmalloc-gfp.md §4.1. Pages on these lists are not free for the watermarks, and no other CPU sees them.
 * Left out: lists by migrate type.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_set } from '../../shared/atomic.js';
import { local_irq_restore, local_irq_save } from '../../shared/irqflags.js';
import {
  container_of,
  INIT_LIST_HEAD,
  list_add,
  list_add_tail,
  list_del,
  list_next,
  struct_list_head,
} from '../../shared/list.js';
import { spin_lock, spin_lock_irqsave, spin_unlock, spin_unlock_irqrestore } from '../../shared/spinlock.js';
import { struct_page } from '../../shared/structs/page.js';
import { NULL, vaddr } from '../../shared/types.js';
import { LINUX_2_6, LINUX_4_4 } from '../../shared/version.js';
import { kernel_map_pages } from '../debug-pagealloc.js';
import { gfp } from '../gfp.js';
import {
  MAX_ORDER,
  type PerCpuPages,
  page_zone,
  pcp_list,
  present_pages,
  struct_per_cpu_pages,
  struct_zone,
  type Zone,
  zone_lock,
  zone_pcp,
} from '../mmzone.js';
import { type Page, page_plus } from '../page.js';
import { free_pages_check } from './bad-page.js';
import * as buddy from './buddy.js';
import * as bitmap from './buddy-bitmap.js';

const buddyOf = (k: Kernel): typeof bitmap | typeof buddy => (k.LINUX_VERSION_CODE >= LINUX_2_6 ? buddy : bitmap);

const addFree = (k: Kernel, zone: Zone, pages: number): void =>
  k.write(zone, struct_zone.free_pages, k.read(zone, struct_zone.free_pages) + pages);

/** Boot: a block becomes free. Context: one CPU, nothing else runs. */
export function freeBlockAtBoot(k: Kernel, zone: Zone, page: Page, order: number): void {
  buddyOf(k).__free_one_page(k, page, zone, order);
  addFree(k, zone, 1 << order);
}

/** zone->lock held: take a block from the buddy system and account for it. */
function takeBlock(k: Kernel, zone: Zone, order: number): Page {
  const page = buddyOf(k).__rmqueue(k, zone, order);
  if (page !== NULL) addFree(k, zone, -(1 << order));
  return page;
}

/** Return: how many of @count pages were found; they are at the tail of the list. Context: interrupts masked. */
function rmqueue_bulk(k: Kernel, zone: Zone, count: number, pcp: PerCpuPages): number {
  let got = 0;
  spin_lock(k, zone_lock(zone));
  while (got < count) {
    const page = takeBlock(k, zone, 0);
    if (page === NULL) break;
    list_add_tail(k, buddy.lru(page), pcp_list(pcp));
    got++;
  }
  spin_unlock(k, zone_lock(zone));
  return got;
}

/** Give @count pages from the tail of the list back to the buddy system. Context: interrupts masked. */
function free_pages_bulk(k: Kernel, zone: Zone, count: number, pcp: PerCpuPages): number {
  let freed = 0;
  spin_lock(k, zone_lock(zone));
  k.write(zone, struct_zone.all_unreclaimable, 0);
  k.write(zone, struct_zone.pages_scanned, 0);
  const list = pcp_list(pcp);
  for (; freed < count && list_next(k, list) !== list; freed++) {
    const last = k.read(list, struct_list_head.prev) as typeof list;
    list_del(k, last);
    buddyOf(k).__free_one_page(k, container_of<'page'>(last, struct_page.lru.offset), zone, 0);
    addFree(k, zone, 1);
  }
  spin_unlock(k, zone_lock(zone));
  return freed;
}

const countOf = (k: Kernel, pcp: PerCpuPages): number => k.read(pcp, struct_per_cpu_pages.count);

/** Cold pages have a list of their own until 2.6.24; then they are at the other end of the same list. */
const coldList = (k: Kernel, cold: boolean): number => (cold && k.LINUX_VERSION_CODE < LINUX_4_4 ? 1 : 0);

function takePcp(k: Kernel, zone: Zone, cold: boolean): Page {
  const flags = local_irq_save(k);
  const pcp = zone_pcp(k, zone, k.cpu, coldList(k, cold));
  // 2.5.53 keeps `low` pages on its list, the others use it up.
  const low = k.LINUX_VERSION_CODE < LINUX_2_6 ? k.read(pcp, struct_per_cpu_pages.low) : 0;
  const count = countOf(k, pcp);
  if (count <= low) {
    const got = rmqueue_bulk(k, zone, k.read(pcp, struct_per_cpu_pages.batch), pcp);
    k.write(pcp, struct_per_cpu_pages.count, count + got);
  }
  let page: Page = NULL;
  const left = countOf(k, pcp);
  if (left !== 0) {
    const list = pcp_list(pcp);
    const atTail = cold && k.LINUX_VERSION_CODE >= LINUX_4_4;
    const entry = atTail ? (k.read(list, struct_list_head.prev) as typeof list) : list_next(k, list);
    list_del(k, entry);
    k.write(pcp, struct_per_cpu_pages.count, left - 1);
    page = container_of<'page'>(entry, struct_page.lru.offset);
  }
  local_irq_restore(k, flags);
  return page;
}

/**
 * A block from @zone, whatever the watermarks. Its struct pages are as they were left.
 *
 * Context: any; masks interrupts, takes and releases zone->lock.
 * Return:  NULL when the zone has none.
 */
export function buffered_rmqueue(k: Kernel, zone: Zone, order: number, gfp_mask: number): Page {
  const page = order === 0 ? takePcp(k, zone, (gfp_mask & gfp(k).__GFP_COLD) !== 0) : NULL;
  // 2.5.53 looks into the buddy system when its list stays empty, which finds nothing either.
  if (page !== NULL || (order === 0 && k.LINUX_VERSION_CODE >= LINUX_2_6)) return page;
  const flags = spin_lock_irqsave(k, zone_lock(zone));
  const block = takeBlock(k, zone, order);
  spin_unlock_irqrestore(k, zone_lock(zone), flags);
  return block;
}

/** Order 0 goes to this CPU's list, and a batch of that to the buddy system when it is full; a bad page goes nowhere. Context: any. */
export function free_hot_cold_page(k: Kernel, page: Page, cold: boolean): void {
  if (free_pages_check(k, page, 0)) return;
  kernel_map_pages(k, page, 1, false);
  const zone = page_zone(k, page);
  const flags = local_irq_save(k);
  const pcp = zone_pcp(k, zone, k.cpu, coldList(k, cold));
  const drain = (): void => {
    const freed = free_pages_bulk(k, zone, k.read(pcp, struct_per_cpu_pages.batch), pcp);
    k.write(pcp, struct_per_cpu_pages.count, countOf(k, pcp) - freed);
  };
  const full = (): boolean => countOf(k, pcp) >= k.read(pcp, struct_per_cpu_pages.high);
  const early = k.LINUX_VERSION_CODE < LINUX_2_6;
  if (early && full()) drain();
  const add = cold && k.LINUX_VERSION_CODE >= LINUX_4_4 ? list_add_tail : list_add;
  add(k, buddy.lru(page), pcp_list(pcp));
  k.write(pcp, struct_per_cpu_pages.count, countOf(k, pcp) + 1);
  if (!early && full()) drain();
  local_irq_restore(k, flags);
}

/** A block goes straight to the buddy system, unless a page of it is bad. Context: any; takes and releases zone->lock. */
export function __free_pages_ok(k: Kernel, page: Page, order: number): void {
  if (free_pages_check(k, page, order)) return;
  kernel_map_pages(k, page, 1 << order, false);
  const zone = page_zone(k, page);
  const flags = spin_lock_irqsave(k, zone_lock(zone));
  k.write(zone, struct_zone.all_unreclaimable, 0);
  k.write(zone, struct_zone.pages_scanned, 0);
  buddyOf(k).__free_one_page(k, page, zone, order);
  addFree(k, zone, 1 << order);
  spin_unlock_irqrestore(k, zone_lock(zone), flags);
}

/**
 * Give back all that this CPU keeps on its lists.
 *
 * Context: any; masks interrupts.
 * Source:  drain_local_pages(), mm/page_alloc.c, Linux 2.6.22.
 */
export function drain_local_pages(k: Kernel, zone: Zone): void {
  const flags = local_irq_save(k);
  for (const cold of [0, 1]) {
    const pcp = zone_pcp(k, zone, k.cpu, cold);
    const count = countOf(k, pcp);
    if (count === 0) continue;
    free_pages_bulk(k, zone, count, pcp);
    k.write(pcp, struct_per_cpu_pages.count, 0);
  }
  local_irq_restore(k, flags);
}

/** Pages on the lists of all CPUs for this zone. For accounts; racy while they run. */
export function pagesOnCpuLists(k: Kernel, zone: Zone): number {
  let sum = 0;
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    for (const cold of [0, 1]) sum += countOf(k, zone_pcp(k, zone, cpu, cold));
  }
  return sum;
}

/** Source: zone_batchsize(), mm/page_alloc.c, Linux 2.6.22; free_area_init_core(), Linux 2.5.53. */
export function zone_batchsize(k: Kernel, zone: Zone): number {
  const old = k.LINUX_VERSION_CODE < LINUX_2_6;
  const cap = (old ? 256 : 512) >>> 2;
  const batch = Math.max(1, Math.floor(Math.min(Math.floor(present_pages(k, zone) / 1024), cap) / 4));
  if (old) return batch;
  // One less than a power of two spreads the pages over the colours of a cache.
  const fls = 32 - Math.clz32(batch + (batch >>> 1));
  return (1 << (fls - 1)) - 1;
}

/** Boot: the lists of a CPU for a zone. Source: setup_pageset(), Linux 2.6.22; free_area_init_core(), Linux 2.5.53. */
export function setup_pageset(k: Kernel, zone: Zone, cpu: number): void {
  const old = k.LINUX_VERSION_CODE < LINUX_2_6;
  const one = k.LINUX_VERSION_CODE >= LINUX_4_4;
  const size = zone_batchsize(k, zone);
  const set = (cold: number, low: number, high: number, batch: number): void => {
    const pcp = zone_pcp(k, zone, cpu, cold);
    k.write(pcp, struct_per_cpu_pages.count, 0);
    k.write(pcp, struct_per_cpu_pages.low, low);
    k.write(pcp, struct_per_cpu_pages.high, high);
    k.write(pcp, struct_per_cpu_pages.batch, batch);
    INIT_LIST_HEAD(k, pcp_list(pcp));
  };
  set(0, old ? 2 * size : 0, 6 * size, Math.max(1, size));
  if (one) set(1, 0, 0, 1);
  else set(1, 0, 2 * size, old ? size : Math.max(1, size >>> 1));
}

/**
 * For experiments that begin with little memory: allocate from @zone alone, past marks and lists, until just @leave pages are free there. The
 * pages are nobody's.
 *
 * Return: how many were taken.
 */
export function drainZone(k: Kernel, zone: Zone, leave: number): number {
  let taken = 0;
  for (let order = MAX_ORDER - 1; order >= 0; ) {
    const flags = spin_lock_irqsave(k, zone_lock(zone));
    const fits = k.read(zone, struct_zone.free_pages) - leave >= 1 << order;
    const page = fits ? takeBlock(k, zone, order) : NULL;
    spin_unlock_irqrestore(k, zone_lock(zone), flags);
    if (page === NULL) order--;
    else {
      taken += 1 << order;
      for (let i = 0; i < 1 << order; i++) atomic_set(k, vaddr(page_plus(page, i) + struct_page._count.offset), 1);
    }
  }
  return taken;
}
