/**
 * Claim: a handler that only reads the list of areas does no harm to a vread() below it: readers of an rwlock share it, and a reader may come in
 * an interrupt of a reader. With interrupts on, nothing but writers is dangerous.
 *
 * CPU 0 reads some bytes by vread(); the handler on CPU 0 reads others. CPU 1 raises the interrupt.
 *
 * Kernels: clean in 2.5.53, with `rmk1` and with `rmk2`.
 * Source: seed 000; spec/vmalloc-gfp.md §6.2, §12.1.
 */
import { expectWord, type Kernel, race, type Vaddr, vaddr, vmalloc, vread } from '../src/index.js';

const LINE = 5;
const BYTES = 4;
const STORED = 0x12345678;

/** vmlist_lock is taken for writing with interrupts on, and in an interrupt. */
const INCONSISTENT = ['lockdep: inconsistent lock state'];

export default race({
  id: '2003-01-vread-in-irq-reads',
  title: 'a vread() in an interrupt shares vmlist_lock with the one it interrupted',
  source: 'seed 000',
  spec: ['vmalloc/V000-14'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.5.53', patches: ['tlb-ops-broadcast'], highmemPages: 0 },
  cases: [
    { name: 'interrupts on', outcome: 'clean', reports: INCONSISTENT },
    { name: 'interrupts off (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: 'own region (RMK2)', machine: { patches: ['rmk2'] }, outcome: 'clean', reports: INCONSISTENT },
  ],
  vars: ['area', 'buffer', 'interrupted'],

  setup(k) {
    k.vars.area = vmalloc(k, 4096);
    k.vars.buffer = vmalloc(k, 4096);
    k.store32(vaddr(k.vars.area), STORED);
  },

  irqs: {
    [LINE]: (k) => {
      vread(k, vaddr(k.vars.buffer! + 64), k.vars.area as Vaddr, BYTES);
      k.vars.interrupted = 1;
    },
  },
  threads: [
    (k: Kernel) => void vread(k, k.vars.buffer as Vaddr, k.vars.area as Vaddr, BYTES),
    (k: Kernel) => k.raise(0, LINE),
  ],
  check(k) {
    expectWord(0, 0, STORED, k.load32(vaddr(k.vars.buffer!)), 'read by process context');
    if (k.vars.interrupted === 1)
      expectWord(0, 64, STORED, k.load32(vaddr(k.vars.buffer! + 64)), 'read by the handler');
  },
});
