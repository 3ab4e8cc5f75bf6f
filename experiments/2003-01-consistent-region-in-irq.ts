/**
 * Claim: the private region is for any context: its lock is irqsave and nothing else is needed, so an interrupt that comes while the CPU is inside the
 * allocator gets its page. The region ends after 512 pages, with NULL and no BUG.
 *
 * CPU 0 allocates the first page of the last two that the region has; the handler on CPU 0, the second. One more is refused.
 *
 * Kernels: `rmk2` on 2.5.53, and 2.6.22, which has it: clean.
 * Source: seed 000; arch/arm/mm/consistent.c, Linux 2.6.0; spec/vmalloc-gfp.md §9.3, §12.1.
 */
import { consistent_alloc, expect, gfp, type Kernel, NULL, race } from '../src/index.js';

const LINE = 5;
const PAGES = 512;

/** __alloc_pages() compares zone->free_pages with the watermarks without the zone's lock. */
const UNLOCKED = ['races: pass'];

export default race({
  id: '2003-01-consistent-region-in-irq',
  title: 'the private region serves an interrupt that comes in the middle of an allocation',
  source: 'seed 000',
  spec: ['vmalloc/V000-21'],
  machine: {
    core: 'vivt-shared',
    cpus: 2,
    kernel: '2.5.53',
    patches: ['tlb-ops-broadcast', 'rmk2'],
    lowmemPages: 1280,
    highmemPages: 0,
  },
  cases: [
    { name: '2.5.53 with RMK2', outcome: 'clean', reports: UNLOCKED },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'clean' },
  ],
  vars: ['first', 'second', 'interrupted'],

  /** All but two pages, in blocks of 128 KB and then of less. */
  setup(k) {
    const { GFP_KERNEL } = gfp(k);
    let left = PAGES - 2;
    for (let pages = 32; pages > 0; pages >>>= 1) {
      for (; left >= pages; left -= pages) consistent_alloc(k, GFP_KERNEL, pages * 4096);
    }
  },

  irqs: {
    [LINE]: (k) => {
      k.vars.second = consistent_alloc(k, gfp(k).GFP_ATOMIC, 4096).addr;
      k.vars.interrupted = 1;
    },
  },
  threads: [
    (k: Kernel) => {
      k.vars.first = consistent_alloc(k, gfp(k).GFP_KERNEL, 4096).addr;
    },
    (k: Kernel) => k.raise(0, LINE),
  ],
  check(k) {
    const { first = 0, second = 0, interrupted = 0 } = k.vars;
    expect(first !== NULL && first !== second, 'process context has a page of its own', first, second);
    expect(interrupted === 0 || second !== NULL, 'the handler has a page');
    if (interrupted === 1) expect(consistent_alloc(k, gfp(k).GFP_KERNEL, 4096).addr === NULL, 'the region is full');
  },
});
