/**
 * Claim: with `hm` an area costs no data page of lowmem any more, but still what describes it: vm_struct, vmap_area, the array of its pages, and a page table for each two
 * megabytes of addresses.
 *
 * A task allocates 16 areas of a megabyte. What is measured, after each: pages of lowmem that hold data of the areas, that slabs have, and all others that are gone, which are
 * page tables.
 *
 * Kernels: 4.10: 256 pages of data for each area. With `hm`: none, and the rest is the same. Either way what is gone from lowmem is explained to the page.
 * Source: seed 004; spec/vmalloc-gfp.md §6.5, §8, §12.3.
 */
import {
  __vmalloc,
  expect,
  gfp,
  type Kernel,
  NULL,
  nr_free_pages_of,
  PageHighMem,
  PG_slab,
  page_plus,
  pagesOnCpuLists,
  race,
  sample,
  struct_page,
  type Vaddr,
  vmalloc_to_page,
  ZONE_NORMAL,
  zone_nr,
} from '../src/index.js';

const AREAS = 16;
const AREA_PAGES = 256;

function slabPages(k: Kernel): number {
  let count = 0;
  for (let frame = 0; frame < k.config.lowmemPages; frame++) {
    count += (k.read(page_plus(k.sym.mem_map, frame), struct_page.flags) >>> PG_slab) & 1;
  }
  return count;
}

const freePages = (k: Kernel): number => {
  const zone = zone_nr(k, ZONE_NORMAL);
  return nr_free_pages_of(k, zone) + pagesOnCpuLists(k, zone);
};

function lowmemOf(k: Kernel, area: Vaddr): number {
  let count = 0;
  for (let i = 0; i < AREA_PAGES; i++) if (!PageHighMem(k, vmalloc_to_page(k, area + i * 4096))) count++;
  return count;
}

export default race({
  id: '2017-02-vmalloc-lowmem-account',
  title: 'what lowmem an area of vmalloc() costs, page by page',
  source: 'seed 004',
  spec: ['vmalloc/V004-03'],
  machine: {
    core: 'cortex-a9',
    cpus: 1,
    kernel: '4.10',
    lowmemPages: 4608,
    highmemPages: 4608,
  },
  stepsMax: 2_000_000,
  executionSeconds: 60,
  cases: [
    { name: 'as in 4.10', outcome: 'clean' },
    { name: 'HIGHMEM in vmalloc() (HM)', machine: { patches: ['hm'] }, outcome: 'clean' },
  ],
  measures: { x: 'MB allocated', y: 'pages of lowmem', series: ['data', 'slabs', 'page tables'], yScale: 'log10' },

  threads: [
    (k) => {
      const [free, slabs] = [freePages(k), slabPages(k)];
      let data = 0;
      sample(k, 0, 0, 0, 0);
      for (let areas = 1; areas <= AREAS; areas++) {
        const area = __vmalloc(k, AREA_PAGES * 4096, gfp(k).GFP_KERNEL);
        expect(area !== NULL, 'there is memory');
        data += lowmemOf(k, area);
        const slab = slabPages(k) - slabs;
        const tables = free - freePages(k) - data - slab;
        sample(k, areas, data, slab, tables);
        // With its guard page an area has 257 pages of addresses, and a table is for 512.
        expect(tables === Math.ceil((areas * (AREA_PAGES + 1) - 1) / 512), 'the rest is page tables', tables);
      }
    },
  ],
});
