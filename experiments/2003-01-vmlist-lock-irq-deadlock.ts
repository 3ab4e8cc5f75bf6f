/**
 * Claim: vmlist_lock is taken with interrupts on, so an interrupt handler must not take it. If it does, and comes while the CPU is in get_vm_area()
 * between write_lock() and write_unlock(), it spins for a lock that the context below it holds.
 *
 * CPU 0 reserves an area. The handler on CPU 0 allocates consistent memory for a driver, as USB wanted to; on ARM that is __ioremap(), and so
 * get_vm_area(). CPU 1 raises the interrupt.
 *
 * Kernels: 2.5.53 forbids it by BUG(). With the BUG() removed and nothing else, a deadlock whose owner is the interrupted context. With vmlist_lock taken
 * irqsave (`rmk1`) the interrupt waits until it is free; with a consistent allocator of its own (`rmk2`) the handler does not need the lock.
 * Source: seed 000; spec/vmalloc-gfp.md §6.2, §9.2, §12.1.
 */
import {
  consistent_alloc,
  expect,
  get_vm_area,
  gfp,
  jiffies,
  type Kernel,
  NULL,
  race,
  VM_ALLOC,
} from '../src/index.js';

const LINE = 5;

/** __alloc_pages() compares zone->free_pages with the watermarks without the zone's lock. */
const UNLOCKED = ['races: pass'];

export default race({
  id: '2003-01-vmlist-lock-irq-deadlock',
  title: 'consistent_alloc() in an interrupt spins on the vmlist_lock of the context it interrupted',
  source: 'seed 000',
  spec: ['vmalloc/V000-12'],
  machine: {
    core: 'vivt-shared',
    cpus: 2,
    kernel: '2.5.53',
    patches: ['tlb-ops-broadcast', 'arm-consistent-no-bug'],
    highmemPages: 0,
    parameters: { complained: 1 },
  },
  cases: [
    { name: 'interrupts on', outcome: 'deadlock' },
    { name: 'interrupts off (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean', reports: UNLOCKED },
    { name: 'own region (RMK2)', machine: { patches: ['rmk2'] }, outcome: 'clean', reports: UNLOCKED },
  ],
  vars: ['area', 'interrupted', 'consistent'],

  setup(k) {
    // That the handler's allocations may sleep the kernel says once a second at most (V000-02). Where it has just done so the deadlock is what is looked for;
    // with the parameter `complained` 0 the warning comes first.
    const { complained = 1 } = k.config.parameters;
    if (complained !== 0) k.store(k.sym.might_sleep_prev_jiffy, jiffies(k));
  },
  irqs: {
    [LINE]: (k) => {
      k.vars.interrupted = 1;
      k.vars.consistent = consistent_alloc(k, gfp(k).GFP_ATOMIC, 4096).addr;
    },
  },
  threads: [
    (k: Kernel) => {
      k.vars.area = get_vm_area(k, 4096, VM_ALLOC, gfp(k).GFP_KERNEL);
    },
    (k: Kernel) => k.raise(0, LINE),
  ],
  check(k) {
    expect(k.vars.area !== NULL, 'the area is reserved');
    // The machine may come to its end before the interrupt does.
    expect(k.vars.interrupted === 0 || k.vars.consistent !== NULL, 'the handler has its memory');
  },
});
