/**
 * Claim: vread() reads a page through its linear address, or through a kmap_atomic() slot if it is highmem, not through the vmalloc address. On a cache that is looked up by virtual
 * address it does not see what the owner of the area has just stored; that the page is highmem changes nothing.
 *
 * The owner reads a word, stores another in its place and reads it by vread(), as /proc/kcore would. These caches allocate lines for reads only.
 *
 * Kernels: 4.10, physically tagged cache: clean. VIVT cache, without and with `hm`: the old word.
 * Source: seed 004; spec/vmalloc-gfp.md §6.5, §12.3.
 */
import {
  __vmalloc,
  expect,
  expectWord,
  fillMemory,
  gfp,
  kfree,
  kmalloc,
  NULL,
  page_to_pfn,
  race,
  vmalloc_to_page,
  vread,
} from '../src/index.js';

const OLD = 0x01020304;
const NEW = 0x0a0b0c0d;

export default race({
  id: '2017-02-vread-stale-bytes',
  title: 'vread() of an area that is being written on a VIVT cache',
  source: 'seed 004',
  spec: ['vmalloc/V004-11'],
  machine: { core: 'arm926', cpus: 1, kernel: '4.10', lowmemPages: 256, highmemPages: 128 },
  cases: [
    { name: 'physically tagged cache', machine: { core: 'cortex-a9' }, outcome: 'clean' },
    { name: 'lowmem, VIVT cache', outcome: 'wrong-bytes' },
    { name: 'highmem, VIVT cache (HM)', machine: { patches: ['hm'] }, outcome: 'wrong-bytes' },
  ],

  threads: [
    (k) => {
      const area = __vmalloc(k, 4096, gfp(k).GFP_KERNEL);
      const buffer = kmalloc(k, 32, gfp(k).GFP_KERNEL);
      expect(area !== NULL && buffer !== NULL, 'there is memory');
      const page = vmalloc_to_page(k, area);
      fillMemory(k, page, () => OLD);
      k.load32(area);
      k.store32(area, NEW);
      vread(k, buffer, area, 4);
      expectWord(page_to_pfn(k, page), 0, NEW, k.load32(buffer) >>> 0, 'read by vread()');
      kfree(k, buffer);
    },
  ],
});
