/**
 * Entries of the kernel's page tables for a range of vmalloc addresses, from 2.6.22 on.
 *
 * Source: mm/vmalloc.c (`vmap_page_range`, `vunmap_page_range`; before 2.6.28 `map_vm_area`, `unmap_kernel_range`), Linux 2.6.22, 2.6.28, 4.12;
 * spec/vmalloc-gfp.md §6.3, §6.5. No lock is held: the range belongs to one area.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { WARN_ON } from '../../shared/bug.js';
import { NULL, type Ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { debug_pagealloc_enabled } from '../debug-pagealloc.js';
import { pte_alloc_kernel } from '../memory.js';
import { page_to_pfn } from '../page.js';
import { PAGE_SIZE } from './vm-struct.js';

export const ENOMEM = 12;
export const EBUSY = 16;
export const EINVAL = 22;

const tableEnd = (k: Kernel, addr: number, end: number): number =>
  Math.min(addr - (addr % k.arch.PGDIR_SIZE) + k.arch.PGDIR_SIZE, end);

/**
 * Enter pages at [start, end). Tables are allocated with GFP_KERNEL, whatever the caller's mask.
 *
 * Context: process, sleeps. flush_cache_vmap() is the caller's business.
 * Return:  0, -ENOMEM, or from 2.6.28 on -EBUSY for an entry that is in use. What has been entered stays.
 */
export function vmap_page_range_noflush(k: Kernel, start: number, end: number, prot: number, pages: Vaddr): number {
  let index = 0;
  for (let addr = start; addr < end; ) {
    const next = tableEnd(k, addr, end);
    let ptep = pte_alloc_kernel(k, k.arch.pgd_offset_k(k, addr), addr);
    if (ptep === NULL) return -ENOMEM;
    for (; addr < next; addr += PAGE_SIZE, index++, ptep = (ptep + 4) as Ptr<'pte'>) {
      const error = enter(k, ptep, vaddr(pages + index * 4), prot);
      if (error !== 0) return error;
    }
  }
  return 0;
}

function enter(k: Kernel, ptep: Ptr<'pte'>, at: Vaddr, prot: number): number {
  const page = k.loadPtr<'page'>(at);
  const used = WARN_ON(k, !k.arch.pte_none(k.arch.pte_read(k, ptep)), 'mm/vmalloc.c vmap_pte_range()');
  if (used && k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 28)) return -EBUSY;
  if (WARN_ON(k, page === NULL, 'mm/vmalloc.c vmap_pte_range()')) return -ENOMEM;
  k.arch.set_pte(k, ptep, k.arch.mk_pte(page_to_pfn(k, page), prot));
  return 0;
}

/** The same, and what the caches need afterwards, even if it failed. */
export function vmap_page_range(k: Kernel, start: number, end: number, prot: number, pages: Vaddr): number {
  const error = vmap_page_range_noflush(k, start, end, prot, pages);
  flush_cache_vmap(k, start, end);
  return error;
}

/**
 * With CONFIG_DEBUG_PAGEALLOC addresses that are given back fault at once, although they wait for a purge as ever.
 *
 * Context: as flush_tlb_kernel_range(). Source: mm/vmalloc.c, Linux 2.6.30, 4.12.
 */
export function vmap_debug_free_range(k: Kernel, start: number, end: number): void {
  if (!debug_pagealloc_enabled(k)) return;
  vunmap_page_range(k, start, end);
  k.arch.flush_tlb_kernel_range(k, vaddr(start), vaddr(end));
}

/** Clear the entries of [start, end). No maintenance of caches and TLB. Context: any. */
export function vunmap_page_range(k: Kernel, start: number, end: number): void {
  for (let addr = start; addr < end; ) {
    const next = tableEnd(k, addr, end);
    const pmd = k.arch.pgd_offset_k(k, addr);
    if (k.arch.pmd_none(k, pmd)) {
      addr = next;
      continue;
    }
    for (; addr < next; addr += PAGE_SIZE) {
      const ptep = k.arch.pte_offset_kernel(k, pmd, addr);
      const pte = k.arch.pte_read(k, ptep);
      k.arch.pte_clear(k, ptep);
      WARN_ON(k, !k.arch.pte_none(pte) && !k.arch.pte_present(pte), 'mm/vmalloc.c vunmap_pte_range()');
    }
  }
}

/**
 * Clear the entries of @size bytes from @addr on, with what caches and TLBs need before and after it. The addresses stay reserved.
 *
 * Context: interrupts on where the TLB is flushed by inter-processor call.
 */
export function unmap_kernel_range(k: Kernel, addr: number, size: number): void {
  addr = vaddr(addr);
  const end = addr + size;
  flush_cache_vunmap(k, addr, end);
  vunmap_page_range(k, addr, end);
  k.arch.flush_tlb_kernel_range(k, vaddr(addr), vaddr(end));
}

/**
 * Before the entries of a range are cleared, and after they are set: on caches that are looked up by virtual address everything is written back. A physically
 * tagged one without aliases needs nothing from 4.x on.
 *
 * Source: arch/arm/include/asm/cacheflush.h, Linux 2.6.22, 4.12.
 */
function flush_cache_vmap_range(k: Kernel): void {
  const aliases = k.arch.id !== 'arm' || k.config.core.dcache.indexBy === 'VA';
  if (aliases || k.LINUX_VERSION_CODE < KERNEL_VERSION(2, 6, 31)) k.arch.flush_cache_all(k);
  else k.mmu.drain();
}

export function flush_cache_vmap(k: Kernel, _start: number, _end: number): void {
  if (!k.patched['mutant-no-vmap-flush']) flush_cache_vmap_range(k);
}

export function flush_cache_vunmap(k: Kernel, _start: number, _end: number): void {
  if (!k.patched['mutant-vunmap-no-cache-flush']) flush_cache_vmap_range(k);
}
