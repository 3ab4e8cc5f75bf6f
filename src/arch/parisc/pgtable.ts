/**
 * Page tables of 32-bit PA-RISC: two levels of 1024 words, no part of them known to the hardware, which has a TLB filled by software.
 * Source: arch/parisc/include/asm/{pgtable,pgalloc}.h, Linux 2.6.30; spec/hardware.md §3.5.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { type Paddr, type Pfn, type Ptr, ptr, type Vaddr } from '../../shared/types.js';
import { PGDIR_SHIFT, PTRS_PER_PTE } from './memory.js';

export type PteP = Ptr<'pte'>;
/** A first-level entry: the middle level is folded. */
export type PmdP = Ptr<'pmd'>;

export const _PAGE_READ = 0x001;
export const _PAGE_WRITE = 0x002;
export const _PAGE_EXEC = 0x004;
export const _PAGE_GATEWAY = 0x008;
export const _PAGE_DMB = 0x010;
export const _PAGE_DIRTY = 0x020;
export const _PAGE_REFTRAP = 0x040;
export const _PAGE_NO_CACHE = 0x080;
export const _PAGE_ACCESSED = 0x100;
export const _PAGE_PRESENT = 0x200;
/** The translation is good for cache flushes only. */
export const _PAGE_FLUSH = 0x400;
export const _PAGE_USER = 0x800;

/** Flags of a first-level entry; the table's physical address stands above them, shifted. */
export const PxD_FLAG_PRESENT = 1;
export const PxD_FLAG_VALID = 4;
const PxD_FLAG_MASK = 0xf;
const PxD_VALUE_SHIFT = 8;

const _PAGE_TABLE = _PAGE_PRESENT | _PAGE_READ | _PAGE_WRITE | _PAGE_DIRTY | _PAGE_ACCESSED;
export const _PAGE_KERNEL = _PAGE_TABLE | _PAGE_EXEC;
export const PAGE_KERNEL = (_k: Kernel): number => _PAGE_KERNEL;
export const PAGE_KERNEL_UNC = _PAGE_KERNEL | _PAGE_NO_CACHE;
/** The page that user code calls to enter the kernel: nobody may load from it. */
export const PAGE_GATEWAY = _PAGE_PRESENT | _PAGE_USER | _PAGE_ACCESSED | _PAGE_GATEWAY;
export const PAGE_SHARED = _PAGE_PRESENT | _PAGE_USER | _PAGE_READ | _PAGE_WRITE | _PAGE_ACCESSED;

export const mk_pte = (pfn: Pfn, prot: number): number => ((pfn << 12) | prot) >>> 0;
/** An entry that only serves flushes counts as none. */
export const pte_none = (pte: number): boolean => pte === 0 || (pte & _PAGE_FLUSH) !== 0;
export const pte_present = (pte: number): boolean => (pte & _PAGE_PRESENT) !== 0;
export const pte_pfn = (pte: number): Pfn => (pte >>> 12) as Pfn;

/** A first-level entry that points to the table at @table. */
export const pgdOf = (table: Paddr): number => (PxD_FLAG_PRESENT | PxD_FLAG_VALID) + (table >>> PxD_VALUE_SHIFT);
export const pgd_present = (pgd: number): boolean => (pgd & PxD_FLAG_PRESENT) !== 0;
export const pgd_address = (pgd: number): Paddr => (((pgd & ~PxD_FLAG_MASK) << PxD_VALUE_SHIFT) >>> 0) as Paddr;

export const pgd_index = (addr: number): number => addr >>> PGDIR_SHIFT;
export const pte_index = (addr: number): number => (addr >>> 12) & (PTRS_PER_PTE - 1);
/** First-level entry of a kernel address. */
export const pgd_offset_k = (k: Kernel, addr: number): PmdP => ptr<'pmd'>(k.sym.swapper_pg_dir + pgd_index(addr) * 4);
export const PGDIR_SIZE = 1 << PGDIR_SHIFT;
export const PMD_SIZE = (_k: Kernel): number => PGDIR_SIZE;

export const pmd_none = (k: Kernel, pmd: PmdP): boolean => k.load(pmd as Vaddr) === 0;
export const pmd_bad = (k: Kernel, pmd: PmdP): boolean => (k.load(pmd as Vaddr) & PxD_FLAG_VALID) === 0;

/** Second-level entry of @addr in the table of a first-level entry, which is loaded and must not be empty. */
export function pte_offset_kernel(k: Kernel, pmd: PmdP, addr: number): PteP {
  return ptr<'pte'>(k.__va(pgd_address(k.load(pmd as Vaddr))) + pte_index(addr) * 4);
}

/** Second-level entry of a user address. */
export const pte_offset_user = (k: Kernel, addr: number): PteP =>
  pte_offset_kernel(k, ptr<'pmd'>(k.sym.user_pg_dir + pgd_index(addr) * 4), addr);

/** Enter a page-table page. Context: init_mm.page_table_lock held. */
export function pmd_populate_kernel(k: Kernel, pmd: PmdP, ptep: PteP): void {
  k.store(pmd as Vaddr, pgdOf(k.__pa(ptep as Vaddr)));
}

/** A cleared page is an empty table. */
export const pte_table_init = (_k: Kernel, page: Vaddr): PteP => ptr<'pte'>(page);

export const pte_read = (k: Kernel, ptep: PteP): number => k.load(ptep as Vaddr) >>> 0;

/** Only stores the entry; TLB purges are the caller's business. Source: set_pte_at(), Linux 2.6.30. */
export function set_pte(k: Kernel, ptep: PteP, pte: number): void {
  k.store(ptep as Vaddr, pte);
}

export function pte_clear(k: Kernel, ptep: PteP): void {
  set_pte(k, ptep, 0);
}

/** The page is gone for loads and stores; a later FDC of its address still finds it. */
export function ptep_get_and_clear(k: Kernel, ptep: PteP): number {
  const old = pte_read(k, ptep);
  if (pte_present(old)) set_pte(k, ptep, ((old & ~_PAGE_PRESENT) | _PAGE_FLUSH) >>> 0);
  return old;
}

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    /** First-level table of the user addresses (CR25). */
    user_pg_dir: Vaddr;
  }
}
