/**
 * Claim: flush_dcache_page() of a SLUB page goes wrong on PA-RISC too, each configuration in its own way, since other words of struct kmem_cache stand where a
 * file's are. On one CPU the number of partial slabs is the tree, as on ARM; but the machine is big-endian, so the half word that says what
 * kind of tree it is is the low half of the number of slabs, not zero: the first load is that of a VMA's vm_pgoff. On several CPUs the order of the
 * cache is the lock: of order 0 it reads as held, of order 1 it is taken, and then what is behind it reads as a reader: both spin for ever.
 *
 * flush_dcache_page() of a page of a class, with so many slabs partial.
 *
 * Kernels: 2.6.22 before the patch `page-mapping-slab`. PA-7100, n slabs partial: Kernel Fault at n + 32, code 26, since page 0 is the gateway page (PA-7000: 18); n = 0:
 * the page is only marked. PA-8000 with two CPUs: spins with interrupts off, no oops. With the patch: nothing.
 * Source: seed 001; arch/parisc/kernel/{cache,traps}.c, include/asm-parisc/spinlock.h, Linux 2.6.22; spec/slab-dma.md §1.7, §3.4.
 */
import {
  assertEqual,
  flush_dcache_page,
  GFP_KERNEL,
  type Kernel,
  kmalloc,
  memoryWord,
  race,
  struct_page,
  type Vaddr,
  virt_to_head_page,
} from '../src/index.js';
import { makePartial } from './lib/at91.js';
import { type Claim, FIXES } from './lib/fixes.js';
import { PCX } from './lib/parisc.js';

const STORED = 0x5a5a1234;
const { patches: BEFORE } = FIXES.none;

function flushObject(k: Kernel): void {
  const { size = 64 } = k.config.parameters;
  const object = kmalloc(k, size, GFP_KERNEL) as Vaddr;
  const page = virt_to_head_page(k, object);
  k.store32(object, STORED);
  flush_dcache_page(k, page);
  const patched = k.has('page-mapping-slab') ? 1 : 0;
  assertEqual((k.read(page, struct_page.flags) >>> 9) & 1, 1 - patched, 'mark on the page');
  assertEqual(memoryWord(k, page, object & 4095) === STORED ? 1 : 0, patched, 'the page was flushed');
}

const faults = [1, 2, 3, 8].map((partial) => ({
  name: `${partial} partial`,
  machine: { core: 'pcxt', patches: BEFORE, parameters: { partial } },
  outcome: 'oops' as const,
  says: [`Kernel Fault: Code=26 regs=???????? (Addr=${(partial + 32).toString(16).padStart(8, '0')})`],
}));
const SPINS: Claim = { outcome: ['deadlock', 'hang'] };

export default race({
  id: '2007-06-parisc-slub-page-mapping-fault',
  title: 'flush_dcache_page() of a slab page on a big-endian machine, and with locks of one word and two',
  source: 'seed 001',
  spec: ['slab-dma/S21', 'slab-dma/S22'],
  machine: PCX,
  cases: [
    ...faults,
    {
      name: 'PA-7000, 4 partial',
      machine: { patches: BEFORE, parameters: { partial: 4 } },
      outcome: 'oops',
      says: ['Kernel Fault: Code=18 regs=???????? (Addr=00000024)'],
    },
    { name: 'none partial', machine: { patches: BEFORE, parameters: { partial: 0 } }, outcome: 'clean' },
    { name: 'PageSlab test', outcome: 'clean' },
    { name: 'SLAB', machine: { slab: 'slab' }, outcome: 'clean' },
    { name: 'PA-8000, 2 CPUs, order 0', machine: { core: 'pcxu', cpus: 2, patches: BEFORE }, ...SPINS },
    {
      name: 'PA-8000, 2 CPUs, order 1',
      machine: { core: 'pcxu', cpus: 2, patches: BEFORE, parameters: { size: 2048 } },
      ...SPINS,
    },
    { name: 'PA-8000, 2 CPUs, PageSlab test', machine: { core: 'pcxu', cpus: 2 }, outcome: 'clean' },
  ],

  setup(k) {
    const { size = 64, partial = 1 } = k.config.parameters;
    makePartial(k, size, partial);
  },

  threads: [flushObject],
});
