/**
 * Claim: dma_map_page(FROM_DEVICE) on a highmem page invalidates the cache line by line at an address that it does not own. While it
 * does, kmap_high() of another CPU can give the address to another page; the lines that the new owner has dirtied are thrown away.
 *
 * CPU 0 maps pages for DMA; the other CPUs kmap pages of their own, read and write them, and check what they wrote. Nobody else touches a
 * page of theirs, so every byte that they read must be the last one they stored.
 *
 * Kernels: unpinned (without `kmap-high-get`) loses bytes on a virtually tagged cache; on Cortex-A9, where the operation translates its
 * address and is broadcast, it loses bytes or faults. With the patch neither happens. Only an invalidation loses anything: a page
 * that goes to a device (clean), or both ways (clean and invalidate), costs nobody a byte on a virtually tagged cache, pinned or not.
 * Source: Nicolas Pitre, "atomic highmem kmap page pinning", 2009-03-04 (seed 002).
 */
import {
  alloc_page,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDirection,
  dma_map_page,
  expect,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap,
  LAST_PKMAP,
  type Page,
  type Ptr,
  page_to_pfn,
  pinnedSlots,
  race,
  type Vaddr,
} from '../src/index.js';

const LINE = 32;
/** Times that page A is mapped for DMA. */
const TRANSFERS = 4;
/** What the other CPUs' pages hold before. */
const OLD = 0x01d01d01;
/** How much of each page is used: all of it, or a few lines where every schedule is to be explored. */
const bytesUsed = (k: Kernel): number => k.config.bufferBytes;

/** Pages that each of the other CPUs works on. */
const PAGES_EACH = 2;

const own = (k: Kernel, cpu: number, i: number): Page =>
  (k.vars.firstPage! + ((cpu - 1) * PAGES_EACH + i) * 32) as Ptr<'page'>;

function direction(k: Kernel): DmaDirection {
  if (k.has('mutant-dma-to-device')) return DMA_TO_DEVICE;
  return k.has('mutant-dma-bidirectional') ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
}

/** CPU 0: a device is about to write to page A, again and again, so its lines are invalidated each time. */
function mapForDevice(k: Kernel): void {
  for (let i = 0; i < TRANSFERS; i++) dma_map_page(k, k.vars.pageA as Page, 0, bytesUsed(k), direction(k));
}

/** Every line of a page holds what its owner stored. */
function expectOwn(k: Kernel, page: Page, addr: Vaddr, reader: string): void {
  for (let offset = 0; offset < bytesUsed(k); offset += LINE) {
    expectWord(page_to_pfn(k, page), offset, pattern(k, page, offset), k.load32((addr + offset) as Vaddr), reader);
  }
}

/** The others: map a page, read a line and write to it, all the way up; then read everything back. */
function writeOwnPages(k: Kernel): void {
  for (let i = 0; i < PAGES_EACH; i++) {
    const page = own(k, k.cpu, i);
    const addr = kmap(k, page);
    for (let offset = 0; offset < bytesUsed(k); offset += LINE) {
      const word = (addr + offset) as Vaddr;
      k.load32(word);
      k.store32(word, pattern(k, page, offset));
    }
    expectOwn(k, page, addr, `read back by CPU ${k.cpu}`);
    kunmap(k, page);
  }
}

/** Take the next slot and leave it mapped without a user. */
function useSlot(k: Kernel, page: Page): Vaddr {
  const addr = kmap(k, page);
  kunmap(k, page);
  return addr;
}

const pattern = (k: Kernel, page: Page, offset: number): number =>
  ((page_to_pfn(k, page) << 16) ^ offset ^ 0xb00b0000) >>> 0;

export default race({
  id: '2009-03-kmap-recycle-lost-bytes',
  title: 'dma_map_page() discards dirty lines of the new owner of a recycled kmap address',
  source: 'seed 002',
  spec: ['highmem/E1', 'highmem/E3'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 4, highmemPages: 64 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 128 },
  cases: [
    { name: 'unpinned', machine: { patches: ['-kmap-high-get'] }, outcome: 'wrong-bytes' },
    { name: 'pinned', outcome: 'clean' },
    {
      name: 'unpinned, cortex-a9',
      machine: { core: 'cortex-a9', patches: ['-kmap-high-get'] },
      outcome: ['wrong-bytes', 'oops'],
    },
    { name: 'pinned, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
    {
      name: 'unpinned, to device',
      machine: { patches: ['-kmap-high-get', 'mutant-dma-to-device'] },
      outcome: 'clean',
    },
    {
      name: 'unpinned, both ways',
      machine: { patches: ['-kmap-high-get', 'mutant-dma-bidirectional'] },
      outcome: 'clean',
    },
    { name: 'pinned, both ways', machine: { patches: ['mutant-dma-bidirectional'] }, outcome: 'clean' },
  ],
  vars: ['pageA', 'firstPage'],

  /**
   * Page A is kmapped, touched and kunmapped in slot 0; the other slots are used up behind it. So A's address is the first to be handed
   * out again, after the wrap that the next kmap_high() makes.
   */
  setup(k) {
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < (k.config.cpus - 1) * PAGES_EACH; i++) alloc_page(k, GFP_HIGHUSER);
    for (let cpu = 1; cpu < k.config.cpus; cpu++) {
      for (let i = 0; i < PAGES_EACH; i++) fillMemory(k, own(k, cpu, i), () => OLD);
    }
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) useSlot(k, alloc_page(k, GFP_HIGHUSER));
    const pageA = alloc_page(k, GFP_HIGHUSER);
    k.vars.pageA = pageA;
    const addr = useSlot(k, pageA);
    for (let offset = 0; offset < bytesUsed(k); offset += LINE) k.load32((addr + offset) as Vaddr);
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) useSlot(k, alloc_page(k, GFP_HIGHUSER));
  },

  /** Whatever happened in between, nobody but its owner has stored to a page. */
  check(k) {
    for (let cpu = 1; cpu < k.config.cpus; cpu++) {
      for (let i = 0; i < PAGES_EACH; i++) {
        const page = own(k, cpu, i);
        expectOwn(k, page, kmap(k, page), 'read by CPU 0 afterwards');
        kunmap(k, page);
      }
    }
    expect(pinnedSlots(k) === 0, 'slots are still in use', pinnedSlots(k));
  },

  threads: ({ cpus }) => Array.from({ length: cpus }, (_, cpu) => (cpu === 0 ? mapForDevice : writeOwnPages)),
});
