/**
 * Claim: a kunmap() too many takes away somebody else's mapping. The count tells, but not always in the right thread: it drops to 0 under the
 * culprit if nobody else uses the page, under the innocent user if there is one; and if the slots are flushed in between, the
 * culprit unmaps a page without address, or the innocent touches an address without page.
 *
 * Two threads use page P; one of them unmaps it twice. A third makes the kernel unmap what has no user at a moment of its own choice.
 *
 * Kernels: with `mutant-kunmap-twice` a BUG in kunmap_high() (count 0, or no address), or an oops of the innocent user, in every
 * execution. Without it nothing.
 * Source: mm/highmem.c, Linux 2.6.30; spec/highmem.md §5.8, §5.12.
 */
import {
  alloc_page,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  kmap,
  kmap_flush_unused,
  kunmap,
  type Page,
  page_to_pfn,
  race,
  type Vaddr,
} from '../src/index.js';

const LINE = 32;
/** Bytes that each user reads. */
const used = (k: Kernel): number => Math.min(k.config.bufferBytes, 512);
const word = (offset: number): number => (0x70015000 ^ offset) >>> 0;

function readPage(k: Kernel): void {
  const page = k.vars.page as Page;
  const addr = kmap(k, page);
  for (let offset = 0; offset < used(k); offset += LINE) {
    const seen = k.load32((addr + offset) as Vaddr);
    expectWord(page_to_pfn(k, page), offset, word(offset), seen, `read by CPU ${k.cpu}`);
  }
  kunmap(k, page);
}

function readPageCarelessly(k: Kernel): void {
  readPage(k);
  if (k.has('mutant-kunmap-twice')) kunmap(k, k.vars.page as Page);
}

export default race({
  id: '2009-03-kunmap-twice-bug',
  title: 'a kunmap() too many is a BUG, in the thread that did it or in another',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E14'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    { name: 'twice', machine: { patches: ['mutant-kunmap-twice'] }, outcome: ['bug', 'oops'] },
    {
      name: 'twice, cortex-a9',
      machine: { core: 'cortex-a9', patches: ['mutant-kunmap-twice'] },
      outcome: ['bug', 'oops'],
    },
    { name: 'once', outcome: 'clean' },
    { name: 'once, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
  ],
  vars: ['page'],

  setup(k) {
    const page = alloc_page(k, GFP_HIGHUSER);
    k.vars.page = page;
    fillMemory(k, page, word);
  },

  threads: [readPageCarelessly, readPage, kmap_flush_unused],
});
