/**
 * Claim: kunmap() is for process context: it refuses with BUG() to run in a hard interrupt, in a soft interrupt, and with bottom halves
 * disabled. That it may not sleep is not the reason (it does not): kmap() may, and the two belong together.
 *
 * Three CPUs, three contexts: a handler, a soft interrupt that a handler raises, and a thread between local_bh_disable() and _enable(). Each
 * unmaps a page that its own thread has mapped. Whoever comes first is the one in the report.
 *
 * Kernels: BUG in all of them, since kmap_lock has nothing to do with it: with `kmap-high-get` and without.
 * Source: arch/arm/mm/highmem.c, Linux 2.6.30; spec/highmem.md §4.3, §5.10.
 */
import {
  alloc_page,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap,
  local_bh_disable,
  local_bh_enable,
  open_softirq,
  type Page,
  page_plus,
  race,
  raise_softirq,
  Softirq,
} from '../src/index.js';

const UNMAP = 5;
const UNMAP_LATER = 6;

const own = (k: Kernel): Page => page_plus(k.vars.firstPage as Page, k.cpu);

function unmapInHandler(k: Kernel): void {
  kmap(k, own(k));
  k.raise(k.cpu, UNMAP);
}

function unmapInSoftirq(k: Kernel): void {
  open_softirq(k, Softirq.BLOCK, (k) => kunmap(k, own(k)));
  kmap(k, own(k));
  k.raise(k.cpu, UNMAP_LATER);
}

function unmapWithoutBottomHalves(k: Kernel): void {
  kmap(k, own(k));
  local_bh_disable(k);
  kunmap(k, own(k));
  local_bh_enable(k);
}

export default race({
  id: '2009-03-kunmap-in-interrupt-bug',
  title: 'kunmap() in an interrupt, or with bottom halves disabled, is a BUG',
  source: 'arch/arm/mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E7'],
  machine: { core: 'cortex-a9', cpus: 3, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { lowmemPages: 64, highmemPages: 16 },
  cases: [
    { name: 'pinned', outcome: 'bug' },
    { name: 'unpinned', machine: { patches: ['-kmap-high-get'] }, outcome: 'bug' },
  ],
  vars: ['firstPage'],

  setup(k) {
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < k.config.cpus; i++) alloc_page(k, GFP_HIGHUSER);
  },

  irqs: {
    [UNMAP]: (k) => kunmap(k, own(k)),
    [UNMAP_LATER]: (k) => raise_softirq(k, Softirq.BLOCK),
  },
  threads: [unmapInHandler, unmapInSoftirq, unmapWithoutBottomHalves],
});
