/**
 * Coherence of page cache pages between the kernel's address of a page and user space's.
 *
 * Source: arch/arm/mm/flush.c, arch/arm/mm/fault-armv.c, include/asm-arm/cacheflush.h, Linux 2.6.22; spec/slab-dma.md §3.3.
 * Left out: instruction caches.
 */
import { flush_dcache_page_at } from '../../arch/arm/cache.js';
import {
  ALIAS_FLUSH_START,
  CACHE_COLOUR,
  cache_is_vipt_aliasing,
  cache_is_vivt,
  km_type,
} from '../../arch/arm/memory.js';
import {
  L_PTE_DIRTY,
  L_PTE_MT_MASK,
  L_PTE_MT_WRITEBACK,
  L_PTE_PRESENT,
  L_PTE_USER,
  L_PTE_WRITE,
  L_PTE_YOUNG,
  mk_pte,
  PAGE_KERNEL,
  type PteP,
  pte_clear,
  pte_pfn,
  pte_read,
  set_pte_ext,
} from '../../arch/arm/pgtable.js';
import { local_flush_tlb_kernel_page } from '../../arch/arm/tlb.js';
import { CacheOp } from '../../cpu/cpu-cache.js';
import type { Kernel } from '../../cpu/kernel.js';
import { set_bit, test_and_clear_bit } from '../../shared/atomic.js';
import { struct_vm_area_struct } from '../../shared/structs/configured.js';
import { PG_dcache_dirty, struct_page } from '../../shared/structs/page.js';
import { NULL, type Pfn, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { struct_task_struct } from '../../shared/wait.js';
import { type AddressSpace, iMmapOf, mapping_mapped, page_mapping, treeLockOf, VM_MAYSHARE } from '../filemap.js';
import { kmap_high_get, kunmap_high } from '../highmem.js';
import { writeLockIrq, writeUnlockIrq } from '../lock-types.js';
import { lowmem_page_address, type Page, PageHighMem, page_to_pfn, pfn_to_page } from '../page.js';
import { type Vma, vma_prio_tree_iter, vma_prio_tree_next } from '../prio_tree.js';
import { fixmapPte, kmap_atomic, kunmap_atomic } from './highmem.js';

/** User space that has page tables: 2 MB. Differs: all address spaces share them, one is in use at a time. */
export const USER_BASE = 0x40000000;
export const USER_BYTES = 0x200000;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    user_pte_page: Vaddr;
  }
}

const flagsOf = (page: Page): Vaddr => vaddr(page + struct_page.flags.offset);
export const pte_offset_user = (k: Kernel, addr: Vaddr): PteP =>
  ptr<'pte'>(k.sym.user_pte_page + 2048 + ((addr >>> 12) & 511) * 4);

/**
 * Clean and invalidate a page at the place of the cache that @addr leads to, which nobody need have mapped: by a mapping of its own with the same colour.
 *
 * Context: any; nobody else uses the mapping, since such machines have one CPU. Differs: entry of fixmap's table, and a line at a time; the kernel has
 * one instruction for the range.
 */
function flush_pfn_alias(k: Kernel, pfn: Pfn, addr: number): void {
  const to = vaddr(ALIAS_FLUSH_START + CACHE_COLOUR(addr) * 4096);
  set_pte_ext(k, fixmapPte(k, to), mk_pte(pfn, PAGE_KERNEL(k)));
  local_flush_tlb_kernel_page(k, to);
  flush_dcache_page_at(k, to);
}

/** At the kernel's address. A highmem page has one only while it is mapped, by kmap() if addresses count. Source: as of 4.10. */
function flush_kernel_alias(k: Kernel, page: Page): void {
  if (!PageHighMem(k, page)) flush_dcache_page_at(k, lowmem_page_address(k, page));
  else if (cache_is_vivt(k)) {
    const addr = kmap_high_get(k, page);
    if (addr === NULL) return;
    flush_dcache_page_at(k, addr);
    kunmap_high(k, page);
  } else {
    const addr = kmap_atomic(k, page, km_type.KM_USER0);
    flush_dcache_page_at(k, addr);
    kunmap_atomic(k, addr, km_type.KM_USER0);
  }
}

/** Clean and invalidate the page at the kernel's address, and where a cache has another place for it, at that of its users. */
function __flush_dcache_page(k: Kernel, mapping: AddressSpace, page: Page): void {
  flush_kernel_alias(k, page);
  if (mapping === NULL || !cache_is_vipt_aliasing(k)) return;
  flush_pfn_alias(k, page_to_pfn(k, page), (k.read(page, struct_page.index) & 3) * 4096);
}

/** The lines of one page at a user address, if the address space is that of the executing thread. */
function flush_cache_page(k: Kernel, vma: Vma, addr: Vaddr): void {
  if (k.read(vma, struct_vm_area_struct.vm_mm) === currentMm(k)) flush_dcache_page_at(k, addr);
}

const currentMm = (k: Kernel): number => k.read(k.current, struct_task_struct.mm);

/** Where @vma maps the page with index @pgoff. */
const addressIn = (k: Kernel, vma: Vma, pgoff: number): Vaddr =>
  vaddr(k.read(vma, struct_vm_area_struct.vm_start) + (pgoff - k.read(vma, struct_vm_area_struct.vm_pgoff)) * 4096);

/**
 * Every shared mapping of the page in the current address space; others have no lines in a virtually tagged cache.
 *
 * Context: any. Takes and releases tree_lock, and leaves interrupts on.
 */
function __flush_dcache_aliases(k: Kernel, mapping: AddressSpace, page: Page): void {
  const pgoff = k.read(page, struct_page.index);
  writeLockIrq(k, treeLockOf(k, mapping));
  const iter = vma_prio_tree_iter(iMmapOf(k, mapping), pgoff, pgoff);
  for (let vma = vma_prio_tree_next(k, iter); vma !== NULL; vma = vma_prio_tree_next(k, iter)) {
    if (k.read(vma, struct_vm_area_struct.vm_mm) !== currentMm(k)) continue;
    if ((k.read(vma, struct_vm_area_struct.vm_flags) & VM_MAYSHARE) === 0) continue;
    flush_cache_page(k, vma, addressIn(k, vma, pgoff));
  }
  writeUnlockIrq(k, treeLockOf(k, mapping));
}

/**
 * The kernel has written a page that user space may map, or is about to read one.
 *
 * On one CPU a page of a file that nobody maps is only marked; update_mmu_cache() does the work when it is mapped. A page that belongs to no
 * file is flushed at the kernel's address at once.
 *
 * Context: any; interrupts are on afterwards if a virtually tagged cache has to look for mappings.
 * Source:  arch/arm/mm/flush.c, Linux 2.6.22. Seed 001.
 */
export function flush_dcache_page(k: Kernel, page: Page): void {
  k.op();
  const mapping = page_mapping(k, page);
  if (k.config.cpus === 1 && mapping !== NULL && !mapping_mapped(k, mapping)) {
    set_bit(k, PG_dcache_dirty, flagsOf(page));
    return;
  }
  __flush_dcache_page(k, mapping, page);
  if (mapping !== NULL && cache_is_vivt(k)) __flush_dcache_aliases(k, mapping, page);
}

/**
 * The same for a range of addresses: proposed in seed 001 instead of flush_dcache_page() for what is no page. It needs no struct page, and
 * covers objects that cross pages. Differs: ARM 2.6.22 has no function of this name.
 *
 * Context: any.
 */
export function flush_dcache_range(k: Kernel, addr: Vaddr, bytes: number): void {
  k.op();
  const line = k.config.core.dcache.lineBytes;
  for (let at = addr & -line; at >>> 0 < addr + bytes; at += line) k.mmu.cacheLine(CacheOp.flush, at >>> 0);
  k.mmu.drain();
}

export const PAGE_SHARED = L_PTE_PRESENT | L_PTE_YOUNG | L_PTE_DIRTY | L_PTE_WRITE | L_PTE_USER | L_PTE_MT_WRITEBACK;

/** A page fault has been dealt with: @page is mapped at a user address. Context: process. */
export function set_user_pte(k: Kernel, vma: Vma, addr: Vaddr, page: Page): void {
  const pte = mk_pte(page_to_pfn(k, page), PAGE_SHARED);
  set_pte_ext(k, pte_offset_user(k, addr), pte);
  if (!k.patched['mutant-no-update-mmu-cache']) update_mmu_cache(k, vma, addr, pte);
}

export function clear_user_pte(k: Kernel, addr: Vaddr): void {
  pte_clear(k, pte_offset_user(k, addr));
  k.mmu.flushTlbPage(addr, true);
}

/**
 * A page has been mapped: what was only marked is flushed now, and on a virtually tagged cache other mappings in the same address space
 * become uncached.
 *
 * Context: process, the page table's lock held.
 */
export function update_mmu_cache(k: Kernel, vma: Vma, addr: Vaddr, pte: number): void {
  const page = pfn_to_page(k, pte_pfn(pte));
  const mapping = page_mapping(k, page);
  if (mapping === NULL) return;
  if (test_and_clear_bit(k, PG_dcache_dirty, flagsOf(page))) __flush_dcache_page(k, mapping, page);
  if (cache_is_vivt(k)) make_coherent(k, mapping, vma, addr, k.read(page, struct_page.index));
}

/** Source: arch/arm/mm/fault-armv.c, Linux 2.6.22. Differs: the write buffer is taken to be coherent, so mappings stay buffered. */
function make_coherent(k: Kernel, mapping: AddressSpace, vma: Vma, addr: Vaddr, pgoff: number): void {
  let aliases = 0;
  writeLockIrq(k, treeLockOf(k, mapping));
  const iter = vma_prio_tree_iter(iMmapOf(k, mapping), pgoff, pgoff);
  for (let other = vma_prio_tree_next(k, iter); other !== NULL; other = vma_prio_tree_next(k, iter)) {
    if (other === vma || k.read(other, struct_vm_area_struct.vm_mm) !== currentMm(k)) continue;
    if ((k.read(other, struct_vm_area_struct.vm_flags) & VM_MAYSHARE) === 0) continue;
    if (adjust_pte(k, other, addressIn(k, other, pgoff))) aliases++;
  }
  writeUnlockIrq(k, treeLockOf(k, mapping));
  if (aliases > 0) adjust_pte(k, vma, addr);
  else flush_cache_page(k, vma, addr);
}

const L_PTE_CACHEABLE = 1 << 3;

/** The mapping at @addr is no longer cached. Return: whether there was one that had been. */
function adjust_pte(k: Kernel, vma: Vma, addr: Vaddr): boolean {
  const ptep = pte_offset_user(k, addr);
  const pte = pte_read(k, ptep);
  if ((pte & L_PTE_PRESENT) === 0) return false;
  if ((pte & L_PTE_MT_MASK & L_PTE_CACHEABLE) !== 0) {
    flush_cache_page(k, vma, addr);
    set_pte_ext(k, ptep, (pte & ~L_PTE_CACHEABLE) >>> 0);
    k.mmu.flushTlbPage(addr, true);
  }
  return true;
}
