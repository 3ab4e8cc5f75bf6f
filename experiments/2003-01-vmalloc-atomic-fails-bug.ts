/**
 * Claim: __vmalloc() of 2.5.53 in an interrupt works as long as there is memory. When there is none its failure path is a vfree(), and that is a BUG in an
 * interrupt. Flags that are obeyed do not help; the failure path has to be another one. When it is, nothing is lost: pages, array and vm_struct
 * come back.
 *
 * The handler on CPU 0 asks for 16 pages with GFP_ATOMIC, while there are only a few, and while there is memory.
 *
 * Kernels: 2.5.53, and `rmk1` without its part (iii): BUG. `rmk1`: NULL, and as many free pages as before. With memory, 2.5.53 complains of a function that may sleep and
 * serves; `rmk1` has nothing to complain of.
 * Source: seed 000; spec/vmalloc-gfp.md §6.2, §11 (iii), §12.1.
 */
import {
  __vmalloc,
  alloc_page,
  expect,
  expectWord,
  gfp,
  type Kernel,
  NULL,
  nr_free_pages_of,
  PG_slab,
  page_plus,
  pagesOnCpuLists,
  race,
  struct_page,
  vaddr,
  vfree,
  ZONE_NORMAL,
  zone_nr,
} from '../src/index.js';

const LINE = 5;
const PAGES = 16;
/** Enough for vm_struct, array and some of the pages. */
const LEFT = 8;
/** Enough for everything. */
const ENOUGH = 40;

/** Free pages, and those that kmalloc() keeps for itself: what a leak would take away from. */
function accountedPages(k: Kernel): number {
  let slab = 0;
  for (let frame = 0; frame < k.config.lowmemPages; frame++) {
    const flags = k.read(page_plus(k.sym.mem_map, frame), struct_page.flags);
    slab += (flags >>> PG_slab) & 1;
  }
  return nr_free_pages_of(k, zone_nr(k, ZONE_NORMAL)) + pagesOnCpuLists(k, zone_nr(k, ZONE_NORMAL)) + slab;
}

/** vmlist_lock is taken for writing with interrupts on, and in an interrupt; by then page tables have been allocated there with GFP_KERNEL. */
const INCONSISTENT = ['lockdep: inconsistent lock state', 'lockdep: lockdep_trace_alloc()'];

export default race({
  id: '2003-01-vmalloc-atomic-fails-bug',
  title: '__vmalloc() in an interrupt is a BUG when memory runs out',
  source: 'seed 000',
  spec: ['vmalloc/V000-10', 'vmalloc/V000-24'],
  machine: {
    core: 'vivt-shared',
    cpus: 2,
    kernel: '2.5.53',
    patches: ['tlb-ops-broadcast'],
    highmemPages: 0,
    lowmemPages: 128,
  },
  cases: [
    { name: '2.5.53', outcome: 'bug' },
    {
      name: 'failure path as it was (RMK1 without iii)',
      machine: { patches: ['rmk1', 'mutant-rmk1-failure-path'] },
      outcome: 'bug',
    },
    { name: 'RMK1', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: '2.5.53, with memory', machine: { parameters: { enough: 1 } }, outcome: 'warn', reports: INCONSISTENT },
    { name: 'RMK1, with memory', machine: { patches: ['rmk1'], parameters: { enough: 1 } }, outcome: 'clean' },
  ],
  vars: ['free', 'answer', 'interrupted'],

  setup(k) {
    const zone = zone_nr(k, ZONE_NORMAL);
    const leave = k.config.parameters.enough === 1 ? ENOUGH : LEFT;
    while (nr_free_pages_of(k, zone) + pagesOnCpuLists(k, zone) > leave) alloc_page(k, gfp(k).GFP_ATOMIC);
    k.vars.free = accountedPages(k);
  },

  irqs: {
    [LINE]: (k) => {
      k.vars.answer = __vmalloc(k, PAGES * 4096, gfp(k).GFP_ATOMIC);
      k.vars.interrupted = 1;
    },
  },
  threads: [
    (k: Kernel) => {
      k.raise(0, LINE);
      for (let i = 0; i < 4; i++) k.load(k.sym.race_data);
    },
  ],
  check(k) {
    const { answer = NULL } = k.vars;
    if (k.config.parameters.enough === 1) {
      if (k.vars.interrupted === 0) return;
      for (let i = 0; i < PAGES; i++) k.store32(vaddr(answer + i * 4096), i);
      for (let i = 0; i < PAGES; i++) expectWord(i, 0, i, k.load32(vaddr(answer + i * 4096)), 'in the area');
      vfree(k, vaddr(answer));
      return;
    }
    expect(answer === NULL, 'there is no memory', answer);
    expect(accountedPages(k) === k.vars.free!, 'all pages have come back', accountedPages(k), k.vars.free!);
  },
});
