/**
 * Claim: page_address() of a highmem page is a hint unless kmap_lock or a count on the slot is held. While the slots wrap it may answer with
 * an address whose page-table entry has been cleared already, since the entry goes first and the address after it. What it never
 * answers with is the address of a slot that belongs to another page at that moment.
 *
 * CPU 0 asks for the address of page A, looks at the entry of that slot, and asks again: if both answers are the same, the table had A at that
 * address all the time in between (nobody maps A again). CPU 1 makes the kernel unmap A, whose slot has no user, and maps page B
 * there.
 *
 * Kernels: a slot of another page is never found. With `mutant-entry-expected` the reader relies on the entry, and reports that it is missing. With
 * `mutant-forget-before-pte` the address goes before the entry, and there is nothing to report.
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §5.1, §5.4.
 */
import {
  alloc_page,
  expect,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kmap_flush_unused,
  kunmap,
  LAST_PKMAP,
  NULL,
  type Page,
  PKMAP_NR,
  page_address,
  page_plus,
  page_to_pfn,
  pkmap_page,
  race,
} from '../src/index.js';

/** Pages that are used one after the other, each mapped once. */
const PAGES = 3;
const pages = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : PAGES);
const asks = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : 12);

const pageOf = (k: Kernel, i: number): Page => page_plus(k.vars.firstPage as Page, i);

function askForAddress(k: Kernel): void {
  for (let asked = 0; asked < asks(k); asked++) for (let i = 0; i < pages(k); i++) askOnce(k, pageOf(k, i));
}

function askOnce(k: Kernel, page: Page): void {
  const addr = page_address(k, page);
  if (addr === NULL) return;
  const owner = pkmap_page(k, PKMAP_NR(k, addr));
  if (page_address(k, page) !== addr) return;
  if (owner === NULL) expect(!k.has('mutant-entry-expected'), 'an address without a page-table entry', addr);
  else expect(owner === page, 'an address that belongs to another page', addr, page_to_pfn(k, owner));
}

function takeSlot(k: Kernel): void {
  kmap_flush_unused(k);
  const page = k.vars.pageB as Page;
  kmap(k, page);
  kunmap(k, page);
}

/** The reader looks at the entry of an address that it has without any lock. */
const LOOKS = ['races: data-race in pte_read / set_pte_ext'];

export default race({
  id: '2009-03-kmap-page-address-no-entry',
  title: 'page_address() answers with an address whose page-table entry has been cleared',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E15'],
  machine: { core: 'cortex-a9', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    { name: 'reader relies on the entry', machine: { patches: ['mutant-entry-expected'] }, outcome: 'report' },
    {
      name: 'reader relies on the entry, address forgotten first',
      machine: { patches: ['mutant-entry-expected', 'mutant-forget-before-pte'] },
      outcome: 'clean',
      reports: LOOKS,
    },
    { name: 'reader relies on the page', outcome: 'clean', reports: LOOKS },
    {
      name: 'reader relies on the page, vivt-shared',
      machine: { core: 'vivt-shared' },
      outcome: 'clean',
      reports: LOOKS,
    },
  ],
  vars: ['firstPage', 'pageB'],

  /** Each page has a slot without a user. */
  setup(k) {
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < PAGES; i++) alloc_page(k, GFP_HIGHUSER);
    k.vars.pageB = alloc_page(k, GFP_HIGHUSER);
    for (let i = 0; i < Math.min(pages(k), LAST_PKMAP(k) - 1); i++) {
      kmap(k, pageOf(k, i));
      kunmap(k, pageOf(k, i));
    }
  },

  threads: [askForAddress, takeSlot],
});
