/**
 * Claim: a thread must not ask for a second kmap() while it holds a first one. If as many threads as there are slots do, each holds a
 * slot and sleeps for another, and nobody is left to unmap anything. This is no defect of mm/highmem.c: it is the nesting rule of
 * its callers, and the reason why kmap_atomic() has two slots for each kind of copy.
 *
 * Two threads copy a page each as a careless driver would: map the source, read it, map the target, write it, unmap both.
 *
 * Kernels: all of them hang with two slots. Four slots are enough for two such threads, so nothing hangs there: the real table of 512
 * slots only makes it rarer.
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §5.6.
 */
import {
  alloc_page,
  expect,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kunmap,
  type Page,
  page_plus,
  page_to_pfn,
  pinnedSlots,
  race,
  type Vaddr,
} from '../src/index.js';

const LINE = 32;
/** Bytes that each thread copies. */
const copied = (k: Kernel): number => Math.min(k.config.bufferBytes, 1024);

const source = (k: Kernel, index: number): Page => page_plus(k.vars.firstPage as Page, index * 2);
const target = (k: Kernel, index: number): Page => page_plus(k.vars.firstPage as Page, index * 2 + 1);
const pattern = (index: number, offset: number): number => (0xc0b1ed00 ^ (index << 16) ^ offset) >>> 0;

function copyPage(k: Kernel, index: number): void {
  const from = kmap(k, source(k, index));
  let sum = 0;
  for (let offset = 0; offset < copied(k); offset += LINE) sum += k.load32((from + offset) as Vaddr);
  const to = kmap(k, target(k, index));
  for (let offset = 0; offset < copied(k); offset += LINE) {
    k.store32((to + offset) as Vaddr, k.load32((from + offset) as Vaddr));
  }
  for (let offset = 0; offset < copied(k); offset += LINE) sum -= k.load32((to + offset) as Vaddr);
  expectWord(page_to_pfn(k, target(k, index)), 0, 0, sum >>> 0, `sum over the copy of thread ${index}`);
  kunmap(k, target(k, index));
  kunmap(k, source(k, index));
}

export default race({
  id: '2009-03-kmap-nested-hangs',
  title: 'threads that each hold a kmap() and want a second one wait for each other for ever',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E5d'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 2 },
  smallest: { lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    { name: 'two slots', outcome: 'hang' },
    { name: 'two slots, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'hang' },
    { name: 'four slots', machine: { pkmapSlots: 4 }, outcome: 'clean' },
  ],
  vars: ['firstPage'],

  setup(k) {
    k.vars.firstPage = alloc_page(k, GFP_HIGHUSER);
    for (let i = 1; i < 4; i++) alloc_page(k, GFP_HIGHUSER);
    for (let i = 0; i < 2; i++) fillMemory(k, source(k, i), (offset) => pattern(i, offset));
  },

  threads: [copyPage, copyPage],

  check(k) {
    expect(pinnedSlots(k) === 0, 'slots are still in use', pinnedSlots(k));
  },
});
