/**
 * Claim: on a virtually tagged cache somebody who holds a kmap of a page does not see what is stored to it through kmap_atomic(). kunmap_atomic()
 * brings the bytes to memory, but the lines under the kmap address stay as they are.
 *
 * The first thread kmaps page P and reads it, so that its lines are in the cache. The second writes it through kmap_atomic(), as a driver
 * does that copies its data. Then the first reads again, still through the same mapping. Completions order them.
 *
 * Kernels: 2.6.30 and 2.6.31 read stale bytes, on ARM926 (one CPU) and on the shared VIVT machine. 2.6.32 does not: there kmap_atomic() uses
 * the kmap address if the page has one. A physically tagged cache never did.
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
const word = (offset: number): number => (0x5a700000 ^ offset) >>> 0;

const mapped = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);
const written = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data + 64);

function readByKmap(k: Kernel): void {
  const page = k.vars.page as Page;
  const addr = kmap(k, page);
  for (let offset = 0; offset < used(k); offset += LINE) k.load32((addr + offset) as Vaddr);
  complete(k, mapped(k));
  wait_for_completion(k, written(k));
  for (let offset = 0; offset < used(k); offset += LINE) {
    const seen = k.load32((addr + offset) as Vaddr);
    expectWord(page_to_pfn(k, page), offset, word(offset), seen, 'read through kmap()');
  }
  kunmap(k, page);
}

function writeByKmapAtomic(k: Kernel): void {
  wait_for_completion(k, mapped(k));
  const addr = kmap_atomic(k, k.vars.page as Page, km_type.KM_USER0);
  for (let offset = 0; offset < used(k); offset += LINE) k.store32((addr + offset) as Vaddr, word(offset));
  kunmap_atomic(k, addr, km_type.KM_USER0);
  complete(k, written(k));
}

export default race({
  id: '2009-09-kmap-misses-kmap-atomic-stores',
  title: 'the holder of a kmap() does not see what is stored through kmap_atomic()',
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
    init_completion(k, mapped(k));
    init_completion(k, written(k));
    const page = alloc_page(k, GFP_HIGHUSER);
    k.vars.page = page;
    fillMemory(k, page, () => OLD);
  },

  threads: [readByKmap, writeByKmapAtomic],
});
