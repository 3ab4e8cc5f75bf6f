/**
 * Coherence of page cache pages between the kernel's address of a page and user space's, on PA-RISC.
 *
 * Source: arch/parisc/kernel/cache.c, include/asm-parisc/cacheflush.h, Linux 2.6.22; spec/slab-dma.md §3.4. All mappings of a file are congruent modulo
 * SHMLBA, so flushing one of them flushes all.
 * Differs: there is one space, so nothing is loaded into space registers for a VMA of another address space. Left out: instruction caches.
 */
import { flush_kernel_dcache_page_addr, flush_user_dcache_range } from '../../arch/parisc/cache.js';
import { parisc_requires_coherency } from '../../arch/parisc/memory.js';
import { _PAGE_FLUSH, mk_pte, PAGE_SHARED, pte_offset_user, pte_pfn, pte_present } from '../../arch/parisc/pgtable.js';
import type { Kernel } from '../../cpu/kernel.js';
import { set_bit, test_and_clear_bit } from '../../shared/atomic.js';
import { struct_vm_area_struct } from '../../shared/structs/configured.js';
import { PG_dcache_dirty, struct_page } from '../../shared/structs/page.js';
import { NULL, type Pfn, type Vaddr, vaddr } from '../../shared/types.js';
import { type AddressSpace, iMmapOf, mapping_mapped, page_mapping, treeLockOf } from '../filemap.js';
import { writeLockIrq, writeUnlockIrq } from '../lock-types.js';
import { lowmem_page_address, type Page, page_to_pfn, pfn_to_page } from '../page.js';
import { type Vma, vma_prio_tree_iter, vma_prio_tree_next } from '../prio_tree.js';

const flagsOf = (page: Page): Vaddr => vaddr(page + struct_page.flags.offset);

/** FDC over the page at the kernel's address, and its translation away. Takes and releases pa_tlb_lock. */
function flush_kernel_dcache_page(k: Kernel, page: Page): void {
  flush_kernel_dcache_page_addr(k, lowmem_page_address(k, page));
}

/** Does user space have this page at @addr? The page table is read without a lock. */
function translation_exists(k: Kernel, addr: Vaddr, pfn: Pfn): boolean {
  const pte = k.load(pte_offset_user(k, addr) as Vaddr) >>> 0;
  return ((pte & _PAGE_FLUSH) !== 0 || pte_present(pte)) && pte_pfn(pte) === pfn;
}

/** The first mapping that is there: others are congruent. Context: tree_lock held. */
function flushOneAlias(k: Kernel, mapping: AddressSpace, page: Page): void {
  const pgoff = k.read(page, struct_page.index);
  const iter = vma_prio_tree_iter(iMmapOf(k, mapping), pgoff, pgoff);
  for (let vma = vma_prio_tree_next(k, iter); vma !== NULL; vma = vma_prio_tree_next(k, iter)) {
    const offset = (pgoff - k.read(vma, struct_vm_area_struct.vm_pgoff)) * 4096;
    const addr = vaddr(k.read(vma, struct_vm_area_struct.vm_start) + offset);
    if (!translation_exists(k, addr, page_to_pfn(k, page))) continue;
    flush_user_dcache_range(k, addr, vaddr(addr + 4096));
    break;
  }
}

/**
 * The kernel has written a page that user space may map, or is about to read one. A page of a file that nobody maps is only marked, on any number
 * of CPUs.
 *
 * Context: any; interrupts are on afterwards for pages of files that are mapped.
 * Source:  arch/parisc/kernel/cache.c, Linux 2.6.22. Seed 001.
 */
export function flush_dcache_page(k: Kernel, page: Page): void {
  k.op();
  const mapping = page_mapping(k, page);
  if (mapping !== NULL && !mapping_mapped(k, mapping)) {
    set_bit(k, PG_dcache_dirty, flagsOf(page));
    return;
  }
  flush_kernel_dcache_page(k, page);
  if (mapping === NULL) return;
  writeLockIrq(k, treeLockOf(k, mapping));
  flushOneAlias(k, mapping, page);
  writeUnlockIrq(k, treeLockOf(k, mapping));
}

/** A page fault has been dealt with: @page is mapped at a user address of the window. Context: process. */
export function set_user_pte(k: Kernel, vma: Vma, addr: Vaddr, page: Page): void {
  const pte = mk_pte(page_to_pfn(k, page), PAGE_SHARED);
  k.store(pte_offset_user(k, addr) as Vaddr, pte);
  if (!k.patched['mutant-no-update-mmu-cache']) update_mmu_cache(k, vma, addr, pte);
}

/** What was only marked is flushed now; on PA-8800 every page is. Context: process. */
export function update_mmu_cache(k: Kernel, _vma: Vma, _addr: Vaddr, pte: number): void {
  const page = pfn_to_page(k, pte_pfn(pte));
  const marked = page_mapping(k, page) !== NULL && test_and_clear_bit(k, PG_dcache_dirty, flagsOf(page));
  if (marked || parisc_requires_coherency(k)) flush_kernel_dcache_page(k, page);
}
