/**
 * Claim: what `2003-01-pcxl-alloc-leaves-lock-held` leaves behind stops the machine at the next vmalloc(): map_vm_area() takes init_mm.page_table_lock, which
 * nobody will ever release.
 *
 * The map is used up to 4 MB; one thread allocates one page more, and then from vmalloc().
 *
 * Kernels: 2.5.53, built for several CPUs: deadlock. 2.6.22: clean.
 * Source: arch/parisc/kernel/pci-dma.c, mm/memory.c, Linux 2.5.53; spec/vmalloc-gfp.md §9.1, §12.1. PCX-L machines have one CPU; see CAVEATS.md.
 */
import { expect, gfp, type Kernel, NULL, pa11_dma_alloc_consistent, race, vmalloc } from '../src/index.js';

/** Allocations of one page, each with 32 KB of addresses, from 8000 on, that stay below 4 MB. */
const BELOW_4MB = 127;

export default race({
  id: '2003-01-pcxl-alloc-vmalloc-deadlock',
  title: 'vmalloc() waits for the lock that pa11_dma_alloc_consistent() has left held',
  source: 'arch/parisc/kernel/pci-dma.c, Linux 2.5.53',
  spec: ['vmalloc/V000-04'],
  machine: { core: 'pcxl', cpus: 1, kernel: '2.5.53', preempt: false, lowmemPages: 512 },
  cases: [
    { name: '2.5.53', outcome: 'deadlock' },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'clean' },
  ],
  vars: ['area'],

  setup(k) {
    for (let i = 0; i < BELOW_4MB; i++) pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_KERNEL);
  },
  threads: [
    (k: Kernel) => {
      pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_KERNEL);
      k.vars.area = vmalloc(k, 4096);
    },
  ],
  check(k) {
    expect(k.vars.area !== NULL, 'vmalloc() has memory');
  },
});
