/**
 * Claim: pa11_dma_alloc_consistent() does not look at what the page allocator answers. Without memory the driver gets an address and a bus address like
 * any others; the bus address is __pa(0), and a device that is given it writes to firmware's space.
 *
 * Kernels: 2.5.53 and 2.6.22 alike.
 * Source: arch/parisc/kernel/pci-dma.c, Linux 2.5.53 and 2.6.22; spec/vmalloc-gfp.md §9.1.
 */
import { alloc_page, expect, gfp, type Kernel, NULL, pa11_dma_alloc_consistent, race } from '../src/index.js';

export default race({
  id: '2003-01-pcxl-alloc-without-memory',
  title: 'pa11_dma_alloc_consistent() hands out bus address f0000000 when there is no memory',
  source: 'arch/parisc/kernel/pci-dma.c, Linux 2.6.22',
  spec: ['vmalloc/V000-05'],
  machine: { core: 'pcxl', cpus: 1, kernel: '2.5.53', lowmemPages: 128 },
  cases: [
    { name: '2.5.53', outcome: 'report', says: ['page allocation failure. order:0, mode:0x20'] },
    {
      name: '2.6.22',
      machine: { kernel: '2.6.22' },
      outcome: 'report',
      says: ['page allocation failure. order:0, mode:0x20'],
    },
  ],
  vars: ['addr', 'handle'],

  setup(k) {
    while (alloc_page(k, gfp(k).GFP_ATOMIC) !== NULL);
  },
  threads: [
    (k: Kernel) => {
      const { addr, handle } = pa11_dma_alloc_consistent(k, 256, gfp(k).GFP_ATOMIC);
      k.vars.addr = addr;
      k.vars.handle = handle;
    },
  ],
  check(k) {
    const { addr, handle } = k.vars as { addr: number; handle: number };
    expect(
      addr === NULL || k.memory.has(handle >>> 0),
      'an address, and a bus address that is no memory',
      addr,
      handle,
    );
  },
});
