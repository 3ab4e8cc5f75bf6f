/**
 * How SLAB lays objects out in a slab: kmem_cache_create()'s arithmetic, cache_estimate(), calculate_slab_order().
 * Source: mm/slab.c, Linux 2.6.22.19; spec/slab-dma.md §2.2, §2.5. Pure functions of the parameters.
 */
import type { MachineConfig } from '../../cpu/config.js';
import { MAX_ORDER } from '../slab-common.js';

/** Cache flags. Source: include/linux/slab.h, mm/slab.c, Linux 2.6.22. */
export const SLAB_RED_ZONE = 0x400;
export const SLAB_POISON = 0x800;
export const SLAB_HWCACHE_ALIGN = 0x2000;
export const SLAB_CACHE_DMA = 0x4000;
export const SLAB_STORE_USER = 0x10000;
export const SLAB_RECLAIM_ACCOUNT = 0x20000;
export const SLAB_PANIC = 0x40000;
export const SLAB_DESTROY_BY_RCU = 0x80000;
/** The struct slab of a slab stands in memory of another cache. */
export const CFLGS_OFF_SLAB = 0x80000000;

const PAGE_SIZE = 4096;
const BYTES_PER_WORD = 4;
/** sizeof(struct slab), sizeof(kmem_bufctl_t). */
export const SLAB_BYTES = 28;
const BUFCTL_BYTES = 4;
/** sizeof(unsigned long long): a red zone. */
export const RED_BYTES = 8;
/** Memory above which slabs of two pages are preferred to waste: 32 MB, in pages. */
const BREAK_PAGES = (32 << 20) >>> 12;
/** From this size on the struct slab goes elsewhere. */
const OFF_SLAB_MIN = PAGE_SIZE >>> 3;

/** What the kernel's configuration and the machine fix. */
export interface SlabParameters {
  readonly lineBytes: number;
  /** __alignof__(unsigned long long). */
  readonly longLongAlign: number;
  /** ARCH_SLAB_MINALIGN. */
  readonly minAlign: number;
  readonly slab_break_gfp_order: number;
  /** CONFIG_DEBUG_SLAB. */
  readonly debug: boolean;
}

export const slabParameters = (config: MachineConfig): SlabParameters => {
  const arm = config.core.arch === 'arm';
  return {
    lineBytes: config.core.dcache.lineBytes,
    longLongAlign: arm && config.oabi ? 4 : 8,
    minAlign: arm && !config.oabi ? 8 : 0,
    slab_break_gfp_order: config.lowmemPages + config.highmemPages > BREAK_PAGES ? 1 : 0,
    debug: config.debugSlab,
  };
};

export interface SlabSizes {
  readonly flags: number;
  /** What an object takes, with red zones and alignment. */
  readonly buffer_size: number;
  /** Where the user's bytes begin in it. */
  readonly obj_offset: number;
  readonly num: number;
  readonly gfporder: number;
  /** Bytes of struct slab and the bufctls, as far as they lie in the slab. */
  readonly slab_size: number;
  readonly colour: number;
  readonly colour_off: number;
}

const ALIGN = (value: number, to: number): number => Math.ceil(value / to) * to;
const fls = (x: number): number => 32 - Math.clz32(x);

/** Which checks a cache gets: red zones and the last user unless they would push the object into the next power of two. */
function debugFlags(p: SlabParameters, size: number, flags: number): number {
  const redzoneAlign = Math.max(BYTES_PER_WORD, p.longLongAlign);
  const all = flags & ~(SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER);
  if (!p.debug) return all;
  const fits = size < PAGE_SIZE || fls(size - 1) === fls(size - 1 + redzoneAlign + 2 * RED_BYTES);
  const poison = (flags & SLAB_DESTROY_BY_RCU) === 0 ? SLAB_POISON : 0;
  return all | poison | (fits ? SLAB_RED_ZONE | SLAB_STORE_USER : 0);
}

/** Alignment by cache lines, smaller for objects of which several fit into one. */
function lineAlign(p: SlabParameters, size: number): number {
  let ralign = p.lineBytes;
  while (size <= ralign / 2) ralign /= 2;
  return ralign;
}

/** How many objects fit into so many pages, and what is left over. */
function cache_estimate(order: number, size: number, align: number, offSlab: boolean): { num: number; left: number } {
  const bytes = PAGE_SIZE << order;
  if (offSlab) {
    const num = Math.floor(bytes / size);
    return { num, left: bytes - num * size };
  }
  let num = Math.floor((bytes - SLAB_BYTES) / (size + BUFCTL_BYTES));
  if (managementBytes(num, align) + num * size > bytes) num--;
  return { num: Math.max(0, num), left: bytes - num * size - managementBytes(num, align) };
}

const managementBytes = (num: number, align: number): number => ALIGN(SLAB_BYTES + num * BUFCTL_BYTES, align);

interface Order {
  readonly num: number;
  readonly gfporder: number;
  readonly left: number;
}

/** Return: null when no order holds an object. */
function calculate_slab_order(p: SlabParameters, size: number, align: number, flags: number): Order | null {
  const offSlab = (flags & CFLGS_OFF_SLAB) !== 0;
  let best: Order | null = null;
  for (let gfporder = 0; gfporder < MAX_ORDER; gfporder++) {
    const { num, left } = cache_estimate(gfporder, size, align, offSlab);
    if (num === 0) continue;
    // The bufctls of a slab must fit into an object of the caches that they are taken from.
    if (offSlab && num > Math.floor((size - SLAB_BYTES) / BUFCTL_BYTES)) break;
    best = { num, gfporder, left };
    if ((flags & SLAB_RECLAIM_ACCOUNT) !== 0 || gfporder >= p.slab_break_gfp_order) break;
    if (left * 8 <= PAGE_SIZE << gfporder) break;
  }
  return best;
}

/** Return: null when no slab can hold such an object. */
export function slabSizes(p: SlabParameters, objsize: number, asked: number, align: number): SlabSizes | null {
  let flags = debugFlags(p, objsize, asked);
  let size = ALIGN(objsize, BYTES_PER_WORD);
  const redzoneAlign = Math.max(BYTES_PER_WORD, p.longLongAlign);
  let ralign = (flags & SLAB_HWCACHE_ALIGN) !== 0 ? lineAlign(p, size) : BYTES_PER_WORD;
  if ((flags & (SLAB_RED_ZONE | SLAB_STORE_USER)) !== 0) ralign = redzoneAlign;
  ralign = Math.max(ralign, p.minAlign, align);
  if (ralign > p.longLongAlign) flags &= ~(SLAB_RED_ZONE | SLAB_STORE_USER);
  let obj_offset = 0;
  if ((flags & SLAB_RED_ZONE) !== 0) {
    obj_offset = RED_BYTES;
    size += 2 * RED_BYTES;
  }
  if ((flags & SLAB_STORE_USER) !== 0) size += (flags & SLAB_RED_ZONE) !== 0 ? redzoneAlign : BYTES_PER_WORD;
  if (size >= OFF_SLAB_MIN) flags = (flags | CFLGS_OFF_SLAB) >>> 0;
  size = ALIGN(size, ralign);
  const order = calculate_slab_order(p, size, ralign, flags);
  if (order === null) return null;
  let { left } = order;
  let slab_size = managementBytes(order.num, ralign);
  if ((flags & CFLGS_OFF_SLAB) !== 0) {
    if (left >= slab_size) {
      flags = (flags & ~CFLGS_OFF_SLAB) >>> 0;
      left -= slab_size;
    } else slab_size = SLAB_BYTES + order.num * BUFCTL_BYTES;
  }
  const colour_off = Math.max(p.lineBytes, ralign);
  const { num, gfporder } = order;
  return {
    flags,
    buffer_size: size,
    obj_offset,
    num,
    gfporder,
    slab_size,
    colour: Math.floor(left / colour_off),
    colour_off,
  };
}

/** Classes of kmalloc(). Source: include/linux/kmalloc_sizes.h. */
export function mallocSizes(lineBytes: number): number[] {
  const sizes = [32, 64];
  if (lineBytes < 64) sizes.push(96);
  sizes.push(128);
  if (lineBytes < 128) sizes.push(192);
  for (let size = 256; size <= 1 << 22; size *= 2) sizes.push(size);
  return sizes;
}

/** Objects of the per-CPU arrays, by size of the object. Source: enable_cpucache(). */
export function tunables(p: SlabParameters, buffer_size: number, cpus: number) {
  const steps: readonly (readonly [number, number])[] = [
    [131072, 1],
    [4096, 8],
    [1024, 24],
    [256, 54],
  ];
  const step = steps.find(([size]) => buffer_size > size);
  const plain = step === undefined ? 120 : step[1];
  const limit = p.debug ? Math.min(plain, 32) : plain;
  return { limit, batchcount: (limit + 1) >>> 1, shared: buffer_size <= PAGE_SIZE && cpus > 1 ? 8 : 0 };
}
