/**
 * DMA of machines without coherent I/O: streaming maps by flushes, consistent memory by uncached mappings.
 *
 * Source: arch/parisc/kernel/pci-dma.c, Linux 2.5.53 and 2.6.22; spec/slab-dma.md §4.4, spec/vmalloc-gfp.md §9.1. FDC writes back, so a line that
 * is dirtied while the device owns the buffer is written over the device's data at unmap.
 * Machines with an I/O adapter that snoops (ccio, sba: `coherentIo` of a core) use the same calls, which do nothing to the caches there.
 * Bus addresses are physical addresses, unless the adapter has an I/O page directory: iommu.ts, dma-ops.ts. Left out: the proc file.
 */
import { flush_kernel_dcache_range } from '../../arch/parisc/cache.js';
import { LDCW_BYTES } from '../../arch/parisc/cpu.js';
import { hasPcxlMap, MAP_START, PCXL_DMA_MAP_SIZE } from '../../arch/parisc/memory.js';
import {
  mk_pte,
  PAGE_KERNEL_UNC,
  PGDIR_SIZE,
  type PmdP,
  pgd_offset_k,
  pte_clear,
  pte_none,
  pte_offset_kernel,
  pte_read,
  set_pte,
} from '../../arch/parisc/pgtable.js';
import { pdtlb_kernel } from '../../arch/parisc/tlb.js';
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON } from '../../shared/bug.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { type SpinLock, spin_lock_init, spin_lock_irqsave, spin_unlock_irqrestore } from '../../shared/spinlock.js';
import { NULL, type Paddr, type Pfn, type Ptr, paddr, type Vaddr, vaddr } from '../../shared/types.js';
import { LINUX_2_6 } from '../../shared/version.js';
import { DMA_BIDIRECTIONAL, DMA_NONE, DMA_TO_DEVICE, type DmaDirection, type Scatterlist } from '../arm/dma-mapping.js';
import { gfp } from '../gfp.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { pmd_alloc, pte_alloc_kernel, pte_alloc_kernel_locked } from '../memory.js';
import { get_order, lowmem_page_address } from '../page.js';
import { __get_free_pages, free_pages } from '../page_alloc.js';
import { memset } from '../string.js';
import { iommu_map_single, iommu_unmap_single, iommuOf } from './iommu.js';

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    pcxl_res_lock: SpinLock;
    /** Byte of the map at which the next search begins. Guarded by pcxl_res_lock, as is the map. */
    pcxl_res_hint: Vaddr;
    /** A bit for each page of the DMA map. */
    pcxl_res_map: Vaddr;
  }
}

const PCXL_RES_BYTES = PCXL_DMA_MAP_SIZE / 4096 / 8;
/** Addresses behind one byte of the map. */
const BYTES_OF_BYTE = 8 * 4096;
const PAGES_MAX = 32;

export const pcxlSymbols: Readonly<Record<string, SymbolSpec>> = {
  pcxl_res_lock: { bytes: LDCW_BYTES, align: 64 },
  pcxl_res_hint: { bytes: 4 },
  pcxl_res_map: { bytes: PCXL_RES_BYTES },
};

export function pcxl_dma_init(k: Kernel): void {
  spin_lock_init(k, k.sym.pcxl_res_lock);
}

// ---- streaming -----------------------------------------------------------------------------------------------------

/** U2/Uturn, Astro and Ike snoop the caches. */
const isCoherent = (k: Kernel): boolean => k.config.core.parisc?.coherentIo === true;

function checkDirection(k: Kernel, where: string, direction: DmaDirection): void {
  BUG_ON(k, direction === DMA_NONE, where, direction);
}

function flush(k: Kernel, addr: Vaddr, size: number): void {
  if (!isCoherent(k)) flush_kernel_dcache_range(k, addr, size);
}

/** Flush whatever the direction. Context: any. Errors: BUG without a direction. */
export function pa11_dma_map_single(k: Kernel, addr: Vaddr, size: number, direction: DmaDirection): Paddr {
  checkDirection(k, 'arch/parisc/kernel/pci-dma.c pa11_dma_map_single', direction);
  flush(k, addr, size);
  return k.__pa(addr);
}

/**
 * Flush again unless the device only read. Not a purge: lines dirtied meanwhile go to memory, over what the device wrote.
 *
 * Context: any. Errors: BUG without a direction.
 */
export function pa11_dma_unmap_single(k: Kernel, handle: Paddr, size: number, direction: DmaDirection): void {
  checkDirection(k, 'arch/parisc/kernel/pci-dma.c pa11_dma_unmap_single', direction);
  if (direction === DMA_TO_DEVICE) return;
  flush(k, k.__va(handle), size);
}

export function pa11_dma_map_sg(k: Kernel, sg: readonly Scatterlist[], direction: DmaDirection): number {
  checkDirection(k, 'arch/parisc/kernel/pci-dma.c pa11_dma_map_sg', direction);
  for (const entry of sg) {
    const addr = vaddr(lowmem_page_address(k, entry.page) + entry.offset);
    entry.dma_address = k.__pa(addr);
    flush(k, addr, entry.length);
  }
  return sg.length;
}

export function pa11_dma_unmap_sg(k: Kernel, sg: readonly Scatterlist[], direction: DmaDirection): void {
  checkDirection(k, 'arch/parisc/kernel/pci-dma.c pa11_dma_unmap_sg', direction);
  if (direction === DMA_TO_DEVICE) return;
  for (const entry of sg) flush(k, vaddr(lowmem_page_address(k, entry.page) + entry.offset), entry.length);
}

/** For the CPU and for the device alike. Errors: BUG without a direction. */
export function pa11_dma_sync_single(k: Kernel, handle: Paddr, size: number, direction: DmaDirection): void {
  checkDirection(k, 'arch/parisc/kernel/pci-dma.c pa11_dma_sync_single', direction);
  flush(k, k.__va(handle), size);
}

export function pa11_dma_sync_sg(k: Kernel, sg: readonly Scatterlist[], _direction: DmaDirection): void {
  for (const entry of sg) flush(k, vaddr(lowmem_page_address(k, entry.page) + entry.offset), entry.length);
}

// ---- the addresses of consistent memory ----------------------------------------------------------------------------

/** How the map is searched for so many pages: unit of the search in bytes, and the bits that are wanted. */
function unitOf(k: Kernel, pages: number): { unit: 1 | 2 | 4; mask: number } {
  if (pages > PAGES_MAX) k.die('bug', 'Kernel panic: Too many pages to map', pages);
  const mask = -1 >>> (32 - pages);
  return { unit: pages <= 8 ? 1 : pages <= 16 ? 2 : 4, mask };
}

const loadUnit = (k: Kernel, at: Vaddr, unit: 1 | 2 | 4): number =>
  unit === 1 ? k.load8(at) : unit === 2 ? k.load16(at) : k.load(at);

function storeUnit(k: Kernel, at: Vaddr, unit: 1 | 2 | 4, value: number): void {
  if (unit === 1) k.store8(at, value);
  else if (unit === 2) k.store16(at, value);
  else k.store(at, value);
}

/** The first free unit of [from, to), as an offset in the map, or -1. */
function searchMap(k: Kernel, from: number, to: number, unit: 1 | 2 | 4, mask: number): number {
  for (let idx = from; idx < to; idx += unit) {
    if ((loadUnit(k, vaddr(k.sym.pcxl_res_map + idx), unit) & mask) === 0) return idx;
  }
  return -1;
}

/**
 * Addresses for @size bytes. The wanted bits are the lowest of a unit always, so a unit holds one allocation.
 *
 * Context: any. Takes and releases pcxl_res_lock (irqsave).
 * Errors:  panic for more than 32 pages, and when the map is full: with the lock held.
 */
export function pcxl_alloc_range(k: Kernel, size: number): Vaddr {
  const { unit, mask } = unitOf(k, size >>> 12);
  const flags = spin_lock_irqsave(k, k.sym.pcxl_res_lock);
  const hint = k.load(k.sym.pcxl_res_hint) & -unit;
  let idx = searchMap(k, hint, PCXL_RES_BYTES, unit, mask);
  if (idx < 0) idx = searchMap(k, 0, hint, unit, mask);
  if (idx < 0) k.die('bug', 'Kernel panic: pci-dma.c: pcxl_alloc_range() out of dma mapping resources', 0);
  const at = vaddr(k.sym.pcxl_res_map + idx);
  storeUnit(k, at, unit, loadUnit(k, at, unit) | mask);
  k.store(k.sym.pcxl_res_hint, idx + unit);
  spin_unlock_irqrestore(k, k.sym.pcxl_res_lock, flags);
  return vaddr(MAP_START + idx * BYTES_OF_BYTE);
}

/** Context: any. Takes and releases pcxl_res_lock (irqsave). Nothing checks that the bits were set. */
export function pcxl_free_range(k: Kernel, addr: Vaddr, size: number): void {
  const { unit, mask } = unitOf(k, size >>> 12);
  const at = vaddr(k.sym.pcxl_res_map + (addr - MAP_START) / BYTES_OF_BYTE);
  const flags = spin_lock_irqsave(k, k.sym.pcxl_res_lock);
  storeUnit(k, at, unit, loadUnit(k, at, unit) & ~mask);
  spin_unlock_irqrestore(k, k.sym.pcxl_res_lock, flags);
}

// ---- consistent memory ---------------------------------------------------------------------------------------------

/** 2.5.53 drops and retakes a lock that nobody here has taken; afterwards it is held. */
function tableOf(k: Kernel, pmd: PmdP, addr: number, gfp_mask: number): Ptr<'pte'> {
  if (k.LINUX_VERSION_CODE >= LINUX_2_6) return pte_alloc_kernel(k, pmd, addr);
  return pte_alloc_kernel_locked(k, pmd, addr, gfp_mask, 0);
}

/** The pages of [addr, end) behind one first-level entry. Return: whether there was a table. */
function map_pmd_uncached(
  k: Kernel,
  pmd: PmdP,
  addr: Vaddr,
  end: number,
  pa: { next: number },
  gfp_mask: number,
): boolean {
  const stop = Math.min(end, (addr & -PGDIR_SIZE) + PGDIR_SIZE);
  const first = tableOf(k, pmd, addr, gfp_mask);
  if (first === NULL) return false;
  for (let va = addr as number, ptep = first as number; va < stop; va += 4096, ptep += 4) {
    if (!pte_none(pte_read(k, ptep as Ptr<'pte'>))) k.printk('map_pte_uncached: page already exists');
    set_pte(k, ptep as Ptr<'pte'>, mk_pte((pa.next >>> 12) as Pfn, PAGE_KERNEL_UNC));
    pdtlb_kernel(k, va);
    pa.next += 4096;
  }
  return true;
}

/**
 * Map physical memory uncached. Nothing is undone when a table cannot be had. As in the kernel, the loop steps on by 4 MB from an address that it
 * has not rounded: of a range that crosses a multiple of 4 MB only the first part is mapped.
 *
 * Context: process, may sleep: page tables are allocated with GFP_KERNEL, but for the patch `rmk1` in 2.5.53. Takes and releases pa_tlb_lock for each page.
 * Return:  false when a table was missing; the caller does not look.
 */
export function map_uncached_pages(k: Kernel, start: Vaddr, size: number, pa: Paddr, gfp_mask: number): boolean {
  const end = start + size;
  const next = { next: pa as number };
  for (let addr = start as number; addr < end; addr += PGDIR_SIZE) {
    const pmd = pmd_alloc(k, pgd_offset_k(k, addr), addr);
    if (!map_pmd_uncached(k, pmd, vaddr(addr), end, next, gfp_mask)) return false;
  }
  return true;
}

/** Clear the entries, page by page, and purge each translation. */
export function unmap_uncached_pages(k: Kernel, start: Vaddr, size: number): void {
  for (let va = start; va < start + size; va = vaddr(va + 4096)) {
    pte_clear(k, pte_offset_kernel(k, pgd_offset_k(k, va), va));
    pdtlb_kernel(k, va);
  }
}

/** Memory with the address that devices use. */
export interface DmaMemory {
  readonly addr: Vaddr;
  readonly handle: Paddr;
}

/**
 * Uncached memory. The results of the page allocator and of the mapping are not looked at: without memory the address is one of
 * __pa(0) = f0000000.
 *
 * Context: process, may sleep where a page table is missing, whatever @gfp_mask says; drivers call it in interrupts.
 * Source:  pa11_dma_alloc_consistent(), Linux 2.5.53 (always GFP_ATOMIC) and 2.6.22.
 */
export function pa11_dma_alloc_consistent(k: Kernel, size: number, gfp_mask: number): DmaMemory {
  const order = get_order(size);
  const bytes = 4096 << order;
  const addr = pcxl_alloc_range(k, bytes);
  const flags = k.LINUX_VERSION_CODE < LINUX_2_6 ? gfp(k).GFP_ATOMIC : gfp_mask;
  const pages = __get_free_pages(k, flags, order);
  flush_kernel_dcache_range(k, pages, bytes);
  const handle = (k.__pa(pages) >>> 0) as Paddr;
  map_uncached_pages(k, addr, bytes, handle, flags);
  return { addr, handle };
}

export function pa11_dma_free_consistent(k: Kernel, size: number, addr: Vaddr, handle: Paddr): void {
  addr = vaddr(addr);
  handle = paddr(handle);
  const order = get_order(size);
  const bytes = 4096 << order;
  unmap_uncached_pages(k, addr, bytes);
  pcxl_free_range(k, addr, bytes);
  free_pages(k, k.__va(handle), order);
}

/**
 * Cached memory from kmalloc(): machines that cannot map RAM uncached. Lines may be shared with other objects, unless the patch
 * `parisc-noncoherent-pages` takes whole pages.
 */
export function pa11_dma_alloc_noncoherent(k: Kernel, size: number, gfp_mask: number): DmaMemory {
  const pages = k.patched['parisc-noncoherent-pages'];
  const addr = pages ? __get_free_pages(k, gfp_mask, get_order(size)) : kmalloc(k, size, gfp_mask);
  return { addr, handle: addr === NULL ? (0 as Paddr) : k.__pa(addr) };
}

export function pa11_dma_free_noncoherent(k: Kernel, size: number, addr: Vaddr): void {
  if (k.patched['parisc-noncoherent-pages']) free_pages(k, addr, get_order(size));
  else kfree(k, addr);
}

/**
 * ccio (U2/Uturn) and sba (Astro, Ike): whole pages, cleared, which the adapter sees through the caches. Memory that is said to be noncoherent is the same.
 * Without an I/O page directory (`iommu`) bus addresses are physical ones.
 *
 * Context: any if @gfp_mask does not allow to sleep, else process. Return: address NULL and handle 0 without memory.
 * Source:  ccio_alloc_consistent(), sba_alloc_consistent(), drivers/parisc/{ccio-dma,sba_iommu}.c, Linux 2.6.22.
 */
export function iommu_alloc_consistent(k: Kernel, size: number, gfp_mask: number): DmaMemory {
  const addr = __get_free_pages(k, gfp_mask, get_order(size));
  if (addr === NULL) return { addr: NULL, handle: 0 as Paddr };
  memset(k, addr, 0, size);
  const handle = iommuOf(k.config) === null ? k.__pa(addr) : iommu_map_single(k, addr, size, DMA_BIDIRECTIONAL);
  return { addr, handle };
}

export function iommu_free_consistent(k: Kernel, size: number, addr: Vaddr, handle: Paddr): void {
  if (iommuOf(k.config) !== null) iommu_unmap_single(k, handle, size);
  free_pages(k, addr, get_order(size));
}

/**
 * dma_alloc_coherent(), by the machine's operations: pages behind an I/O adapter that snoops; uncached memory (`pcxl_dma_ops`); NULL on
 * machines with neither (`pcx_dma_ops`).
 */
export function dma_alloc_coherent(k: Kernel, size: number, gfp_mask: number): DmaMemory | null {
  if (isCoherent(k)) return iommu_alloc_consistent(k, size, gfp_mask);
  return hasPcxlMap(k) ? pa11_dma_alloc_consistent(k, size, gfp_mask) : null;
}

export function dma_free_coherent(k: Kernel, size: number, addr: Vaddr, handle: Paddr): void {
  addr = vaddr(addr);
  handle = paddr(handle);
  if (isCoherent(k)) iommu_free_consistent(k, size, addr, handle);
  else if (hasPcxlMap(k)) pa11_dma_free_consistent(k, size, addr, handle);
  else kfree(k, addr);
}

/** dma_alloc_noncoherent(): the same where there is coherent memory, else kmalloc(). */
export function dma_alloc_noncoherent(k: Kernel, size: number, gfp_mask: number): DmaMemory {
  return dma_alloc_coherent(k, size, gfp_mask) ?? pa11_dma_alloc_noncoherent(k, size, gfp_mask);
}

/** Source: dma_free_noncoherent(), include/asm-parisc/dma-mapping.h: the operation that frees consistent memory, which is kfree() for `pcx_dma_ops`. */
export function dma_free_noncoherent(k: Kernel, size: number, addr: Vaddr, handle: Paddr): void {
  addr = vaddr(addr);
  handle = paddr(handle);
  if (isCoherent(k) || hasPcxlMap(k)) dma_free_coherent(k, size, addr, handle);
  else pa11_dma_free_noncoherent(k, size, addr);
}
