/**
 * Page-table entries of 32-bit ARM: each is a Linux word and, 2048 bytes below in the same page, the word that the hardware reads.
 * Source: arch/arm/include/asm/pgtable.h, arch/arm/mm/proc-*.S (`set_pte_ext`), Linux 2.6.30; spec/hardware.md §2.5.
 */
import { CacheOp } from '../../cpu/cpu-cache.js';
import type { Kernel } from '../../cpu/kernel.js';
import type { Paddr, Pfn, Ptr, Vaddr } from '../../shared/types.js';
import { vaddr } from '../../shared/types.js';
import { LINUX_2_6 } from '../../shared/version.js';
import { clean_dcache_area } from './cache.js';

export type PteP = Ptr<'pte'>;

export const L_PTE_PRESENT = 1 << 0;
export const L_PTE_YOUNG = 1 << 1;
export const L_PTE_MT_MASK = 0xf << 2;
export const L_PTE_MT_UNCACHED = 0 << 2;
export const L_PTE_MT_BUFFERABLE = 1 << 2;
export const L_PTE_MT_WRITETHROUGH = 2 << 2;
export const L_PTE_MT_WRITEBACK = 3 << 2;
export const L_PTE_MT_WRITEALLOC = 7 << 2;
export const L_PTE_DIRTY = 1 << 6;
export const L_PTE_WRITE = 1 << 7;
export const L_PTE_USER = 1 << 8;
export const L_PTE_EXEC = 1 << 9;

const PTE_TYPE_SMALL = 2;
const PTE_SMALL_AP_KRW = 0x55 << 4;
const PTE_SMALL_AP_KRW_URO = 0xaa << 4;
const PTE_SMALL_AP_URW = 0xff << 4;

/** Linux entry and hardware entry of a page are this far apart. */
export const PTE_HW_OFFSET = 2048;

/** PAGE_KERNEL: SMP kernels force write-allocate. */
export const PAGE_KERNEL = (k: Kernel): number =>
  L_PTE_PRESENT |
  L_PTE_YOUNG |
  L_PTE_DIRTY |
  L_PTE_WRITE |
  (k.config.cpus > 1 ? L_PTE_MT_WRITEALLOC : L_PTE_MT_WRITEBACK);

/** Normal memory that neither data cache nor write buffer keeps: `__ioremap` without flags, consistent memory. */
export const PAGE_KERNEL_UNCACHED = L_PTE_PRESENT | L_PTE_YOUNG | L_PTE_DIRTY | L_PTE_WRITE | L_PTE_MT_UNCACHED;

export const mk_pte = (pfn: Pfn, prot: number): number => ((pfn << 12) | prot) >>> 0;
export const pte_none = (pte: number): boolean => pte === 0;
export const pte_pfn = (pte: number): Pfn => (pte >>> 12) as Pfn;

/** The hardware word that the Linux word stands for: nothing unless present and young. */
export function hardwarePte(pte: number): number {
  const wanted = L_PTE_PRESENT | L_PTE_YOUNG;
  if ((pte & wanted) !== wanted) return 0;
  const writable = (pte & (L_PTE_WRITE | L_PTE_DIRTY)) === (L_PTE_WRITE | L_PTE_DIRTY);
  const user = (pte & L_PTE_USER) !== 0;
  const cacheBits = pte & 0xc;
  const ap = user ? (writable ? PTE_SMALL_AP_URW : PTE_SMALL_AP_KRW_URO) : PTE_SMALL_AP_KRW;
  return (pte & ~0xfff) | ap | cacheBits | PTE_TYPE_SMALL;
}

export function pte_read(k: Kernel, ptep: PteP): number {
  return k.load(ptep as Vaddr) >>> 0;
}

/**
 * Write an entry: Linux word, hardware word, clean of the hardware word's line, drain (v4, v5).
 *
 * Context: any; the table's lock is the caller's business. On v6 and v7 the entry may be invisible to the walker until the next DSB.
 * Source:  cpu_arm926_set_pte_ext, cpu_v7_set_pte_ext, Linux 2.6.30. Differs: page tables in static data are coherent with the
 *          walker, so the clean finds nothing to do there.
 */
export function set_pte_ext(k: Kernel, ptep: PteP, pte: number): void {
  const hw = vaddr(ptep - PTE_HW_OFFSET);
  k.store(ptep as Vaddr, pte);
  k.store(hw, hardwarePte(pte));
  k.mmu.cacheLine(CacheOp.clean, hw);
  // Feroceon's table walks read DRAM: its L2 line is cleaned as well.
  if (k.config.core.proc === 'feroceon') k.memory.outer?.cleanLine(k.__pa(hw));
  if (k.config.core.proc !== 'v6' && k.config.core.proc !== 'v7') k.mmu.drain();
}

/** Set to 0; the mm and address arguments of the kernel's macro are not even evaluated on ARM. */
export function pte_clear(k: Kernel, ptep: PteP): void {
  set_pte_ext(k, ptep, 0);
}

// ---- the first level -------------------------------------------------------------------------------------------------

/** A pair of adjacent first-level words: the Linux view of a page-table page is one table of 512 entries, 2 MB. */
export type PmdP = Ptr<'pmd'>;

export const PGDIR_SHIFT = 21;
export const PGDIR_SIZE = 1 << PGDIR_SHIFT;
/** 2.5.53 declares PMD_SHIFT 20: its loops step through half an entry at a time, and find the table there the second time. */
export const PMD_SIZE = (k: Kernel): number => (k.LINUX_VERSION_CODE < LINUX_2_6 ? 1 << 20 : PGDIR_SIZE);
export const PTRS_PER_PTE = 512;
/** Hardware words in a page-table page, in bytes: two tables of 256 entries. */
export const PTE_HW_BYTES = PTRS_PER_PTE * 4;
const PMD_TYPE_TABLE = 1;
const HW_TABLE_BYTES = 1024;

/** The kernel's first-level entry of an address. The level between is folded, so it serves as pmd as well. */
export const pgd_offset_k = (k: Kernel, addr: number): PmdP =>
  (k.sym.swapper_pg_dir + (addr >>> PGDIR_SHIFT) * 8) as PmdP;

export function pmd_none(k: Kernel, pmd: PmdP): boolean {
  return k.load(pmd as Vaddr) === 0;
}

/** Not a table: a section, or nonsense. */
export function pmd_bad(k: Kernel, pmd: PmdP): boolean {
  return (k.load(pmd as Vaddr) & 3) !== PMD_TYPE_TABLE;
}

/** The Linux entry of an address in the table that @pmd names. One load: the entry must not be empty. */
export function pte_offset_kernel(k: Kernel, pmd: PmdP, addr: number): PteP {
  const table = (k.load(pmd as Vaddr) & ~0xfff) >>> 0;
  const index = (addr >>> 12) & (PTRS_PER_PTE - 1);
  return (k.__va(table as Paddr) + PTE_HW_OFFSET + index * 4) as PteP;
}

/**
 * Enter a page-table page: two first-level words, one for each half of the hardware table.
 *
 * Context: init_mm.page_table_lock held.
 * Source:  include/asm-arm/pgalloc.h, Linux 2.6.22. Differs: the first-level table is static data and coherent with the walker, so there is
 *          no clean of its line.
 */
export function pmd_populate_kernel(k: Kernel, pmd: PmdP, ptep: PteP): void {
  const table = k.__pa((ptep - PTE_HW_OFFSET) as Vaddr);
  k.store(pmd as Vaddr, table | PMD_TYPE_TABLE);
  k.store((pmd + 4) as Vaddr, (table + HW_TABLE_BYTES) | PMD_TYPE_TABLE);
}

/** A table page that has been cleared: its hardware half is cleaned to memory. Return: the Linux half. Source: pte_alloc_one_kernel(), 2.5.53 to 4.12. */
export function pte_table_init(k: Kernel, page: Vaddr): PteP {
  clean_dcache_area(k, page, PTE_HW_BYTES);
  return (page + PTE_HW_OFFSET) as PteP;
}
