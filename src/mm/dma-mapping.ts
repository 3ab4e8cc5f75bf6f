/** The streaming DMA API as the machine's architecture has it. Each function: see there. */
import type { Kernel } from '../cpu/kernel.js';
import { type Paddr, type Vaddr, vaddr } from '../shared/types.js';
import type { DmaDirection, Scatterlist } from './arm/dma-mapping.js';
import * as arm from './arm/dma-mapping.js';
import { lowmem_page_address, type Page } from './page.js';
import * as pa from './parisc/pci-dma.js';

const isArm = (k: Kernel): boolean => k.arch.id === 'arm';

export function dma_map_single(k: Kernel, addr: Vaddr, size: number, dir: DmaDirection): Paddr {
  return isArm(k) ? arm.dma_map_single(k, addr, size, dir) : pa.pa11_dma_map_single(k, addr, size, dir);
}

export function dma_unmap_single(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  if (isArm(k)) arm.dma_unmap_single(k, handle, size, dir);
  else pa.pa11_dma_unmap_single(k, handle, size, dir);
}

/** PA-RISC: dma_map_single() of the linear address. */
export function dma_map_page(k: Kernel, page: Page, offset: number, size: number, dir: DmaDirection): Paddr {
  if (isArm(k)) return arm.dma_map_page(k, page, offset, size, dir);
  return pa.pa11_dma_map_single(k, vaddr(lowmem_page_address(k, page) + offset), size, dir);
}

export function dma_unmap_page(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  if (isArm(k)) arm.dma_unmap_page(k, handle, size, dir);
  else pa.pa11_dma_unmap_single(k, handle, size, dir);
}

export function dma_map_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): number {
  return isArm(k) ? arm.dma_map_sg(k, sg, dir) : pa.pa11_dma_map_sg(k, sg, dir);
}

export function dma_unmap_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  if (isArm(k)) arm.dma_unmap_sg(k, sg, dir);
  else pa.pa11_dma_unmap_sg(k, sg, dir);
}

export function dma_sync_single_for_cpu(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  if (isArm(k)) arm.dma_sync_single_for_cpu(k, handle, size, dir);
  else pa.pa11_dma_sync_single(k, handle, size, dir);
}

export function dma_sync_single_for_device(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  if (isArm(k)) arm.dma_sync_single_for_device(k, handle, size, dir);
  else pa.pa11_dma_sync_single(k, handle, size, dir);
}
