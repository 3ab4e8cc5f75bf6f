/**
 * Claim: that a highmem page has no kmap address does not mean that no cache has dirty lines of it. dma_map_page() of 2.6.30 does nothing for such a
 * page: its mappings are cleaned before they go. But flush_cache_kmaps() cleans the cache of the executing CPU only, and on SMP a cache with
 * physical tags keeps what another CPU has written through kmap().
 *
 * Thread 1 writes page P through kmap(). Thread 0 then makes the kernel unmap its unused slots, gives P to a device, and reads what the
 * device reads.
 *
 * Kernels: 2.6.31 gives old memory to the device on a Cortex-A9 of two CPUs, and not on one (the specification does not expect it there
 * either way). 2.6.34 does not on any: there the page is mapped for the maintenance (kmap_high_l1_vipt). 2.6.34 without that part does
 * on one CPU too, since flush_cache_kmaps() does nothing there any more. The shared virtually tagged cache is cleaned for all.
 * Pages that were written through a user's mapping: 2010-03-dma-user-written-stale-memory.
 * Source: commit 7e5a69e83ba, Linux 2.6.34; spec/highmem.md §6.1, §9.3 (C3), §9.5.
 */
import {
  alloc_page,
  type Completion,
  complete,
  DMA_TO_DEVICE,
  dma_map_page,
  dma_unmap_page,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  init_completion,
  type Kernel,
  kmap,
  kmap_flush_unused,
  kunmap,
  memoryWord,
  type Page,
  page_to_pfn,
  ptr,
  race,
  type Vaddr,
  vaddr,
  wait_for_completion,
} from '../src/index.js';

const OLD = 0x01d01d01;
const line = (k: Kernel): number => k.config.core.dcache.lineBytes;
export const bytesUsed = (k: Kernel): number => Math.min(k.config.bufferBytes, 512);
export const word = (page: number, offset: number): number => (0x9e000000 ^ (page << 2) ^ offset) >>> 0;

export const written = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);

export function writePage(k: Kernel, page: Page, addr: Vaddr): void {
  for (let offset = 0; offset < bytesUsed(k); offset += line(k)) {
    k.load32(vaddr(addr + offset));
    k.store32(vaddr(addr + offset), word(page, offset));
  }
}

function writeThroughKmap(k: Kernel): void {
  const page = k.vars.pageP as Page;
  writePage(k, page, kmap(k, page));
  kunmap(k, page);
  complete(k, written(k));
}

export function giveToDevice(k: Kernel): void {
  const page = k.vars.pageP as Page;
  wait_for_completion(k, written(k));
  kmap_flush_unused(k);
  const bus = dma_map_page(k, page, 0, bytesUsed(k), DMA_TO_DEVICE);
  for (let offset = 0; offset < bytesUsed(k); offset += line(k)) {
    expectWord(page_to_pfn(k, page), offset, word(page, offset), memoryWord(k, page, offset), 'read by the device');
  }
  dma_unmap_page(k, bus, bytesUsed(k), DMA_TO_DEVICE);
}

export default race({
  id: '2010-03-dma-unmapped-highmem-stale-memory',
  title: 'a device reads old memory of a highmem page that has no kmap address any more',
  source: 'commit 7e5a69e83ba, Linux 2.6.34',
  spec: ['highmem/E9'],
  machine: { core: 'cortex-a9', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 64 },
  cases: [
    { name: '2.6.31', outcome: 'wrong-bytes' },
    { name: '2.6.31, one CPU', machine: { cpus: 1 }, outcome: 'clean' },
    { name: '2.6.34', machine: { kernel: '2.6.34' }, outcome: 'clean' },
    { name: '2.6.34, one CPU', machine: { kernel: '2.6.34', cpus: 1 }, outcome: 'clean' },
    {
      name: '2.6.34 without kmap_high_l1_vipt, one CPU',
      machine: { kernel: '2.6.34', cpus: 1, patches: ['-kmap-high-l1-vipt'] },
      outcome: 'wrong-bytes',
    },
    { name: '2.6.31, vivt-shared', machine: { core: 'vivt-shared' }, outcome: 'clean' },
  ],
  vars: ['pageP'],

  setup(k) {
    init_completion(k, written(k));
    k.vars.pageP = alloc_page(k, GFP_HIGHUSER);
    fillMemory(k, k.vars.pageP as Page, () => OLD);
  },

  threads: ({ cpus }) => [
    { run: giveToDevice, cpu: 0, name: 'gives to a device' },
    { run: writeThroughKmap, cpu: 1 % cpus, name: 'writes' },
  ],
});
