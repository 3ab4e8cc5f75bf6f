/**
 * Cache maintenance. Source: arch/parisc/kernel/{cache.c,pacache.S}, arch/parisc/include/asm/cacheflush.h, Linux 2.6.30; spec/highmem.md §8.
 *
 * FDC writes back and invalidates, so lines that are only partly inside a range lose nothing. Each line is a step.
 */
import { CacheOp } from '../../cpu/cpu-cache.js';
import type { Kernel } from '../../cpu/kernel.js';
import { CallFunction, on_each_cpu } from '../../cpu/smp.js';
import { type Vaddr, vaddr } from '../../shared/types.js';
import { pdtlb_kernel } from './tlb.js';

/** Bytes between two lines, which firmware tells. */
export const dcache_stride = (k: Kernel): number => k.config.core.dcache.lineBytes;

function eachLine(k: Kernel, op: CacheOp, start: number, end: number): void {
  const stride = dcache_stride(k);
  for (let line = vaddr(start & -stride); line < end; line = vaddr(line + stride)) k.mmu.cacheLine(op, line);
}

/** FDC over [start, end). Context: any. */
export function flush_kernel_dcache_range_asm(k: Kernel, start: Vaddr, end: Vaddr): void {
  eachLine(k, CacheOp.flush, start, end);
}

export function flush_kernel_dcache_range(k: Kernel, start: Vaddr, size: number): void {
  flush_kernel_dcache_range_asm(k, start, vaddr(start + size));
}

/** FDC over one page. */
export function flush_kernel_dcache_page_asm(k: Kernel, addr: Vaddr): void {
  eachLine(k, CacheOp.flush, addr & ~0xfff, (addr & ~0xfff) + 4096);
}

/** PDC over one page: dirty bytes are lost. */
export function purge_kernel_dcache_page_asm(k: Kernel, addr: Vaddr): void {
  eachLine(k, CacheOp.invalidate, addr & ~0xfff, (addr & ~0xfff) + 4096);
}

/**
 * Flush a page through its kernel address, and take its translation away, without which no line of it can be moved in.
 *
 * Context: as purge_tlb_start(). Takes and releases pa_tlb_lock.
 * Source:  flush_kernel_dcache_page_addr(), Linux 2.6.30.
 */
export function flush_kernel_dcache_page_addr(k: Kernel, addr: Vaddr): void {
  flush_kernel_dcache_page_asm(k, addr);
  if (!k.patched['mutant-flush-without-purge']) pdtlb_kernel(k, addr & ~0xfff);
}

/** What a CPU does when it is called: FDCE loops over its own cache. */
export function flush_data_cache_local(k: Kernel): void {
  k.mmu.cache.flushAll();
}

/** Every CPU flushes its own cache. Context: process, interrupts enabled. */
export function flush_cache_all(k: Kernel): void {
  on_each_cpu(k, CallFunction.flush_cache_all, 0, 0);
}

/** FDC over the user range. Source: flush_user_dcache_range(), below parisc_cache_flush_threshold. */
export function flush_user_dcache_range(k: Kernel, start: Vaddr, end: Vaddr): void {
  eachLine(k, CacheOp.flush, start, end);
}
