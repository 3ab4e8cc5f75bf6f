/**
 * TLB maintenance. Source: arch/parisc/include/asm/tlbflush.h, arch/parisc/kernel/cache.c, Linux 2.6.30 and 2.6.31; spec/hardware.md §3.4, §6.2.
 *
 * A page is purged by an instruction that reaches every CPU. Some machines bear only one of those at a time, so all of them stand under
 * pa_tlb_lock: none before 2.6.10, a plain lock until 2.6.30, with interrupts off from 2.6.31 (patch `pa-tlb-lock-irqsave`).
 */
import type { Kernel } from '../../cpu/kernel.js';
import { CallFunction, on_each_cpu } from '../../cpu/smp.js';
import type { IrqFlags } from '../../shared/irqflags.js';
import {
  type SpinLock,
  spin_lock,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_irqrestore,
} from '../../shared/spinlock.js';
import { type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    pa_tlb_lock: SpinLock;
  }
}

/** From so many pages on a range is flushed as a whole. */
const WHOLE_TLB_PAGES = 512;

const hasNoLock = (k: Kernel): boolean =>
  k.LINUX_VERSION_CODE < KERNEL_VERSION(2, 6, 10) || k.patched['mutant-no-pa-tlb-lock'];

/** Context: any from 2.6.31; until then not in interrupts that may hit a CPU in such a section. Takes pa_tlb_lock. */
export function purge_tlb_start(k: Kernel): IrqFlags {
  if (hasNoLock(k)) return 0;
  if (k.patched['pa-tlb-lock-irqsave']) return spin_lock_irqsave(k, k.sym.pa_tlb_lock);
  spin_lock(k, k.sym.pa_tlb_lock);
  return 0;
}

/** Releases pa_tlb_lock. */
export function purge_tlb_end(k: Kernel, flags: IrqFlags): void {
  if (hasNoLock(k)) return;
  if (k.patched['pa-tlb-lock-irqsave']) spin_unlock_irqrestore(k, k.sym.pa_tlb_lock, flags);
  else spin_unlock(k, k.sym.pa_tlb_lock);
}

/** Remove one page's translation, on every CPU. Takes and releases pa_tlb_lock. */
export function flush_tlb_page(k: Kernel, addr: number): void {
  const flags = purge_tlb_start(k);
  k.mmu.flushTlbPage(addr, true);
  purge_tlb_end(k, flags);
}

/** pdtlb_kernel() with its lock. */
export const pdtlb_kernel = flush_tlb_page;

/** What a CPU does when it is called: PDTLBE loops over its own TLB. */
export function flush_tlb_all_local(k: Kernel): void {
  k.mmu.flushTlbAll();
}

/** Context: process, interrupts enabled: it waits for the other CPUs. */
export function flush_tlb_all(k: Kernel): void {
  on_each_cpu(k, CallFunction.flush_tlb_all, 0, 0);
}

/**
 * Remove the translations of [start, end) from every CPU's TLB. Takes and releases pa_tlb_lock, once for the whole range.
 *
 * Context: as purge_tlb_start() below 512 pages, as flush_tlb_all() from there on.
 * Source:  flush_tlb_range(), Linux 2.6.30.
 */
export function flush_tlb_kernel_range(k: Kernel, start: Vaddr, end: Vaddr): void {
  const pages = (end - (start & ~0xfff) + 4095) >>> 12;
  if (pages >= WHOLE_TLB_PAGES) {
    flush_tlb_all(k);
    return;
  }
  const flags = purge_tlb_start(k);
  for (let i = 0; i < pages; i++) k.mmu.flushTlbPage(vaddr((start & ~0xfff) + i * 4096), true);
  purge_tlb_end(k, flags);
}
