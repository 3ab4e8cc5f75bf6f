/**
 * Page-table entries of 32-bit ARM: each is a Linux word and, 2048 bytes below in the same page, the word that the hardware reads.
 * Source: arch/arm/include/asm/pgtable.h, arch/arm/mm/proc-*.S (`set_pte_ext`), Linux 2.6.30; spec/hardware.md §2.5.
 */
import { CacheOp } from '../../cpu/cpu-cache.js';
import type { Kernel } from '../../cpu/kernel.js';
import type { Pfn, Ptr, Vaddr } from '../../shared/types.js';
import { vaddr } from '../../shared/types.js';

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
