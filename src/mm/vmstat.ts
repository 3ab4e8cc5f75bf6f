/**
 * What /proc says about pages: buddyinfo, zoneinfo, meminfo, by version.
 *
 * Source: mm/vmstat.c, fs/proc/proc_misc.c, Linux 2.6.22; fs/proc/meminfo.c, Linux 2.6.30 and 4.12; fs/proc/proc_misc.c, Linux 2.5.53;
 * spec/vmalloc-gfp.md §5.4, spec/checkers.md §8.4. Statistics that are not modelled are 0.
 */
import type { Kernel } from '../cpu/kernel.js';
import { vaddr } from '../shared/types.js';
import { KERNEL_VERSION, LINUX_2_6, LINUX_4_4 } from '../shared/version.js';
import {
  free_area,
  MAX_ORDER,
  present_pages,
  spanned_pages,
  struct_free_area,
  struct_per_cpu_pages,
  struct_zone,
  type Zone,
  zone_idx,
  zone_names,
  zone_pcp,
  zone_start_pfn,
  zonelist,
} from './mmzone.js';
import { MAX_NR_ZONES, ZONE_HIGHMEM } from './page.js';

/** Populated zones, low to high. */
const zones = (k: Kernel): Zone[] => zonelist(k, ZONE_HIGHMEM).reverse();
const head = (k: Kernel, zone: Zone): string => `Node 0, zone ${(zone_names[zone_idx(k, zone)] as string).padStart(8)}`;

/** /proc/buddyinfo: free blocks of each order. Context: any; a snapshot zone by zone. */
export function buddyinfo(k: Kernel): string {
  const line = (zone: Zone): string => {
    const counts = Array.from({ length: MAX_ORDER }, (_, order) =>
      `${k.read(free_area(zone, order), struct_free_area.nr_free)} `.padStart(7),
    );
    return `${head(k, zone)} ${counts.join('')}\n`;
  };
  return zones(k).map(line).join('');
}

/** A statistic of a zone or, from 4.8 on, of the node; indented by four blanks until then. */
const item = (k: Kernel, name: string, value: number): string =>
  `${' '.repeat(k.LINUX_VERSION_CODE >= LINUX_4_4 ? 6 : 4)}${name.padEnd(12)} ${value}\n`;
const sub = (name: string, value: number | string): string => `        ${name.padEnd(8)} ${value}\n`;

function pagesets(k: Kernel, zone: Zone): string {
  const lists = k.LINUX_VERSION_CODE >= LINUX_4_4 ? [0] : [0, 1];
  let text = '  pagesets\n';
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    for (const nr of lists) {
      const pcp = zone_pcp(k, zone, cpu, nr);
      text += lists.length === 1 ? `    cpu: ${cpu}\n` : `    cpu: ${cpu} pcp: ${nr}\n`;
      text += `              count: ${k.read(pcp, struct_per_cpu_pages.count)}\n`;
      text += `              high:  ${k.read(pcp, struct_per_cpu_pages.high)}\n`;
      text += `              batch: ${k.read(pcp, struct_per_cpu_pages.batch)}\n`;
    }
  }
  return text;
}

function protection(k: Kernel, zone: Zone): string {
  const at = zone + struct_zone.lowmem_reserve.offset;
  const pages = Array.from({ length: MAX_NR_ZONES }, (_, i) => k.load(vaddr(at + i * 4)));
  return `        protection: (${pages.join(', ')})\n`;
}

/** The node's statistics stand under its first zone. */
function nodeText(k: Kernel): string {
  const sum = (field: Parameters<typeof k.read<'zone'>>[1]): number =>
    zones(k).reduce((pages, zone) => pages + k.read(zone, field), 0);
  const [active, inactive] = [sum(struct_zone.nr_active), sum(struct_zone.nr_inactive)];
  return `  per-node stats\n${item(k, 'nr_inactive_file', inactive)}${item(k, 'nr_active_file', active)}`;
}

function zoneText(k: Kernel, zone: Zone): string {
  const read = (field: Parameters<typeof k.read<'zone'>>[1]): number => k.read(zone, field);
  const modern = k.LINUX_VERSION_CODE >= LINUX_4_4;
  const [active, inactive] = [read(struct_zone.nr_active), read(struct_zone.nr_inactive)];
  const marks =
    `  pages free     ${read(struct_zone.free_pages)}\n` +
    sub('min', read(struct_zone.pages_min)) +
    sub('low', read(struct_zone.pages_low)) +
    sub('high', read(struct_zone.pages_high));
  const scanned = sub('scanned', `${read(struct_zone.pages_scanned)} (a: 0 i: 0)`);
  const sizes = sub('spanned', spanned_pages(k, zone)) + sub('present', present_pages(k, zone));
  const free = item(k, 'nr_free_pages', read(struct_zone.free_pages));
  const items = modern
    ? free + item(k, 'nr_zone_inactive_file', inactive) + item(k, 'nr_zone_active_file', active)
    : free + item(k, 'nr_active', active) + item(k, 'nr_inactive', inactive);
  if (modern) {
    const node = zone === zones(k)[0] ? nodeText(k) : '';
    const managed = sub('managed', read(struct_zone.managed_pages));
    const end = `  node_unreclaimable:  0\n  start_pfn:           ${zone_start_pfn(k, zone)}\n  node_inactive_ratio: 0\n`;
    return `${head(k, zone)}\n${node}${marks}${sizes}${managed}${protection(k, zone)}${items}${pagesets(k, zone)}${end}`;
  }
  const end =
    `  all_unreclaimable: ${read(struct_zone.all_unreclaimable)}\n` +
    `  prev_priority:     ${read(struct_zone.prev_priority)}\n` +
    `  start_pfn:         ${zone_start_pfn(k, zone)}\n`;
  return `${head(k, zone)}\n${marks}${scanned}${sizes}${items}${protection(k, zone)}${pagesets(k, zone)}${end}`;
}

/** /proc/zoneinfo. Context: any; a snapshot zone by zone. 2.5.53 has none: the text of 2.6.22. */
export function zoneinfo(k: Kernel): string {
  return zones(k)
    .map((zone) => zoneText(k, zone))
    .join('');
}

/** What other files know, in kB: the address space of vmalloc, memory of slabs. */
export interface MeminfoRest {
  readonly Slab?: number;
  readonly PageTables?: number;
  readonly VmallocTotal?: number;
  readonly VmallocUsed?: number;
  readonly VmallocChunk?: number;
}

const HIGH_LOW = 'HighTotal HighFree LowTotal LowFree';
const NAMES_2_5_53 = `MemTotal MemFree MemShared Buffers Cached SwapCached Active Inactive ${HIGH_LOW} SwapTotal SwapFree Dirty Writeback Mapped Slab Committed_AS PageTables ReverseMaps`;
const NAMES_2_6_22 = `MemTotal MemFree Buffers Cached SwapCached Active Inactive ${HIGH_LOW} SwapTotal SwapFree Dirty Writeback AnonPages Mapped Slab SReclaimable SUnreclaim PageTables NFS_Unstable Bounce CommitLimit Committed_AS VmallocTotal VmallocUsed VmallocChunk`;
const LRU_2_6_28 = 'Active Inactive Active(anon) Inactive(anon) Active(file) Inactive(file) Unevictable Mlocked';
const NAMES_2_6_28 = `MemTotal MemFree Buffers Cached SwapCached ${LRU_2_6_28} ${HIGH_LOW} SwapTotal SwapFree Dirty Writeback AnonPages Mapped Slab SReclaimable SUnreclaim PageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed VmallocChunk`;
/** What a kernel of 2.6.32 has besides: shared memory and stacks, of which there are none here. */
const NAMES_2_6_32 = NAMES_2_6_28.replace('Mapped Slab', 'Mapped Shmem Slab').replace(
  'SUnreclaim',
  'SUnreclaim KernelStack',
);
const NAMES_4_10 = `MemTotal MemFree MemAvailable Buffers Cached SwapCached ${LRU_2_6_28} ${HIGH_LOW} SwapTotal SwapFree Dirty Writeback AnonPages Mapped Shmem Slab SReclaimable SUnreclaim KernelStack PageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS VmallocTotal VmallocUsed VmallocChunk`;

function meminfoNames(code: number): string[] {
  if (code >= LINUX_4_4) return NAMES_4_10.split(' ');
  if (code >= KERNEL_VERSION(2, 6, 32)) return NAMES_2_6_32.split(' ');
  if (code >= KERNEL_VERSION(2, 6, 28)) return NAMES_2_6_28.split(' ');
  return (code >= LINUX_2_6 ? NAMES_2_6_22 : NAMES_2_5_53).split(' ');
}

/** /proc/meminfo, without the vmalloc walk of the versions that make one: @rest has its result. Context: any. */
export function meminfo(k: Kernel, rest: MeminfoRest = {}): string {
  const code = k.LINUX_VERSION_CODE;
  const sum = (field: Parameters<typeof k.read<'zone'>>[1], only: (zone: Zone) => boolean = () => true): number =>
    zones(k)
      .filter(only)
      .reduce((pages, zone) => pages + k.read(zone, field), 0) * 4;
  const high = (zone: Zone): boolean => zone_idx(k, zone) === ZONE_HIGHMEM;
  const total = sum(struct_zone.managed_pages);
  const free = sum(struct_zone.free_pages);
  const [highTotal, highFree] = [sum(struct_zone.managed_pages, high), sum(struct_zone.free_pages, high)];
  const cached = sum(struct_zone.nr_inactive);
  const values: Record<string, number> = {
    MemTotal: total,
    MemFree: free,
    MemAvailable: free + cached,
    Cached: cached,
    Inactive: cached,
    'Inactive(file)': cached,
    HighTotal: highTotal,
    HighFree: highFree,
    LowTotal: total - highTotal,
    LowFree: free - highFree,
    CommitLimit: Math.floor(total / 2),
    SUnreclaim: rest.Slab ?? 0,
    ...rest,
  };
  if (code >= LINUX_4_4) Object.assign(values, { VmallocUsed: 0, VmallocChunk: 0 });
  const names = meminfoNames(code).filter((name) => k.config.highmemPages !== 0 || !HIGH_LOW.split(' ').includes(name));
  const width = code >= KERNEL_VERSION(2, 6, 28) ? 16 : 14;
  const unit = (name: string): string => (name === 'ReverseMaps' ? '' : ' kB');
  return names
    .map((name) => `${`${name}:`.padEnd(width)}${String(values[name] ?? 0).padStart(8)}${unit(name)}\n`)
    .join('');
}
