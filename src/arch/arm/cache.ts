/**
 * Cache maintenance of the CPU types: whole cache and ranges. Source: arch/arm/mm/{proc-arm920,proc-arm926,proc-xscale,
 * proc-xsc3,proc-feroceon,cache-v6,cache-v7,cache-l2x0}.S/.c, Linux 2.6.30 and 2.6.34; spec/highmem.md §9.6.
 *
 * Ranges are [start, end). Every loop is do-while: at least one line is processed, even for an empty range. Each line is a step
 * of its own, except in Feroceon's range operations.
 */
import { CacheOp } from '../../cpu/cpu-cache.js';
import type { Kernel } from '../../cpu/kernel.js';
import { local_irq_restore, local_irq_save } from '../../shared/irqflags.js';
import { Point } from '../../shared/point.js';
import { type SpinLock, spin_lock_irqsave, spin_unlock_irqrestore } from '../../shared/spinlock.js';
import type { Paddr, Vaddr } from '../../shared/types.js';
import { vaddr } from '../../shared/types.js';

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    l2x0_lock: SpinLock;
  }
}

const isV6plus = (k: Kernel): boolean => k.config.core.proc === 'v6' || k.config.core.proc === 'v7';

/** Clean and invalidate the executing CPU's whole data cache; there is no cross-CPU variant. */
export function flush_cache_all(k: Kernel): void {
  k.mmu.cache.flushAll();
  k.mmu.drain();
}

function eachLine(k: Kernel, op: CacheOp, start: number, end: number): void {
  const bytes = k.config.core.dcache.lineBytes;
  let line = vaddr(start & -bytes);
  do {
    k.mmu.cacheLine(op, line);
    line = vaddr(line + bytes);
  } while (line < end);
}

/**
 * Invalidate a range, without losing what its neighbours have in the first and last line: partial lines are cleaned first.
 *
 * Context: any. v6 and v7 translate: a line without a mapping is a fault.
 */
export function dma_inv_range(k: Kernel, start: Vaddr, end: Vaddr): void {
  if (isV6plus(k)) invRangeV6(k, start, end);
  else if (k.config.core.proc === 'feroceon') invRangeFeroceon(k, start, end);
  else {
    cleanEdges(k, start, end);
    eachLine(k, CacheOp.invalidate, start, end);
  }
  k.mmu.drain();
}

function cleanEdges(k: Kernel, start: Vaddr, end: Vaddr): void {
  if (k.patched['mutant-no-edge-clean']) return;
  const partial = k.config.core.dcache.lineBytes - 1;
  if ((start & partial) !== 0) k.mmu.cacheLine(CacheOp.clean, vaddr(start & ~partial));
  if ((end & partial) !== 0) k.mmu.cacheLine(CacheOp.clean, vaddr(end & ~partial));
}

/** Edges first, the last line aligned down; v6 cleans the first line, v7 cleans and invalidates both. */
function invRangeV6(k: Kernel, start: Vaddr, end: Vaddr): void {
  const partial = k.config.core.dcache.lineBytes - 1;
  const edges = !k.patched['mutant-no-edge-clean'];
  const first = k.config.core.proc === 'v6' ? CacheOp.clean : CacheOp.flush;
  if ((start & partial) !== 0 && edges) k.mmu.cacheLine(first, vaddr(start & ~partial));
  if ((end & partial) !== 0 && edges) k.mmu.cacheLine(CacheOp.flush, vaddr(end & ~partial));
  eachLine(k, CacheOp.invalidate, start, edges ? vaddr(end & ~partial) : end);
}

/** Edges by line, then one hardware range operation with interrupts off for the register pair. */
function invRangeFeroceon(k: Kernel, start: Vaddr, end: Vaddr): void {
  cleanEdges(k, start, end);
  rangeOp(k, CacheOp.invalidate, start, end);
}

function rangeOp(k: Kernel, op: CacheOp, start: Vaddr, end: Vaddr): void {
  const flags = local_irq_save(k);
  k.mmu.cacheRange(op, start, end);
  local_irq_restore(k, flags);
}

/** Write dirty lines of a range to memory. Context: any. */
export function dma_clean_range(k: Kernel, start: Vaddr, end: Vaddr): void {
  if (k.config.core.proc === 'feroceon') rangeOp(k, CacheOp.clean, start, end);
  else eachLine(k, CacheOp.clean, start, end);
  k.mmu.drain();
}

/** Write dirty lines of a range to memory, as page-table code does for the walker's sake. Context: any. */
export function clean_dcache_area(k: Kernel, start: Vaddr, bytes: number): void {
  eachLine(k, CacheOp.clean, start, start + bytes);
  k.mmu.drain();
}

/** Clean and invalidate a range. XScale needs two operations a line, and an interrupt may come between them. Context: any. */
export function dma_flush_range(k: Kernel, start: Vaddr, end: Vaddr): void {
  if (k.config.core.proc === 'feroceon') rangeOp(k, CacheOp.flush, start, end);
  else if (k.config.core.proc === 'xscale') {
    const bytes = k.config.core.dcache.lineBytes;
    let line = vaddr(start & -bytes);
    do {
      k.mmu.cacheLine(CacheOp.clean, line);
      k.mmu.cacheLine(CacheOp.invalidate, line);
      line = vaddr(line + bytes);
    } while (line < end);
  } else eachLine(k, CacheOp.flush, start, end);
  k.mmu.drain();
}

/** Clean and invalidate one page by address. Source: __cpuc_flush_dcache_page. */
export function flush_dcache_page_at(k: Kernel, addr: Vaddr): void {
  eachLine(k, CacheOp.flush, addr, addr + 4096);
  k.mmu.drain();
}

type OuterOp = 'cleanLine' | 'invalidateLine' | 'flushLine';

/**
 * The outer cache, by physical address; nothing without one. Partial first and last lines of an invalidation are flushed.
 *
 * Context: any. Takes and releases l2x0_lock (irqsave) for each line.
 * Differs: from 2.6.33 the kernel holds it for 4 KB at a time; the final cache_sync has nothing to wait for here.
 * Source:  arch/arm/mm/cache-l2x0.c, Linux 2.6.30.
 */
function outerRange(k: Kernel, op: OuterOp, start: Paddr, end: Paddr): void {
  const outer = k.memory.outer;
  if (outer === null) return;
  const bytes = outer.store.geometry.lineBytes;
  for (let line = start & -bytes; line >>> 0 < end; line += bytes) {
    const pa = (line >>> 0) as Paddr;
    const partial = op === 'invalidateLine' && (pa < start || pa + bytes > end);
    const flags = spin_lock_irqsave(k, k.sym.l2x0_lock);
    k.point(Point.CacheOp, pa);
    outer[partial ? 'flushLine' : op](pa);
    spin_unlock_irqrestore(k, k.sym.l2x0_lock, flags);
  }
}

export const outer_inv_range = (k: Kernel, start: Paddr, end: Paddr): void =>
  outerRange(k, 'invalidateLine', start, end);
export const outer_clean_range = (k: Kernel, start: Paddr, end: Paddr): void => outerRange(k, 'cleanLine', start, end);
export const outer_flush_range = (k: Kernel, start: Paddr, end: Paddr): void => outerRange(k, 'flushLine', start, end);
