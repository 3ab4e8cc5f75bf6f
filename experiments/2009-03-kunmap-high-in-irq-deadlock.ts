/**
 * Claim: a completion interrupt may drop the last user of a kmap slot with kunmap_high(), and so wake a thread that sleeps for a slot,
 * if kmap_lock is taken with interrupts off everywhere. With plain locks the handler spins for the lock that kmap_high() below it
 * holds, and never returns.
 *
 * All slots are in use, one of them by a transfer. CPU 0 maps a page more. CPU 1 completes the transfer: it raises the interrupt on CPU 0,
 * whose handler unpins the transfer's page. That may come before, while or after CPU 0 looks for a slot and goes to sleep.
 *
 * Kernels: without `kmap-high-get` a deadlock whose owner is the interrupted context. With it the thread always gets the slot; if it was
 * asleep, by a wake-up from the interrupt.
 * Source: seed 002 ("can be called from any context"); spec/highmem.md §4.3, §5.8.
 */
import {
  alloc_page,
  expect,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap_high,
  LAST_PKMAP,
  type Page,
  PKMAP_NR,
  page_address,
  pkmap_count,
  race,
} from '../src/index.js';

const LINE = 5;

function mapOneMore(k: Kernel): void {
  const addr = kmap(k, k.vars.wanted as Page);
  expect(PKMAP_NR(k, addr) === k.vars.transferSlot, 'the page is not in the slot that the transfer had', addr);
}

export default race({
  id: '2009-03-kunmap-high-in-irq-deadlock',
  title: 'kunmap_high() in an interrupt spins on the kmap_lock of the context it interrupted',
  source: 'seed 002',
  spec: ['highmem/E7', 'highmem/E4'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16 },
  cases: [
    { name: 'kmap_lock with interrupts on', machine: { patches: ['-kmap-high-get'] }, outcome: 'deadlock' },
    { name: 'kmap_lock with interrupts off', outcome: 'clean' },
    { name: 'kmap_lock with interrupts off, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
  ],
  vars: ['transferred', 'transferSlot', 'wanted'],

  setup(k) {
    k.vars.transferred = alloc_page(k, GFP_HIGHUSER);
    k.vars.transferSlot = PKMAP_NR(k, kmap(k, k.vars.transferred as Page));
    for (let nr = 1; nr < LAST_PKMAP(k); nr++) kmap(k, alloc_page(k, GFP_HIGHUSER));
    k.vars.wanted = alloc_page(k, GFP_HIGHUSER);
  },

  irqs: { [LINE]: (k) => kunmap_high(k, k.vars.transferred as Page) },
  threads: ({ cpus }) => [
    { run: mapOneMore, cpu: 0, name: 'maps one more' },
    { run: (k) => k.raise(0, LINE), cpu: 1 % cpus, name: 'completes the transfer' },
  ],

  check(k) {
    const nr = PKMAP_NR(k, page_address(k, k.vars.wanted as Page));
    expect(pkmap_count(k, nr) === 2, 'the page has not one user', pkmap_count(k, nr));
  },
});
