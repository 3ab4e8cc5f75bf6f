/**
 * TLB maintenance. Source: arch/arm/mm/tlb-*.S, arch/arm/kernel/smp.c, Linux 2.6.30 and 2.6.31; spec/highmem.md §6.2.
 *
 * SMP in 2.6.30: always by inter-processor call. From 2.6.31 (patch tlb-ops-broadcast) the hardware's broadcast is used where the core has
 * one.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { CallFunction, on_each_cpu } from '../../cpu/smp.js';
import { type Vaddr, vaddr } from '../../shared/types.js';

/** Does a flush have to be made by every CPU for itself? */
const tlb_ops_need_broadcast = (k: Kernel): boolean =>
  k.config.cpus > 1 && !(k.patched['tlb-ops-broadcast'] && k.config.core.tlbOpsBroadcast);

/** Page by page, ascending. Context: any. */
function rangeLoop(k: Kernel, start: number, end: number, everywhere: boolean): void {
  k.mmu.drain();
  for (let page = vaddr(start & ~0xfff); page < end; page = vaddr(page + 4096)) {
    k.mmu.flushTlbPage(page, everywhere);
    if (page === 0xfffff000) break;
  }
  k.mmu.drain();
}

/** What a CPU does when it is called. */
export function ipi_flush_tlb_kernel_range(k: Kernel, start: number, end: number): void {
  rangeLoop(k, start, end, false);
}

/**
 * Remove the translations of a kernel range from every CPU's TLB.
 *
 * Context: process, interrupts enabled if the flush goes by inter-processor call; any otherwise. Does not sleep.
 */
export function flush_tlb_kernel_range(k: Kernel, start: Vaddr, end: Vaddr): void {
  if (k.patched['mutant-no-remote-tlb-flush']) rangeLoop(k, start, end, false);
  else if (tlb_ops_need_broadcast(k)) on_each_cpu(k, CallFunction.flush_tlb_kernel_range, start, end);
  else rangeLoop(k, start, end, true);
}

/** Remove one page's translation from this CPU's TLB. v7 SMP from 2.6.31: the inner-shareable form. Context: any. */
export function local_flush_tlb_kernel_page(k: Kernel, addr: Vaddr): void {
  k.mmu.drain();
  k.mmu.flushTlbPage(addr, k.patched['tlb-ops-broadcast'] && k.config.core.proc === 'v7');
  k.mmu.drain();
}
