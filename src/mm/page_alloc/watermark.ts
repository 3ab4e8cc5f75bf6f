/**
 * Watermarks, reserves and the test against them, by version.
 *
 * Source: mm/page_alloc.c (`setup_per_zone_pages_min`, `setup_per_zone_lowmem_reserve`, `zone_watermark_ok`), Linux 2.5.53, 2.6.22 and 4.12;
 * spec/vmalloc-gfp.md §4.3.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { vaddr } from '../../shared/types.js';
import { LINUX_2_6, LINUX_4_4 } from '../../shared/version.js';
import {
  free_area,
  is_highmem,
  lowmem_reserve,
  MAX_ORDER,
  present_pages,
  struct_free_area,
  struct_zone,
  type Zone,
  zone_nr,
} from '../mmzone.js';
import { MAX_NR_ZONES, ZONE_HIGHMEM } from '../page.js';

/** What an attempt may do. Source: mm/page_alloc.c, Linux 2.6.22; mm/internal.h, Linux 4.12. Differs: one numbering for both. */
export const ALLOC_NO_WATERMARKS = 0x01;
export const ALLOC_WMARK_MIN = 0x02;
export const ALLOC_WMARK_LOW = 0x04;
export const ALLOC_WMARK_HIGH = 0x08;
export const ALLOC_HARDER = 0x10;
export const ALLOC_HIGH = 0x20;
export const ALLOC_CPUSET = 0x40;

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

function setMarks(k: Kernel, zone: Zone, min: number, low: number, high: number): void {
  k.write(zone, struct_zone.pages_min, min);
  k.write(zone, struct_zone.pages_low, low);
  k.write(zone, struct_zone.pages_high, high);
}

/** 2.5.53: a 128th of the zone, within bounds, highmem or not. */
function free_area_init_marks(k: Kernel, zone: Zone): void {
  const mask = clamp(Math.floor(present_pages(k, zone) / 128), 20, 255);
  setMarks(k, zone, mask, mask * 2, mask * 3);
}

/** Source: init_per_zone_pages_min(), Linux 2.6.22. In kB. */
export function min_free_kbytes(k: Kernel): number {
  return clamp(Math.floor(Math.sqrt(k.config.lowmemPages * 4 * 16)), 128, 65536);
}

/** 2.6.22 to 4.12. */
function setup_per_zone_pages_min(k: Kernel, zone: Zone): void {
  const present = present_pages(k, zone);
  const tmp = Math.floor(((min_free_kbytes(k) >>> 2) * present) / k.config.lowmemPages);
  const highmem = is_highmem(k, zone);
  const min = highmem ? clamp(Math.floor(present / 1024), 32, 128) : tmp;
  const modern = k.LINUX_VERSION_CODE >= LINUX_4_4;
  const step = modern ? Math.max(tmp >>> 2, Math.floor((present * 10) / 10000)) : tmp >>> 2;
  setMarks(k, zone, min, min + step, min + (modern ? 2 * step : tmp >>> 1));
}

const LOWMEM_RESERVE_RATIO = [256, 32, 32];

/** A lower zone keeps a part of what the zones above it have, from requests that could go there. */
function setup_per_zone_lowmem_reserve(k: Kernel, nr: number): void {
  let above = 0;
  for (let j = nr + 1; j <= ZONE_HIGHMEM; j++) {
    above += present_pages(k, zone_nr(k, j));
    const reserve = Math.floor(above / (LOWMEM_RESERVE_RATIO[nr] as number));
    k.store(vaddr(zone_nr(k, nr) + struct_zone.lowmem_reserve.offset + j * 4), reserve);
  }
}

/** Boot, when the zones have their pages. Without `watermarks` in the configuration every mark stays 0. */
export function setup_watermarks(k: Kernel): void {
  if (!k.config.watermarks) return;
  for (let nr = 0; nr < MAX_NR_ZONES; nr++) {
    const zone = zone_nr(k, nr);
    if (present_pages(k, zone) === 0) continue;
    if (k.LINUX_VERSION_CODE < LINUX_2_6) free_area_init_marks(k, zone);
    else {
      setup_per_zone_pages_min(k, zone);
      setup_per_zone_lowmem_reserve(k, nr);
    }
  }
}

/** The mark that an attempt has to keep. */
export function markOf(k: Kernel, zone: Zone, alloc_flags: number): number {
  if ((alloc_flags & ALLOC_WMARK_MIN) !== 0) return k.read(zone, struct_zone.pages_min);
  if ((alloc_flags & ALLOC_WMARK_LOW) !== 0) return k.read(zone, struct_zone.pages_low);
  return k.read(zone, struct_zone.pages_high);
}

const nrFree = (k: Kernel, zone: Zone, order: number): number =>
  k.read(free_area(zone, order), struct_free_area.nr_free);

/** A mark with the discounts of an urgent request. */
function discounted(mark: number, alloc_flags: number): number {
  let min = mark;
  if ((alloc_flags & ALLOC_HIGH) !== 0) min -= min >>> 1;
  if ((alloc_flags & ALLOC_HARDER) !== 0) min -= min >>> 2;
  return min;
}

/**
 * Would @zone keep @mark, and the reserve against requests for @classzone, with 2^order pages less?
 *
 * Context: any; reads without zone->lock, as the kernel does.
 * Source:  zone_watermark_ok(), mm/page_alloc.c, Linux 2.6.22.
 */
export function zone_watermark_ok(
  k: Kernel,
  zone: Zone,
  order: number,
  mark: number,
  classzone: number,
  alloc_flags: number,
): boolean {
  let free = k.read(zone, struct_zone.free_pages) - (1 << order) + 1;
  let min = discounted(mark, alloc_flags);
  if (free <= min + lowmem_reserve(k, zone, classzone)) return false;
  for (let o = 0; o < order; o++) {
    free -= nrFree(k, zone, o) << o;
    min >>>= 1;
    if (free <= min) return false;
  }
  return true;
}

/**
 * The same question to 4.12: order 0 is content with the sum, a larger order needs one block that is large enough. @pages: instead of what
 * is free now.
 *
 * Context: any; reads without zone->lock.
 * Source:  __zone_watermark_ok(), mm/page_alloc.c, Linux 4.12.
 */
export function __zone_watermark_ok(
  k: Kernel,
  zone: Zone,
  order: number,
  mark: number,
  classzone: number,
  alloc_flags: number,
  pages = k.read(zone, struct_zone.free_pages),
): boolean {
  let free = pages - (1 << order) + 1;
  if ((alloc_flags & ALLOC_HARDER) === 0) free -= k.read(zone, struct_zone.nr_reserved_highatomic);
  if (free <= discounted(mark, alloc_flags) + lowmem_reserve(k, zone, classzone)) return false;
  if (order === 0) return true;
  for (let o = order; o < MAX_ORDER; o++) if (nrFree(k, zone, o) !== 0) return true;
  return false;
}

/** The test of the running version; always passed on a machine without watermarks. */
export function watermark_ok(
  k: Kernel,
  zone: Zone,
  order: number,
  mark: number,
  classzone: number,
  flags: number,
): boolean {
  if (!k.config.watermarks) return true;
  const test = k.LINUX_VERSION_CODE >= LINUX_4_4 ? __zone_watermark_ok : zone_watermark_ok;
  return test(k, zone, order, mark, classzone, flags);
}
