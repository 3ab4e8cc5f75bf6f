/**
 * Claim: SLUB puts objects of 8 bytes side by side into one cache line. While a device writes one of them, a CPU that merely reads the other brings the
 * line back with the buffer's old bytes, and dma_unmap_single() of 2.6.22 does not throw it away: the driver reads old bytes. If the CPU
 * stores to the other object, the line that it writes back later overwrites what the device has written to memory.
 *
 * Two objects, A at the beginning of a line and B behind it. A is mapped for a device; before the device is started, the owner of B uses it. When
 * the device has written A, the driver reads A; where B was stored to, the line is then written back and memory is looked at.
 *
 * Kernels: 2.6.22 on ARM926, with SLUB and every proposal of seed 001: old bytes, since none of them changes how small objects are aligned. SLAB,
 * whose smallest object is a line, and whole pages: the device's bytes. Nobody uses B meanwhile: the same.
 * Source: seed 001, mail of 2007-06-22; Documentation/DMA-API.txt, arch/arm/mm/consistent.c, Linux 2.6.22; spec/slab-dma.md §4.1, §4.5.
 */
import {
  __get_free_page,
  type Completion,
  complete,
  type Device,
  DMA_FROM_DEVICE,
  deviceWrite,
  dma_map_single,
  dma_unmap_single,
  expectWord,
  flush_dcache_range,
  flushTransferred,
  GFP_KERNEL,
  init_completion,
  type Kernel,
  kmalloc,
  memoryWord,
  type Paddr,
  page_to_pfn,
  ptr,
  race,
  ringDoorbell,
  type Vaddr,
  vaddr,
  wait_for_completion,
} from '../src/index.js';
import { AT91SAM9263 } from './lib/at91.js';
import { type Claim, type Fix, fixCases } from './lib/fixes.js';
import { virt_to_page } from './lib/objects.js';

const DEVICE = 0;
const IRQ = 5;
const BYTES = 8;
const LINE_BYTES = 32;
/** What the owner of B does while the device has A. */
const NOTHING = 0;
const LOADS = 1;
const STORES = 2;

const byDevice = (offset: number): number => (0xde000000 | offset) >>> 0;
const transferDone = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data);

/** A is the first object of a line, B the next. From the page allocator each has a page. */
function twoObjects(k: Kernel): void {
  const take = (): Vaddr =>
    k.config.parameters.pages === 1 ? __get_free_page(k, GFP_KERNEL) : (kmalloc(k, BYTES, GFP_KERNEL) as Vaddr);
  let a = take();
  while (a % LINE_BYTES !== 0) a = take();
  k.vars.a = a;
  k.vars.b = take();
}

function useNeighbour(k: Kernel, b: Vaddr): void {
  const { neighbour = LOADS } = k.config.parameters;
  if (neighbour === NOTHING) return;
  const value = k.load32(b);
  if (neighbour === STORES) k.store32(b, (value ^ 0x55555555) >>> 0);
}

function readIntoA(k: Kernel): void {
  const a = k.vars.a as Vaddr;
  const bus = dma_map_single(k, a, BYTES, DMA_FROM_DEVICE);
  useNeighbour(k, k.vars.b as Vaddr);
  deviceWrite(k, DEVICE, 0, bus);
  ringDoorbell(k, DEVICE);
  wait_for_completion(k, transferDone(k));
  dma_unmap_single(k, bus, BYTES, DMA_FROM_DEVICE);
  if (k.config.parameters.flush === 1) flushTransferred(k, virt_to_page(k, a), a, BYTES);
  const page = page_to_pfn(k, virt_to_page(k, a));
  if (k.config.parameters.neighbour === STORES) {
    flush_dcache_range(k, vaddr(a & -LINE_BYTES), LINE_BYTES);
    for (let i = 0; i < BYTES; i += 4) {
      const inMemory = memoryWord(k, virt_to_page(k, a), (a & 4095) + i);
      expectWord(page, (a & 4095) + i, byDevice(i), inMemory, 'in memory');
    }
  }
  for (let i = 0; i < BYTES; i += 4) {
    expectWord(page, (a & 4095) + i, byDevice(i), k.load32(vaddr(a + i)), 'read by the driver');
  }
}

function writeObject(d: Device): void {
  d.waitDoorbell();
  d.transferIn(d.register(0) as Paddr, BYTES, byDevice);
  d.raise(0, IRQ);
}

const CLEAN: Claim = { outcome: 'clean' };
const OLD: Claim = { outcome: 'wrong-bytes', says: ['read by the driver'] };
const LOST: Claim = { outcome: 'wrong-bytes', says: ['in memory'] };

const every = (claim: Claim): Partial<Record<Fix, Claim>> => ({
  none: claim,
  'PageSlab test': claim,
  'VM_BUG_ON, DEBUG_VM': claim,
  VM_BUG_ON: claim,
  'pages for DMA memory, ARM': claim,
  'pages for DMA memory, PA-RISC': claim,
  'no coherent branch': claim,
  'flush_dcache_range()': claim,
  'PageSlab() in the caller': claim,
});

export default race({
  id: '2007-06-slub-small-objects-share-line',
  title: 'small objects of SLUB share a cache line, one of them belongs to a device',
  source: 'seed 001',
  spec: ['slab-dma/S12', 'slab-dma/S13'],
  machine: AT91SAM9263,
  cases: [
    ...fixCases('B is read', { parameters: { neighbour: LOADS } }, every(OLD)),
    ...fixCases('B is stored to', { parameters: { neighbour: STORES } }, every(LOST)),
    { name: 'SLAB, B is read', machine: { slab: 'slab', parameters: { neighbour: LOADS } }, ...CLEAN },
    { name: 'SLAB, B is stored to', machine: { slab: 'slab', parameters: { neighbour: STORES } }, ...CLEAN },
    { name: 'B is left alone', machine: { parameters: { neighbour: NOTHING } }, ...CLEAN },
    { name: 'B is read, pages', machine: { parameters: { neighbour: LOADS, pages: 1 } }, ...CLEAN },
    { name: 'B is stored to, pages', machine: { parameters: { neighbour: STORES, pages: 1 } }, ...CLEAN },
  ],
  vars: ['a', 'b'],

  setup(k) {
    init_completion(k, transferDone(k));
    twoObjects(k);
  },

  irqs: { [IRQ]: (k) => complete(k, transferDone(k)) },
  devices: [writeObject],
  threads: [readIntoA],
});
