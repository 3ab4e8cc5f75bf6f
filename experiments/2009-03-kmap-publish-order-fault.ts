/**
 * Claim: map_new_virtual() has to set the page-table entry before it enters the address in the table. page_address() is asked without
 * kmap_lock; whoever gets an address from it, and knows that the page stays mapped, uses it at once.
 *
 * CPU 1 kmaps page B and keeps it. CPU 0 asks for B's address until there is one, and reads the page.
 *
 * Kernels: with `mutant-hash-before-pte` a fault, on every core. As it is none. With `mutant-count-before-pte` none either: the specification
 * expects a schedule that tells it from the original, but pkmap_count is read and written under kmap_lock only, so that nobody sees in which
 * order it and the entry change. (CAVEATS.md)
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §5.6 (M10 to M12).
 */
import {
  alloc_page,
  checkPkmapInvariants,
  expect,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kmap_high_get,
  kunmap,
  kunmap_high,
  LAST_PKMAP,
  NULL,
  type Page,
  page_address,
  page_plus,
  page_to_pfn,
  race,
  report,
} from '../src/index.js';

const PAGES = 4;
/** How often the address is asked for: as often as it takes would be for ever where the other CPU is never scheduled. */
const asks = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : 40);
/** Pages that are kmapped and kept, one after the other. */
const pages = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : PAGES);
const word = (page: number): number => (0xb0000000 ^ page) >>> 0;

const pageOf = (k: Kernel, i: number): Page => page_plus(k.vars.firstPage as Page, i);

function keepMapped(k: Kernel): void {
  for (let i = 0; i < pages(k); i++) kmap(k, pageOf(k, i));
}

function readWhenMapped(k: Kernel): void {
  for (let i = 0; i < pages(k); i++) {
    const page = pageOf(k, i);
    for (let asked = 0; asked < asks(k); asked++) {
      const addr = page_address(k, page);
      if (addr === NULL) continue;
      expectWord(page_to_pfn(k, page), 0, word(page), k.load32(addr), 'read at its page_address()');
      break;
    }
  }
}

/** The same with a pin, which takes kmap_lock: must find a count that fits the entry. */
function pinWhenMapped(k: Kernel): void {
  for (let i = 0; i < pages(k); i++) {
    const page = pageOf(k, i);
    const addr = kmap_high_get(k, page);
    if (addr === NULL) continue;
    expectWord(page_to_pfn(k, page), 0, word(page), k.load32(addr), 'read at its kmap_high_get()');
    kunmap_high(k, page);
  }
}

export default race({
  id: '2009-03-kmap-publish-order-fault',
  title: 'page_address() gives an address that has no page-table entry yet',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E16'],
  machine: { core: 'cortex-a9', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    { name: 'address before the entry', machine: { patches: ['mutant-hash-before-pte'] }, outcome: 'oops' },
    { name: 'entry before the address', outcome: 'clean' },
    {
      name: 'address before the entry, vivt-shared',
      machine: { core: 'vivt-shared', patches: ['mutant-hash-before-pte'] },
      outcome: 'oops',
    },
    { name: 'entry before the address, vivt-shared', machine: { core: 'vivt-shared' }, outcome: 'clean' },
    { name: 'count before the entry', machine: { patches: ['mutant-count-before-pte'] }, outcome: 'clean' },
    {
      name: 'count before the entry, vivt-shared',
      machine: { core: 'vivt-shared', patches: ['mutant-count-before-pte'] },
      outcome: 'clean',
    },
  ],
  vars: ['firstPage'],

  setup(k) {
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < PAGES; i++) alloc_page(k, GFP_HIGHUSER);
    for (let i = 0; i < PAGES; i++) fillMemory(k, pageOf(k, i), () => word(pageOf(k, i)));
    // The first slot is used up, so that the first page comes by way of a wrap in a table of two.
    if (LAST_PKMAP(k) === 2) {
      const page = alloc_page(k, GFP_HIGHUSER);
      kmap(k, page);
      kunmap(k, page);
    }
  },

  threads: ({ cpus }) => [
    { run: readWhenMapped, cpu: 0, name: 'reads' },
    { run: keepMapped, cpu: 1 % cpus, name: 'maps' },
    { run: pinWhenMapped, cpu: 2 % cpus, name: 'pins' },
  ],

  check(k) {
    const wrong = checkPkmapInvariants(k);
    if (wrong.length > 0) report(wrong.join('; '));
    for (let i = 0; i < pages(k); i++) expect(page_address(k, pageOf(k, i)) !== NULL, 'a page has lost its mapping', i);
  },
});
