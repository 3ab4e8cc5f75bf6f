/**
 * Claim: pa_tlb_lock was taken with interrupts on, and interrupt handlers take it too: for every page that kunmap_atomic() flushes on PA-8800. A
 * handler that comes while its CPU holds the lock spins for ever.
 *
 * CPU 0 purges translations in process context; the handler on CPU 0 unmaps a page as a driver does; CPU 1 raises the interrupt.
 *
 * Kernels: 2.6.30 a deadlock whose owner is the interrupted context. From 2.6.31, with the lock taken irqsave, the handler waits.
 * Source: commit e82a3b75127, Linux 2.6.31; arch/parisc/include/asm/tlbflush.h, Linux 2.6.30; spec/hardware.md §3.4, T7.
 */
import {
  alloc_page,
  flush_tlb_page,
  GFP_KERNEL,
  type Kernel,
  km_type,
  kmap_atomic,
  kunmap_atomic,
  type Page,
  race,
  USER_WINDOW,
} from '../src/index.js';

const LINE = 5;
const PURGES = 8;

function purge(k: Kernel): void {
  for (let i = 0; i < PURGES; i++) flush_tlb_page(k, USER_WINDOW + i * 4096);
}

function interrupt(k: Kernel): void {
  for (let i = 0; i < PURGES; i++) k.raise(0, LINE);
}

function handler(k: Kernel): void {
  kunmap_atomic(k, kmap_atomic(k, k.vars.page as Page, km_type.KM_IRQ0), km_type.KM_IRQ0);
}

export default race({
  id: '2009-09-parisc-tlb-lock-irq-deadlock',
  title: 'a TLB purge in an interrupt spins on the pa_tlb_lock of the context it interrupted',
  source: 'commit e82a3b75127, Linux 2.6.31',
  spec: ['hardware/T7'],
  machine: { core: 'pa8800', cpus: 2, kernel: '2.6.31' },
  smallest: { lowmemPages: 64 },
  cases: [
    { name: '2.6.30', machine: { kernel: '2.6.30' }, outcome: 'deadlock' },
    { name: '2.6.31', outcome: 'clean' },
  ],
  vars: ['page'],

  setup(k) {
    k.vars.page = alloc_page(k, GFP_KERNEL);
  },
  irqs: { [LINE]: handler },
  threads: [purge, interrupt],
});
