/**
 * Claim: vmalloc_32() is for devices that do not reach all of memory; on a 32-bit kernel it is __vmalloc() with GFP_KERNEL, and so is what drivers write who do not know it. While
 * GFP_KERNEL meant lowmem both worked. With highmem taken without being asked, pages come from where the device does not reach, and its address lines reach another page.
 *
 * A driver allocates an area by each of the two, writes to its pages, and a device reads them by their physical addresses, of which it drives only the lines for lowmem.
 *
 * Kernels: 4.10: the right bytes. With `hm`: others.
 * Source: seed 004; spec/vmalloc-gfp.md §6.6, §12.3.
 */
import {
  __vmalloc,
  DMA_TO_DEVICE,
  dma_map_page,
  expect,
  expectWord,
  gfp,
  type Kernel,
  NULL,
  type Paddr,
  page_to_pfn,
  page_to_phys,
  race,
  type Vaddr,
  vaddr,
  vmalloc_32,
  vmalloc_to_page,
} from '../src/index.js';

const PAGES = 4;
const word = (i: number): number => 0x5a000000 + i;

/** The word at a physical address, as a device sees it whose address lines end with those of lowmem. */
function deviceReads(k: Kernel, address: number): number {
  const { physBase } = k.config.core;
  const mask = k.config.lowmemPages * 4096 - 1;
  return k.memory.read32((physBase + ((address - physBase) & mask)) as Paddr) >>> 0;
}

function transfer(k: Kernel, area: Vaddr): void {
  expect(area !== NULL, 'there is memory');
  for (let i = 0; i < PAGES; i++) {
    const page = vmalloc_to_page(k, area + i * 4096);
    k.store32(vaddr(area + i * 4096), word(i));
    dma_map_page(k, page, 0, 4096, DMA_TO_DEVICE);
    const seen = deviceReads(k, page_to_phys(k, page));
    expectWord(page_to_pfn(k, page), 0, word(i), seen, 'read by a device through its DMA mask');
  }
}

export default race({
  id: '2017-02-vmalloc-32-beyond-mask',
  title: 'vmalloc_32(), or __vmalloc() in its place, for a device that reaches lowmem only',
  source: 'seed 004',
  spec: ['vmalloc/V004-07', 'vmalloc/V004-08'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.10', lowmemPages: 256, highmemPages: 128 },
  cases: [
    { name: 'as in 4.10', outcome: 'clean' },
    { name: 'HIGHMEM in vmalloc() (HM)', machine: { patches: ['hm'] }, outcome: 'wrong-bytes' },
  ],

  threads: [
    (k) => {
      transfer(k, vmalloc_32(k, PAGES * 4096));
      transfer(k, __vmalloc(k, PAGES * 4096, gfp(k).GFP_KERNEL));
    },
  ],
});
