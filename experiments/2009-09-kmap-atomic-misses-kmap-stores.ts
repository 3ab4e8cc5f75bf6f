/**
 * Claim: on a virtually tagged cache kmap_atomic() of a page that was kmapped before reads stale bytes. kunmap() leaves the mapping and its
 * dirty lines in place; the fixmap address is another address, so its reader misses them and gets what memory held before.
 *
 * The first thread kmaps page P, reads and writes it, and kunmaps it. The second reads it through kmap_atomic(). A completion orders them, so
 * the only question is what the cache does.
 *
 * Kernels: 2.6.30 and 2.6.31 read stale bytes, on ARM926 (one CPU) and on the shared VIVT machine. 2.6.32 does not: there kmap_atomic() uses
 * the kmap address if the page has one. A physically tagged cache never did.
 * Source: commit 7929eb9cf64, Linux 2.6.32-rc1; spec/highmem.md §7.2, §7.6.
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

const written = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);

function writeByKmap(k: Kernel): void {
  const page = k.vars.page as Page;
  const addr = kmap(k, page);
  for (let offset = 0; offset < used(k); offset += LINE) {
    k.load32((addr + offset) as Vaddr);
    k.store32((addr + offset) as Vaddr, word(offset));
  }
  kunmap(k, page);
  complete(k, written(k));
}

function readByKmapAtomic(k: Kernel): void {
  const page = k.vars.page as Page;
  wait_for_completion(k, written(k));
  const addr = kmap_atomic(k, page, km_type.KM_USER0);
  for (let offset = 0; offset < used(k); offset += LINE) {
    const seen = k.load32((addr + offset) as Vaddr);
    expectWord(page_to_pfn(k, page), offset, word(offset), seen, 'read through kmap_atomic()');
  }
  kunmap_atomic(k, addr, km_type.KM_USER0);
}

export default race({
  id: '2009-09-kmap-atomic-misses-kmap-stores',
  title: 'kmap_atomic() reads stale bytes of a page that was written through kmap()',
  source: 'commit 7929eb9cf64, Linux 2.6.32-rc1',
  spec: ['highmem/E8', 'hardware/V4'],
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

  threads: [writeByKmap, readByKmapAtomic],
});
