/**
 * Claim: 2.6.22 unmaps under vmlist_lock, so a TLB flush by inter-processor call is made with the lock held. It is saved by how a PA-RISC rwlock spins: with
 * interrupts on. A reader that spun with interrupts off, as in 2.5.53, would never take the call.
 *
 * CPU 0 frees an area; CPU 1 reads /proc/meminfo, which walks vmlist.
 *
 * Kernels: 2.6.22: clean; with readers that spin with interrupts off: deadlock. 2.5.53, whose readers do that, flushes after the unlock: clean.
 * With `rmk1`, which takes the lock with interrupts off, the order of 2.6.22 is a deadlock whatever readers do; unmapping after the unlock, as `rmk1` has to,
 * is not.
 * Source: mm/vmalloc.c, fs/proc/mmu.c, include/asm-parisc/spinlock.h, Linux 2.5.53, 2.6.22; spec/vmalloc-gfp.md §6.2, §7, §12.1.
 */
import { get_vmalloc_info, type Kernel, race, type Vaddr, vfree, vmalloc } from '../src/index.js';

/** Whether there are areas at all is asked before vmlist_lock is taken. */
const LOOKS = ['races: data-race in get_vmalloc_info'];

export default race({
  id: '2007-06-vmlist-lock-reader-spins-deadlock',
  title: 'vfree() calls a CPU that spins on vmlist_lock as a reader',
  source: 'seed 000',
  spec: ['vmalloc/V000-19'],
  machine: { core: 'pcxu', cpus: 2, kernel: '2.6.22' },
  cases: [
    { name: '2.6.22', outcome: 'clean', reports: LOOKS },
    {
      name: 'readers spin with interrupts off',
      machine: { patches: ['mutant-rwlock-spins-irqs-off'] },
      outcome: 'deadlock',
    },
    { name: '2.5.53', machine: { kernel: '2.5.53' }, outcome: 'clean', reports: LOOKS },
    {
      name: 'RMK1, unmapping under the lock as 2.6.22',
      machine: { kernel: '2.5.53', patches: ['rmk1', 'mutant-rmk1-unmap'] },
      outcome: 'deadlock',
    },
    { name: 'RMK1', machine: { kernel: '2.5.53', patches: ['rmk1'] }, outcome: 'clean', reports: LOOKS },
  ],
  vars: ['area'],

  setup(k) {
    k.vars.area = vmalloc(k, 4096);
  },
  threads: [(k: Kernel) => vfree(k, k.vars.area as Vaddr), (k: Kernel) => void get_vmalloc_info(k)],
});
