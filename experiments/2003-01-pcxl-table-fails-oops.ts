/**
 * Claim: pa11_dma_alloc_consistent() does not look at what map_uncached_pages() returns. When the page table that it needs is not to be had, the driver gets an
 * address that nothing is mapped at, and nobody says so: the first touch is a fault.
 *
 * The allocating task has PF_MEMALLOC, as one that reclaims memory has: it gets the last page, and the table fails at once instead of waiting for
 * ever. The map is used up to 4 MB.
 *
 * Kernels: 2.5.53, `rmk1` and 2.6.22, the same. With all tables there from boot (`rmk2-pcxl-tables`): clean.
 * Source: arch/parisc/kernel/pci-dma.c, mm/page_alloc.c, Linux 2.5.53, 2.6.22; spec/vmalloc-gfp.md §4.4, §9.1.
 */
import {
  alloc_page,
  expect,
  gfp,
  type Kernel,
  nr_free_pages_of,
  PF_MEMALLOC,
  pa11_dma_alloc_consistent,
  pagesOnCpuLists,
  race,
  set_task_flags,
  ZONE_DMA,
  ZONE_NORMAL,
  zone_nr,
} from '../src/index.js';

/** Allocations of one page, each with 32 KB of addresses, from 8000 on, that stay below 4 MB. */
const BELOW_4MB = 127;

function freePages(k: Kernel): number {
  let free = 0;
  for (const nr of [ZONE_DMA, ZONE_NORMAL])
    free += nr_free_pages_of(k, zone_nr(k, nr)) + pagesOnCpuLists(k, zone_nr(k, nr));
  return free;
}

export default race({
  id: '2003-01-pcxl-table-fails-oops',
  title: 'pa11_dma_alloc_consistent() returns an address without a mapping',
  source: 'arch/parisc/kernel/pci-dma.c, Linux 2.5.53',
  spec: ['vmalloc/V000-06'],
  machine: { core: 'pcxl', cpus: 1, kernel: '2.5.53', preempt: false, lowmemPages: 512 },
  cases: [
    { name: '2.5.53', outcome: 'oops' },
    { name: 'GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'oops' },
    { name: 'tables from boot (RMK2)', machine: { patches: ['rmk2-pcxl-tables'] }, outcome: 'clean' },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'oops' },
  ],

  setup(k) {
    const { GFP_KERNEL, GFP_ATOMIC } = gfp(k);
    for (let i = 0; i < BELOW_4MB; i++) pa11_dma_alloc_consistent(k, 4096, GFP_KERNEL);
    while (freePages(k) > 1) alloc_page(k, GFP_ATOMIC);
  },
  threads: [
    (k: Kernel) => {
      set_task_flags(k, PF_MEMALLOC);
      const { addr } = pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_ATOMIC);
      expect(addr === 0x400000, 'an address behind the first 4 MB', addr);
      k.load32(addr);
    },
  ],
});
