/**
 * Claim: vmalloc() says __GFP_HIGHMEM for its callers, in every version, so it takes nothing from lowmem but vm_structs, arrays and page tables. It is not vmalloc() that
 * 2017-02-vmalloc-drains-lowmem is about, but those who call __vmalloc() with flags of their own.
 *
 * As there, with vmalloc().
 *
 * Kernels: 4.10, with and without `hm`: clean, with the same numbers.
 * Source: seed 004; spec/vmalloc-gfp.md §6.6, §12.3.
 */
import {
  alloc_page,
  expect,
  gfp,
  NULL,
  nr_free_pages_of,
  race,
  sample,
  vmalloc,
  ZONE_HIGHMEM,
  ZONE_NORMAL,
  zone_nr,
} from '../src/index.js';

const AREAS = 32;

export default race({
  id: '2017-02-vmalloc-highmem-clean',
  title: 'vmalloc() takes highmem in every version',
  source: 'seed 004',
  spec: ['vmalloc/V004-02'],
  machine: {
    core: 'cortex-a9',
    cpus: 1,
    kernel: '4.10',
    watermarks: true,
    lowmemPages: 4096,
    highmemPages: 12288,
  },
  stepsMax: 2_000_000,
  executionSeconds: 60,
  cases: [
    { name: 'as in 4.10', outcome: 'clean' },
    { name: 'HIGHMEM in vmalloc() (HM)', machine: { patches: ['hm'] }, outcome: 'clean' },
  ],
  measures: { x: 'MB allocated', y: 'free pages', series: ['Normal', 'HighMem'] },
  vars: ['areas', 'page'],

  threads: [
    (k) => {
      const [normal, highmem] = [zone_nr(k, ZONE_NORMAL), zone_nr(k, ZONE_HIGHMEM)];
      sample(k, 0, nr_free_pages_of(k, normal), nr_free_pages_of(k, highmem));
      for (let areas = 1; areas <= AREAS; areas++) {
        if (vmalloc(k, 1 << 20) === NULL) break;
        k.vars.areas = areas;
        sample(k, areas, nr_free_pages_of(k, normal), nr_free_pages_of(k, highmem));
      }
      k.vars.page = alloc_page(k, gfp(k).GFP_KERNEL);
    },
  ],
  check(k) {
    expect(k.vars.areas === AREAS, 'there is room for all areas', k.vars.areas!);
    expect(k.vars.page !== NULL, 'there is a page of lowmem');
  },
});
