/**
 * arch/arm/mm/ioremap.c: physical memory into the vmalloc area, uncached.
 *
 * Source: arch/arm/mm/ioremap.c, Linux 2.5.53; spec/vmalloc-gfp.md §9.2. Left out: flags other than 0.
 */
import { flush_cache_all } from '../../arch/arm/cache.js';
import { mk_pte, PAGE_KERNEL_UNCACHED, type PmdP, pte_none, pte_read, set_pte_ext } from '../../arch/arm/pgtable.js';
import { flush_tlb_kernel_range } from '../../arch/arm/tlb.js';
import type { Kernel } from '../../cpu/kernel.js';
import { BUG } from '../../shared/bug.js';
import type { IrqFlags } from '../../shared/irqflags.js';
import { NULL, type Paddr, type Pfn, type Ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { lock_kernel_page_tables, pmd_alloc, pte_alloc_kernel_locked, unlock_kernel_page_tables } from '../memory.js';
import { PAGE_ALIGN, PAGE_SIZE, struct_vm_struct, VM_IOREMAP, wraps } from '../vmalloc/vm-struct.js';
import { __vunmap, get_vm_area } from '../vmalloc/vmlist.js';

/**
 * Context: process, sleeps; with the patch `rmk1` as @gfp_mask allows. Takes vmlist_lock and page_table_lock, one after the other.
 * Return:  the address, uncached; NULL without memory or room.
 * Errors:  BUG when an entry is in use.
 */
export function __ioremap(k: Kernel, phys_addr: Paddr, size: number, gfp_mask: number): Vaddr {
  if (size === 0 || wraps(phys_addr, size - 1)) return NULL;
  const bytes = (PAGE_ALIGN(phys_addr + size - 1) - phys_addr) >>> 0;
  const area = get_vm_area(k, bytes, VM_IOREMAP, gfp_mask);
  if (area === NULL) return NULL;
  const addr = vaddr(k.read(area, struct_vm_struct.addr));
  if (remap_area_pages(k, addr, phys_addr, bytes, gfp_mask)) return addr;
  __vunmap(k, addr, true);
  return NULL;
}

/** Context: as __ioremap(). Return: false without memory for a table. */
function remap_area_pages(k: Kernel, start: Vaddr, phys_addr: Paddr, size: number, gfp_mask: number): boolean {
  const end = start + size;
  flush_cache_all(k);
  const flags = lock_kernel_page_tables(k);
  let ok = true;
  for (let addr: number = start; addr < end && ok; ) {
    const next = Math.min(addr - (addr % k.arch.PGDIR_SIZE) + k.arch.PGDIR_SIZE, end);
    const pmd = pmd_alloc(k, k.arch.pgd_offset_k(k, addr), addr);
    ok = remap_area_pmd(k, pmd, addr, next, phys_addr - start, gfp_mask, flags);
    addr = next;
  }
  unlock_kernel_page_tables(k, flags);
  // flush_tlb_all() in the source: nobody has translations of addresses that were not mapped.
  flush_tlb_kernel_range(k, start, vaddr(end));
  return ok;
}

/** @delta: from virtual to physical addresses. */
function remap_area_pmd(
  k: Kernel,
  pmd: PmdP,
  start: number,
  end: number,
  delta: number,
  gfp_mask: number,
  flags: IrqFlags,
): boolean {
  const step = k.arch.PMD_SIZE(k);
  for (let addr = start; addr < end; ) {
    const next = Math.min(addr - (addr % step) + step, end);
    const ptep = pte_alloc_kernel_locked(k, pmd, addr, gfp_mask, flags);
    if (ptep === NULL) return false;
    remap_area_pte(k, ptep, addr, next, delta);
    addr = next;
  }
  return true;
}

function remap_area_pte(k: Kernel, ptep: Ptr<'pte'>, start: number, end: number, delta: number): void {
  for (let addr = start, pte = ptep; addr < end; addr += PAGE_SIZE, pte = (pte + 4) as Ptr<'pte'>) {
    if (!pte_none(pte_read(k, pte))) {
      k.printk('remap_area_pte: page already exists');
      BUG(k, 'arch/arm/mm/ioremap.c remap_area_pte', addr);
    }
    set_pte_ext(k, pte, mk_pte(((addr + delta) >>> 12) as Pfn, PAGE_KERNEL_UNCACHED));
  }
}
