/**
 * The address map of 32-bit PA-RISC Linux, with the kernel's names. Source: arch/parisc/include/asm/{page,fixmap,pgtable,shmparam}.h,
 * arch/parisc/mm/init.c, Linux 2.6.30; spec/hardware.md §3.5.
 *
 * Differs: there is one 32-bit space. On the machine user addresses are in a space of their own and may be equal to kernel addresses;
 * here they are those from USER_START on, where no kernel address is.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { type Vaddr, vaddr } from '../../shared/types.js';

export const __PAGE_OFFSET = 0x10000000;
export const GATEWAY_PAGE_SIZE = 0x4000;
/** (x + 0x8000) & ~0x7fff, applied to KERNEL_MAP_START. */
export const MAP_START = 0x8000;
/** 8 MB, on machines with pcxl_dma_ops. */
export const PCXL_DMA_MAP_SIZE = 8 << 20;
/** TMPALIAS_MAP_START. */
export const TMPALIAS_MAP_START = __PAGE_OFFSET - 0x1000000;
export const VMALLOC_END = (_k: Kernel): Vaddr => vaddr(TMPALIAS_MAP_START);

export const SHMLBA = 0x00400000;
export const USER_START = 0x40000000;
export const USER_END = 0xf0000000;
export const isUserAddress = (va: number): boolean => va >= USER_START && va < USER_END;

/** First-level entries map 4 MB. */
export const PGDIR_SHIFT = 22;
export const PTRS_PER_PTE = 1024;

export const hasPcxlMap = (k: Kernel): boolean => k.config.core.parisc?.uncachedRam === true;
/** The DMA map comes first where there is one. */
export const VMALLOC_START = (k: Kernel): Vaddr =>
  vaddr(hasPcxlMap(k) ? (MAP_START + PCXL_DMA_MAP_SIZE + 0x8000) & ~0x7fff : MAP_START);

/** Does the CPU want no inequivalent alias, not even a clean one? Source: parisc_requires_coherency(). */
export const parisc_requires_coherency = (k: Kernel): boolean => k.config.core.proc === 'mako';
