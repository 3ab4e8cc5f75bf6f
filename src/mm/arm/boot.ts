/**
 * ARM: the first-level table at 16 KB, the kernel's data from 32 KB on, tables for pkmap and fixmap.
 * Source: arch/arm/mm/{init,mmu}.c, Linux 2.6.30.
 */
import { FIXADDR_START, pkmapBase } from '../../arch/arm/memory.js';
import { do_kernel_fault } from '../../arch/arm/oops.js';
import { ipi_flush_tlb_kernel_range } from '../../arch/arm/tlb.js';
import { handle_IRQ } from '../../cpu/irq.js';
import type { Kernel } from '../../cpu/kernel.js';
import { CallFunction } from '../../cpu/smp.js';
import { type Paddr, type Vaddr, vaddr } from '../../shared/types.js';
import type { ArchBoot } from '../arch-boot.js';
import { highmemSymbols, kmap_init } from '../highmem.js';
import { consistent_init, consistentSymbols } from './consistent-region.js';
import { cpu_switch_mm } from './dma-mapping.js';
import { USER_BASE } from './flush.js';
import { armHighmemSymbols } from './highmem.js';

const SWAPPER_OFFSET = 0x4000;
const PMD_SECT = 0x41e; // section, cacheable, bufferable, kernel read-write
const PMD_TABLE = 1;

export const ARM_BOOT: ArchBoot = {
  id: 'arm',
  dataOffset: 0x8000,
  symbolAlign: 4,
  symbols: (config) => ({
    ...highmemSymbols(config.pkmapSlots),
    ...armHighmemSymbols(config.cpus),
    ...consistentSymbols,
    l2x0_lock: { bytes: 4, align: 32 },
    user_pte_page: { bytes: 4096, align: 4096 },
    pkmap_pte_page: { bytes: 4096, align: 4096 },
    fixmap_pte_page: { bytes: 4096, align: 4096 },
  }),
  fixedSymbols(config, sym) {
    sym.swapper_pg_dir = config.pageOffset + SWAPPER_OFFSET;
    sym.PKMAP_BASE = pkmapBase(config);
    const pkmapIndex = (sym.PKMAP_BASE >>> 12) & 511;
    sym.pkmap_page_table = (sym.pkmap_pte_page as number) + 2048 + pkmapIndex * 4;
  },
  install(k) {
    k.mmu.ttbr = (k.config.core.physBase + SWAPPER_OFFSET) as Paddr;
    k.vectors = { irq: handle_IRQ, dataAbort: do_kernel_fault, switchMm: cpu_switch_mm };
    k.callFunctions[CallFunction.flush_tlb_kernel_range] = ipi_flush_tlb_kernel_range;
  },
  paging_init,
  mem_init(k) {
    kmap_init(k);
    consistent_init(k);
    k.store(k.sym.debug_kmap_atomic_left, 10);
  },
};

/** First-level entries: the direct map by sections, tables for pkmap and fixmap. */
function paging_init(k: Kernel): void {
  const { config } = k;
  const entry = (va: number): Vaddr => vaddr(k.sym.swapper_pg_dir + (va >>> 20) * 4);
  const lowmemBytes = config.lowmemPages * 4096;
  for (let offset = 0; offset < lowmemBytes; offset += 0x100000) {
    k.store(entry(config.pageOffset + offset), ((config.core.physBase + offset) & 0xfff00000) | PMD_SECT);
  }
  const table = (va: number, page: Vaddr): void => {
    const pair = va & ~0x1fffff;
    k.store(entry(pair), k.__pa(page) | PMD_TABLE);
    k.store(entry(pair + 0x100000), (k.__pa(page) + 1024) | PMD_TABLE);
  };
  table(k.sym.PKMAP_BASE & ~0x1fffff, k.sym.pkmap_pte_page);
  table(FIXADDR_START, k.sym.fixmap_pte_page);
  table(USER_BASE, k.sym.user_pte_page);
}
