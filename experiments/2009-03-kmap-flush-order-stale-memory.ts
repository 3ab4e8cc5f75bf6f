/**
 * Claim: the wrap of the kmap slots has to clean the cache before it takes the mappings away. Who finds a highmem page unmapped relies on it that the
 * page has no dirty lines: dma_map_page() does nothing for it. If the cache is cleaned only after the addresses have been forgotten, there is
 * a time in which the page has neither an address nor its bytes in memory.
 *
 * Page A was written through kmap() and kunmapped. CPU 0 gives it to a device, which reads it; CPU 1 kmaps a page of its own, which makes the
 * slots wrap.
 *
 * Kernels: with `mutant-cache-flush-after-pte` the device reads old memory, if dma_map_page() looks the address up without kmap_lock (no
 * `kmap-high-get`). As it is, nothing is found. With the patch the mutant makes no difference: kmap_high_get() waits for kmap_lock, and when it
 * gets the lock the cache has been cleaned.
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §5.4 (F1, F2), §9.3 (C3).
 */
import {
  alloc_page,
  DMA_TO_DEVICE,
  dma_map_page,
  dma_unmap_page,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap,
  LAST_PKMAP,
  memoryWord,
  type Page,
  page_plus,
  page_to_pfn,
  race,
  type Vaddr,
  vaddr,
} from '../src/index.js';

const LINE = 32;
const OLD = 0x01d01d01;
/** Times that page A is written and given to the device; the other CPU maps a page each time. */
const rounds = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : 6);
const bytesUsed = (k: Kernel): number => Math.min(k.config.bufferBytes, 256);
const word = (round: number, offset: number): number => (0x7e000000 ^ (round << 12) ^ offset) >>> 0;

function writePage(k: Kernel, page: Page, round: number): Vaddr {
  const addr = kmap(k, page);
  for (let offset = 0; offset < bytesUsed(k); offset += LINE) {
    k.load32(vaddr(addr + offset));
    k.store32(vaddr(addr + offset), word(round, offset));
  }
  kunmap(k, page);
  return addr;
}

function giveToDevice(k: Kernel): void {
  const page = k.vars.pageA as Page;
  for (let round = 0; round < rounds(k); round++) {
    if (round > 0) writePage(k, page, round);
    const bus = dma_map_page(k, page, 0, bytesUsed(k), DMA_TO_DEVICE);
    for (let offset = 0; offset < bytesUsed(k); offset += LINE) {
      expectWord(page_to_pfn(k, page), offset, word(round, offset), memoryWord(k, page, offset), 'read by the device');
    }
    dma_unmap_page(k, bus, bytesUsed(k), DMA_TO_DEVICE);
  }
}

function useSlots(k: Kernel): void {
  for (let i = 0; i < rounds(k); i++) {
    const page = page_plus(k.vars.firstPage as Page, i % LAST_PKMAP(k));
    kmap(k, page);
    kunmap(k, page);
  }
}

export default race({
  id: '2009-03-kmap-flush-order-stale-memory',
  title: 'the cache is cleaned only after the kmap address has gone, and a device reads old memory',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E16'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 64 },
  cases: [
    {
      name: 'cache flush after the entries',
      machine: { patches: ['-kmap-high-get', 'mutant-cache-flush-after-pte'] },
      outcome: 'wrong-bytes',
    },
    { name: 'cache flush first', machine: { patches: ['-kmap-high-get'] }, outcome: 'clean' },
    {
      name: 'cache flush after the entries, address under kmap_lock',
      machine: { patches: ['mutant-cache-flush-after-pte'] },
      outcome: 'clean',
    },
    { name: 'cache flush first, address under kmap_lock', outcome: 'clean' },
  ],
  vars: ['pageA', 'firstPage'],

  /** A is in the last slot but for the wrap, without a user, and its lines are dirty. */
  setup(k) {
    k.vars.pageA = alloc_page(k, GFP_HIGHUSER);
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < LAST_PKMAP(k); i++) alloc_page(k, GFP_HIGHUSER);
    fillMemory(k, k.vars.pageA as Page, () => OLD);
    for (let nr = 1; nr < LAST_PKMAP(k) - 1; nr++) {
      const page = alloc_page(k, GFP_HIGHUSER);
      kmap(k, page);
      kunmap(k, page);
    }
    writePage(k, k.vars.pageA as Page, 0);
  },

  threads: [giveToDevice, useSlots],
});
