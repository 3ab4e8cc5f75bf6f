/**
 * Claim: dma_map_page() of 2.6.30 does nothing for a highmem page without a kmap address, also on caches with physical tags, where what a
 * process has written stays dirty when its mapping goes: there is no alias that anybody would have to clean.
 *
 * Thread 1 writes page P through a mapping as a process has one, and removes it. Thread 0 gives P to a device, as in
 * 2010-03-dma-unmapped-highmem-stale-memory.
 *
 * Kernels: in 2.6.31 the device reads old memory on Cortex-A9, on one CPU and on two. In 2.6.34, which maps the page for the maintenance
 * (kmap_high_l1_vipt), it does not, unless that part is taken away.
 * Source: commit 7e5a69e83ba, Linux 2.6.34; spec/highmem.md §9.3 (C3), §9.5.
 */
import {
  complete,
  DMA_TO_DEVICE,
  dma_map_page,
  expectWord,
  type Kernel,
  memoryWord,
  type Page,
  page_to_pfn,
  ptr,
  race,
  set_pte_ext,
  vaddr,
  wait_for_completion,
} from '../src/index.js';
import unmapped, { bytesUsed, word, writePage, written } from './2010-03-dma-unmapped-highmem-stale-memory.js';

/** An address of the 2 MB below the fixmap slots, which nobody else uses; it stands for a user's. */
const USER_ADDR = vaddr(0xffe05000);
/** L_PTE_PRESENT, L_PTE_YOUNG, L_PTE_DIRTY, L_PTE_WRITE, write-back. */
const PAGE_SHARED = 0xcf;

function writeThroughUserMapping(k: Kernel): void {
  const page = k.vars.pageP as Page;
  const entry = ptr<'pte'>(k.sym.fixmap_pte_page + 2048 + ((USER_ADDR >>> 12) & 511) * 4);
  set_pte_ext(k, entry, ((page_to_pfn(k, page) << 12) | PAGE_SHARED) >>> 0);
  writePage(k, page, USER_ADDR);
  set_pte_ext(k, entry, 0);
  k.mmu.flushTlbPage(USER_ADDR, true);
  complete(k, written(k));
}

function giveToDevice(k: Kernel): void {
  const page = k.vars.pageP as Page;
  wait_for_completion(k, written(k));
  dma_map_page(k, page, 0, bytesUsed(k), DMA_TO_DEVICE);
  for (let offset = 0; offset < bytesUsed(k); offset += k.config.core.dcache.lineBytes) {
    expectWord(page_to_pfn(k, page), offset, word(page, offset), memoryWord(k, page, offset), 'read by the device');
  }
}

export default race({
  ...unmapped,
  id: '2010-03-dma-user-written-stale-memory',
  title: 'a device reads old memory of a highmem page that only a process has written',
  cases: [
    { name: '2.6.31', outcome: 'wrong-bytes' },
    { name: '2.6.31, one CPU', machine: { cpus: 1 }, outcome: 'wrong-bytes' },
    { name: '2.6.34', machine: { kernel: '2.6.34' }, outcome: 'clean' },
    { name: '2.6.34, one CPU', machine: { kernel: '2.6.34', cpus: 1 }, outcome: 'clean' },
    {
      name: '2.6.34 without kmap_high_l1_vipt, one CPU',
      machine: { kernel: '2.6.34', cpus: 1, patches: ['-kmap-high-l1-vipt'] },
      outcome: 'wrong-bytes',
    },
  ],
  threads: ({ cpus }) => [
    { run: giveToDevice, cpu: 0, name: 'gives to a device' },
    { run: writeThroughUserMapping, cpu: 1 % cpus, name: 'writes' },
  ],
});
