/**
 * Claim: the address at which flush_dcache_page() of a SLUB page faults is the number of partial slabs of the cache, taken for a pointer to a tree
 * node, plus the place of the node's first index; the status follows from its alignment. Without partial slabs nothing faults and nothing
 * is flushed: the page is only marked, and what the CPU has stored stays in its cache.
 *
 * A card's 64 bytes of status go into an object of kmalloc-64 of which so many slabs are partial. A word beside the buffer, which the CPU has stored
 * before, is then looked for in memory: it is there if the page was flushed.
 *
 * Kernels: 2.6.22 before the patch `page-mapping-slab` faults at n + 12, status 1 (alignment) or 5 (translation); with the patch nothing faults,
 * whatever n. Layouts with locks in them are read at other places and fault alike.
 * Source: seed 001; mm/slub.c, lib/prio_tree.c, Linux 2.6.22; spec/slab-dma.md §1.7, §1.8.
 */
import {
  assertEqual,
  GFP_KERNEL,
  type Kernel,
  kmalloc,
  memoryWord,
  mmc_sd_switch,
  type Page,
  race,
  SWITCH_BYTES,
  struct_page,
  type Vaddr,
  vaddr,
  virt_to_head_page,
} from '../src/index.js';
import { AT91SAM9263, BEFORE, lineOpsOfFlush, MCI_LINE, makePartial, mci, mciIrq, withReader } from './lib/at91.js';

const PG_dcache_dirty = 9;
const STORED = 0x5a5a1234;

/** The CPU stores beside the buffer: at the end of the next object, where no line is the buffer's own, with the line in the cache. */
function storeBeside(k: Kernel): Vaddr {
  const beside = vaddr((kmalloc(k, 64, GFP_KERNEL) as Vaddr) + 60);
  k.load32(beside);
  k.store32(beside, STORED);
  return beside;
}

function readStatus(k: Kernel): void {
  const { partial = 1 } = k.config.parameters;
  const status = kmalloc(k, 64, GFP_KERNEL) as Vaddr;
  const beside = storeBeside(k);
  let lineOps = 0;
  withReader(k, (request) => {
    lineOps = lineOpsOfFlush(k, status, SWITCH_BYTES, () => mmc_sd_switch(k, request, status));
  });
  const page: Page = virt_to_head_page(k, status);
  const marked = (k.read(page, struct_page.flags) >>> PG_dcache_dirty) & 1;
  const flushed = memoryWord(k, page, vaddr(beside & 4095)) === STORED ? 1 : 0;
  const patched = k.has('page-mapping-slab') ? 1 : 0;
  assertEqual(marked, 1 - patched, `partial slabs ${partial}: mark on the page`);
  const lines = 4096 / k.config.core.dcache.lineBytes;
  assertEqual(lineOps, patched * lines, `partial slabs ${partial}: lines flushed`);
  assertEqual(flushed, patched, `partial slabs ${partial}: the page was flushed`);
}

const LENGTHS = [0, 1, 2, 3, 4, 5, 8, 100];
const faultOf = (address: number): string => `at virtual address ${address.toString(16).padStart(8, '0')}`;

export default race({
  id: '2007-06-slub-partial-list-fault-address',
  title: 'the length of the partial list is followed as a pointer',
  source: 'seed 001',
  spec: ['slab-dma/S2', 'slab-dma/S3'],
  machine: AT91SAM9263,
  cases: [
    ...LENGTHS.flatMap((partial) => [
      partial === 0
        ? { name: 'none partial', machine: { patches: BEFORE, parameters: { partial } }, outcome: 'clean' as const }
        : {
            name: `${partial} partial`,
            machine: { patches: BEFORE, parameters: { partial } },
            outcome: 'oops' as const,
            says: [faultOf(partial + 12), `Oops: ${partial % 4 === 0 ? 5 : 1} [#1]`, 'PC is at get_index+0x1c/0x50'],
          },
    ]),
    { name: 'PageSlab test, none partial', machine: { parameters: { partial: 0 } }, outcome: 'clean' },
    { name: 'PageSlab test, 4 partial', machine: { parameters: { partial: 4 } }, outcome: 'clean' },
    {
      name: '6 partial, new ABI',
      machine: { patches: BEFORE, oabi: false, parameters: { partial: 6 } },
      outcome: 'oops',
      says: [faultOf(18), 'Oops: 1 [#1]'],
    },
    {
      name: '7 partial, poison',
      machine: { patches: BEFORE, slubDebug: 'P', parameters: { partial: 7 } },
      outcome: 'oops',
      says: [faultOf(19), 'Oops: 1 [#1]'],
    },
  ],
  vars: ['host'],

  setup(k) {
    const { partial = 1 } = k.config.parameters;
    makePartial(k, 64, partial, 3);
  },

  irqs: { [MCI_LINE]: mciIrq },
  devices: [mci],
  threads: [readStatus],
});
