/**
 * Claim: kmap_high_get() and the wrap of the slots exclude each other. On the CPU that wraps an interrupt is not delivered before kmap_lock is
 * free, since interrupts are off; on another CPU kmap_high_get() spins, and then gets NULL, or a pin that keeps the page where it is.
 *
 * Page A has a slot without a user. CPU 0 kmaps page B, which makes the slots wrap. CPU 1 interrupts CPU 0, and interrupts itself; the handler
 * pins A, looks at it through the mapping, and lets it go.
 *
 * Kernels: nothing is found with `kmap-high-get`. Without it (plain locks) the handler on CPU 0 spins for the lock of the context below: deadlock.
 * With `mutant-get-unlocked`, kmap_high_get() without the lock, the pin finds a slot in the middle of being flushed: a BUG, a fault, or
 * another page's bytes.
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §4.3, §5.9.
 */
import {
  alloc_page,
  checkPkmapInvariants,
  data_race,
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
  PKMAP_NR,
  page_plus,
  page_to_pfn,
  pkmap_count,
  pkmap_page,
  race,
  report,
} from '../src/index.js';

const IRQ = 5;
const PAGES = 6;
/** Interrupts for each CPU, and pages that CPU 0 maps meanwhile. */
const rounds = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : 8);
const inA = (offset: number): number => (0xa0000000 ^ offset) >>> 0;

function pinA(k: Kernel): void {
  const page = k.vars.pageA as Page;
  const addr = kmap_high_get(k, page);
  if (addr === NULL) return;
  const nr = PKMAP_NR(k, addr);
  const [count, mapped] = data_race(k, () => [pkmap_count(k, nr), pkmap_page(k, nr)] as const);
  expect(count >= 2, 'a pinned slot has no user', nr, count);
  expect(mapped === page, 'a pinned slot has another page', nr);
  expectWord(page_to_pfn(k, page), 0, inA(0), k.load32(addr), `read by CPU ${k.cpu} in the handler`);
  kunmap_high(k, page);
}

/** Wraps again and again; A is mapped in between, so that it has an address to pin. */
function useSlots(k: Kernel): void {
  for (let i = 0; i < rounds(k); i++) {
    if (i > 0) useSlot(k, k.vars.pageA as Page);
    useSlot(k, page_plus(k.vars.firstPage as Page, i % PAGES));
  }
}

function useSlot(k: Kernel, page: Page): void {
  kmap(k, page);
  kunmap(k, page);
}

function interrupt(k: Kernel): void {
  for (let i = 0; i < rounds(k); i++) {
    k.raise(0, IRQ);
    k.raise(k.cpu, IRQ);
    k.load(k.sym.race_data);
  }
}

export default race({
  id: '2009-03-kmap-high-get-during-flush-bug',
  title: 'kmap_high_get() pins a slot that is being flushed',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E19'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 2 },
  smallest: { lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    {
      name: 'kmap_lock not taken',
      machine: { patches: ['mutant-get-unlocked'] },
      outcome: ['bug', 'oops', 'report', 'wrong-bytes'],
    },
    { name: 'kmap_lock with interrupts on', machine: { patches: ['-kmap-high-get'] }, outcome: 'deadlock' },
    { name: 'kmap_lock with interrupts off', outcome: 'clean' },
    {
      name: 'kmap_lock not taken, cortex-a9',
      machine: { core: 'cortex-a9', patches: ['mutant-get-unlocked'] },
      outcome: ['bug', 'oops', 'report', 'wrong-bytes'],
    },
    { name: 'kmap_lock with interrupts off, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
  ],
  vars: ['pageA', 'firstPage'],

  setup(k) {
    k.vars.pageA = alloc_page(k, GFP_HIGHUSER);
    fillMemory(k, k.vars.pageA as Page, inA);
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < PAGES; i++) alloc_page(k, GFP_HIGHUSER);
    for (let nr = 1; nr < LAST_PKMAP(k) - 1; nr++) useSlot(k, alloc_page(k, GFP_HIGHUSER));
    useSlot(k, k.vars.pageA as Page);
  },

  irqs: { [IRQ]: pinA },
  threads: [useSlots, interrupt],

  check(k) {
    const wrong = checkPkmapInvariants(k);
    if (wrong.length > 0) report(wrong.join('; '));
  },
});
