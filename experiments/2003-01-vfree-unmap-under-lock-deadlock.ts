/**
 * Claim: an irqsave vmlist_lock and an unmap under that lock do not go together. Unmapping ends in a TLB flush by inter-processor call, which waits for
 * every other CPU; one that spins on the lock with interrupts off never answers.
 *
 * CPU 0 frees an area while CPU 1 reserves one.
 *
 * Kernels: 2.5.53: clean, since the flush is made after the unlock; with `rmk1` too. `rmk1` with the order of 2.6.22, unmap before unlink: deadlock. 2.6.22 itself: clean,
 * since who spins on its plain lock takes the call.
 * Source: seed 000; spec/vmalloc-gfp.md §7 (IPI rule), §11 (iv), §12.1.
 */
import { get_vm_area, type Kernel, race, type Vaddr, VM_ALLOC, vfree, vmalloc } from '../src/index.js';

export default race({
  id: '2003-01-vfree-unmap-under-lock-deadlock',
  title: 'vfree() waits under vmlist_lock for a CPU that spins on it with interrupts off',
  source: 'seed 000',
  spec: ['vmalloc/V000-17'],
  machine: { core: 'arm11mpcore', cpus: 2, kernel: '2.5.53', highmemPages: 0 },
  cases: [
    { name: '2.5.53', outcome: 'clean' },
    {
      name: 'unmap under the lock (RMK1 without iv)',
      machine: { patches: ['rmk1', 'mutant-rmk1-unmap'] },
      outcome: 'deadlock',
    },
    { name: 'RMK1', machine: { patches: ['rmk1'] }, outcome: 'clean' },
    { name: '2.6.22', machine: { kernel: '2.6.22' }, outcome: 'clean' },
  ],
  vars: ['area'],

  setup(k) {
    k.vars.area = vmalloc(k, 4096);
  },

  threads: [(k: Kernel) => vfree(k, k.vars.area as Vaddr), (k: Kernel) => void get_vm_area(k, 4096, VM_ALLOC)],
});
