/**
 * Claim: a slab cache that has to grow enables interrupts around the page allocation if the mask allows to sleep, and disables them afterwards. So
 * kmalloc(GFP_KERNEL) in a hard interrupt handler lets other handlers in, even if nothing ever sleeps; with GFP_ATOMIC they wait.
 *
 * The handler of one line allocates until its cache grows, while another line is pending.
 *
 * Kernels: 2.5.53 (slab) and 2.6.22 (SLUB) alike: the second handler runs inside the first.
 * Source: mm/slab.c (`cache_grow`), Linux 2.5.53; mm/slub.c (`new_slab`), Linux 2.6.22; spec/vmalloc-gfp.md §5.2. Differs: kmalloc() is SLUB's in every version.
 */
import { expect, gfp, jiffies, type Kernel, kmalloc, race } from '../src/index.js';

const FIRST = 5;
const SECOND = 6;
/** One more than a slab of a page has. */
const OBJECTS = 3;

export default race({
  id: '2003-01-slab-growth-enables-irqs',
  title: 'kmalloc(GFP_KERNEL) in an interrupt lets other interrupts in',
  source: 'seed 000',
  spec: ['vmalloc/V000-25'],
  machine: { core: 'arm926', cpus: 1, kernel: '2.5.53', highmemPages: 0 },
  cases: [
    { name: '2.5.53', outcome: 'report' },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'report' },
  ],
  vars: ['inFirst', 'nested'],

  setup(k) {
    // It has just complained of a sleeping function, so for a second it does not complain of this one.
    k.store(k.sym.might_sleep_prev_jiffy, jiffies(k));
  },
  irqs: {
    [FIRST]: (k) => {
      k.vars.inFirst = 1;
      k.raise(0, SECOND);
      for (let i = 0; i < OBJECTS; i++) kmalloc(k, 2048, gfp(k).GFP_ATOMIC);
      expect(k.vars.nested !== 1, 'a handler ran inside another that allocates with GFP_ATOMIC');
      for (let i = 0; i < OBJECTS; i++) kmalloc(k, 2048, gfp(k).GFP_KERNEL);
      k.vars.inFirst = 0;
    },
    [SECOND]: (k) => {
      if (k.vars.inFirst === 1) k.vars.nested = 1;
    },
  },
  threads: [
    (k: Kernel) => {
      k.raise(0, FIRST);
      for (let i = 0; i < 4; i++) k.load(k.sym.race_data);
    },
  ],
  check(k) {
    expect(k.vars.nested !== 1, 'the handler of one line ran inside that of another');
  },
});
