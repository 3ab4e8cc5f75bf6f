/**
 * Claim: pte_alloc_kernel() of 2.5.53 drops init_mm.page_table_lock, which its caller holds, to allocate a table, and takes it again. The DMA code of
 * PA-RISC calls it without the lock: after the first table that it needs the lock stays held, and the next vmalloc() spins for ever.
 *
 * The map is used up to 4 MB, where the table of the first entry ends; one more allocation needs a table.
 *
 * Kernels: 2.5.53 leaves the lock held; with `rmk1` too, whose callers of pte_alloc_kernel() are the same. With all tables there from boot
 * (`rmk2-pcxl-tables`) the lock is not touched. 2.6.22, whose function takes the lock itself, does not.
 * Source: arch/parisc/kernel/pci-dma.c, mm/memory.c, Linux 2.5.53; spec/vmalloc-gfp.md §9.1.
 */
import { expect, gfp, type Kernel, pa11_dma_alloc_consistent, race, spin_is_locked } from '../src/index.js';

/** Allocations of one page, each with 32 KB of addresses, from 8000 on, that stay below 4 MB. */
const BELOW_4MB = 127;

export default race({
  id: '2003-01-pcxl-alloc-leaves-lock-held',
  title: 'pa11_dma_alloc_consistent() leaves init_mm.page_table_lock held',
  source: 'arch/parisc/kernel/pci-dma.c, Linux 2.5.53',
  spec: ['vmalloc/V000-04'],
  machine: { core: 'pcxl', cpus: 1, kernel: '2.5.53' },
  cases: [
    { name: '2.5.53', outcome: 'report' },
    { name: 'GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'report' },
    { name: 'tables from boot (RMK2)', machine: { patches: ['rmk2-pcxl-tables'] }, outcome: 'clean' },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'clean' },
  ],

  setup(k) {
    for (let i = 0; i < BELOW_4MB; i++) pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_KERNEL);
    expect(!spin_is_locked(k, k.sym.init_mm_page_table_lock), 'nothing has gone wrong below 4 MB');
  },
  threads: [(k: Kernel) => pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_KERNEL)],
  check(k) {
    expect(!spin_is_locked(k, k.sym.init_mm_page_table_lock), 'init_mm.page_table_lock is held and nobody is in there');
  },
});
