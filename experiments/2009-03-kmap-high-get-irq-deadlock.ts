/**
 * Claim: kmap_high_get() is of use to interrupt handlers only if kmap_lock is taken with interrupts off everywhere. With plain locks
 * an interrupt that comes while kmap_high() or kunmap_high() holds the lock spins in the handler for a lock that the context below it
 * holds: that CPU never moves again, and the others stop at their next kmap().
 *
 * CPU 0 maps and unmaps pages; the handler on CPU 0 pins the page that a driver is about to give to a device, as dma_map_page()
 * would; the other CPUs raise the interrupt between kmaps of their own.
 *
 * Kernels: without `kmap-high-get` (its lock variants are part of the patch) a deadlock whose owner is the interrupted context. With it
 * the interrupt waits until the lock is free, and nothing is found.
 * Source: seed 002; spec/highmem.md §4.1, §4.3.
 */
import {
  alloc_page,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kmap_high_get,
  kunmap,
  kunmap_high,
  NULL,
  type Page,
  page_plus,
  race,
} from '../src/index.js';

const LINE = 5;
/** Pages that each CPU maps, one after the other. */
const PAGES_EACH = 8;
const pagesEach = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : PAGES_EACH);

function mapPages(k: Kernel): void {
  for (let i = 0; i < pagesEach(k); i++) {
    const page = page_plus(k.vars.firstPage as Page, k.cpu * PAGES_EACH + i);
    kmap(k, page);
    kunmap(k, page);
  }
}

/** As mapPages(), with an interrupt for CPU 0 after each. */
function mapAndInterrupt(k: Kernel): void {
  for (let i = 0; i < pagesEach(k); i++) {
    const page = page_plus(k.vars.firstPage as Page, k.cpu * PAGES_EACH + i);
    kmap(k, page);
    k.raise(0, LINE);
    kunmap(k, page);
  }
}

/** The driver's handler: pin the page for the time of a transfer's cache maintenance. */
function pinInHandler(k: Kernel): void {
  const page = k.vars.pinned as Page;
  if (kmap_high_get(k, page) !== NULL) kunmap_high(k, page);
}

export default race({
  id: '2009-03-kmap-high-get-irq-deadlock',
  title: 'kmap_high_get() in an interrupt spins on the kmap_lock of the context it interrupted',
  source: 'seed 002',
  spec: ['highmem/E4'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 4, highmemPages: 128 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 128, bufferBytes: 32 },
  cases: [
    { name: 'kmap_lock with interrupts on', machine: { patches: ['-kmap-high-get'] }, outcome: 'deadlock' },
    { name: 'kmap_lock with interrupts off', outcome: 'clean' },
  ],
  vars: ['pinned', 'firstPage'],

  setup(k) {
    k.vars.pinned = alloc_page(k, GFP_HIGHUSER);
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < k.config.cpus * PAGES_EACH; i++) alloc_page(k, GFP_HIGHUSER);
    kmap(k, k.vars.pinned as Page);
  },

  irqs: { [LINE]: pinInHandler },
  threads: ({ cpus }) => Array.from({ length: Math.max(2, cpus) }, (_, i) => (i === 0 ? mapPages : mapAndInterrupt)),
});
