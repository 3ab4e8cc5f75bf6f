/**
 * Claim: with slub_debug an object of 64 bytes is no longer alone in its lines: behind its neighbour's bytes stand red zone, free pointer and tracks. If the
 * neighbour is freed while a device fills the object, SLUB writes them, and the flush at the end of the transfer puts the line over what the
 * device has written.
 *
 * Objects 0 and 1 of a slab of kmalloc-64; object 1 is mapped for a device; object 0 is freed; the device writes object 1, which is unmapped and read.
 *
 * Kernels: 2.6.22 on PA-7000. slub_debug=ZPU: objects are 112 bytes apart, the first 16 bytes of object 1 are old. Without: 64 apart, all new.
 * Source: mm/slub.c, arch/parisc/kernel/pci-dma.c, Linux 2.6.22; spec/slab-dma.md §2.2, §4.5.
 */
import {
  type Completion,
  complete,
  type Device,
  DMA_FROM_DEVICE,
  deviceWrite,
  dma_map_single,
  dma_unmap_single,
  GFP_KERNEL,
  init_completion,
  type Kernel,
  kfree,
  kmalloc,
  type Paddr,
  page_to_pfn,
  ptr,
  race,
  ringDoorbell,
  type Vaddr,
  vaddr,
  wait_for_completion,
  wrongByte,
} from '../src/index.js';
import { offsetInSlab, virt_to_page } from './lib/objects.js';
import { PCX } from './lib/parisc.js';

const DEVICE = 0;
const IRQ = 5;
const BYTES = 64;

const byDevice = (offset: number): number => (0xde000000 | offset) >>> 0;
const transferDone = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data + 64);

function readIntoObject(k: Kernel): void {
  const [neighbour, object] = [k.vars.neighbour as Vaddr, k.vars.object as Vaddr];
  const bus = dma_map_single(k, object, BYTES, DMA_FROM_DEVICE);
  kfree(k, neighbour);
  deviceWrite(k, DEVICE, 0, bus);
  ringDoorbell(k, DEVICE);
  wait_for_completion(k, transferDone(k));
  dma_unmap_single(k, bus, BYTES, DMA_FROM_DEVICE);
  expectDevice(k, object);
}

function expectDevice(k: Kernel, object: Vaddr): void {
  const seen = Array.from({ length: BYTES / 4 }, (_, i) => k.load32(vaddr(object + i * 4)) >>> 0);
  const old = seen.filter((word, i) => word !== byDevice(i * 4)).length * 4;
  if (old === 0) return;
  const first = seen.findIndex((word, i) => word !== byDevice(i * 4)) * 4;
  const where = `${old} bytes from offset ${first} of the object are old; it stands at ${offsetInSlab(k, object)}`;
  const expected = byDevice(first) >>> 24;
  wrongByte(
    page_to_pfn(k, virt_to_page(k, object)),
    (object & 4095) + first,
    expected,
    (seen[first / 4] as number) >>> 24,
    where,
  );
}

function writeObject(d: Device): void {
  d.waitDoorbell();
  d.transferIn(d.register(0) as Paddr, BYTES, byDevice);
  d.raise(0, IRQ);
}

export default race({
  id: '2007-06-parisc-slub-track-shares-line',
  title: 'the tracks of a freed neighbour stand in a line that a device is writing',
  source: 'seed 001',
  spec: ['slab-dma/S15'],
  machine: PCX,
  cases: [
    {
      name: 'slub_debug=ZPU',
      machine: { slubDebug: 'ZPU' },
      outcome: 'wrong-bytes',
      says: ['16 bytes from offset 0 of the object are old; it stands at 112'],
    },
    { name: 'no debugging', outcome: 'clean' },
  ],
  vars: ['neighbour', 'object'],

  setup(k) {
    init_completion(k, transferDone(k));
    k.vars.neighbour = kmalloc(k, BYTES, GFP_KERNEL) as Vaddr;
    k.vars.object = kmalloc(k, BYTES, GFP_KERNEL) as Vaddr;
  },

  irqs: { [IRQ]: (k) => complete(k, transferDone(k)) },
  devices: [writeObject],
  threads: [readIntoObject],
});
