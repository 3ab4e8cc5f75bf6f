/**
 * Claim: kmap(), kunmap(), kmap_high_get(), kunmap_high() and kmap_flush_unused() of all CPUs at once keep the slots in order. Whenever
 * kmap_lock is free: a slot without a count has no page-table entry, no translation in any TLB and no line in a VIVT cache; a slot
 * with a count has one entry in the table of addresses, with its page and address; no page has two slots; no map of that table is lost.
 *
 * All CPUs work on the same pages, more than there are slots, each in a line of its own; after every operation they look at the slots under
 * kmap_lock, and they check every word that they stored.
 *
 * Kernels: nothing is found from 2.6.31 on. That the check can find something shows with `mutant-no-remote-tlb-flush`: translations of free slots
 * stay behind, before or after they have cost bytes.
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §3 (I1 to I5).
 */
import {
  alloc_page,
  checkPkmapInvariants,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kmap_flush_unused,
  kmap_high_get,
  kunmap,
  kunmap_high,
  NULL,
  type Page,
  page_plus,
  page_to_pfn,
  race,
  report,
  type Vaddr,
  vaddr,
} from '../src/index.js';

const LINE = 64;
const PAGES = 7;
const operations = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 2 : 24);

const pageOf = (k: Kernel, i: number): Page => page_plus(k.vars.firstPage as Page, i % PAGES);

function checkSlots(k: Kernel): void {
  const wrong = checkPkmapInvariants(k);
  if (wrong.length > 0) report(wrong.join('; '));
}

/** This CPU's own word of a page: it was @expected, and becomes one more. */
function addOne(k: Kernel, page: Page, addr: Vaddr, expected: number): void {
  const word = vaddr(addr + k.cpu * LINE);
  expectWord(page_to_pfn(k, page), k.cpu * LINE, expected, k.load32(word), `stored by CPU ${k.cpu}`);
  k.store32(word, expected + 1);
}

/** Each CPU goes through the pages and the operations in another order. */
function mapAndFlush(k: Kernel): void {
  const added = new Array<number>(PAGES).fill(0);
  for (let i = 0; i < operations(k); i++) {
    const nr = (i * (k.cpu + 2)) % PAGES;
    const page = pageOf(k, nr);
    if ((i + k.cpu) % 6 === 5) kmap_flush_unused(k);
    else if ((i + k.cpu) % 3 === 2) {
      const addr = kmap_high_get(k, page);
      if (addr !== NULL) {
        addOne(k, page, addr, added[nr]!++);
        checkSlots(k);
        kunmap_high(k, page);
      }
    } else {
      addOne(k, page, kmap(k, page), added[nr]!++);
      checkSlots(k);
      kunmap(k, page);
    }
    checkSlots(k);
  }
}

export default race({
  id: '2009-03-kmap-flush-unused-invariants',
  title: 'the kmap slots are in order whenever kmap_lock is free',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E18'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    {
      name: 'no remote TLB flush',
      machine: { patches: ['mutant-no-remote-tlb-flush'] },
      outcome: ['report', 'wrong-bytes'],
    },
    { name: '2.6.31', outcome: 'clean' },
    {
      name: 'no remote TLB flush, cortex-a9',
      machine: { core: 'cortex-a9', patches: ['mutant-no-remote-tlb-flush'] },
      outcome: ['report', 'wrong-bytes'],
    },
    { name: '2.6.31, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
    { name: '2.6.34, cortex-a9', machine: { core: 'cortex-a9', kernel: '2.6.34' }, outcome: 'clean' },
  ],
  vars: ['firstPage'],

  setup(k) {
    const first = alloc_page(k, GFP_HIGHUSER);
    k.vars.firstPage = first;
    for (let i = 1; i < PAGES; i++) alloc_page(k, GFP_HIGHUSER);
    for (let i = 0; i < PAGES; i++) fillMemory(k, pageOf(k, i), () => 0);
  },

  threads: ({ cpus }) => Array.from({ length: cpus }, () => mapAndFlush),
  check: checkSlots,
});
