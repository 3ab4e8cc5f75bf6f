/**
 * PA-RISC: page tables of everything that is mapped from the start, and the static objects of the architecture.
 * Source: arch/parisc/mm/init.c, arch/parisc/kernel/head.S, Linux 2.6.30; spec/hardware.md §3.5.
 *
 * Differs: the kernel's data begin at 32 KB as on ARM, text does not exist. One window of 4 MB of user addresses has a table from the start,
 * since there is no process that could fault it in.
 */
import { flush_data_cache_local } from '../../arch/parisc/cache.js';
import { LDCW_BYTES } from '../../arch/parisc/cpu.js';
import { PGDIR_SHIFT, PTRS_PER_PTE, SHMLBA, USER_START } from '../../arch/parisc/memory.js';
import type { PariscMmu } from '../../arch/parisc/mmu.js';
import { parisc_terminate } from '../../arch/parisc/oops.js';
import { _PAGE_KERNEL, mk_pte, PAGE_GATEWAY, pgd_index, pgdOf, pte_offset_user } from '../../arch/parisc/pgtable.js';
import { flush_tlb_all_local } from '../../arch/parisc/tlb.js';
import type { MachineConfig } from '../../cpu/config.js';
import { handle_IRQ } from '../../cpu/irq.js';
import type { Kernel } from '../../cpu/kernel.js';
import { CallFunction } from '../../cpu/smp.js';
import { type SpinLock, spin_lock_init } from '../../shared/spinlock.js';
import { type Pfn, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import type { ArchBoot } from '../arch-boot.js';
import { iommu_init, iommuSymbols } from './iommu.js';
import { pcxl_dma_init, pcxlSymbols } from './pci-dma.js';

/** User addresses that can be mapped from the start: 4 MB from here on. */
export const USER_WINDOW = USER_START + SHMLBA;

/** Tables of the DMA map behind its first 4 MB that are there from boot, for the patch `rmk2-pcxl-tables`. */
const dmaTables = (config: MachineConfig): number => (config.patches.includes('rmk2-pcxl-tables') ? 2 : 0);
const tablesFor = (config: MachineConfig): number => Math.ceil(config.lowmemPages / PTRS_PER_PTE);

export const PARISC_BOOT: ArchBoot = {
  id: 'parisc',
  dataOffset: 0x8000,
  symbolAlign: LDCW_BYTES,
  symbols: (config) => ({
    pa_tlb_lock: { bytes: LDCW_BYTES, align: 64 },
    __atomic_hash: { bytes: 4 * LDCW_BYTES, align: 64 },
    ...pcxlSymbols,
    ...iommuSymbols(config),
    swapper_pg_dir: { bytes: 4096, align: 4096 },
    user_pg_dir: { bytes: 4096, align: 4096 },
    /** Second-level tables: kernel addresses from 0 on, the user window, the direct map; more of the kernel's. */
    pg0: { bytes: (2 + tablesFor(config) + dmaTables(config)) * 4096, align: 4096 },
  }),
  fixedSymbols() {},
  install(k) {
    const mmu = k.mmu as PariscMmu;
    mmu.ttbr = k.__pa(k.sym.swapper_pg_dir);
    mmu.cr25 = k.__pa(k.sym.user_pg_dir);
    // Address spaces are told apart in the TLB: a switch flushes nothing.
    k.vectors = { irq: handle_IRQ, dataAbort: parisc_terminate, switchMm: () => {} };
    k.callFunctions[CallFunction.flush_tlb_all] = flush_tlb_all_local;
    k.callFunctions[CallFunction.flush_cache_all] = flush_data_cache_local;
  },
  paging_init,
  /** A lock word of zero is held: static initialisers say otherwise. */
  mem_init(k) {
    spin_lock_init(k, k.sym.pa_tlb_lock);
    pcxl_dma_init(k);
    spin_lock_init(k, k.sym.init_mm_page_table_lock);
    spin_lock_init(k, ptr<'spinlock'>(k.sym.vmlist_lock));
    for (const lock of [k.sym.vmap_area_lock, k.sym.purge_lock, k.sym.rcu_lock]) spin_lock_init(k, lock);
    if (k.config.slab === 'slub') spin_lock_init(k, k.sym.slub_lock);
    spin_lock_init(k, ptr<'spinlock'>(k.sym.race_data));
    for (let hash = 0; hash < 4; hash++) spin_lock_init(k, (k.sym.__atomic_hash + hash * LDCW_BYTES) as SpinLock);
    iommu_init(k);
  },
};

/** The direct map page by page, the gateway page, and empty tables for the DMA map's first 4 MB and the user window. */
function paging_init(k: Kernel): void {
  const { config } = k;
  const table = (nr: number): Vaddr => vaddr(k.sym.pg0 + nr * 4096);
  const enter = (pgd: Vaddr, va: number, to: Vaddr): void => {
    k.store(vaddr(pgd + pgd_index(va) * 4), pgdOf(k.__pa(to)));
  };
  enter(k.sym.swapper_pg_dir, 0, table(0));
  enter(k.sym.user_pg_dir, USER_WINDOW, table(1));
  k.store(table(0), mk_pte(0 as Pfn, PAGE_GATEWAY));
  for (let nr = 0; nr < tablesFor(config); nr++) {
    enter(k.sym.swapper_pg_dir, config.pageOffset + (nr << PGDIR_SHIFT), table(2 + nr));
  }
  for (let nr = 0; nr < dmaTables(config); nr++) {
    enter(k.sym.swapper_pg_dir, (1 + nr) << PGDIR_SHIFT, table(2 + tablesFor(config) + nr));
  }
  const first = config.core.physBase >>> 12;
  for (let page = 0; page < config.lowmemPages; page++) {
    k.store(vaddr(table(2) + page * 4), mk_pte((first + page) as Pfn, _PAGE_KERNEL));
  }
}

/**
 * Point a user address of the window to a page, as a fault handler does. No TLB or cache maintenance.
 *
 * Context: any.
 */
export function map_user_page(k: Kernel, addr: Vaddr, pfn: Pfn, prot: number): void {
  const ptep = pte_offset_user(k, addr);
  k.store(ptep as Vaddr, mk_pte(pfn, prot));
}

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    pg0: Vaddr;
  }
}
