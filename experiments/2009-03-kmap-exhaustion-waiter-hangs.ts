/**
 * Claim: with every slot in use kmap() sleeps until somebody unmaps a page, and then gets that slot, by way of a wrap of the whole table:
 * only the flush at the wrap turns a slot without a user (count 1) into a free one (count 0). Three things keep the sleeper from
 * missing the unmap: the scan before the sleep contains a wrap; scan and queueing are one section of kmap_lock; so are the
 * decrement and the look at the queue. Without any one of them a waiter sleeps for ever beside a slot that nobody uses.
 *
 * All slots are in use when the race begins, slot 0 as well. CPU 0 unmaps one page; CPU 1 maps another, writes to it and reads it back.
 *
 * Kernels: with each of the four mutants there are runs in which the waiter hangs. Without them the mapping is always made, in the
 * slot that was given up, and the page that had it has no address any more, which only the flush does. Two changes that look like the mutants
 * make no difference: looking at the queue before the decrement, in the same section of kmap_lock, and after unlocking.
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §5.6 (M1 to M9), §5.8 (U3), §5.11.
 */
import {
  alloc_page,
  expect,
  expectWord,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap,
  LAST_PKMAP,
  NULL,
  type Page,
  PKMAP_ADDR,
  PKMAP_NR,
  page_address,
  page_plus,
  page_to_pfn,
  pkmap_count,
  pkmap_page,
  race,
} from '../src/index.js';

const WORD = 0x5eed0002;
/** Slot whose user goes. The scan starts at slot 1, so it passes this one before it comes to the end of the table. */
const GIVEN_UP = 2;

function giveUpSlot(k: Kernel): void {
  kunmap(k, k.vars.givenUp as Page);
}

function mapOneMore(k: Kernel): void {
  const page = k.vars.wanted as Page;
  const addr = kmap(k, page);
  k.load32(addr);
  k.store32(addr, WORD);
  expectWord(page_to_pfn(k, page), 0, WORD, k.load32(addr), 'read back by the waiter');
  expect(addr === PKMAP_ADDR(k, GIVEN_UP), 'the waiter got another slot than the one given up', addr);
}

export default race({
  id: '2009-03-kmap-exhaustion-waiter-hangs',
  title: 'kmap() waits for ever although a slot has no user',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E5', 'highmem/E5c'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { lowmemPages: 64, highmemPages: 16 },
  cases: [
    { name: 'scan without a wrap', machine: { patches: ['mutant-scan-without-wrap'] }, outcome: 'hang' },
    { name: 'queued after unlocking', machine: { patches: ['mutant-queue-after-unlock'] }, outcome: 'hang' },
    {
      name: 'queue looked at before locking',
      machine: { patches: ['mutant-queue-test-before-lock'] },
      outcome: 'hang',
    },
    {
      name: 'state set after unlocking',
      machine: { patches: ['mutant-state-after-unlock'] },
      outcome: 'hang',
    },
    { name: 'as it is', outcome: 'clean' },
    { name: 'as it is, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
    {
      name: 'queue looked at after unlocking',
      machine: { patches: ['mutant-eq-queue-test-after-unlock'] },
      outcome: 'clean',
    },
    {
      name: 'queue looked at before the decrement',
      machine: { patches: ['mutant-eq-queue-test-before-decrement'] },
      outcome: 'clean',
    },
  ],

  vars: ['givenUp', 'wanted'],

  /** Each slot gets a user, in the order in which they are handed out: 1, 2, 3, 0. */
  setup(k) {
    const first = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i <= LAST_PKMAP(k); i++) alloc_page(k, GFP_HIGHUSER);
    for (let i = 0; i < LAST_PKMAP(k); i++) {
      const nr = PKMAP_NR(k, kmap(k, page_plus(first, i)));
      expect(nr === (i + 1) % LAST_PKMAP(k), 'slots are not handed out in turn', nr);
    }
    k.vars.givenUp = page_plus(first, GIVEN_UP - 1);
    k.vars.wanted = page_plus(first, LAST_PKMAP(k));
  },

  threads: [giveUpSlot, mapOneMore],

  check(k) {
    expect(page_address(k, k.vars.givenUp as Page) === NULL, 'the slot changed hands without a flush');
    expect(pkmap_page(k, GIVEN_UP) === k.vars.wanted, 'the slot maps another page');
    for (let nr = 0; nr < LAST_PKMAP(k); nr++) {
      expect(pkmap_count(k, nr) === 2, 'a slot has not one user', nr, pkmap_count(k, nr));
    }
  },
});
