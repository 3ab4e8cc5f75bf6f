/**
 * arch/arm/mm/dma-mapping.c: cache maintenance of streaming DMA.
 *
 * Source: arch/arm/mm/dma-mapping.c and asm/dma-mapping.h, Linux 2.6.29 to 2.6.34; spec/highmem.md §9. Two eras: `dma_cache_maint*` (until
 * 2.6.33: everything at map time, nothing at unmap) and cpu_to_dev/dev_to_cpu (patch `dma-speculative-prefetch`, 2.6.34). Until 2.6.27 a sync
 * for the CPU is the same maintenance as one for the device (spec/slab-dma.md §4.1). Where arch_is_coherent() says so, nothing is maintained.
 * Bus addresses are physical addresses. dmabounce has a file of its own.
 */
import {
  dma_clean_range,
  dma_flush_range,
  dma_inv_range,
  flush_cache_all,
  outer_clean_range,
  outer_flush_range,
  outer_inv_range,
} from '../../arch/arm/cache.js';
import { cache_is_vipt, virt_addr_valid, virt_to_page } from '../../arch/arm/memory.js';
import type { Kernel } from '../../cpu/kernel.js';
import { BUG, BUG_ON } from '../../shared/bug.js';
import { NULL, type Paddr, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { kmap_high_get, kunmap_high, page_address } from '../highmem.js';
import { type Page, PageHighMem, page_plus, page_to_phys, pfn_to_page } from '../page.js';
import { kmap_high_l1_vipt, kunmap_high_l1_vipt, type SavedPte } from './highmem.js';

export const DMA_BIDIRECTIONAL = 0;
export const DMA_TO_DEVICE = 1;
export const DMA_FROM_DEVICE = 2;
export const DMA_NONE = 3;
export type DmaDirection = 0 | 1 | 2 | 3;

/** One entry of a scatterlist; `dma_address` is filled in by dma_map_sg(). */
export interface Scatterlist {
  page: Page;
  offset: number;
  length: number;
  dma_address: Paddr;
}

type RangeOp = (k: Kernel, start: Vaddr, end: Vaddr) => void;
type OuterOp = (k: Kernel, start: Paddr, end: Paddr) => void;

const checkDirection = (k: Kernel, dir: number): void =>
  BUG_ON(k, dir < 0 || dir > 2, 'asm/dma-mapping.h: invalid direction', dir);

function innerOp(k: Kernel, dir: DmaDirection): RangeOp {
  if (dir === DMA_FROM_DEVICE) return dma_inv_range;
  if (dir === DMA_TO_DEVICE) return dma_clean_range;
  if (dir === DMA_BIDIRECTIONAL) return dma_flush_range;
  return BUG(k, 'arch/arm/mm/dma-mapping.c: invalid direction', dir);
}

function outerOp(dir: DmaDirection): OuterOp {
  if (dir === DMA_FROM_DEVICE) return outer_inv_range;
  return dir === DMA_TO_DEVICE ? outer_clean_range : outer_flush_range;
}

// ---- until 2.6.33 --------------------------------------------------------------------------------------------------

/**
 * Maintain a range of the direct map.
 *
 * Context: Any context.
 * Errors:  BUG when a byte of it is not in the direct map: a pkmap or fixmap address, for instance.
 * Source:  arch/arm/mm/dma-mapping.c, Linux 2.6.29.
 */
export function dma_cache_maint(k: Kernel, start: Vaddr, size: number, dir: DmaDirection): void {
  const valid = virt_addr_valid(k, start) && virt_addr_valid(k, start + size - 1);
  BUG_ON(k, !valid, 'arch/arm/mm/dma-mapping.c dma_cache_maint: not a linear address', start);
  innerOp(k, dir)(k, start, vaddr(start + size));
  outerOp(dir)(k, k.__pa(start), k.__pa(vaddr(start + size)));
}

/**
 * Maintain one page, or several of lowmem. No lock is held across the inner operation: with the patch `kmap-high-get` the pin keeps the
 * address valid, without it nothing does (seed 002).
 *
 * Context: Any context. Takes and releases kmap_lock for a highmem page.
 * Source:  arch/arm/mm/dma-mapping.c, Linux 2.6.30. An unmapped highmem page needs no inner operation on VIVT.
 */
function dma_cache_maint_contiguous(k: Kernel, page: Page, offset: number, size: number, dir: DmaDirection): void {
  const inner = innerOp(k, dir);
  if (!PageHighMem(k, page)) {
    const start = vaddr(page_address(k, page) + offset);
    inner(k, start, vaddr(start + size));
  } else {
    const pinned = k.patched['kmap-high-get'];
    const addr = pinned ? kmap_high_get(k, page) : page_address(k, page);
    if (addr !== NULL) {
      inner(k, vaddr(addr + offset), vaddr(addr + offset + size));
      if (pinned) kunmap_high(k, page);
    }
  }
  const start = (page_to_phys(k, page) + offset) as Paddr;
  outerOp(dir)(k, start, (start + size) as Paddr);
}

type PageOp = (k: Kernel, page: Page, offset: number, size: number) => void;

/** Cut a range of struct pages at page boundaries while it is in highmem. The body runs at least once, also for size 0. */
function eachChunk(k: Kernel, first: Page, firstOffset: number, size: number, op: PageOp): void {
  let page = first;
  let offset = firstOffset;
  let left = size;
  do {
    let chunk = left;
    if (PageHighMem(k, page) && chunk + offset > 4096) {
      if (offset >= 4096) {
        page = page_plus(page, offset >>> 12);
        offset &= 4095;
      }
      chunk = 4096 - offset;
    }
    op(k, page, offset, chunk);
    offset = 0;
    page = page_plus(page, 1);
    left -= chunk;
  } while (left > 0);
}

/** Context: Any context. Source: arch/arm/mm/dma-mapping.c, Linux 2.6.30. */
export function dma_cache_maint_page(k: Kernel, page: Page, offset: number, size: number, dir: DmaDirection): void {
  eachChunk(k, page, offset, size, (_, p, o, n) => dma_cache_maint_contiguous(k, p, o, n, dir));
}

// ---- from 2.6.34 ---------------------------------------------------------------------------------------------------

/** What each CPU type does when a buffer goes to the device. Source: arch/arm/mm/proc-*.S, cache-v*.S, Linux 2.6.34. */
export function dma_map_area(k: Kernel, start: Vaddr, size: number, dir: DmaDirection): void {
  const end = vaddr(start + size);
  const { proc } = k.config.core;
  const prefetches = proc === 'v7' || (proc === 'v6' && k.config.cpus === 1 && k.patched['v6-unmap-invalidates']);
  if (dir === DMA_FROM_DEVICE) dma_inv_range(k, start, end);
  else if (dir === DMA_TO_DEVICE || prefetches) dma_clean_range(k, start, end);
  else dma_flush_range(k, start, end);
}

/** What it does when the buffer comes back: only CPUs that may have fetched lines meanwhile have anything to do. */
export function dma_unmap_area(k: Kernel, start: Vaddr, size: number, dir: DmaDirection): void {
  const { proc } = k.config.core;
  if (dir === DMA_TO_DEVICE) return;
  if (proc === 'v7' || (proc === 'v6' && k.config.cpus === 1 && k.patched['v6-unmap-invalidates'])) {
    dma_inv_range(k, start, vaddr(start + size));
  }
}

/** One page through the mapping that it has, or a temporary one on physically tagged caches. Source: Linux 2.6.34. */
function maintPage234(k: Kernel, page: Page, offset: number, size: number, op: RangeSizeOp, dir: DmaDirection): void {
  if (!PageHighMem(k, page)) {
    op(k, vaddr(page_address(k, page) + offset), size, dir);
    return;
  }
  const pinned = k.patched['kmap-high-get'];
  const addr = pinned ? kmap_high_get(k, page) : page_address(k, page);
  if (addr !== NULL) {
    op(k, vaddr(addr + offset), size, dir);
    if (pinned) kunmap_high(k, page);
  } else if (cache_is_vipt(k) && k.patched['kmap-high-l1-vipt']) {
    const saved: SavedPte = { pte: 0 };
    const temporary = kmap_high_l1_vipt(k, page, saved);
    op(k, vaddr(temporary + offset), size, dir);
    kunmap_high_l1_vipt(k, page, saved);
  }
}

type RangeSizeOp = (k: Kernel, start: Vaddr, size: number, dir: DmaDirection) => void;

/** The device gets the buffer: inner cache, then outer. Context: Any context. Source: Linux 2.6.34. */
export function ___dma_page_cpu_to_dev(k: Kernel, page: Page, off: number, size: number, dir: DmaDirection): void {
  eachChunk(k, page, off, size, (_, p, o, n) => maintPage234(k, p, o, n, dma_map_area, dir));
  const start = (page_to_phys(k, page) + off) as Paddr;
  const end = (start + size) as Paddr;
  if (dir === DMA_FROM_DEVICE) outer_inv_range(k, start, end);
  else outer_clean_range(k, start, end);
}

/** The CPU gets it back: outer cache first, so that the inner one cannot refill from a stale line. Context: Any context. */
export function ___dma_page_dev_to_cpu(k: Kernel, page: Page, off: number, size: number, dir: DmaDirection): void {
  const start = (page_to_phys(k, page) + off) as Paddr;
  const outer = (): void => {
    if (dir !== DMA_TO_DEVICE) outer_inv_range(k, start, (start + size) as Paddr);
  };
  const swapped = k.patched['mutant-inner-before-outer'];
  if (!swapped) outer();
  eachChunk(k, page, off, size, (_, p, o, n) => maintPage234(k, p, o, n, dma_unmap_area, dir));
  if (swapped) outer();
}

// ---- the API -------------------------------------------------------------------------------------------------------

const twoSided = (k: Kernel): boolean => k.patched['dma-speculative-prefetch'];
/** Until 2.6.27 dma_sync_*_for_cpu() and _for_device() are one: whatever the direction asks for, again. */
const syncsAlike = (k: Kernel): boolean => k.LINUX_VERSION_CODE < KERNEL_VERSION(2, 6, 28);
/** Devices are taken to see the caches: there is nothing to maintain. */
const arch_is_coherent = (k: Kernel): boolean => k.config.coherentDma;

function toDevice(k: Kernel, page: Page, offset: number, size: number, dir: DmaDirection): void {
  if (arch_is_coherent(k)) return;
  if (twoSided(k)) ___dma_page_cpu_to_dev(k, page, offset, size, dir);
  else dma_cache_maint_page(k, page, offset, size, dir);
}

function fromDevice(k: Kernel, page: Page, offset: number, size: number, dir: DmaDirection): void {
  if (twoSided(k) && !arch_is_coherent(k)) ___dma_page_dev_to_cpu(k, page, offset, size, dir);
}

const pageOf = (k: Kernel, handle: Paddr): Page => pfn_to_page(k, (handle >>> 12) as never);

/**
 * Give a part of a page to a device.
 *
 * Context: Any context. Takes and releases kmap_lock for a highmem page (with the patch `kmap-high-get`).
 * Return:  the bus address.
 */
export function dma_map_page(k: Kernel, page: Page, offset: number, size: number, dir: DmaDirection): Paddr {
  k.op();
  checkDirection(k, dir);
  toDevice(k, page, offset, size, dir);
  return (page_to_phys(k, page) + offset) as Paddr;
}

/** Take it back. Until 2.6.33 there is nothing to do: the CPU is assumed not to have touched the buffer. Context: Any context. */
export function dma_unmap_page(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  k.op();
  checkDirection(k, dir);
  fromDevice(k, pageOf(k, handle), handle & 4095, size, dir);
}

/** Give a buffer of the direct map to a device. Context: Any context. Errors: BUG outside the direct map. Return: bus address. */
export function dma_map_single(k: Kernel, addr: Vaddr, size: number, dir: DmaDirection): Paddr {
  k.op();
  checkDirection(k, dir);
  if (arch_is_coherent(k)) return k.__pa(addr);
  if (twoSided(k)) {
    BUG_ON(k, !virt_addr_valid(k, addr), 'arch/arm/mm/dma-mapping.c: not a linear address', addr);
    ___dma_page_cpu_to_dev(k, virt_to_page(k, addr), addr & 4095, size, dir);
  } else dma_cache_maint(k, addr, size, dir);
  return k.__pa(addr);
}

export function dma_unmap_single(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  dma_unmap_page(k, handle, size, dir);
}

/** Context: Any context. Return: number of entries, all of them. */
export function dma_map_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): number {
  for (const s of sg) s.dma_address = dma_map_page(k, s.page, s.offset, s.length, dir);
  return sg.length;
}

export function dma_unmap_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  for (const s of sg) dma_unmap_page(k, s.dma_address, s.length, dir);
}

/** Whoever asks, by the linear address, so lowmem only. */
function syncSingle(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  if (!arch_is_coherent(k)) dma_cache_maint(k, k.__va(handle), size, dir);
}

/** The CPU wants to look at a mapped buffer. From 2.6.28 to 2.6.33 nothing. Context: Any context. */
export function dma_sync_single_for_cpu(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  k.op();
  checkDirection(k, dir);
  if (syncsAlike(k)) syncSingle(k, handle, size, dir);
  else fromDevice(k, pageOf(k, handle), handle & 4095, size, dir);
}

/** The device gets it again. Context: Any context. */
export function dma_sync_single_for_device(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  k.op();
  checkDirection(k, dir);
  if (twoSided(k)) toDevice(k, pageOf(k, handle), handle & 4095, size, dir);
  else syncSingle(k, handle, size, dir);
}

export function dma_sync_sg_for_cpu(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  checkDirection(k, dir);
  const sync = syncsAlike(k) ? toDevice : fromDevice;
  for (const s of sg) sync(k, s.page, s.offset, s.length, dir);
}

export function dma_sync_sg_for_device(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  checkDirection(k, dir);
  for (const s of sg) toDevice(k, s.page, s.offset, s.length, dir);
}

/** A switch to another address space on v4 and v5: the whole cache and TLB go. Source: cpu_arm926_switch_mm, Linux 2.6.30. */
export function cpu_switch_mm(k: Kernel): void {
  if (!k.patched['mutant-switch-mm-no-flush']) flush_cache_all(k);
  k.mmu.flushTlbAll();
}
