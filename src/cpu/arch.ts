/**
 * What kernel code that runs on every architecture asks of the one that it was built for: `k.arch`. Filled in by arch/<arch>/ops.ts.
 *
 * Code in arch/<arch> and mm/<arch> calls its own functions by name; this is for the files that both use.
 */
import type { Pfn, Ptr, Vaddr } from '../shared/types.js';
import type { MachineConfig } from './config.js';
import type { Buffers, Kernel, StaticLayout, TaskOf } from './kernel.js';

export interface ArchOps {
  readonly id: 'arm' | 'parisc';
  /** PAGE_OFFSET: where the direct map of RAM begins. */
  readonly pageOffset: number;
  /** Pages mapped by the kernel, cached; and, where RAM can be mapped so, uncached. */
  PAGE_KERNEL(k: Kernel): number;
  mk_pte(pfn: Pfn, prot: number): number;
  pte_none(pte: number): boolean;
  pte_present(pte: number): boolean;
  pte_pfn(pte: number): Pfn;
  pte_read(k: Kernel, ptep: Ptr<'pte'>): number;
  /** Write an entry, with the maintenance that the table walker needs. No TLB maintenance. */
  set_pte(k: Kernel, ptep: Ptr<'pte'>, pte: number): void;
  pte_clear(k: Kernel, ptep: Ptr<'pte'>): void;
  /** Write back and invalidate data caches: on ARM the executing CPU's, on PA-RISC every CPU's. */
  flush_cache_all(k: Kernel): void;
  flush_tlb_kernel_range(k: Kernel, start: Vaddr, end: Vaddr): void;
  /** First bytes of an oops, and its end. */
  dataAbort(k: Kernel, addr: number, status: number, write: boolean): never;
  /** A CPU of this architecture. */
  createCpu(
    config: MachineConfig,
    buffers: Buffers,
    statics: StaticLayout,
    cpu: number,
    slot: number,
    taskOf: TaskOf,
  ): Kernel;
}
