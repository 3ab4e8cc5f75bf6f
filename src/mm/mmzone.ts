/**
 * Zones, their free areas and the per-CPU lists, as structs in the arena. Source: include/linux/mmzone.h, Linux 2.5.53, 2.6.22 and 4.12.
 * Differs: offsets are ours, and one layout serves every version; a version leaves alone what it does not have.
 */
import type { MachineConfig } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { defineStruct } from '../shared/layout.js';
import { type List, list_of } from '../shared/list.js';
import type { SpinLock } from '../shared/spinlock.js';
import { type Pfn, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { LINUX_2_6, versionCode } from '../shared/version.js';
import { MAX_NR_ZONES, type Page, page_zonenum, ZONE_DMA, ZONE_HIGHMEM, ZONE_NORMAL } from './page.js';

export const MAX_ORDER = 11;

/** Free blocks of one order. `map` has a bit for each pair of buddies, in 2.5.53. */
export const struct_free_area = defineStruct('free_area', 16, { free_list: [0, 8], nr_free: 8, map: 12 });

/** Pages that one CPU keeps for itself, guarded by its interrupt mask. */
export const struct_per_cpu_pages = defineStruct('per_cpu_pages', 24, {
  count: 0,
  low: 4,
  high: 8,
  batch: 12,
  list: [16, 8],
});

export const struct_zone = defineStruct('zone', 288, {
  /** Guards the free areas and free_pages; taken with interrupts masked. */
  lock: 0,
  free_pages: 4,
  pages_min: 8,
  pages_low: 12,
  pages_high: 16,
  /** Pages kept from requests that could have been served by a higher zone, by the zone of the request. */
  lowmem_reserve: [20, 12],
  // constant after boot
  spanned_pages: 32,
  present_pages: 36,
  managed_pages: 40,
  zone_start_pfn: 44,
  // 4.x
  nr_reserved_highatomic: 48,
  // reclaim
  nr_active: 52,
  nr_inactive: 56,
  pages_scanned: 60,
  all_unreclaimable: 64,
  prev_priority: 68,
  free_area: [72, MAX_ORDER * struct_free_area.sizeof],
  /** Pages that reclaim can take: clean page cache. lru_lock */
  inactive_list: [248, 8],
  /** At a multiple of 16: the word that LDCW takes is the first one there. */
  lru_lock: 256,
});

export type Zone = Ptr<'zone'>;
export type FreeArea = Ptr<'free_area'>;
export type PerCpuPages = Ptr<'per_cpu_pages'>;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** contig_page_data.node_zones */
    zones: Ptr<'zone'>;
    /** zone->pageset[cpu].pcp[hot, cold], by zone and CPU */
    pagesets: Ptr<'per_cpu_pages'>;
    /** free_area->map of 2.5.53, zone by zone and order by order */
    zone_bitmaps: Vaddr;
  }
}

/** Names as /proc prints them. */
export const zone_names = ['DMA', 'Normal', 'HighMem'] as const;

/** First frame of a zone, counted from the start of memory, and how many it has. */
export function zoneRange(config: MachineConfig, nr: number): { first: number; pages: number } {
  const { dmaPages, lowmemPages, highmemPages } = config;
  if (nr === ZONE_DMA) return { first: 0, pages: dmaPages };
  if (nr === ZONE_NORMAL) return { first: dmaPages, pages: lowmemPages - dmaPages };
  return { first: lowmemPages, pages: highmemPages };
}

/** Words of the bitmap of one order: a bit for each pair of buddies. */
const bitmapWords = (pages: number, order: number): number => (pages >>> (order + 1 + 5)) + 1;

function bitmapBytes(config: MachineConfig): number {
  if (versionCode(config.kernel) >= LINUX_2_6) return 0;
  let words = 0;
  for (let nr = 0; nr < MAX_NR_ZONES; nr++) {
    for (let order = 0; order < MAX_ORDER; order++) words += bitmapWords(zoneRange(config, nr).pages, order);
  }
  return words * 4;
}

/** Where the bitmap of an order of a zone is. */
export function bitmapOf(k: Kernel, nr: number, order: number): Vaddr {
  let words = 0;
  for (let z = 0; z <= nr; z++) {
    const orders = z < nr ? MAX_ORDER : order;
    for (let o = 0; o < orders; o++) words += bitmapWords(zoneRange(k.config, z).pages, o);
  }
  return vaddr(k.sym.zone_bitmaps + words * 4);
}

export function zoneSymbols(config: MachineConfig): Record<string, SymbolSpec> {
  return {
    zones: { bytes: MAX_NR_ZONES * struct_zone.sizeof, align: 32 },
    pagesets: { bytes: MAX_NR_ZONES * config.cpus * 2 * struct_per_cpu_pages.sizeof, align: 32 },
    zone_bitmaps: { bytes: bitmapBytes(config), align: 4 },
  };
}

export const zone_nr = (k: Kernel, nr: number): Zone => ptr<'zone'>(k.sym.zones + nr * struct_zone.sizeof);
export const zone_idx = (k: Kernel, zone: Zone): number => (zone - k.sym.zones) / struct_zone.sizeof;
export const page_zone = (k: Kernel, page: Page): Zone => zone_nr(k, page_zonenum(k, page));
export const is_highmem = (k: Kernel, zone: Zone): boolean => zone_idx(k, zone) === ZONE_HIGHMEM;

/** Constant after boot, so no scheduling point. */
const constant = (k: Kernel, zone: Zone, offset: number): number =>
  (k.words[(zone + offset - k.staticBase) >>> 2] as number) >>> 0;
export const present_pages = (k: Kernel, zone: Zone): number => constant(k, zone, struct_zone.present_pages.offset);
export const spanned_pages = (k: Kernel, zone: Zone): number => constant(k, zone, struct_zone.spanned_pages.offset);
export const zone_start_pfn = (k: Kernel, zone: Zone): Pfn =>
  constant(k, zone, struct_zone.zone_start_pfn.offset) as Pfn;

export const zone_lock = (zone: Zone): SpinLock => ptr<'spinlock'>(zone + struct_zone.lock.offset);
export const free_area = (zone: Zone, order: number): FreeArea =>
  ptr<'free_area'>(zone + struct_zone.free_area.offset + order * struct_free_area.sizeof);
export const free_list = (area: FreeArea): List => list_of(area, struct_free_area.free_list.offset);

/** The list of this CPU: 0 hot, 1 cold. Context: preemption or interrupts disabled. */
export const zone_pcp = (k: Kernel, zone: Zone, cpu: number, cold: number): PerCpuPages =>
  ptr<'per_cpu_pages'>(
    k.sym.pagesets + ((zone_idx(k, zone) * k.config.cpus + cpu) * 2 + cold) * struct_per_cpu_pages.sizeof,
  );
export const pcp_list = (pcp: PerCpuPages): List => list_of(pcp, struct_per_cpu_pages.list.offset);

export const lru_lock = (zone: Zone): SpinLock => ptr<'spinlock'>(zone + struct_zone.lru_lock.offset);
export const inactive_list = (zone: Zone): List => list_of(zone, struct_zone.inactive_list.offset);

export const lowmem_reserve = (k: Kernel, zone: Zone, classzone: number): number =>
  k.load(vaddr(zone + struct_zone.lowmem_reserve.offset + classzone * 4));

export const nr_free_pages_of = (k: Kernel, zone: Zone): number => k.read(zone, struct_zone.free_pages);

/** The populated zones that may serve a request for @highest, in the order in which they are tried. */
export function zonelist(k: Kernel, highest: number): Zone[] {
  const list: Zone[] = [];
  for (let nr = highest; nr >= ZONE_DMA; nr--) {
    const zone = zone_nr(k, nr);
    if (present_pages(k, zone) !== 0) list.push(zone);
  }
  return list;
}
