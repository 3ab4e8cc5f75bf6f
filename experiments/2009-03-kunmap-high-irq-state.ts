/**
 * Claim: kunmap_high() and kmap_high_get() may be called with interrupts off, so they must leave them off: they save and restore the
 * state. Had they been written with spin_unlock_irq(), as kmap_high() is, a critical section of the caller would end in the middle.
 *
 * CPU 0 updates a counter with interrupts off, and its handler for an interrupt that the other CPUs raise updates the same counter; between
 * load and store of the update the page of a transfer is pinned and unpinned, as dma_map_page() does.
 *
 * Kernels: with `mutant-kunmap-irq` (the `_irq` form in both functions) interrupts are on after the call. Without it never.
 * Source: seed 002 (the `_any` variants of its lock wrappers); spec/highmem.md §4.1, §4.3.
 */
import {
  alloc_page,
  expect,
  GFP_HIGHUSER,
  irqs_disabled,
  type Kernel,
  kmap,
  kmap_high_get,
  kunmap,
  kunmap_high,
  local_irq_disable,
  local_irq_enable,
  type Page,
  race,
  type Vaddr,
} from '../src/index.js';

const LINE = 5;
const updates = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 2 : 8);

/** What a driver does under its own irqsave lock: account for a buffer, and give it to the device. */
function updateWithInterruptsOff(k: Kernel): void {
  const page = k.vars.page as Page;
  kmap(k, page);
  for (let i = 0; i < updates(k); i++) {
    local_irq_disable(k);
    const count = k.load(k.sym.race_data);
    kmap_high_get(k, page);
    expect(irqs_disabled(k), 'interrupts are on after kmap_high_get()');
    kunmap_high(k, page);
    expect(irqs_disabled(k), 'interrupts are on after kunmap_high()');
    k.store(k.sym.race_data, count + 1);
    local_irq_enable(k);
  }
  kunmap(k, page);
}

export default race({
  id: '2009-03-kunmap-high-irq-state',
  title: 'kunmap_high() turns interrupts on in the middle of a section with interrupts off',
  source: 'mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E4b'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 4 },
  smallest: { pkmapSlots: 2, lowmemPages: 64, highmemPages: 16, bufferBytes: 32 },
  cases: [
    { name: 'enabled on return', machine: { patches: ['mutant-kunmap-irq'] }, outcome: 'report' },
    { name: 'restored on return', outcome: 'clean' },
  ],
  vars: ['page', 'handled'],

  setup(k) {
    k.vars.page = alloc_page(k, GFP_HIGHUSER);
  },

  irqs: {
    [LINE]: (k) => {
      k.vars.handled = k.vars.handled! + 1;
      k.store(k.sym.race_data, k.load(k.sym.race_data) + 1);
    },
  },
  threads: [
    updateWithInterruptsOff,
    (k) => {
      for (let i = 0; i < updates(k); i++) {
        k.raise(0, LINE);
        // A step, nothing more.
        k.load((k.sym.race_data + 4) as Vaddr);
      }
    },
  ],

  /** Each update of process and handler has left its trace. */
  check(k) {
    const count = k.load(k.sym.race_data);
    expect(
      count === updates(k) + k.vars.handled!,
      'updates of the counter were lost',
      count,
      updates(k) + k.vars.handled!,
    );
  },
});
