/**
 * Claim: the wrap of the kmap slots has to flush the TLBs of all CPUs, since a mapping is used wherever its user runs. If only the CPU
 * that wraps flushes, another one goes on with its old translation when the address has a new page: it reads the bytes of the old
 * page, and its stores land there.
 *
 * Every CPU maps pages of its own, one after the other and again, with fewer slots than pages. In each it checks what it stored the last
 * time, stores something else and reads that back. Nobody else knows these pages.
 *
 * Kernels: with `mutant-no-remote-tlb-flush` wrong bytes, on a cache with virtual tags as on one with physical tags. Neither with flushes
 * by hardware broadcast (2.6.31 on Cortex-A9) nor by inter-processor call. The latter is shown without `kmap-high-get`: with it
 * the call is made with interrupts off, which is another experiment (2009-09-kmap-ipi-deadlock).
 * Source: arch/arm/kernel/smp.c, Linux 2.6.30 and 2.6.31; spec/highmem.md §5.4 (F3), §6.2.
 */
import {
  alloc_page,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap,
  type Page,
  page_plus,
  page_to_pfn,
  race,
  type Vaddr,
} from '../src/index.js';

const PAGES_EACH = 3;
const pagesEach = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 2 : PAGES_EACH);
const rounds = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : 4);
/** Distance of the words that are used in each page: different lines on every core. */
const STRIDE = 256;

const own = (k: Kernel, i: number): Page => page_plus(k.vars.firstPage as Page, k.cpu * PAGES_EACH + i);
const word = (k: Kernel, page: Page, round: number, offset: number): number =>
  ((page_to_pfn(k, page) << 16) ^ (round << 12) ^ offset ^ 0x5a000000) >>> 0;

function useOwnPages(k: Kernel): void {
  for (let round = 1; round <= rounds(k); round++) {
    for (let i = 0; i < pagesEach(k); i++) {
      const page = own(k, i);
      const addr = kmap(k, page);
      usePage(k, page, addr, round);
      kunmap(k, page);
    }
  }
}

function usePage(k: Kernel, page: Page, addr: Vaddr, round: number): void {
  const pfn = page_to_pfn(k, page);
  for (let offset = 0; offset < k.config.bufferBytes; offset += STRIDE) {
    const seen = k.load32((addr + offset) as Vaddr);
    expectWord(pfn, offset, word(k, page, round - 1, offset), seen, `stored by CPU ${k.cpu} in round ${round - 1}`);
    k.store32((addr + offset) as Vaddr, word(k, page, round, offset));
  }
  for (let offset = 0; offset < k.config.bufferBytes; offset += STRIDE) {
    const seen = k.load32((addr + offset) as Vaddr);
    expectWord(pfn, offset, word(k, page, round, offset), seen, `read back by CPU ${k.cpu} in round ${round}`);
  }
}

export default race({
  id: '2009-03-kmap-stale-tlb-wrong-bytes',
  title: 'a CPU whose TLB is not flushed uses the page that had the kmap address before',
  source: 'arch/arm/kernel/smp.c, Linux 2.6.30',
  spec: ['highmem/E6'],
  machine: { core: 'cortex-a9', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 128, bufferBytes: 32 },
  cases: [
    {
      name: 'only the flushing CPU',
      machine: { patches: ['mutant-no-remote-tlb-flush'] },
      outcome: 'wrong-bytes',
    },
    { name: 'hardware broadcast', outcome: 'clean' },
    {
      name: 'inter-processor call',
      machine: { kernel: '2.6.30', patches: ['-kmap-high-get'] },
      outcome: 'clean',
    },
    {
      name: 'inter-processor call, arm11mpcore',
      machine: { core: 'arm11mpcore', patches: ['-kmap-high-get'] },
      outcome: 'clean',
    },
    {
      name: 'only the flushing CPU, vivt-shared',
      machine: { core: 'vivt-shared', patches: ['mutant-no-remote-tlb-flush'] },
      outcome: 'wrong-bytes',
    },
    { name: 'hardware broadcast, vivt-shared', machine: { core: 'vivt-shared' }, outcome: 'clean' },
  ],
  vars: ['firstPage'],

  setup(k) {
    const first = alloc_page(k, GFP_HIGHUSER);
    k.vars.firstPage = first;
    for (let i = 1; i < k.config.cpus * PAGES_EACH; i++) alloc_page(k, GFP_HIGHUSER);
    for (let i = 0; i < k.config.cpus * PAGES_EACH; i++) {
      const page = page_plus(first, i);
      fillMemory(k, page, (offset) => word(k, page, 0, offset));
    }
  },

  threads: ({ cpus }) => Array.from({ length: cpus }, () => useOwnPages),
});
