/**
 * Claim: on a virtually tagged cache a line of a page can be dirty under its kmap address and under a fixmap address at the same time, each
 * with a store that the other does not have. Which one memory keeps depends on which is written back last.
 *
 * The first thread stores to the first word of each line through kmap() and kunmaps. The second stores to the second word of each line
 * through kmap_atomic(). The third makes the kernel unmap all unused kmap slots, cache flush included, at a moment of its own choice: before the second
 * thread begins it puts everything right, in the middle or afterwards it does not. At the end both words of each line are read.
 *
 * Kernels: 2.6.30 and 2.6.31 lose stores of the one or the other, on ARM926 (one CPU) and on the shared VIVT machine. 2.6.32 does not: there
 * kmap_atomic() uses, and pins, the kmap address if the page has one. A physically tagged cache never did.
 * Source: commit 7929eb9cf64, Linux 2.6.32-rc1; spec/highmem.md §7.3, §7.6.
 */
import {
  alloc_page,
  type Completion,
  complete,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  init_completion,
  type Kernel,
  km_type,
  kmap,
  kmap_atomic,
  kmap_flush_unused,
  kunmap,
  kunmap_atomic,
  type Page,
  page_to_pfn,
  ptr,
  race,
  type Vaddr,
  wait_for_completion,
} from '../src/index.js';

const LINE = 32;
/** Bytes of the page that are used. */
const used = (k: Kernel): number => Math.min(k.config.bufferBytes, 512);
const OLD = 0x01d01d01;
/** Offset of the second thread's word in each line: in the same half line, which is what ARM926 writes back. */
const SECOND = 4;
const word = (offset: number): number => (0x5a700000 ^ offset) >>> 0;

const written = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);

/** Store to one word of each line, with the line in the cache. */
function updateLines(k: Kernel, addr: Vaddr, which: number): void {
  for (let offset = which; offset < used(k); offset += LINE) {
    k.load32((addr + offset) as Vaddr);
    k.store32((addr + offset) as Vaddr, word(offset));
  }
}

function updateByKmap(k: Kernel): void {
  const page = k.vars.page as Page;
  updateLines(k, kmap(k, page), 0);
  kunmap(k, page);
  complete(k, written(k));
}

function updateByKmapAtomic(k: Kernel): void {
  wait_for_completion(k, written(k));
  const addr = kmap_atomic(k, k.vars.page as Page, km_type.KM_USER0);
  updateLines(k, addr, SECOND);
  kunmap_atomic(k, addr, km_type.KM_USER0);
}

export default race({
  id: '2009-09-kmap-atomic-alias-lost-store',
  title: 'of two stores to a line through kmap() and kmap_atomic() only one reaches memory',
  source: 'commit 7929eb9cf64, Linux 2.6.32-rc1',
  spec: ['highmem/E8'],
  machine: { core: 'arm926', kernel: '2.6.31' },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    { name: '2.6.30', machine: { kernel: '2.6.30' }, outcome: 'wrong-bytes' },
    { name: '2.6.32', machine: { kernel: '2.6.32' }, outcome: 'clean' },
    { name: '2.6.31, vivt-shared', machine: { core: 'vivt-shared' }, outcome: 'wrong-bytes' },
    { name: '2.6.32, vivt-shared', machine: { core: 'vivt-shared', kernel: '2.6.32' }, outcome: 'clean' },
    { name: '2.6.31, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
  ],
  vars: ['page'],

  setup(k) {
    init_completion(k, written(k));
    const page = alloc_page(k, GFP_HIGHUSER);
    k.vars.page = page;
    fillMemory(k, page, () => OLD);
  },

  threads: [updateByKmap, updateByKmapAtomic, kmap_flush_unused],

  /** After a last flush there is one mapping of the page, and nothing but memory behind it. */
  check(k) {
    kmap_flush_unused(k);
    const page = k.vars.page as Page;
    const addr = kmap(k, page);
    for (let offset = 0; offset < used(k); offset += LINE) {
      for (const at of [offset, offset + SECOND]) {
        const how = at === offset ? 'stored through kmap()' : 'stored through kmap_atomic()';
        expectWord(page_to_pfn(k, page), at, word(at), k.load32((addr + at) as Vaddr), how);
      }
    }
    kunmap(k, page);
  },
});
