/**
 * Claim: pa11_dma_alloc_consistent() may be called in interrupts, and allocates its pages with GFP_ATOMIC; but where its addresses reach a new page
 * table, that is allocated with GFP_KERNEL, which may sleep. The table of the first 4 MB is there from boot, which hid it.
 *
 * The first 127 pages of the map are taken in process context; the one that an interrupt handler then asks for is the first above 4 MB.
 *
 * Kernels: 2.5.53 warns. With the caller's mask passed on (`rmk1`), or all tables there from boot (`rmk2-pcxl-tables`), it does not.
 * Source: seed 000; arch/parisc/kernel/pci-dma.c, include/asm-parisc/pgalloc.h, Linux 2.5.53; spec/vmalloc-gfp.md §9.1.
 */
import {
  expect,
  GfpSite,
  gfp,
  gfpEvents,
  type Kernel,
  pa11_dma_alloc_consistent,
  race,
  traceGfp,
} from '../src/index.js';

const LINE = 5;
/** Allocations of one page, each with 32 KB of addresses, from 8000 on, that stay below 4 MB. */
const BELOW_4MB = 127;

/** init_mm.page_table_lock is let go that nobody has taken: see 2003-01-pcxl-alloc-leaves-lock-held. */
const UNBALANCED = ['lockdep: bad unlock balance detected', 'spinlocks: spinlock already unlocked'];

export default race({
  id: '2003-01-pcxl-alloc-sleeps-in-irq',
  title: 'pa11_dma_alloc_consistent() in an interrupt allocates a page table with GFP_KERNEL',
  source: 'seed 000',
  spec: ['vmalloc/V000-02'],
  machine: { core: 'pcxl', cpus: 1, kernel: '2.5.53', preempt: false, lowmemPages: 512 },
  cases: [
    {
      name: '2.5.53',
      outcome: 'warn',
      says: ['Debug: sleeping function called from illegal context'],
      reports: UNBALANCED,
    },
    { name: 'GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean', reports: UNBALANCED },
    { name: 'tables from boot (RMK2)', machine: { patches: ['rmk2-pcxl-tables'] }, outcome: 'clean' },
  ],
  vars: ['addr'],

  setup(k) {
    for (let i = 0; i < BELOW_4MB; i++) pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_KERNEL);
    traceGfp(k, [GfpSite.pte_alloc]);
  },
  irqs: {
    [LINE]: (k) => {
      k.vars.addr = pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_ATOMIC).addr;
    },
  },
  threads: [
    (k: Kernel) => {
      k.raise(0, LINE);
      for (let i = 0; i < 4; i++) k.load(k.sym.race_data);
    },
  ],
  check(k) {
    expect(k.vars.addr === 0 || k.vars.addr === 0x400000, 'the address behind the first 4 MB', k.vars.addr as number);
    // The mask of the table: the caller's with `rmk1`; there is no allocation where the table is there from boot.
    const { GFP_ATOMIC, GFP_KERNEL } = gfp(k);
    const wanted = k.config.patches.includes('rmk1') ? GFP_ATOMIC : GFP_KERNEL;
    const tables = gfpEvents(k);
    const most = k.config.patches.includes('rmk2-pcxl-tables') ? 0 : 1;
    expect(tables.length === (k.vars.addr === 0 ? 0 : most), 'page tables that were allocated', tables.length);
    for (const { gfp_mask } of tables) expect(gfp_mask === wanted, 'the mask of the table', gfp_mask);
  },
});
