/**
 * How SLUB lays objects out in a slab: calculate_sizes(), calculate_order(), calculate_alignment().
 * Source: mm/slub.c, Linux 2.6.22.19; spec/slab-dma.md §2.1. Pure functions of the parameters.
 */
import type { MachineConfig } from '../../cpu/config.js';
import { MAX_ORDER } from '../slab-common.js';

/** Cache flags. Source: include/linux/slab.h, mm/slub.c, Linux 2.6.22. */
export const SLAB_DEBUG_FREE = 0x100;
export const SLAB_RED_ZONE = 0x400;
export const SLAB_POISON = 0x800;
export const SLAB_HWCACHE_ALIGN = 0x2000;
export const SLAB_CACHE_DMA = 0x4000;
export const SLAB_STORE_USER = 0x10000;
export const SLAB_RECLAIM_ACCOUNT = 0x20000;
export const SLAB_PANIC = 0x40000;
export const SLAB_DESTROY_BY_RCU = 0x80000;
export const SLAB_TRACE = 0x200000;
/** The body of a free object is poisoned. */
export const __OBJECT_POISON = 0x80000000;

const DEBUG_LETTERS: Readonly<Record<string, number>> = {
  F: SLAB_DEBUG_FREE,
  Z: SLAB_RED_ZONE,
  P: SLAB_POISON,
  U: SLAB_STORE_USER,
  T: SLAB_TRACE,
};
export const DEBUG_DEFAULT_FLAGS = SLAB_DEBUG_FREE | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER;
/** Flags that make a slab a debug slab. */
export const DEBUG_SLAB_FLAGS = DEBUG_DEFAULT_FLAGS | SLAB_TRACE;

const PAGE_SHIFT = 12;
const MAX_OBJECTS_PER_SLAB = 65535;
export const TRACK_BYTES = 16;

/** What `slub_debug=` and its neighbours set, and what the architecture fixes. */
export interface SizeParameters {
  readonly slub_min_order: number;
  readonly slub_max_order: number;
  readonly slub_min_objects: number;
  readonly L1_CACHE_BYTES: number;
  /** ARCH_SLAB_MINALIGN. */
  readonly minAlign: number;
}

export const sizeParameters = (config: MachineConfig): SizeParameters => ({
  slub_min_order: config.slubMinOrder,
  slub_max_order: config.slubMaxOrder,
  slub_min_objects: config.slubMinObjects,
  L1_CACHE_BYTES: config.core.dcache.lineBytes,
  minAlign: ARCH_SLAB_MINALIGN(config),
});

/** ARM: 4 with the old ABI, 8 with the new one; PA-RISC: 8. Source: include/asm-arm/page.h, mm/slub.c. */
export const ARCH_SLAB_MINALIGN = (config: MachineConfig): number =>
  config.core.arch === 'arm' && config.oabi ? 4 : 8;

export interface Sizes {
  /** Stride of the objects. */
  readonly size: number;
  /** Where what belongs to the object ends: red zone included. */
  readonly inuse: number;
  /** Where the pointer to the next free object stands. */
  readonly offset: number;
  readonly order: number;
  readonly objects: number;
}

const fls = (x: number): number => 32 - Math.clz32(x);

/** The kernel's variable `slub_debug`: what the letters of the boot parameter say, whatever cache it names. */
export function slub_debug(option: string): number {
  if (option === '') return 0;
  const letters = option.replace(/,.*/, '');
  if (letters === '-' || letters === '') return DEBUG_DEFAULT_FLAGS;
  let flags = 0;
  for (const letter of letters.toUpperCase()) flags |= DEBUG_LETTERS[letter] ?? 0;
  return flags;
}

/** The flags that `slub_debug=FZPUT,prefix` gives to a cache that is opened by the name of @name. */
export function slub_debug_flags(option: string, name: string, objsize: number): number {
  // Objects that large have no room for a free pointer behind them.
  if (objsize >= MAX_OBJECTS_PER_SLAB * 4) return 0;
  const comma = option.indexOf(',');
  return comma < 0 || name.startsWith(option.slice(comma + 1)) ? slub_debug(option) : 0;
}

function slab_order(p: SizeParameters, size: number, minObjects: number, maxOrder: number, fraction: number): number {
  let order = Math.max(p.slub_min_order, fls(minObjects * size - 1) - PAGE_SHIFT);
  for (; order <= maxOrder; order++) {
    const slabBytes = 4096 << order;
    if (slabBytes >= minObjects * size && slabBytes % size <= slabBytes / fraction) break;
  }
  return order;
}

/** Return: -1 when no block of pages holds an object. */
export function calculate_order(p: SizeParameters, size: number): number {
  for (let minObjects = p.slub_min_objects; minObjects > 1; minObjects >>= 1) {
    for (let fraction = 8; fraction >= 4; fraction /= 2) {
      const order = slab_order(p, size, minObjects, p.slub_max_order, fraction);
      if (order <= p.slub_max_order) return order;
    }
  }
  const single = slab_order(p, size, 1, p.slub_max_order, 1);
  if (single <= p.slub_max_order) return single;
  const any = slab_order(p, size, 1, MAX_ORDER, 1);
  return any <= MAX_ORDER ? any : -1;
}

export function calculate_alignment(p: SizeParameters, flags: number, align: number, objsize: number): number {
  if ((flags & SLAB_HWCACHE_ALIGN) !== 0 && objsize > p.L1_CACHE_BYTES / 2) return Math.max(align, p.L1_CACHE_BYTES);
  if (align < p.minAlign) return p.minAlign;
  return roundUp(align, 4);
}

export const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/** Return: null when no slab can hold such an object. @flags: those of the cache, __OBJECT_POISON not among them. */
export function calculate_sizes(
  p: SizeParameters,
  objsize: number,
  flags: number,
  align: number,
  ctor: boolean,
): Sizes | null {
  let size = roundUp(objsize, 4);
  if ((flags & SLAB_RED_ZONE) !== 0 && size === objsize) size += 4;
  const inuse = size;
  let offset = 0;
  // The object must keep its bytes when it is free: the pointer goes behind it.
  if ((flags & (SLAB_DESTROY_BY_RCU | SLAB_POISON)) !== 0 || ctor) {
    offset = size;
    size += 4;
  }
  if ((flags & SLAB_STORE_USER) !== 0) size += 2 * TRACK_BYTES;
  // A word of padding: whoever writes before the next object hits it.
  if ((flags & SLAB_RED_ZONE) !== 0) size += 4;
  size = roundUp(size, calculate_alignment(p, flags, align, objsize));
  const order = calculate_order(p, size);
  if (order < 0) return null;
  const objects = Math.floor((4096 << order) / size);
  if (objects < 1 || objects > MAX_OBJECTS_PER_SLAB) return null;
  return { size, inuse, offset, order, objects };
}
