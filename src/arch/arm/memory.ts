/**
 * The address map of 32-bit ARM Linux, with the kernel's names.
 * Source: arch/arm/include/asm/{memory,highmem,fixmap,kmap_types,pgtable}.h, Linux 2.6.30.
 * Differs: LAST_PKMAP is configurable, PKMAP_BASE follows from it (512 slots give the kernel's bfe00000).
 */
import type { MachineConfig } from '../../cpu/config.js';
import type { Kernel } from '../../cpu/kernel.js';
import { type Ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';

export const PAGE_MASK = 0xfffff000;
export const FIXADDR_START = 0xfff00000;
export const FIXADDR_TOP = 0xfffe0000;

/** Number of pkmap slots. A power of two: the wrap is by mask. */
export const LAST_PKMAP = (k: Kernel): number => k.config.pkmapSlots;
/** First pkmap address of a configuration; a running kernel has it in its System.map. */
export const pkmapBase = (config: MachineConfig): number => config.pageOffset - config.pkmapSlots * 4096;
export const PKMAP_ADDR = (k: Kernel, nr: number): Vaddr => (k.sym.PKMAP_BASE + nr * 4096) as Vaddr;
export const PKMAP_NR = (k: Kernel, vaddr: Vaddr): number => (vaddr - k.sym.PKMAP_BASE) >>> 12;

/** kmap_atomic types. Source: arch/arm/include/asm/kmap_types.h; KM_L1_CACHE from 2.6.34. */
export const km_type = {
  KM_BOUNCE_READ: 0,
  KM_SKB_SUNRPC_DATA: 1,
  KM_SKB_DATA_SOFTIRQ: 2,
  KM_USER0: 3,
  KM_USER1: 4,
  KM_BIO_SRC_IRQ: 5,
  KM_BIO_DST_IRQ: 6,
  KM_PTE0: 7,
  KM_PTE1: 8,
  KM_IRQ0: 9,
  KM_IRQ1: 10,
  KM_SOFTIRQ0: 11,
  KM_SOFTIRQ1: 12,
} as const;
export type km_type = number;

/** KM_L1_CACHE comes in before KM_L2_CACHE, so the latter moves. */
export const KM_TYPE_NR = (k: Kernel): number => (k.patched['kmap-high-l1-vipt'] ? 15 : 14);
export const KM_L1_CACHE = 13;

/** Address of a fixmap page: ascending, no bounds check. */
export const __fix_to_virt = (idx: number): Vaddr => ((FIXADDR_START + idx * 4096) >>> 0) as Vaddr;

/** Is the data cache looked up and tagged by virtual address? */
export const cache_is_vivt = (k: Kernel): boolean => k.config.core.dcache.tagBy === 'VA';
/** v6 and later: physically tagged. */
export const cache_is_vipt = (k: Kernel): boolean => !cache_is_vivt(k);
/** A page may be in several places of the cache, by the bits of its virtual address above the page offset. */
export const cache_is_vipt_aliasing = (k: Kernel): boolean => cache_is_vipt(k) && k.config.core.dcache.indexBy === 'VA';
export const cache_is_vipt_nonaliasing = (k: Kernel): boolean => cache_is_vipt(k) && !cache_is_vipt_aliasing(k);

/** Mappings that share memory agree in these bits of the address. Source: include/asm-arm/shmparam.h, Linux 2.6.22. */
export const SHMLBA = 4 * 4096;
/** Which of the places of a page in an aliasing cache an address leads to. Source: include/asm-arm/cacheflush.h, mm/mm.h. */
export const CACHE_COLOUR = (addr: number): number => (addr & (SHMLBA - 1)) >>> 12;
/** Pages at which flush_pfn_alias() maps what it flushes, one for each colour. Source: arch/arm/mm/flush.c. */
export const ALIAS_FLUSH_START = 0xffff4000;

/** First byte above the direct map. */
export const high_memory = (k: Kernel): number => k.config.pageOffset + k.config.lowmemPages * 4096;
export const virt_addr_valid = (k: Kernel, addr: number): boolean =>
  addr >= k.config.pageOffset && addr < high_memory(k);

/** End of user space: modules have the 16 MB below PAGE_OFFSET. Source: include/asm-arm/memory.h, Linux 2.6.22. */
export const TASK_SIZE = (k: Kernel): number => k.config.pageOffset - (16 << 20);

const VMALLOC_OFFSET = 8 << 20;

export const VMALLOC_START = (k: Kernel): Vaddr => vaddr((high_memory(k) + VMALLOC_OFFSET) & -VMALLOC_OFFSET);
/** The board's, of which the Integrator's is taken; one for all from 3.2 on. Source: arch/arm/include/asm/pgtable.h. */
export const VMALLOC_END = (k: Kernel): Vaddr =>
  vaddr(k.LINUX_VERSION_CODE < KERNEL_VERSION(3, 2, 0) ? k.config.pageOffset + 0x10000000 : 0xff800000);

/** `struct page` of a direct-mapped address. */
export const virt_to_page = (k: Kernel, addr: Vaddr): Ptr<'page'> =>
  (k.sym.mem_map + ((addr - k.config.pageOffset) >>> 12) * 32) as Ptr<'page'>;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    mem_map: Ptr<'page'>;
    swapper_pg_dir: Vaddr;
    pkmap_pte_page: Vaddr;
    fixmap_pte_page: Vaddr;
    PKMAP_BASE: Vaddr;
  }
}
