/** Zones at boot. Source: mm/page_alloc.c (`free_area_init_core`), mm/bootmem.c (`free_all_bootmem`), Linux 2.6.22. */
import type { Kernel } from '../../cpu/kernel.js';
import { INIT_LIST_HEAD } from '../../shared/list.js';
import { spin_lock_init } from '../../shared/spinlock.js';
import { PG_reserved, struct_page } from '../../shared/structs/page.js';
import type { Pfn } from '../../shared/types.js';
import { LINUX_2_6 } from '../../shared/version.js';
import {
  bitmapOf,
  free_area,
  free_list,
  inactive_list,
  lru_lock,
  MAX_ORDER,
  struct_free_area,
  struct_zone,
  zone_lock,
  zone_nr,
  zoneRange,
} from '../mmzone.js';
import { MAX_NR_ZONES, pfn_to_page, ZONES_PGSHIFT } from '../page.js';
import { freeBlockAtBoot, setup_pageset } from './pcp.js';
import { setup_watermarks } from './watermark.js';

function initZone(k: Kernel, nr: number, firstFree: number): void {
  const zone = zone_nr(k, nr);
  const { first, pages } = zoneRange(k.config, nr);
  const reserved = Math.min(Math.max(firstFree - first, 0), pages);
  spin_lock_init(k, zone_lock(zone), '&zone->lock');
  spin_lock_init(k, lru_lock(zone), '&zone->lru_lock');
  INIT_LIST_HEAD(k, inactive_list(zone));
  k.write(zone, struct_zone.prev_priority, DEF_PRIORITY);
  k.write(zone, struct_zone.zone_start_pfn, (k.config.core.physBase >>> 12) + first);
  k.write(zone, struct_zone.spanned_pages, pages);
  k.write(zone, struct_zone.present_pages, pages);
  k.write(zone, struct_zone.managed_pages, pages - reserved);
  for (let order = 0; order < MAX_ORDER; order++) {
    const area = free_area(zone, order);
    INIT_LIST_HEAD(k, free_list(area));
    if (k.LINUX_VERSION_CODE < LINUX_2_6) k.write(area, struct_free_area.map, bitmapOf(k, nr, order));
  }
  for (let cpu = 0; cpu < k.config.cpus; cpu++) setup_pageset(k, zone, cpu);
}

const DEF_PRIORITY = 12;

/** The frames of [@from, @to) become free in blocks as large as their alignment in the zone allows, lowest first. */
function freeRange(k: Kernel, nr: number, from: number, to: number): void {
  const { first } = zoneRange(k.config, nr);
  const base = k.config.core.physBase >>> 12;
  for (let frame = from; frame < to; ) {
    let order = MAX_ORDER - 1;
    while (((frame - first) & ((1 << order) - 1)) !== 0 || frame + (1 << order) > to) order--;
    freeBlockAtBoot(k, zone_nr(k, nr), pfn_to_page(k, (base + frame) as Pfn), order);
    frame += 1 << order;
  }
}

/** Boot, one CPU: mem_map and zones; all frames from @firstFree on are free. Those below hold the kernel: reserved, with one reference. */
export function free_area_init(k: Kernel, firstFree: number): void {
  const base = k.config.core.physBase >>> 12;
  for (let nr = 0; nr < MAX_NR_ZONES; nr++) {
    const { first, pages } = zoneRange(k.config, nr);
    for (let frame = first; frame < first + pages; frame++) {
      const page = pfn_to_page(k, (base + frame) as Pfn);
      const reserved = frame < firstFree;
      k.write(page, struct_page.flags, (nr << ZONES_PGSHIFT) | (reserved ? 1 << PG_reserved : 0));
      k.write(page, struct_page._count, reserved ? 1 : 0);
      k.write(page, struct_page._mapcount, -1);
    }
    initZone(k, nr, firstFree);
    freeRange(k, nr, Math.max(first, firstFree), first + pages);
  }
  setup_watermarks(k);
}
