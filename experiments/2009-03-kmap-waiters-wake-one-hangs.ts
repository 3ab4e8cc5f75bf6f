/**
 * Claim: a slot that loses its last user has to wake all who wait for one. The waiters want pages, not slots: one that finds its page
 * mapped meanwhile (step M9) shares that mapping and leaves the slot to the others, who must look again. With wake-one semantics a
 * waiter sleeps for ever beside a mapping of its own page, or beside a free slot.
 *
 * Both slots are in use, three threads wait: two for page P, one for page Q. The two slots are given up, which is enough for all three.
 *
 * Kernels: with `mutant-exclusive-waiters` two wake-ups reach two of the three, and one hangs. Without it all wake, one of the first
 * two maps P, the other finds it and shares the slot, the third gets the other slot.
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §5.6 (M6 to M9), §5.8 (U5).
 */
import {
  alloc_page,
  type Completion,
  complete,
  expect,
  GFP_HIGHUSER,
  init_completion,
  irqs_disabled,
  type Kernel,
  kmap,
  kunmap,
  LAST_PKMAP,
  type Page,
  PKMAP_NR,
  page_address,
  page_plus,
  pkmap_count,
  ptr,
  race,
  wait_for_completion,
} from '../src/index.js';

const WAITERS = 3;

/** Completed by each waiter when it is about to map its page. */
const aboutToMap = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);

/** Give both slots up when the others are likely to wait for them. */
function giveUpSlots(k: Kernel): void {
  for (let i = 0; i < WAITERS; i++) wait_for_completion(k, aboutToMap(k));
  for (let nr = 0; nr < LAST_PKMAP(k); nr++) kunmap(k, page_plus(k.vars.firstPage as Page, nr));
}

/** Map a page and keep it. */
function map(k: Kernel, page: Page): void {
  complete(k, aboutToMap(k));
  const addr = kmap(k, page);
  expect(addr === page_address(k, page), 'the mapping went while it was in use', addr);
  expect(!irqs_disabled(k), 'kmap() returned with interrupts off');
}

const mapP = (k: Kernel): void => map(k, k.vars.pageP as Page);
const mapQ = (k: Kernel): void => map(k, k.vars.pageQ as Page);

export default race({
  id: '2009-03-kmap-waiters-wake-one-hangs',
  title: 'of several kmap() waiters one is never woken',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E5b', 'highmem/E5c'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 2 },
  smallest: { cpus: 1, lowmemPages: 64, highmemPages: 16 },
  cases: [
    { name: 'a slot wakes one', machine: { patches: ['mutant-exclusive-waiters'] }, outcome: 'hang' },
    { name: 'a slot wakes all', outcome: 'clean' },
    { name: 'a slot wakes all, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
  ],
  vars: ['firstPage', 'pageP', 'pageQ'],

  setup(k) {
    init_completion(k, aboutToMap(k));
    const first = alloc_page(k, GFP_HIGHUSER);
    k.vars.firstPage = first;
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) alloc_page(k, GFP_HIGHUSER);
    for (let nr = 0; nr < LAST_PKMAP(k); nr++) kmap(k, page_plus(first, nr));
    k.vars.pageP = alloc_page(k, GFP_HIGHUSER);
    k.vars.pageQ = alloc_page(k, GFP_HIGHUSER);
  },

  threads: ({ cpus }) => [
    { run: giveUpSlots, cpu: 0, name: 'holder' },
    { run: mapP, cpu: 1 % cpus, name: 'wants P' },
    { run: mapP, cpu: 2 % cpus, name: 'wants P too' },
    { run: mapQ, cpu: 3 % cpus, name: 'wants Q' },
  ],

  /** P has two users in one slot, Q one in the other. */
  check(k) {
    const users = (page: Page): number => pkmap_count(k, PKMAP_NR(k, page_address(k, page))) - 1;
    expect(users(k.vars.pageP as Page) === 2, 'page P has not two users', users(k.vars.pageP as Page));
    expect(users(k.vars.pageQ as Page) === 1, 'page Q has not one user', users(k.vars.pageQ as Page));
  },
});
