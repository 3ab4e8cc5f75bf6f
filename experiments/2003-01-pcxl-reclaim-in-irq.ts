/**
 * Claim: the page table that pa11_dma_alloc_consistent() allocates with GFP_KERNEL in an interrupt is not only a message. When memory is short the allocator
 * reclaims in the interrupt: it waits for congested writes, "scheduling while atomic", and afterwards clears PF_MEMALLOC of the interrupted task, which
 * from then on may reclaim inside its own reclaim.
 *
 * The thread has PF_MEMALLOC, as one that reclaims has. The handler's page is the first above 4 MB; there are a few free pages below the min mark and a few clean
 * ones that reclaim finds, fewer than it looks for.
 *
 * Kernels: 2.5.53 loses the flag. With the caller's mask passed on (`rmk1`) the table fails at once, which nobody notices (V000-06). With all tables
 * there from boot (`rmk2-pcxl-tables`) none is asked for.
 * Source: seed 000; mm/page_alloc.c, mm/vmscan.c, Linux 2.5.53; spec/vmalloc-gfp.md §4.4, §12.1.
 */
import {
  __free_pages,
  alloc_page,
  alloc_pages,
  expect,
  gfp,
  type Kernel,
  lru_cache_add,
  NULL,
  PF_MEMALLOC,
  pa11_dma_alloc_consistent,
  race,
  set_task_flags,
  task_flags,
} from '../src/index.js';

const LINE = 5;
/** Allocations of one page, each with 32 KB of addresses, from 8000 on, that stay below 4 MB. */
const BELOW_4MB = 127;
const SLEEPS = 'Debug: sleeping function called from illegal context';
const SCHEDULES = 'bad: scheduling while atomic!';
/** Less than the 32 that are enough for reclaim. */
const CLEAN = 24;

/** init_mm.page_table_lock is let go that nobody has taken: see 2003-01-pcxl-alloc-leaves-lock-held. */
const UNBALANCED = ['lockdep: bad unlock balance detected', 'spinlocks: spinlock already unlocked'];

export default race({
  id: '2003-01-pcxl-reclaim-in-irq',
  title: 'pa11_dma_alloc_consistent() reclaims memory in an interrupt and takes PF_MEMALLOC from the task',
  source: 'seed 000',
  spec: ['vmalloc/V000-03'],
  machine: { core: 'pcxl', cpus: 1, kernel: '2.5.53', preempt: false, lowmemPages: 512, watermarks: true },
  stepsMax: 100_000,
  cases: [
    { name: '2.5.53', outcome: 'report', says: [SLEEPS, SCHEDULES, 'has the PF_MEMALLOC that it had'] },
    { name: 'GFP flags passed on (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean', reports: UNBALANCED },
    { name: 'tables from boot (RMK2)', machine: { patches: ['rmk2-pcxl-tables'] }, outcome: 'clean' },
  ],
  vars: ['addr'],

  setup(k) {
    const { GFP_KERNEL, GFP_ATOMIC } = gfp(k);
    for (let i = 0; i < BELOW_4MB; i++) pa11_dma_alloc_consistent(k, 4096, GFP_KERNEL);
    const block = alloc_pages(k, GFP_KERNEL, 2);
    for (let i = 0; i < CLEAN; i++) lru_cache_add(k, alloc_page(k, GFP_KERNEL));
    while (alloc_page(k, GFP_ATOMIC) !== NULL);
    __free_pages(k, block, 2);
  },
  irqs: {
    [LINE]: (k) => {
      const before = task_flags(k) & PF_MEMALLOC;
      k.vars.addr = pa11_dma_alloc_consistent(k, 4096, gfp(k).GFP_ATOMIC).addr;
      expect((task_flags(k) & PF_MEMALLOC) === before, 'the interrupted task has the PF_MEMALLOC that it had');
    },
  },
  threads: [
    (k: Kernel) => {
      set_task_flags(k, PF_MEMALLOC);
      k.raise(0, LINE);
      for (let i = 0; i < 4; i++) k.load(k.sym.race_data);
    },
  ],
  check(k) {
    expect(k.vars.addr === 0 || k.vars.addr === 0x400000, 'the address behind the first 4 MB', k.vars.addr as number);
  },
});
