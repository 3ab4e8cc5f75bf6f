/**
 * Claim: of a slab of two pages only the first knows that it belongs to SLUB. flush_dcache_page() of the page of an object in the second page
 * meets no PG_slab and a mapping of NULL: it neither oopses nor trips over VM_BUG_ON().
 *
 * Four objects of kmalloc-2048, two in each page of the slab; flush_dcache_page() of the page of one of them, while a slab is partial.
 *
 * Kernels: 2.6.22 before the patch `page-mapping-slab`: objects 0 and 1 oops, 2 and 3 do not. With the patch: none. VM_BUG_ON() and DEBUG_VM: a
 * BUG for 0 and 1, nothing is noticed for 2 and 3. A caller that asks PageSlab() first does not flush 0 and 1, and flushes 2 and 3.
 * Source: seed 001; mm/slub.c, mm/page_alloc.c (prep_compound_page), Linux 2.6.22; spec/slab-dma.md §2.3, §6.
 */
import { assertEqual, flushTransferred, type Kernel, memoryWord, race, type Vaddr, vaddr } from '../src/index.js';
import { AT91SAM9263, makePartial } from './lib/at91.js';
import { type Claim, type Fix, fixCases } from './lib/fixes.js';
import { objectAt, offsetInSlab, virt_to_page } from './lib/objects.js';

const SIZE = 2048;
const STORED = 0x5a5a1234;

function flushObject(k: Kernel): void {
  const { flushed = 1 } = k.config.parameters;
  const x = k.vars.object as Vaddr;
  const page = virt_to_page(k, x);
  k.load32(x);
  k.store32(x, STORED);
  flushTransferred(k, page, x, SIZE);
  assertEqual(memoryWord(k, page, vaddr(x & 4095)) === STORED ? 1 : 0, flushed, 'the page was flushed');
}

const CLEAN: Claim = { outcome: 'clean' };
const OOPS: Claim = { outcome: 'oops', says: ['at virtual address 0000000d', 'Oops: 1 [#1]'] };
const BUG: Claim = { outcome: 'bug', says: ['page_mapping: a slab page'] };

const inHead: Partial<Record<Fix, Claim>> = {
  none: OOPS,
  'PageSlab test': CLEAN,
  'VM_BUG_ON, DEBUG_VM': BUG,
  VM_BUG_ON: OOPS,
  'pages for DMA memory, ARM': OOPS,
  'flush_dcache_range()': CLEAN,
};
const inTail: Partial<Record<Fix, Claim>> = {
  none: CLEAN,
  'PageSlab test': CLEAN,
  'VM_BUG_ON, DEBUG_VM': CLEAN,
  VM_BUG_ON: CLEAN,
  'pages for DMA memory, ARM': CLEAN,
  'flush_dcache_range()': CLEAN,
  'PageSlab() in the caller': CLEAN,
};

export default race({
  id: '2007-06-slub-tail-page-flush',
  title: 'only the first page of a slab is known as one',
  source: 'seed 001',
  spec: ['slab-dma/S7'],
  machine: AT91SAM9263,
  cases: [
    ...[0, 1].flatMap((object) => [
      ...fixCases(`object ${object}`, { parameters: { object } }, inHead),
      ...fixCases(`object ${object}`, { parameters: { object, flushed: 0 } }, { 'PageSlab() in the caller': CLEAN }),
    ]),
    ...[2, 3].flatMap((object) => fixCases(`object ${object}`, { parameters: { object } }, inTail)),
  ],

  vars: ['object'],

  setup(k) {
    const { object = 0 } = k.config.parameters;
    k.vars.object = objectAt(k, SIZE, (x) => offsetInSlab(k, x) === object * SIZE);
    makePartial(k, SIZE, 1);
  },

  threads: [flushObject],
});
