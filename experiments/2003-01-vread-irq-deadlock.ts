/**
 * Claim: vread() holds vmlist_lock for reading, with interrupts on, during the whole copy. A handler that wants the lock for writing waits for a
 * reader below it on the same CPU, for ever.
 *
 * CPU 0 reads a few bytes of an area as /dev/kmem does; the handler on CPU 0 allocates consistent memory, which takes the lock for writing. CPU 1 raises
 * the interrupt.
 *
 * Kernels: 2.5.53 with the BUG() of consistent_alloc() removed: deadlock. `rmk1` takes the lock irqsave in vread() too, `rmk2` has no need of it: clean.
 * Source: seed 000; spec/vmalloc-gfp.md §6.2, §12.1.
 */
import { consistent_alloc, gfp, type Kernel, race, type Vaddr, vaddr, vmalloc, vread } from '../src/index.js';

const LINE = 5;
const BYTES = 4;

export default race({
  id: '2003-01-vread-irq-deadlock',
  title: 'consistent_alloc() in an interrupt waits for the vread() that it interrupted',
  source: 'seed 000',
  spec: ['vmalloc/V000-13'],
  machine: {
    core: 'vivt-shared',
    cpus: 2,
    kernel: '2.5.53',
    patches: ['tlb-ops-broadcast', 'arm-consistent-no-bug'],
    highmemPages: 0,
  },
  cases: [
    { name: 'interrupts on', outcome: 'deadlock' },
    { name: 'interrupts off (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: 'own region (RMK2)', machine: { patches: ['rmk2'] }, outcome: 'clean' },
  ],
  vars: ['area', 'buffer'],

  setup(k) {
    k.vars.area = vmalloc(k, 4096);
    k.vars.buffer = vmalloc(k, 4096);
    k.store32(vaddr(k.vars.area), 0x12345678);
  },

  irqs: { [LINE]: (k) => void consistent_alloc(k, gfp(k).GFP_ATOMIC, 4096) },
  threads: [
    (k: Kernel) => void vread(k, k.vars.buffer as Vaddr, k.vars.area as Vaddr, BYTES),
    (k: Kernel) => k.raise(0, LINE),
  ],
});
