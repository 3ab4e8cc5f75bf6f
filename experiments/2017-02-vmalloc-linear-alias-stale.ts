/**
 * Claim: a driver that takes the page behind a vmalloc address and writes to it by page_address() has always been wrong where the cache is looked up by virtual address, and
 * works elsewhere only as long as the page is in lowmem. That is the first danger that seed 004 sees in taking highmem without being asked.
 *
 * A driver allocates an area with GFP_KERNEL, reads a word of it, stores another through the linear address of the page, and reads the word again.
 *
 * Kernels: 4.10, physically tagged cache: clean. VIVT cache: the old word. With `hm`: page_address() is NULL, and the store faults.
 * Source: seed 004; spec/vmalloc-gfp.md §6.6, §12.3.
 */
import {
  __vmalloc,
  expect,
  expectWord,
  fillMemory,
  gfp,
  NULL,
  page_address,
  page_to_pfn,
  race,
  vaddr,
  vmalloc_to_page,
} from '../src/index.js';

const OLD = 0x01020304;
const NEW = 0x0a0b0c0d;

export default race({
  id: '2017-02-vmalloc-linear-alias-stale',
  title: 'a driver writes to a vmalloc area by page_address() of its pages',
  source: 'seed 004',
  spec: ['vmalloc/V004-05'],
  machine: { core: 'cortex-a9', cpus: 1, kernel: '4.10', lowmemPages: 256, highmemPages: 128 },
  cases: [
    { name: 'lowmem, physically tagged cache', outcome: 'clean' },
    { name: 'lowmem, VIVT cache', machine: { core: 'arm926' }, outcome: 'wrong-bytes' },
    { name: 'highmem (HM)', machine: { patches: ['hm'] }, outcome: 'oops' },
  ],

  threads: [
    (k) => {
      const area = __vmalloc(k, 8192, gfp(k).GFP_KERNEL);
      expect(area !== NULL, 'there is memory');
      const page = vmalloc_to_page(k, area);
      fillMemory(k, page, () => OLD);
      expectWord(page_to_pfn(k, page), 0, OLD, k.load32(area), 'read through the vmalloc address');
      k.store32(vaddr(page_address(k, page)), NEW);
      expectWord(page_to_pfn(k, page), 0, NEW, k.load32(area), 'read through the vmalloc address');
    },
  ],
});
