/**
 * kmap() and kunmap() of PA-RISC: there is no highmem, and PA-8800 uses them to keep the kernel's alias of a page out of its caches.
 * Source: arch/parisc/include/asm/cacheflush.h (ARCH_HAS_KMAP), Linux 2.6.30; spec/highmem.md §8.
 *
 * Kernels are configured for PA8X00 here if the core is PA-RISC 2.0; others have include/linux/highmem.h's versions.
 */
import { flush_kernel_dcache_page_addr } from '../../arch/parisc/cache.js';
import { parisc_requires_coherency } from '../../arch/parisc/memory.js';
import type { Kernel } from '../../cpu/kernel.js';
import { might_sleep, preempt_disable, preempt_enable } from '../../shared/irqflags.js';
import type { Vaddr } from '../../shared/types.js';
import { lowmem_page_address, type Page } from '../page.js';

/** CONFIG_PA8X00. */
const ARCH_HAS_KMAP = (k: Kernel): boolean => k.config.core.parisc?.pa20 === true;

/** Context: process, may sleep. Return: the linear address. */
export function kmap(k: Kernel, page: Page): Vaddr {
  might_sleep(k, 'include/asm/cacheflush.h:0');
  return lowmem_page_address(k, page);
}

/**
 * Flush a page through its linear address, if the CPU bears no inequivalent alias.
 *
 * Context: as purge_tlb_start().
 */
export function kunmap_parisc(k: Kernel, addr: Vaddr): void {
  if (!parisc_requires_coherency(k) || k.patched['mutant-kunmap-no-flush']) return;
  flush_kernel_dcache_page_addr(k, addr);
}

export function kunmap(k: Kernel, page: Page): void {
  if (ARCH_HAS_KMAP(k)) kunmap_parisc(k, lowmem_page_address(k, page));
}

/** With ARCH_HAS_KMAP neither preemption nor page faults are disabled. Context: any. */
export function kmap_atomic(k: Kernel, page: Page, _idx: number): Vaddr {
  if (!ARCH_HAS_KMAP(k)) preempt_disable(k);
  return lowmem_page_address(k, page);
}

/** The address selects the page that is flushed, with ARCH_HAS_KMAP. Context: any. */
export function kunmap_atomic(k: Kernel, addr: Vaddr, _idx: number): void {
  if (ARCH_HAS_KMAP(k)) kunmap_parisc(k, addr);
  else preempt_enable(k);
}
