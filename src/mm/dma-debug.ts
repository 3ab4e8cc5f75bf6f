/**
 * Where the DMA API tells who watches it. Nothing here is a step. Source: include/linux/dma-debug.h, Linux 2.6.30, under its names; what is
 * said before maintenance begins is ours.
 */
import type { Kernel } from '../cpu/kernel.js';
import type { Paddr, Vaddr } from '../shared/types.js';
import type { DmaDirection, Scatterlist } from './arm/dma-mapping.js';
import { type Page, PageHighMem, page_to_phys } from './page.js';

const SINGLE = 0;
const PAGE = 1;
const SG = 2;
const COHERENT = 3;

/** A buffer is about to be mapped by its linear address. */
export function debug_dma_map_single(k: Kernel, addr: Vaddr, size: number): void {
  if (k.dmaWatch !== null) k.dmaWatch.mapping(SINGLE, addr, k.__pa(addr), size, 0);
}

/** It has been. */
export function debug_dma_mapped_single(k: Kernel, addr: Vaddr, size: number, dir: DmaDirection, bus: Paddr): void {
  if (k.dmaWatch !== null) k.dmaWatch.mapped(SINGLE, addr, k.__pa(addr), bus, size, dir, 0);
}

const linear = (k: Kernel, page: Page, offset: number): number =>
  PageHighMem(k, page) ? 0 : k.__va(page_to_phys(k, page)) + offset;

/** A part of a page is about to be mapped. */
export function debug_dma_mapping_page(k: Kernel, page: Page, offset: number, size: number): void {
  if (k.dmaWatch === null) return;
  k.dmaWatch.mapping(PAGE, linear(k, page, offset), page_to_phys(k, page) + offset, size, 0);
}

export function debug_dma_map_page(
  k: Kernel,
  page: Page,
  offset: number,
  size: number,
  dir: DmaDirection,
  bus: Paddr,
): void {
  if (k.dmaWatch === null) return;
  k.dmaWatch.mapped(PAGE, linear(k, page, offset), page_to_phys(k, page) + offset, bus, size, dir, 0);
}

export function debug_dma_unmapping(k: Kernel, bus: Paddr, size: number, single: boolean): void {
  if (k.dmaWatch !== null) k.dmaWatch.unmapping(single ? SINGLE : PAGE, bus, size);
}

export function debug_dma_unmap_page(k: Kernel, bus: Paddr, size: number, dir: DmaDirection, single: boolean): void {
  if (k.dmaWatch !== null) k.dmaWatch.unmapped(single ? SINGLE : PAGE, 0, bus, size, dir, 0);
}

export function debug_dma_mapping_sg(k: Kernel, sg: readonly Scatterlist[]): void {
  if (k.dmaWatch === null) return;
  for (const s of sg) {
    k.dmaWatch.mapping(SG, linear(k, s.page, s.offset), page_to_phys(k, s.page) + s.offset, s.length, sg.length);
  }
}

export function debug_dma_map_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  if (k.dmaWatch === null) return;
  for (const s of sg) {
    const pa = page_to_phys(k, s.page) + s.offset;
    k.dmaWatch.mapped(SG, linear(k, s.page, s.offset), pa, s.dma_address, s.length, dir, sg.length);
  }
}

export function debug_dma_unmap_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  for (const s of sg) k.dmaWatch?.unmapped(SG, 0, s.dma_address, s.length, dir, sg.length);
}

export function debug_dma_syncing(k: Kernel, bus: Paddr, size: number): void {
  k.dmaWatch?.syncing(bus, 0, size);
}

export function debug_dma_sync_single(k: Kernel, bus: Paddr, size: number, dir: DmaDirection, forCpu: boolean): void {
  k.dmaWatch?.synced(bus, 0, size, dir, forCpu, 0);
}

export function debug_dma_sync_single_range(
  k: Kernel,
  bus: Paddr,
  offset: number,
  size: number,
  dir: DmaDirection,
  forCpu: boolean,
): void {
  k.dmaWatch?.synced(bus, offset, size, dir, forCpu, 0);
}

export function debug_dma_sync_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection, forCpu: boolean): void {
  for (const s of sg) k.dmaWatch?.synced(s.dma_address, 0, s.length, dir, forCpu, sg.length);
}

export function debug_dma_alloc_coherent(k: Kernel, size: number, bus: Paddr, addr: Vaddr): void {
  if (k.dmaWatch !== null && addr !== 0) k.dmaWatch.mapped(COHERENT, addr, bus, bus, size, 0, 0);
}

export function debug_dma_free_coherent(k: Kernel, size: number, addr: Vaddr, bus: Paddr): void {
  k.dmaWatch?.unmapped(COHERENT, addr, bus, size, 0, 0);
}

export function debug_dma_mapping_error(k: Kernel, bus: Paddr): void {
  k.dmaWatch?.mappingError(bus);
}

/** A driver lets go of its device: what it has mapped still is an error. Source: lib/dma-debug.c, Linux 4.9. */
export function dma_debug_device_change(k: Kernel): void {
  k.dmaWatch?.unbound();
}

/** A page is about to be written to that no device should be writing to. Source: lib/dma-debug.c, Linux 4.9. */
export function debug_dma_assert_idle(k: Kernel, page: Page): void {
  k.dmaWatch?.assertIdle(page_to_phys(k, page));
}
