/** ARM as `k.arch`. */
import type { ArchOps } from '../../cpu/arch.js';
import { Kernel } from '../../cpu/kernel.js';
import { flush_cache_all } from './cache.js';
import { TASK_SIZE, VMALLOC_END, VMALLOC_START } from './memory.js';
import { do_kernel_fault, dump_stack } from './oops.js';
import {
  L_PTE_PRESENT,
  mk_pte,
  PAGE_KERNEL,
  PAGE_KERNEL_UNCACHED,
  PGDIR_SIZE,
  PMD_SIZE,
  pgd_offset_k,
  pmd_bad,
  pmd_none,
  pmd_populate_kernel,
  pte_clear,
  pte_none,
  pte_offset_kernel,
  pte_pfn,
  pte_read,
  pte_table_init,
  set_pte_ext,
} from './pgtable.js';
import { flush_tlb_kernel_range } from './tlb.js';

export const ARM: ArchOps = {
  id: 'arm',
  pageOffset: 0xc0000000,
  PAGE_KERNEL,
  mk_pte,
  pte_none,
  pte_present: (pte) => (pte & L_PTE_PRESENT) !== 0,
  pte_pfn,
  pte_read,
  set_pte: set_pte_ext,
  pte_clear,
  PAGE_KERNEL_UNCACHED,
  PGDIR_SIZE,
  PMD_SIZE,
  pgd_offset_k,
  pmd_none,
  pmd_bad,
  pte_offset_kernel,
  pmd_populate_kernel,
  pte_table_init,
  isUserAddress: (k, addr) => addr < TASK_SIZE(k),
  VMALLOC_START,
  VMALLOC_END,
  flush_cache_all,
  flush_tlb_kernel_range,
  dump_stack,
  dataAbort: do_kernel_fault,
  createCpu: (config, buffers, statics, cpu, slot, taskOf) =>
    new Kernel(config, buffers, statics, cpu, slot, taskOf, ARM),
};
