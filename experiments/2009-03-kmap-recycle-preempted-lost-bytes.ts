/**
 * Claim: it needs no second CPU to lose bytes to a recycled kmap address. dma_map_page(FROM_DEVICE) is preempted between two lines; the thread
 * that runs instead is given the address for a page of its own and dirties lines of it; the first one goes on and throws them away.
 *
 * One CPU, two threads of one process. The first maps page A for DMA and says when it has done so. The second kmaps a page of its own, reads and
 * writes it, sleeps until the other is done, and reads what it wrote.
 *
 * Kernels: unpinned (without `kmap-high-get`) loses bytes on ARM926; pinned does not, nor does a page that goes to a device, or both ways.
 * With threads of different processes it is another matter: 2009-03-kmap-recycle-switch-mm-lost-bytes.
 * Source: seed 002; spec/highmem.md §11.2, §11.4.
 */
import {
  alloc_page,
  type Completion,
  complete,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDirection,
  dma_map_page,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  init_completion,
  type Kernel,
  kmap,
  kunmap,
  LAST_PKMAP,
  type Page,
  page_to_pfn,
  ptr,
  race,
  type Vaddr,
  vaddr,
  wait_for_completion,
} from '../src/index.js';

const LINE = 32;
const OLD = 0x01d01d01;
/** How much of each page is used: all of it, or a few lines where every schedule is to be explored. */
const bytesUsed = (k: Kernel): number => k.config.bufferBytes;
const word = (offset: number): number => (0x7b00000 ^ offset) >>> 0;

const mapped = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);

function direction(k: Kernel): DmaDirection {
  if (k.has('mutant-dma-to-device')) return DMA_TO_DEVICE;
  return k.has('mutant-dma-bidirectional') ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
}

export function mapForDevice(k: Kernel): void {
  dma_map_page(k, k.vars.pageA as Page, 0, bytesUsed(k), direction(k));
  complete(k, mapped(k));
}

export function writeOwnPage(k: Kernel): void {
  const page = k.vars.pageB as Page;
  const addr = kmap(k, page);
  for (let offset = 0; offset < bytesUsed(k); offset += LINE) {
    k.load32(vaddr(addr + offset));
    k.store32(vaddr(addr + offset), word(offset));
  }
  wait_for_completion(k, mapped(k));
  for (let offset = 0; offset < bytesUsed(k); offset += LINE) {
    expectWord(page_to_pfn(k, page), offset, word(offset), k.load32(vaddr(addr + offset)), 'read back by its owner');
  }
  kunmap(k, page);
}

/** Take the next slot and leave it mapped without a user. */
function useSlot(k: Kernel, page: Page): Vaddr {
  const addr = kmap(k, page);
  kunmap(k, page);
  return addr;
}

export default race({
  id: '2009-03-kmap-recycle-preempted-lost-bytes',
  title: 'dma_map_page() is preempted and then discards dirty lines of the new owner of its kmap address',
  source: 'seed 002',
  spec: ['highmem/E2', 'highmem/E3'],
  machine: { core: 'arm926', cpus: 1, kernel: '2.6.31', pkmapSlots: 4, hz: 1000 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 128 },
  cases: [
    { name: 'unpinned', machine: { patches: ['-kmap-high-get'] }, outcome: 'wrong-bytes' },
    { name: 'pinned', outcome: 'clean' },
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
  ],
  vars: ['pageA', 'pageB'],

  /** As in 2009-03-kmap-recycle-lost-bytes: page A's address is the first that the next wrap hands out again. */
  setup(k) {
    init_completion(k, mapped(k));
    const pageA = alloc_page(k, GFP_HIGHUSER);
    const pageB = alloc_page(k, GFP_HIGHUSER);
    k.vars.pageA = pageA;
    k.vars.pageB = pageB;
    fillMemory(k, pageB, () => OLD);
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) useSlot(k, alloc_page(k, GFP_HIGHUSER));
    const addr = useSlot(k, pageA);
    for (let offset = 0; offset < bytesUsed(k); offset += LINE) k.load32(vaddr(addr + offset));
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) useSlot(k, alloc_page(k, GFP_HIGHUSER));
  },

  threads: [
    { run: mapForDevice, cpu: 0, mm: 1, name: 'maps for DMA' },
    { run: writeOwnPage, cpu: 0, mm: 1, name: 'owns page B' },
  ],
});
