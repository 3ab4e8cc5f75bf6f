/**
 * Claim: pte_alloc_kernel() of 2.5.53 drops page_table_lock while it allocates, so two CPUs that map into the same empty window may both allocate a table.
 * Exactly one survives, the other is freed, and nothing leaks.
 *
 * Two CPUs allocate a page each by vmalloc(), the first ones in their window; each uses its page. Afterwards both are freed, and only the table is gone
 * from the free pages.
 *
 * Kernels: clean in 2.5.53 and with `rmk1`.
 * Source: mm/memory.c, Linux 2.5.53; spec/vmalloc-gfp.md §8, §12.1.
 */
import {
  drain_local_pages,
  expect,
  type Kernel,
  nr_free_pages_of,
  PG_slab,
  page_plus,
  pagesOnCpuLists,
  race,
  struct_page,
  type Vaddr,
  vaddr,
  vfree,
  vmalloc,
  ZONE_NORMAL,
  zone_nr,
} from '../src/index.js';

/** Free pages, and those that kmalloc() keeps for itself: what a leak would take away from. */
function accountedPages(k: Kernel): number {
  let slab = 0;
  for (let frame = 0; frame < k.config.lowmemPages; frame++) {
    const flags = k.read(page_plus(k.sym.mem_map, frame), struct_page.flags);
    slab += (flags >>> PG_slab) & 1;
  }
  return nr_free_pages_of(k, zone_nr(k, ZONE_NORMAL)) + pagesOnCpuLists(k, zone_nr(k, ZONE_NORMAL)) + slab;
}

function allocate(k: Kernel): void {
  const addr = vmalloc(k, 4096);
  k.store32(addr, k.cpu + 1);
  if (k.cpu === 0) k.vars.first = addr;
  else k.vars.second = addr;
}

/** __alloc_pages() compares zone->free_pages with the watermarks without the zone's lock. */
const UNLOCKED = ['races: pass'];

export default race({
  id: '2003-01-vmalloc-same-window-one-table',
  title: 'of two page tables for one window one survives and one is freed',
  source: 'mm/memory.c, Linux 2.5.53',
  spec: ['vmalloc/V000-23'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.5.53', patches: ['tlb-ops-broadcast'], highmemPages: 0 },
  cases: [
    { name: '2.5.53', outcome: 'clean', reports: UNLOCKED },
    { name: 'RMK1', machine: { patches: ['rmk1'] }, outcome: 'clean', reports: UNLOCKED },
  ],
  vars: ['first', 'second', 'free'],

  setup(k) {
    drain_local_pages(k, zone_nr(k, ZONE_NORMAL));
    k.vars.free = accountedPages(k);
  },

  threads: [allocate, allocate],
  check(k) {
    const { first = 0, second = 0 } = k.vars;
    expect(k.load32(vaddr(first)) === 1 && k.load32(vaddr(second)) === 2, 'each has its page');
    vfree(k, first as Vaddr);
    vfree(k, second as Vaddr);
    expect(
      accountedPages(k) === k.vars.free! - 1,
      'all pages but one table are free again',
      accountedPages(k),
      k.vars.free!,
    );
  },
});
