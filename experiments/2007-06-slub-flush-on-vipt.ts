/**
 * Claim: only a kernel for virtually tagged caches walks the mappings of a page, so only there flush_dcache_page() of a SLUB page oopses. A
 * physically tagged cache makes one CPU take a wrong decision, to flush later, and none on several.
 *
 * flush_dcache_page() of a page of kmalloc-64 with so many slabs partial, one word of which the CPU has stored. Then the mark on the page and the word
 * in memory are looked at.
 *
 * Kernels: 2.6.22 before the patch `page-mapping-slab`, ARM11 and Cortex-A9. One CPU: flushed if slabs are partial, else only marked. Two CPUs:
 * always flushed. On ARM926 the oops of the report.
 * In the cache of ARM1136 a page may have two places: the garbage that is taken for its file makes the kernel flush a second one, to no harm.
 * Source: arch/arm/mm/flush.c, Linux 2.6.22; spec/slab-dma.md §3.3.
 */
import {
  assertEqual,
  flush_dcache_page,
  GFP_KERNEL,
  type Kernel,
  kmalloc,
  memoryWord,
  race,
  struct_page,
  type Vaddr,
  virt_to_head_page,
} from '../src/index.js';
import { AT91SAM9263, BEFORE, makePartial } from './lib/at91.js';

const STORED = 0x5a5a1234;

function flushObject(k: Kernel): void {
  const { partial = 1 } = k.config.parameters;
  const object = kmalloc(k, 64, GFP_KERNEL) as Vaddr;
  const page = virt_to_head_page(k, object);
  k.load32(object);
  k.store32(object, STORED);
  flush_dcache_page(k, page);
  const marked = (k.read(page, struct_page.flags) >>> 9) & 1;
  const lazy = k.config.cpus === 1 && partial === 0 && !k.has('page-mapping-slab') ? 1 : 0;
  assertEqual(marked, lazy, 'mark on the page');
  assertEqual(memoryWord(k, page, object & 4095) === STORED ? 0 : 1, lazy, 'the store is still in the cache only');
}

const vipt = ['arm1136', 'arm11mpcore', 'cortex-a9'].flatMap((core) =>
  (core === 'arm1136' ? [1] : [1, 2]).flatMap((cpus) =>
    [0, 1].map((partial) => ({
      name: `${core}, ${cpus} CPU, ${partial} partial`,
      machine: { core, cpus, patches: BEFORE, parameters: { partial } },
      outcome: 'clean' as const,
    })),
  ),
);

export default race({
  id: '2007-06-slub-flush-on-vipt',
  title: 'flush_dcache_page() of a slab page on physically tagged caches',
  source: 'seed 001',
  spec: ['slab-dma/S6'],
  machine: AT91SAM9263,
  cases: [
    ...vipt,
    { name: 'arm926, 1 partial', machine: { patches: BEFORE }, outcome: 'oops', says: ['0000000d', 'Oops: 1'] },
    { name: 'arm926, PageSlab test', outcome: 'clean' },
  ],

  setup(k) {
    makePartial(k, 64, k.config.parameters.partial ?? 1);
  },

  threads: [flushObject],
});
