/**
 * Claim: pa11_dma_alloc_consistent() in an interrupt is all right as long as its addresses lie in the first 4 MB, whose page table is there from boot: 127
 * pages. That is why nobody noticed that it may sleep (`2003-01-pcxl-alloc-sleeps-in-irq`).
 *
 * The handler asks for a page while the map is empty.
 *
 * Kernels: 2.5.53, `rmk1` and `rmk2-pcxl-tables`: clean.
 * Source: seed 000; arch/parisc/kernel/pci-dma.c, Linux 2.5.53; spec/vmalloc-gfp.md §9.1.
 */
import { expect, gfp, type Kernel, pa11_dma_alloc_consistent, race } from '../src/index.js';

const LINE = 5;

export default race({
  id: '2003-01-pcxl-alloc-in-irq-clean',
  title: 'pa11_dma_alloc_consistent() in an interrupt, below 4 MB',
  source: 'seed 000',
  spec: ['vmalloc/V000-01'],
  machine: { core: 'pcxl', cpus: 1, kernel: '2.5.53', preempt: false, lowmemPages: 512 },
  cases: [
    { name: '2.5.53', outcome: 'clean' },
    { name: 'GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: 'tables from boot (RMK2)', machine: { patches: ['rmk2-pcxl-tables'] }, outcome: 'clean' },
  ],
  vars: ['addr', 'interrupted'],

  irqs: {
    [LINE]: (k) => {
      k.vars.addr = pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_ATOMIC).addr;
      k.vars.interrupted = 1;
    },
  },
  threads: [
    (k: Kernel) => {
      k.raise(0, LINE);
      for (let i = 0; i < 4; i++) k.load(k.sym.race_data);
    },
  ],
  check(k) {
    // The machine may come to its end before the interrupt does.
    expect(k.vars.interrupted === 0 || k.vars.addr === 0x8000, 'the first address of the map', k.vars.addr as number);
  },
});
