/** The DMA API as the machine's architecture has it, watched by whoever debugs it. Each function: see there. */
import type { Kernel } from '../cpu/kernel.js';
import { type Paddr, paddr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import type { DmaDirection, Scatterlist } from './arm/dma-mapping.js';
import * as arm from './arm/dma-mapping.js';
import * as debug from './dma-debug.js';
import { lowmem_page_address, type Page } from './page.js';
import * as pa from './parisc/dma-ops.js';

const isArm = (k: Kernel): boolean => k.arch.id === 'arm';
const NO_ADDRESS = 0xffffffff;

export function dma_map_single(k: Kernel, addr: Vaddr, size: number, dir: DmaDirection): Paddr {
  addr = vaddr(addr);
  debug.debug_dma_map_single(k, addr, size);
  const bus = isArm(k) ? arm.dma_map_single(k, addr, size, dir) : pa.map_single(k, addr, size, dir);
  debug.debug_dma_mapped_single(k, addr, size, dir, bus);
  return bus;
}

export function dma_unmap_single(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  handle = paddr(handle);
  debug.debug_dma_unmapping(k, handle, size, true);
  if (isArm(k)) arm.dma_unmap_single(k, handle, size, dir);
  else pa.unmap_single(k, handle, size, dir);
  debug.debug_dma_unmap_page(k, handle, size, dir, true);
}

/** PA-RISC: dma_map_single() of the linear address. */
export function dma_map_page(k: Kernel, page: Page, offset: number, size: number, dir: DmaDirection): Paddr {
  page = ptr<'page'>(page);
  debug.debug_dma_mapping_page(k, page, offset, size);
  const bus = isArm(k)
    ? arm.dma_map_page(k, page, offset, size, dir)
    : pa.map_single(k, vaddr(lowmem_page_address(k, page) + offset), size, dir);
  debug.debug_dma_map_page(k, page, offset, size, dir, bus);
  return bus;
}

export function dma_unmap_page(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  handle = paddr(handle);
  debug.debug_dma_unmapping(k, handle, size, false);
  if (isArm(k)) arm.dma_unmap_page(k, handle, size, dir);
  else pa.unmap_single(k, handle, size, dir);
  debug.debug_dma_unmap_page(k, handle, size, dir, false);
}

export function dma_map_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): number {
  debug.debug_dma_mapping_sg(k, sg);
  const count = isArm(k) ? arm.dma_map_sg(k, sg, dir) : pa.map_sg(k, sg, dir);
  debug.debug_dma_map_sg(k, sg, dir);
  return count;
}

export function dma_unmap_sg(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  if (isArm(k)) arm.dma_unmap_sg(k, sg, dir);
  else pa.unmap_sg(k, sg, dir);
  debug.debug_dma_unmap_sg(k, sg, dir);
}

export function dma_sync_single_for_cpu(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  handle = paddr(handle);
  debug.debug_dma_syncing(k, handle, size);
  if (isArm(k)) arm.dma_sync_single_for_cpu(k, handle, size, dir);
  else pa.sync_single(k, handle, size, dir);
  debug.debug_dma_sync_single(k, handle, size, dir, true);
}

export function dma_sync_single_for_device(k: Kernel, handle: Paddr, size: number, dir: DmaDirection): void {
  handle = paddr(handle);
  debug.debug_dma_syncing(k, handle, size);
  if (isArm(k)) arm.dma_sync_single_for_device(k, handle, size, dir);
  else pa.sync_single(k, handle, size, dir);
  debug.debug_dma_sync_single(k, handle, size, dir, false);
}

/** A part of a mapped buffer: @offset bytes behind @handle. */
export function dma_sync_single_range_for_cpu(
  k: Kernel,
  handle: Paddr,
  offset: number,
  size: number,
  dir: DmaDirection,
): void {
  handle = paddr(handle);
  const part = (handle + offset) as Paddr;
  debug.debug_dma_syncing(k, part, size);
  if (isArm(k)) arm.dma_sync_single_for_cpu(k, part, size, dir);
  else pa.sync_single(k, part, size, dir);
  debug.debug_dma_sync_single_range(k, handle, offset, size, dir, true);
}

export function dma_sync_single_range_for_device(
  k: Kernel,
  handle: Paddr,
  offset: number,
  size: number,
  dir: DmaDirection,
): void {
  handle = paddr(handle);
  const part = (handle + offset) as Paddr;
  debug.debug_dma_syncing(k, part, size);
  if (isArm(k)) arm.dma_sync_single_for_device(k, part, size, dir);
  else pa.sync_single(k, part, size, dir);
  debug.debug_dma_sync_single_range(k, handle, offset, size, dir, false);
}

/** How buffers have to be aligned for no line to be anybody else's. ARM 2.6.22 to 2.6.35: a constant. PA-RISC: what firmware says of the data cache. */
export function dma_get_cache_alignment(k: Kernel): number {
  return isArm(k) ? 32 : pa.dma_get_cache_alignment(k);
}

export function dma_sync_sg_for_cpu(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  if (isArm(k)) arm.dma_sync_sg_for_cpu(k, sg, dir);
  else pa.sync_sg(k, sg, dir);
  debug.debug_dma_sync_sg(k, sg, dir, true);
}

export function dma_sync_sg_for_device(k: Kernel, sg: readonly Scatterlist[], dir: DmaDirection): void {
  if (isArm(k)) arm.dma_sync_sg_for_device(k, sg, dir);
  else pa.sync_sg(k, sg, dir);
  debug.debug_dma_sync_sg(k, sg, dir, false);
}

/** Has a mapping failed? Context: any. */
export function dma_mapping_error(k: Kernel, handle: Paddr): boolean {
  debug.debug_dma_mapping_error(k, handle);
  return handle >>> 0 === NO_ADDRESS;
}
