/**
 * Claim: while one CPU reads vmalloc memory by vread(), another that wants vmlist_lock for writing spins. As the lock was, its interrupts are served meanwhile; with the lock irqsave
 * they wait as long as the reader copies, on a CPU that reads nothing.
 *
 * CPU 0 reads an area, CPU 1 reserves one, and an interrupt is raised on CPU 1. Its handler looks whether it came into write_lock() while there is a reader: a CPU in
 * get_vm_area() has preemption disabled, with interrupts on, nowhere else. How long that lasts: `measure vmalloc/V000-16`.
 *
 * Kernels: 2.5.53, with or without a private region (`rmk2`): the interrupt can be taken there, which is the "report". With `rmk1`: in no schedule.
 * Source: seed 000; spec/vmalloc-gfp.md §6.2, §12.1.
 */
import {
  expect,
  get_vm_area,
  type Kernel,
  PREEMPT_MASK,
  race,
  type Vaddr,
  VM_ALLOC,
  vaddr,
  vmalloc,
  vread,
} from '../src/index.js';

const LINE = 5;
const BYTES = 4;

export default race({
  id: '2003-01-vread-writer-takes-irq',
  title: 'a CPU that waits for a reader of vmlist takes interrupts, unless the lock is irqsave',
  source: 'seed 000',
  spec: ['vmalloc/V000-16'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.5.53', patches: ['tlb-ops-broadcast'], highmemPages: 0 },
  cases: [
    { name: 'interrupts on', outcome: 'report' },
    { name: 'interrupts off (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: 'own region (RMK2)', machine: { patches: ['rmk2'] }, outcome: 'report' },
  ],
  vars: ['area', 'buffer', 'taken'],

  setup(k) {
    k.vars.area = vmalloc(k, 4096);
    k.vars.buffer = vmalloc(k, 4096);
    k.store32(vaddr(k.vars.area), 0x12345678);
  },

  irqs: {
    [LINE]: (k) => {
      const readers = k.load(k.sym.vmlist_lock as Vaddr);
      if (readers > 0 && (k.preemptCount & PREEMPT_MASK) !== 0) k.vars.taken = readers;
    },
  },
  threads: [
    (k: Kernel) => {
      k.raise(1, LINE);
      vread(k, k.vars.buffer as Vaddr, k.vars.area as Vaddr, BYTES);
    },
    (k: Kernel) => void get_vm_area(k, 4096, VM_ALLOC),
  ],
  check(k) {
    expect(k.vars.taken === 0, 'an interrupt is taken by a CPU that waits for a reader of vmlist', k.vars.taken!);
  },
});
