/**
 * The streaming half of `hppa_dma_ops`: flushes on machines whose devices see memory only, an I/O page directory where the adapter has one.
 *
 * Source: include/asm-parisc/dma-mapping.h, drivers/parisc/{ccio-dma,sba_iommu}.c, Linux 2.6.22. With a directory the operations that synchronise are NULL.
 */
import { dcache_stride, flush_kernel_dcache_range } from '../../arch/parisc/cache.js';
import type { Kernel } from '../../cpu/kernel.js';
import { type Paddr, type Vaddr, vaddr } from '../../shared/types.js';
import type { DmaDirection, Scatterlist } from '../arm/dma-mapping.js';
import { lowmem_page_address } from '../page.js';
import { iommu_map_single, iommu_unmap_single, iommuOf } from './iommu.js';
import * as pa11 from './pci-dma.js';

const hasDirectory = (k: Kernel): boolean => iommuOf(k.config) !== null;

/** Context: any. Return: the bus address. */
export function map_single(k: Kernel, addr: Vaddr, size: number, direction: DmaDirection): Paddr {
  if (hasDirectory(k)) return iommu_map_single(k, addr, size, direction);
  return pa11.pa11_dma_map_single(k, addr, size, direction);
}

export function unmap_single(k: Kernel, handle: Paddr, size: number, direction: DmaDirection): void {
  if (hasDirectory(k)) iommu_unmap_single(k, handle, size);
  else pa11.pa11_dma_unmap_single(k, handle, size, direction);
}

/** Differs: with a directory each entry has a range of its own; the kernel joins entries that follow each other. */
export function map_sg(k: Kernel, sg: readonly Scatterlist[], direction: DmaDirection): number {
  if (!hasDirectory(k)) return pa11.pa11_dma_map_sg(k, sg, direction);
  for (const entry of sg) {
    const addr = vaddr(lowmem_page_address(k, entry.page) + entry.offset);
    entry.dma_address = iommu_map_single(k, addr, entry.length, direction);
  }
  return sg.length;
}

export function unmap_sg(k: Kernel, sg: readonly Scatterlist[], direction: DmaDirection): void {
  if (!hasDirectory(k)) pa11.pa11_dma_unmap_sg(k, sg, direction);
  else for (const entry of sg) iommu_unmap_single(k, entry.dma_address, entry.length);
}

export function sync_single(k: Kernel, handle: Paddr, size: number, direction: DmaDirection): void {
  if (!hasDirectory(k)) pa11.pa11_dma_sync_single(k, handle, size, direction);
}

export function sync_sg(k: Kernel, sg: readonly Scatterlist[], direction: DmaDirection): void {
  if (!hasDirectory(k)) pa11.pa11_dma_sync_sg(k, sg, direction);
}

/** include/asm-parisc/dma-mapping.h: a flush, unless the operations have nothing to synchronise, as behind adapters that snoop. Context: any. */
export function dma_cache_sync(k: Kernel, addr: Vaddr, size: number): void {
  if (k.config.core.parisc?.coherentIo !== true) flush_kernel_dcache_range(k, addr, size);
}

export const dma_get_cache_alignment = (k: Kernel): number => dcache_stride(k);
