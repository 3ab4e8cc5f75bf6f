/**
 * Claim: throwing a buffer's cache lines away before the device writes is not enough on a CPU that speculates. Between dma_map_single() and
 * dma_unmap_single() it may bring lines of the buffer in that no instruction asked for, with what memory held at that time; they are
 * still there when the driver looks at what the device wrote.
 *
 * CPU 0 gives a buffer to a device, waits until it is full, takes it back and reads it. Meanwhile its cache brings in lines of the buffer,
 * as by loads on a path that is not taken.
 *
 * Kernels: until 2.6.33, where nothing is done at unmap, stale bytes on Cortex-A9. 2.6.34 throws the lines away at unmap too: none. With an outer
 * cache that has to go first: if the inner one goes first (`mutant-inner-before-outer`), a line can come in from a stale line of the outer one
 * in between. ARM11 MPCore does not speculate and needs nothing at unmap.
 * Source: commit 2ffe2da3e71, Linux 2.6.34; spec/highmem.md §9.1, §9.5, §10.8; spec/hardware.md V11, V13.
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

const OLD = 0x01d01d01;
const LINE = 32;

const bytesUsed = (k: { config: Kernel['config'] }): number => Math.min(k.config.bufferBytes, 256);
/** How often each line comes in. */
const fetches = (k: { config: Kernel['config'] }): number => (k.config.bufferBytes < 4096 ? 1 : 8);

function fillBuffer(k: Kernel): void {
  const page = k.vars.page as Page;
  const buffer = page_address(k, page);
  fillByDevice(k, buffer, bytesUsed(k));
  for (let offset = 0; offset < bytesUsed(k); offset += LINE) {
    const seen = k.load32(vaddr(buffer + offset));
    expectWord(page_to_pfn(k, page), offset, byDevice(offset), seen, 'stored by the device');
  }
}

/** CPU 0's cache brings lines of the buffer in by itself, at any moment. */
function fetchAhead(d: Device): void {
  for (let i = 0; i < fetches(d); i++) {
    for (let offset = 0; offset < bytesUsed(d); offset += LINE) d.prefetch(0, vaddr(d.vars.buffer! + offset));
  }
}

const writeBuffer = (d: Device): void => fillOnce(d, bytesUsed(d), byDevice, LINE);

export default race({
  id: '2010-03-dma-speculative-fill-stale-bytes',
  title: 'a line that the CPU has fetched ahead hides what the device wrote',
  source: 'commit 2ffe2da3e71, Linux 2.6.34',
  spec: ['highmem/E10', 'hardware/V11', 'hardware/V13'],
  machine: { core: 'cortex-a9', cpus: 2, kernel: '2.6.34' },
  smallest: { cpus: 1, lowmemPages: 64, highmemPages: 0, bufferBytes: 32 },
  cases: [
    { name: '2.6.33', machine: { kernel: '2.6.33' }, outcome: 'wrong-bytes' },
    { name: '2.6.34', outcome: 'clean' },
    { name: '2.6.33, outer cache', machine: { core: 'cortex-a9-l2', kernel: '2.6.33' }, outcome: 'wrong-bytes' },
    { name: '2.6.34, outer cache', machine: { core: 'cortex-a9-l2' }, outcome: 'clean' },
    {
      name: '2.6.34, inner cache before the outer one',
      machine: { core: 'cortex-a9-l2', patches: ['mutant-inner-before-outer'] },
      outcome: 'wrong-bytes',
    },
    { name: '2.6.33, arm11mpcore', machine: { core: 'arm11mpcore', kernel: '2.6.33' }, outcome: 'clean' },
  ],
  vars: ['page', 'buffer'],

  setup(k) {
    initTransfers(k);
    const page = alloc_page(k, GFP_KERNEL);
    k.vars.page = page;
    k.vars.buffer = page_address(k, page);
    fillMemory(k, page, () => OLD);
  },

  irqs: { [TRANSFER_LINE]: transferIrq },
  devices: [writeBuffer, fetchAhead, fetchAhead],
  threads: [{ run: fillBuffer, cpu: 0, name: 'driver' }],
});
