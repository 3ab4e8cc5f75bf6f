/**
 * Claim: on a cache that is looked up by virtual address the zeros of a highmem page are in lines of the slot through which it was cleared. They are seen through the vmalloc address
 * because kunmap_atomic() writes the slot's lines back, and because flush_cache_vmap() writes everything back; one of the two is enough.
 *
 * A task looks into a highmem page through the slot, so that the cache has lines of it: these caches allocate none for stores. Then it allocates an area with __GFP_ZERO
 * and reads a word of each page.
 *
 * Kernels: 4.10 and `hm`: zeros. `hm` without the flush at the map: zeros. Without the write-back at kunmap_atomic() either: what was there before.
 * Source: seed 004; spec/vmalloc-gfp.md §4.2, §7, §12.3.
 */
import {
  __vmalloc,
  alloc_page,
  expect,
  expectWord,
  gfp,
  type Kernel,
  km_type,
  kmap_atomic,
  kunmap_atomic,
  NULL,
  page_to_pfn,
  race,
  vaddr,
  vmalloc_to_page,
} from '../src/index.js';

const PAGES = 2;

function readThroughSlot(k: Kernel): void {
  const page = alloc_page(k, gfp(k).GFP_KERNEL | gfp(k).__GFP_HIGHMEM);
  const addr = kmap_atomic(k, page, km_type.KM_USER0);
  k.load32(addr);
  kunmap_atomic(k, addr, km_type.KM_USER0);
}

export default race({
  id: '2017-02-vmalloc-zero-stale-bytes',
  title: 'zeroed highmem pages of a vmalloc area on a VIVT cache',
  source: 'seed 004',
  spec: ['vmalloc/V004-10'],
  machine: { core: 'arm926', cpus: 1, kernel: '4.10', lowmemPages: 256, highmemPages: 128 },
  cases: [
    { name: 'lowmem, as in 4.10', outcome: 'clean' },
    { name: 'highmem (HM)', machine: { patches: ['hm'] }, outcome: 'clean' },
    { name: 'without the flush at the map', machine: { patches: ['hm', 'mutant-no-vmap-flush'] }, outcome: 'clean' },
    {
      name: 'without the flush at the map and at kunmap_atomic()',
      machine: { patches: ['hm', 'mutant-no-vmap-flush', 'mutant-kunmap-atomic-no-flush'] },
      outcome: 'wrong-bytes',
    },
  ],

  threads: [
    (k) => {
      readThroughSlot(k);
      const area = __vmalloc(k, PAGES * 4096, gfp(k).GFP_KERNEL | gfp(k).__GFP_ZERO);
      expect(area !== NULL, 'there is memory');
      for (let i = 0; i < PAGES; i++) {
        const page = vmalloc_to_page(k, area + i * 4096);
        expectWord(
          page_to_pfn(k, page),
          0,
          0,
          k.load32(vaddr(area + i * 4096)) >>> 0,
          'read through the vmalloc address',
        );
      }
    },
  ],
});
