/**
 * Claim: consistent_alloc() of 2.5.53 refuses to run in an interrupt, by BUG(), since nothing below it may. It can go only together with what makes it
 * right.
 *
 * The handler on CPU 0 allocates a page of consistent memory, and stores to it.
 *
 * Kernels: 2.5.53: BUG. Without the BUG() and with `rmk1`, or with `rmk2`: clean.
 * Source: seed 000; arch/arm/mm/consistent.c, Linux 2.5.53; spec/vmalloc-gfp.md §9.2, §12.1.
 */
import { consistent_alloc, expect, expectWord, gfp, type Kernel, NULL, race, vaddr } from '../src/index.js';

const LINE = 5;
const STORED = 0x12345678;

function allocateInHandler(k: Kernel): void {
  const { addr } = consistent_alloc(k, gfp(k).GFP_ATOMIC, 4096);
  expect(addr !== NULL, 'the handler has its memory');
  k.store32(vaddr(addr + 8), STORED);
  expectWord(0, 8, STORED, k.load32(vaddr(addr + 8)), 'consistent memory');
}

export default race({
  id: '2003-01-consistent-alloc-in-irq-bug',
  title: 'consistent_alloc() in an interrupt is a BUG until it is safe there',
  source: 'seed 000',
  spec: ['vmalloc/V000-11'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.5.53', patches: ['tlb-ops-broadcast'], highmemPages: 0 },
  cases: [
    { name: '2.5.53', outcome: 'bug' },
    { name: 'RMK1', machine: { patches: ['arm-consistent-no-bug', 'rmk1'] }, outcome: 'clean' },
    { name: 'RMK2', machine: { patches: ['rmk2'] }, outcome: 'clean' },
  ],

  irqs: { [LINE]: allocateInHandler },
  threads: [
    (k: Kernel) => {
      k.raise(0, LINE);
      for (let i = 0; i < 4; i++) k.load(k.sym.race_data);
    },
  ],
});
