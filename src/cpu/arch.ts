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
  /** Entries of uncached kernel mappings: consistent memory, I/O. */
  readonly PAGE_KERNEL_UNCACHED: number;
  /** Bytes behind one first-level entry, and the step in which the kernel's loops walk a folded middle level: smaller on ARM 2.5.53. */
  readonly PGDIR_SIZE: number;
  PMD_SIZE(k: Kernel): number;
  /** First-level entry of a kernel address, in init_mm. The middle level is folded. */
  pgd_offset_k(k: Kernel, addr: number): Ptr<'pmd'>;
  pmd_none(k: Kernel, pmd: Ptr<'pmd'>): boolean;
  pmd_bad(k: Kernel, pmd: Ptr<'pmd'>): boolean;
  /** Entry of @addr in the table of a first-level entry that is not empty. */
  pte_offset_kernel(k: Kernel, pmd: Ptr<'pmd'>, addr: number): Ptr<'pte'>;
  /** Enter a page-table page. init_mm.page_table_lock is held. */
  pmd_populate_kernel(k: Kernel, pmd: Ptr<'pmd'>, ptep: Ptr<'pte'>): void;
  /** A page of zeros, by its linear address, becomes a table: the walker sees the zeros. Return: its first entry. */
  pte_table_init(k: Kernel, page: Vaddr): Ptr<'pte'>;
  /** Is this an address of user space, below TASK_SIZE? */
  isUserAddress(k: Kernel, addr: number): boolean;
  /** Ends of the vmalloc area. */
  VMALLOC_START(k: Kernel): Vaddr;
  VMALLOC_END(k: Kernel): Vaddr;
  /** Write back and invalidate data caches: on ARM the executing CPU's, on PA-RISC every CPU's. */
  flush_cache_all(k: Kernel): void;
  flush_tlb_kernel_range(k: Kernel, start: Vaddr, end: Vaddr): void;
  /** The kernel functions that are being executed, into the log. */
  dump_stack(k: Kernel): void;
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
