/**
 * Claim: a caller of __vmalloc() that does not say __GFP_HIGHMEM, as about half of them did not, takes its pages from lowmem, although nobody needs their linear addresses. On
 * a machine with little lowmem that ends in the OOM killer while most of memory is free.
 *
 * A task allocates areas of a megabyte, up to 32, until somebody is killed, then a page for itself. 16 MB of lowmem, 48 MB of highmem, nothing to reclaim. What is
 * measured: free pages of both zones after each area.
 *
 * Kernels: 4.10: a task is killed. With HIGHMEM in vmalloc() itself (`hm`, in 4.12): all areas are highmem.
 * Source: seed 004; spec/vmalloc-gfp.md §2.4, §12.3.
 */
import {
  __vmalloc,
  alloc_page,
  expect,
  fatal_signal_pending,
  gfp,
  NULL,
  nr_free_pages_of,
  race,
  sample,
  struct_task_struct,
  ZONE_HIGHMEM,
  ZONE_NORMAL,
  zone_nr,
} from '../src/index.js';

const AREAS = 32;

export default race({
  id: '2017-02-vmalloc-drains-lowmem',
  title: 'vmalloc() without __GFP_HIGHMEM: the OOM killer comes while highmem is free',
  source: 'seed 004',
  spec: ['vmalloc/V004-01'],
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
    { name: 'as in 4.10', outcome: 'report', says: ['invoked oom-killer', 'Killed process'] },
    { name: 'HIGHMEM in vmalloc() (HM)', machine: { patches: ['hm'] }, outcome: 'clean' },
  ],
  measures: { x: 'MB allocated', y: 'free pages', series: ['Normal', 'HighMem'] },
  vars: ['areas', 'killed', 'highmem'],

  threads: [
    {
      cpu: 0,
      mm: 1,
      run: (k) => {
        k.write(k.current, struct_task_struct.total_vm, 1000);
        const [normal, highmem] = [zone_nr(k, ZONE_NORMAL), zone_nr(k, ZONE_HIGHMEM)];
        sample(k, 0, nr_free_pages_of(k, normal), nr_free_pages_of(k, highmem));
        for (let areas = 1; areas <= AREAS && !fatal_signal_pending(k); areas++) {
          if (__vmalloc(k, 1 << 20, gfp(k).GFP_KERNEL) === NULL) break;
          k.vars.areas = areas;
          sample(k, areas, nr_free_pages_of(k, normal), nr_free_pages_of(k, highmem));
        }
        alloc_page(k, gfp(k).GFP_KERNEL);
        k.vars.killed = fatal_signal_pending(k) ? 1 : 0;
        k.vars.highmem = nr_free_pages_of(k, highmem);
      },
    },
  ],
  check(k) {
    expect(k.vars.killed === 0, 'nobody is killed while pages of highmem are free', k.vars.highmem!);
    expect(k.vars.areas === AREAS, 'there is room for all areas', k.vars.areas!);
  },
});
