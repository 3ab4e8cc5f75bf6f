/**
 * Claim: an irqsave vmlist_lock and GFP flags for the page tables are not enough for vmalloc() in interrupts: init_mm.page_table_lock has to be taken
 * irqsave too. The seed does not say so.
 *
 * CPU 0 maps the pages of an area; the handler on CPU 0 maps consistent memory, which takes page_table_lock as well. CPU 1 raises the interrupt.
 *
 * Kernels: 2.5.53 with the BUG() of consistent_alloc() removed: deadlock. `rmk1` without its part (i): deadlock. With all its parts, and with `rmk2`: clean.
 * Source: seed 000; spec/vmalloc-gfp.md §11 (i), §12.1.
 */
import {
  alloc_page,
  consistent_alloc,
  get_vm_area,
  gfp,
  jiffies,
  type Kernel,
  kmalloc,
  map_vm_area,
  race,
  type Vaddr,
  VM_MAP,
  type VmStruct,
} from '../src/index.js';

const LINE = 5;

/** __alloc_pages() compares zone->free_pages with the watermarks without the zone's lock. */
const UNLOCKED = ['races: pass'];

export default race({
  id: '2003-01-page-table-lock-irq-deadlock',
  title: 'consistent_alloc() in an interrupt spins on the page_table_lock of the context it interrupted',
  source: 'seed 000',
  spec: ['vmalloc/V000-15'],
  machine: {
    core: 'vivt-shared',
    cpus: 2,
    kernel: '2.5.53',
    patches: ['tlb-ops-broadcast', 'arm-consistent-no-bug'],
    highmemPages: 0,
  },
  cases: [
    { name: 'interrupts on', outcome: 'deadlock' },
    {
      name: 'page_table_lock with interrupts on (RMK1 without i)',
      machine: { patches: ['rmk1', 'mutant-rmk1-page-table-lock'] },
      outcome: 'deadlock',
    },
    { name: 'interrupts off (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean', reports: UNLOCKED },
    { name: 'own region (RMK2)', machine: { patches: ['rmk2'] }, outcome: 'clean', reports: UNLOCKED },
  ],
  vars: ['area', 'pages'],

  setup(k) {
    const { GFP_KERNEL } = gfp(k);
    k.vars.area = get_vm_area(k, 4096, VM_MAP);
    k.vars.pages = kmalloc(k, 4, GFP_KERNEL);
    k.store(k.vars.pages as Vaddr, alloc_page(k, GFP_KERNEL));
    // That the handler's allocations may sleep the kernel says once a second at most. It has just done so: the deadlock is what is looked for.
    k.store(k.sym.might_sleep_prev_jiffy, jiffies(k));
  },

  irqs: { [LINE]: (k) => void consistent_alloc(k, gfp(k).GFP_ATOMIC, 4096) },
  threads: [
    (k: Kernel) => void map_vm_area(k, k.vars.area as VmStruct, k.vars.pages as Vaddr),
    (k: Kernel) => k.raise(0, LINE),
  ],
});
