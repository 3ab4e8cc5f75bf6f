/** Where memory is, in the log. Source: show_free_areas(), mm/page_alloc.c, Linux 2.6.22 and 4.12: the lines of zones and their blocks. */
import type { Kernel } from '../cpu/kernel.js';
import { vaddr } from '../shared/types.js';
import { LINUX_4_4 } from '../shared/version.js';
import {
  free_area,
  MAX_ORDER,
  present_pages,
  struct_free_area,
  struct_zone,
  type Zone,
  zone_idx,
  zone_names,
  zonelist,
} from './mmzone.js';
import { MAX_NR_ZONES, ZONE_HIGHMEM } from './page.js';

const kB = (pages: number): string => `${pages * 4}kB`;

function zoneLine(k: Kernel, zone: Zone): string {
  const pages = (field: Parameters<typeof k.read<'zone'>>[1]): string => kB(k.read(zone, field));
  const node = k.LINUX_VERSION_CODE >= LINUX_4_4 ? 'Node 0 ' : '';
  const marks = `min:${pages(struct_zone.pages_min)} low:${pages(struct_zone.pages_low)} high:${pages(struct_zone.pages_high)}`;
  const lists = `active:${pages(struct_zone.nr_active)} inactive:${pages(struct_zone.nr_inactive)}`;
  const name = zone_names[zone_idx(k, zone)];
  const sizes = `present:${kB(present_pages(k, zone))}`;
  const end =
    k.LINUX_VERSION_CODE >= LINUX_4_4
      ? `managed:${pages(struct_zone.managed_pages)}`
      : `pages_scanned:${k.read(zone, struct_zone.pages_scanned)} all_unreclaimable? ${k.read(zone, struct_zone.all_unreclaimable) !== 0 ? 'yes' : 'no'}`;
  return `${node}${name} free:${pages(struct_zone.free_pages)} ${marks} ${lists} ${sizes} ${end}`;
}

function blockLine(k: Kernel, zone: Zone): string {
  const node = k.LINUX_VERSION_CODE >= LINUX_4_4 ? 'Node 0 ' : '';
  let total = 0;
  const parts: string[] = [];
  for (let order = 0; order < MAX_ORDER; order++) {
    const blocks = k.read(free_area(zone, order), struct_free_area.nr_free);
    total += blocks << order;
    parts.push(`${blocks}*${kB(1 << order)}`);
  }
  return `${node}${zone_names[zone_idx(k, zone)]}: ${parts.join(' ')} = ${kB(total)}`;
}

/** Context: any. */
export function show_mem(k: Kernel): void {
  const zones = zonelist(k, ZONE_HIGHMEM).reverse();
  k.printk(k.LINUX_VERSION_CODE >= LINUX_4_4 ? 'Mem-Info:' : 'Mem-info:');
  for (const zone of zones) {
    k.printk(zoneLine(k, zone));
    const reserve = Array.from({ length: MAX_NR_ZONES }, (_, i) =>
      k.load(vaddr(zone + struct_zone.lowmem_reserve.offset + i * 4)),
    );
    k.printk(`lowmem_reserve[]: ${reserve.join(' ')}`);
  }
  for (const zone of zones) k.printk(blockLine(k, zone));
}
