/**
 * Claim: nobody may touch a cache line while a device owns a part of it. A CPU that stores to a word beside a buffer brings the line into
 * its cache, the buffer's old bytes with it; whether the device's bytes or those are seen afterwards depends on what becomes of the
 * line: if it stays, or is written back after the device has written, the device's bytes are lost. That is why kmalloc() on
 * ARM gives out whole lines, of L1_CACHE_BYTES = 32.
 *
 * A driver lets a device fill a buffer, and reads it when the transfer is over. Another thread, which knows nothing of this, adds to the two
 * words before and after the buffer at moments of its own.
 *
 * Kernels: with `mutant-unaligned-dma-buffer` the buffer begins and ends inside a line: wrong bytes, on ARM926 and on Cortex-A9, in 2.6.31
 * (nothing is done at unmap) and in 2.6.34 (the partial lines are cleaned at unmap, over the device's bytes). With a buffer of whole
 * 32-byte lines nothing is found there. On Cortex-A15, whose lines are of 64 bytes, the same buffer loses bytes: a core that these
 * kernels never ran on, and would not have run on well.
 * Source: asm/cache.h, arch/arm/mm/dma-mapping.c, Linux 2.6.30 and 2.6.34; spec/highmem.md §9.7.
 */
import {
  alloc_page,
  type Device,
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
import { byDevice, fillByDevice, fillOnce, initTransfers, TRANSFER_LINE, transferIrq } from './lib/transfer.js';

const L1_CACHE_BYTES = 32;
const bytes = (k: { readonly config: Kernel['config'] }): number => Math.min(k.config.bufferBytes, 8 * L1_CACHE_BYTES);
/** Times that the neighbour adds to each of its words. */
const adds = (k: Kernel): number => (k.config.bufferBytes < 4096 ? 1 : 8);
const OLD = 0x01d01d01;

/** Where the buffer begins in its page: at a line of 32 bytes that is not one of 64, or two words behind. */
const start = (k: Kernel): number => 7 * L1_CACHE_BYTES + (k.has('mutant-unaligned-dma-buffer') ? 8 : 0);

function fillBuffer(k: Kernel): void {
  const page = k.vars.page as Page;
  const buffer = vaddr(page_address(k, page) + start(k));
  fillByDevice(k, buffer, bytes(k));
  for (let offset = 0; offset < bytes(k); offset += 4) {
    const seen = k.load32(vaddr(buffer + offset));
    expectWord(page_to_pfn(k, page), start(k) + offset, byDevice(offset), seen, 'stored by the device');
  }
}

/** Words of another object, in the line before the buffer and in the line behind it, or in lines of the buffer. */
function addBesideBuffer(k: Kernel): void {
  const page = k.vars.page as Page;
  for (let i = 0; i < adds(k); i++) {
    for (const offset of [start(k) - 4, start(k) + bytes(k)]) {
      const word = vaddr(page_address(k, page) + offset);
      const seen = k.load32(word);
      expectWord(page_to_pfn(k, page), offset, OLD + i, seen, 'stored by the neighbour');
      k.store32(word, OLD + i + 1);
    }
  }
}

const writeBuffer = (d: Device): void => fillOnce(d, bytes(d));

export default race({
  id: '2009-03-dma-shared-line-lost-bytes',
  title: 'a store beside a DMA buffer costs bytes that the device wrote',
  source: 'arch/arm/mm/dma-mapping.c, Linux 2.6.30',
  spec: ['highmem/E11'],
  machine: { core: 'arm926', kernel: '2.6.31' },
  smallest: { lowmemPages: 64, highmemPages: 0, bufferBytes: 32 },
  cases: [
    { name: 'shared lines', machine: { patches: ['mutant-unaligned-dma-buffer'] }, outcome: 'wrong-bytes' },
    { name: 'whole lines', outcome: 'clean' },
    {
      name: 'shared lines, cortex-a9',
      machine: { core: 'cortex-a9', patches: ['mutant-unaligned-dma-buffer'] },
      outcome: 'wrong-bytes',
    },
    { name: 'whole lines, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
    {
      name: 'shared lines, cortex-a9, 2.6.34',
      machine: { core: 'cortex-a9', kernel: '2.6.34', patches: ['mutant-unaligned-dma-buffer'] },
      outcome: 'wrong-bytes',
    },
    { name: '32 bytes of a line of 64, cortex-a15', machine: { core: 'cortex-a15' }, outcome: 'wrong-bytes' },
  ],
  vars: ['page'],

  setup(k) {
    initTransfers(k);
    const page = alloc_page(k, GFP_KERNEL);
    k.vars.page = page;
    fillMemory(k, page, () => OLD);
  },

  irqs: { [TRANSFER_LINE]: transferIrq },
  devices: [writeBuffer],
  threads: [fillBuffer, addBesideBuffer],
});
