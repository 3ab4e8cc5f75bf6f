/** ARM as `k.arch`. */
import type { ArchOps } from '../../cpu/arch.js';
import { Kernel } from '../../cpu/kernel.js';
import { flush_cache_all } from './cache.js';
import { do_kernel_fault } from './oops.js';
import { L_PTE_PRESENT, mk_pte, PAGE_KERNEL, pte_clear, pte_none, pte_pfn, pte_read, set_pte_ext } from './pgtable.js';
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
  flush_cache_all,
  flush_tlb_kernel_range,
  dataAbort: do_kernel_fault,
  createCpu: (config, buffers, statics, cpu, slot, taskOf) =>
    new Kernel(config, buffers, statics, cpu, slot, taskOf, ARM),
};
