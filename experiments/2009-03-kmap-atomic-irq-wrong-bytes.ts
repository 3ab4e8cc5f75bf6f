/**
 * Claim: the slot of kmap_atomic() belongs to a CPU and a type, and nothing but the callers' discipline keeps two users apart. An interrupt
 * handler that uses a type of process context puts its own page under the address that the interrupted copy is using, and leaves it
 * there: the copy goes on in the handler's page.
 *
 * On CPU 0 process context writes page P through KM_USER0 and reads it back, again and again; the handler for an interrupt, raised by the
 * other CPUs, adds to a word of page Q.
 *
 * Kernels: with `mutant-shared-km-type` the handler uses KM_USER0 too: wrong bytes in P and Q, on every core. With DEBUG_HIGHMEM the inner
 * kmap_atomic() finds the slot in use and is a BUG; from 2.6.32 a warning about the type comes before, also when the
 * interrupt comes between two copies. With a type of its own, KM_IRQ0, nothing is found.
 * Source: arch/arm/mm/highmem.c, Linux 2.6.30 and 2.6.32; spec/highmem.md §7.1 to §7.5.
 */
import {
  alloc_page,
  expectWord,
  fillMemory,
  GFP_HIGHUSER,
  type Kernel,
  km_type,
  kmap,
  kmap_atomic,
  kunmap,
  kunmap_atomic,
  type Page,
  page_to_pfn,
  race,
  type Vaddr,
} from '../src/index.js';

const IRQ = 5;
const LINE = 32;
/** Bytes of page P that are used. */
const used = (k: Kernel): number => Math.min(k.config.bufferBytes, 512);
const copies = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : 8);
/** Word of page Q that the handler counts in: one that process context uses in P. */
const COUNTER = 32;
const word = (copy: number, offset: number): number => (0x0b100000 ^ (copy << 12) ^ offset) >>> 0;

function copyInProcessContext(k: Kernel): void {
  const page = k.vars.pageP as Page;
  const pfn = page_to_pfn(k, page);
  for (let copy = 1; copy <= copies(k); copy++) {
    const addr = kmap_atomic(k, page, km_type.KM_USER0);
    for (let offset = 0; offset < used(k); offset += LINE) k.store32((addr + offset) as Vaddr, word(copy, offset));
    for (let offset = 0; offset < used(k); offset += LINE) {
      expectWord(pfn, offset, word(copy, offset), k.load32((addr + offset) as Vaddr), 'read back by process context');
    }
    kunmap_atomic(k, addr, km_type.KM_USER0);
  }
}

function countInHandler(k: Kernel): void {
  const type = k.has('mutant-shared-km-type') ? km_type.KM_USER0 : km_type.KM_IRQ0;
  const addr = kmap_atomic(k, k.vars.pageQ as Page, type);
  k.store32((addr + COUNTER) as Vaddr, k.load32((addr + COUNTER) as Vaddr) + 1);
  k.vars.handled = k.vars.handled! + 1;
  kunmap_atomic(k, addr, type);
}

function raiseInterrupts(k: Kernel): void {
  for (let i = 0; i < copies(k); i++) {
    k.raise(0, IRQ);
    for (let offset = 0; offset < used(k); offset += LINE) k.load((k.sym.race_data + offset) as Vaddr);
  }
}

export default race({
  id: '2009-03-kmap-atomic-irq-wrong-bytes',
  title: 'kmap_atomic() in an interrupt takes the slot that process context is using',
  source: 'arch/arm/mm/highmem.c, Linux 2.6.30',
  spec: ['highmem/E13'],
  machine: { core: 'vivt-shared', cpus: 2, kernel: '2.6.31' },
  smallest: { lowmemPages: 64, highmemPages: 16, bufferBytes: 64 },
  cases: [
    { name: 'same type', machine: { patches: ['mutant-shared-km-type'] }, outcome: 'wrong-bytes' },
    { name: 'own type', outcome: 'clean' },
    {
      name: 'same type, cortex-a9',
      machine: { core: 'cortex-a9', patches: ['mutant-shared-km-type'] },
      outcome: 'wrong-bytes',
    },
    {
      name: 'same type, DEBUG_HIGHMEM',
      machine: { debugHighmem: true, patches: ['mutant-shared-km-type'] },
      outcome: 'bug',
    },
    {
      name: 'same type, 2.6.32, DEBUG_HIGHMEM',
      machine: { kernel: '2.6.32', debugHighmem: true, patches: ['mutant-shared-km-type'] },
      outcome: ['bug', 'warn'],
    },
    { name: 'own type, 2.6.32, DEBUG_HIGHMEM', machine: { kernel: '2.6.32', debugHighmem: true }, outcome: 'clean' },
  ],
  vars: ['pageP', 'pageQ', 'handled'],

  setup(k) {
    k.vars.pageP = alloc_page(k, GFP_HIGHUSER);
    k.vars.pageQ = alloc_page(k, GFP_HIGHUSER);
    for (const page of [k.vars.pageP, k.vars.pageQ]) fillMemory(k, page as Page, () => 0);
  },

  irqs: { [IRQ]: countInHandler },
  threads: ({ cpus }) =>
    Array.from({ length: Math.max(2, cpus) }, (_, i) => (i === 0 ? copyInProcessContext : raiseInterrupts)),

  /** P has the last copy; Q has the handler's count, and nothing else. */
  check(k) {
    const expectPage = (page: Page, expected: (offset: number) => number): void => {
      const addr = kmap(k, page);
      for (let offset = 0; offset < used(k); offset += LINE) {
        expectWord(page_to_pfn(k, page), offset, expected(offset), k.load32((addr + offset) as Vaddr), 'at the end');
      }
      kunmap(k, page);
    };
    expectPage(k.vars.pageP as Page, (offset) => word(copies(k), offset));
    expectPage(k.vars.pageQ as Page, (offset) => (offset === COUNTER ? k.vars.handled! : 0));
  },
});
