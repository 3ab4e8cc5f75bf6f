/**
 * Claim: vfree() must not be called with interrupts off, wherever it unmaps: its TLB flush waits for the other CPUs, and two that do it at once wait for
 * each other.
 *
 * Two CPUs free an area each, with interrupts off. If the kernel puts the freeing off, a thread without that restriction does it in the end.
 *
 * Kernels: 2.5.53: deadlock. `rmk1`: the unmap is put off to process context: clean, and the areas are gone at the end. `rmk1` without: deadlock.
 * Source: seed 000; spec/vmalloc-gfp.md §7 (IPI rule), §11 (iv), §12.1.
 */
import {
  expect,
  flush_scheduled_work,
  type Kernel,
  local_irq_restore,
  local_irq_save,
  NULL,
  race,
  type Vaddr,
  vfree,
  vmalloc,
  vmalloc_to_page,
} from '../src/index.js';

function freeWithInterruptsOff(k: Kernel): void {
  const flags = local_irq_save(k);
  vfree(k, (k.cpu === 0 ? k.vars.first : k.vars.second) as Vaddr);
  local_irq_restore(k, flags);
}

export default race({
  id: '2003-01-vfree-irqs-off-deadlock',
  title: 'two vfree() with interrupts off wait for each other to flush the TLB',
  source: 'seed 000',
  spec: ['vmalloc/V000-18'],
  machine: { core: 'arm11mpcore', cpus: 2, kernel: '2.5.53', highmemPages: 0 },
  cases: [
    { name: 'at once', outcome: 'deadlock' },
    {
      name: 'at once (RMK1 without iv)',
      machine: { patches: ['rmk1', 'mutant-rmk1-no-deferral'] },
      outcome: 'deadlock',
    },
    { name: 'put off (RMK1)', machine: { patches: ['rmk1'] }, outcome: 'clean' },
  ],
  vars: ['first', 'second'],

  setup(k) {
    k.vars.first = vmalloc(k, 4096);
    k.vars.second = vmalloc(k, 4096);
  },

  threads: [freeWithInterruptsOff, freeWithInterruptsOff],
  check(k) {
    flush_scheduled_work(k);
    const gone = [k.vars.first!, k.vars.second!].every((addr) => vmalloc_to_page(k, addr) === NULL);
    expect(gone, 'both areas are unmapped in the end');
  },
});
