/** PA-RISC as `k.arch`. */
import type { ArchOps } from '../../cpu/arch.js';
import { flush_cache_all } from './cache.js';
import { PariscKernel } from './cpu.js';
import { __PAGE_OFFSET, isUserAddress, VMALLOC_END, VMALLOC_START } from './memory.js';
import { dump_stack, parisc_terminate } from './oops.js';
import {
  mk_pte,
  PAGE_KERNEL,
  PAGE_KERNEL_UNC,
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
  pte_present,
  pte_read,
  pte_table_init,
  set_pte,
} from './pgtable.js';
import { flush_tlb_kernel_range } from './tlb.js';

export const PARISC: ArchOps = {
  id: 'parisc',
  pageOffset: __PAGE_OFFSET,
  PAGE_KERNEL,
  mk_pte,
  pte_none,
  pte_present,
  pte_pfn,
  pte_read,
  set_pte,
  pte_clear,
  PAGE_KERNEL_UNCACHED: PAGE_KERNEL_UNC,
  PGDIR_SIZE,
  PMD_SIZE,
  pgd_offset_k,
  pmd_none,
  pmd_bad,
  pte_offset_kernel,
  pmd_populate_kernel,
  pte_table_init,
  isUserAddress: (_k, addr) => isUserAddress(addr),
  VMALLOC_START,
  VMALLOC_END,
  flush_cache_all,
  flush_tlb_kernel_range,
  dump_stack,
  dataAbort: parisc_terminate,
  createCpu: (config, buffers, statics, cpu, slot, taskOf) =>
    new PariscKernel(config, buffers, statics, cpu, slot, taskOf, PARISC),
};
