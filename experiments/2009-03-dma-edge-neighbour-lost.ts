/**
 * Claim: a buffer that a device is to fill need not begin or end at a cache line; what the CPU stored beside it before dma_map_single() is
 * kept, since the partial first and last lines are cleaned before they are thrown away. What it stores there after dma_unmap_single() is
 * kept as well.
 *
 * The driver stores to the words on both sides of a buffer, lets a device fill the buffer, and stores to two more words beside it. Then it
 * reads everything: the device's words in the buffer, its own around it.
 *
 * Kernels: with `mutant-no-edge-clean` the words stored before are lost, on ARM926 and on Cortex-A9. Without it nothing is, in 2.6.31 and in
 * 2.6.34, which does maintenance at unmap too. Stores while the device owns the buffer are another matter:
 * 2009-03-dma-shared-line-lost-bytes.
 * Source: arch/arm/mm/proc-arm926.S, cache-v7.S, Linux 2.6.30; spec/highmem.md §9.6, §9.7.
 */
import {
  alloc_page,
  type Device,
  expectWord,
  GFP_KERNEL,
  type Kernel,
  type Page,
  page_address,
  page_to_pfn,
  race,
  type Vaddr,
  vaddr,
} from '../src/index.js';
import { byDevice, fillByDevice, fillOnce, initTransfers, TRANSFER_LINE, transferIrq } from './lib/transfer.js';

/** The buffer's place in its page: neither end at a line. */
const START = 232;
const bytes = (k: { readonly config: Kernel['config'] }): number => Math.min(k.config.bufferBytes, 480);
/** Words of the driver: on both sides of the buffer, stored before the transfer and after it. */
const before = (k: Kernel): readonly number[] => [START - 4, START + bytes(k)];
const after = (k: Kernel): readonly number[] => [START - 8, START + bytes(k) + 4];

const byDriver = (offset: number): number => (0xc9000000 ^ offset) >>> 0;

/** Store with the line in the cache: ARM926 does not bring it in for a store. */
function update(k: Kernel, addr: Vaddr, offset: number): void {
  k.load32(vaddr(addr + offset));
  k.store32(vaddr(addr + offset), byDriver(offset));
}

function fillBuffer(k: Kernel): void {
  const page = k.vars.page as Page;
  const addr = page_address(k, page);
  for (const offset of before(k)) update(k, addr, offset);
  fillByDevice(k, vaddr(addr + START), bytes(k));
  for (const offset of after(k)) update(k, addr, offset);
  expectContents(k, page, addr);
}

function expectContents(k: Kernel, page: Page, addr: Vaddr): void {
  const expectAt = (offset: number, expected: number, what: string): void =>
    expectWord(page_to_pfn(k, page), offset, expected, k.load32(vaddr(addr + offset)), what);
  for (const offset of before(k)) expectAt(offset, byDriver(offset), 'stored by the CPU before the transfer');
  for (const offset of after(k)) expectAt(offset, byDriver(offset), 'stored by the CPU after the transfer');
  for (let offset = START; offset < START + bytes(k); offset += 4)
    expectAt(offset, byDevice(offset), 'stored by the device');
}

const writeBuffer = (d: Device): void => fillOnce(d, bytes(d), (offset) => byDevice(START + offset));

export default race({
  id: '2009-03-dma-edge-neighbour-lost',
  title: 'an invalidation for DMA throws away what was stored beside the buffer',
  source: 'arch/arm/mm/proc-arm926.S, Linux 2.6.30',
  spec: ['highmem/E11'],
  machine: { core: 'arm926', kernel: '2.6.31' },
  smallest: { lowmemPages: 64, highmemPages: 0, bufferBytes: 48 },
  cases: [
    { name: 'edges not cleaned', machine: { patches: ['mutant-no-edge-clean'] }, outcome: 'wrong-bytes' },
    { name: 'edges cleaned', outcome: 'clean' },
    {
      name: 'edges not cleaned, cortex-a9',
      machine: { core: 'cortex-a9', patches: ['mutant-no-edge-clean'] },
      outcome: 'wrong-bytes',
    },
    { name: 'edges cleaned, cortex-a9', machine: { core: 'cortex-a9' }, outcome: 'clean' },
    { name: 'edges cleaned, cortex-a9, 2.6.34', machine: { core: 'cortex-a9', kernel: '2.6.34' }, outcome: 'clean' },
  ],
  vars: ['page'],

  setup(k) {
    initTransfers(k);
    k.vars.page = alloc_page(k, GFP_KERNEL);
  },

  irqs: { [TRANSFER_LINE]: transferIrq },
  devices: [writeBuffer],
  threads: [fillBuffer],
});
