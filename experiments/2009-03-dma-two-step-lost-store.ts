/**
 * Claim: where cleaning a cache line and throwing it away are two operations, what an interrupt handler stores to the line between the two is lost.
 * Nobody but the buffer's owner may use its lines, so this hits neighbours only: words in the same line, before or behind the buffer.
 *
 * A driver maps a buffer that begins and ends inside a line, again and again. A handler adds to the words on both sides of it at any
 * moment; at the end they have to be as many as the handler has counted.
 *
 * Kernels: both ways (clean and invalidate) XScale needs two operations a line: the store is lost. ARM926, XScale3, Feroceon and Cortex-A9 have one
 * operation for both, and keep it. From the device (invalidate) the partial lines are cleaned first, by an operation of its own on all of
 * them: lost. That includes Cortex-A9, whose first line is cleaned and invalidated in one step, but invalidated once more by the loop, which
 * begins at that line; the specification names only v6 there.
 * Source: arch/arm/mm/proc-xscale.S, proc-arm926.S, cache-v7.S, Linux 2.6.30; spec/highmem.md §9.6, §9.7.
 */
import {
  alloc_page,
  type Device,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  dma_map_single,
  expectWord,
  fillMemory,
  GFP_KERNEL,
  type Kernel,
  type Page,
  page_address,
  page_to_pfn,
  race,
  vaddr,
} from '../src/index.js';

const IRQ = 5;
/** The buffer's place in its page: neither end at a line of 32 bytes. */
const START = 40;
const BYTES = 48;
/** Words of somebody else, in the first and in the last line of the buffer. */
const NEIGHBOURS = [START - 4, START + BYTES];
const rounds = (k: { config: Kernel['config'] }): number => (k.config.bufferBytes < 4096 ? 1 : 16);

function mapAgainAndAgain(k: Kernel): void {
  const buffer = vaddr(page_address(k, k.vars.page as Page) + START);
  const direction = k.has('mutant-dma-bidirectional') ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
  for (let i = 0; i < rounds(k); i++) dma_map_single(k, buffer, BYTES, direction);
}

/** Count in both words, each with its line in the cache. */
function countBesideBuffer(k: Kernel): void {
  const addr = page_address(k, k.vars.page as Page);
  for (const offset of NEIGHBOURS) k.store32(vaddr(addr + offset), k.load32(vaddr(addr + offset)) + 1);
  k.vars.handled = k.vars.handled! + 1;
}

function interrupt(d: Device): void {
  for (let i = 0; i < rounds(d); i++) d.raise(0, IRQ);
}

/** Right for once, and still nothing that a driver should do. */
const SHARED = ["dma: a cache line has bytes of a device's buffer and others that the CPU uses"];

export default race({
  id: '2009-03-dma-two-step-lost-store',
  title: 'an interrupt handler stores to a line between its clean and its invalidation, and the store is lost',
  source: 'arch/arm/mm/proc-xscale.S, Linux 2.6.30',
  spec: ['highmem/E20'],
  machine: { core: 'xscale', cpus: 1, kernel: '2.6.31' },
  smallest: { lowmemPages: 64, highmemPages: 0, bufferBytes: 64 },
  cases: [
    { name: 'both ways, xscale', machine: { patches: ['mutant-dma-bidirectional'] }, outcome: 'wrong-bytes' },
    {
      name: 'both ways, arm926',
      machine: { core: 'arm926', patches: ['mutant-dma-bidirectional'] },
      outcome: 'clean',
      reports: SHARED,
    },
    {
      name: 'both ways, xsc3',
      machine: { core: 'xsc3', patches: ['mutant-dma-bidirectional'] },
      outcome: 'clean',
      reports: SHARED,
    },
    {
      name: 'both ways, feroceon',
      machine: { core: 'feroceon', patches: ['mutant-dma-bidirectional'] },
      outcome: 'clean',
      reports: SHARED,
    },
    {
      name: 'both ways, cortex-a9',
      machine: { core: 'cortex-a9', patches: ['mutant-dma-bidirectional'] },
      outcome: 'clean',
      reports: SHARED,
    },
    { name: 'from the device, xscale', outcome: 'wrong-bytes' },
    { name: 'from the device, arm926', machine: { core: 'arm926' }, outcome: 'wrong-bytes' },
    { name: 'from the device, feroceon', machine: { core: 'feroceon' }, outcome: 'wrong-bytes' },
    { name: 'from the device, arm11mpcore', machine: { core: 'arm11mpcore' }, outcome: 'wrong-bytes' },
    { name: 'from the device, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'wrong-bytes' },
  ],
  vars: ['page', 'handled'],

  setup(k) {
    const page = alloc_page(k, GFP_KERNEL);
    k.vars.page = page;
    fillMemory(k, page, () => 0);
  },

  irqs: { [IRQ]: countBesideBuffer },
  devices: [interrupt],
  threads: [mapAgainAndAgain],

  check(k) {
    const page = k.vars.page as Page;
    for (const offset of NEIGHBOURS) {
      const seen = k.load32(vaddr(page_address(k, page) + offset));
      expectWord(page_to_pfn(k, page), offset, k.vars.handled!, seen, 'stored by the handler');
    }
  },
});
