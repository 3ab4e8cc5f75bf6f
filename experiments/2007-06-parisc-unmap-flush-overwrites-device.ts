/**
 * Claim: on PA-RISC the end of a transfer flushes the buffer's lines, and a flush writes back what is dirty. A CPU that stores to a neighbour in the same
 * line while the device fills the buffer has the old bytes of the buffer in that line: they go over what the device has written. If the neighbour is only
 * read, the line is clean, the flush throws it away, and the driver reads the device's bytes.
 *
 * dma_alloc_noncoherent(8) twice, or kmalloc(8) twice for a streaming map. A is mapped for a device; the owner of B uses it; the device writes A; A is
 * unmapped and read.
 *
 * Kernels: 2.6.22 on PA-7000, with SLUB: lost if B is stored to, for every proposal that leaves kmalloc() in place. With pages instead of kmalloc() in
 * pa11_dma_alloc_noncoherent() nothing is lost there; buffers that the driver has from kmalloc() are as before. SLAB: nothing, its smallest
 * object is a line.
 * Source: seed 001; arch/parisc/kernel/pci-dma.c, Linux 2.6.22; spec/slab-dma.md §4.4.
 */
import {
  type Completion,
  complete,
  type Device,
  DMA_FROM_DEVICE,
  deviceWrite,
  dma_alloc_noncoherent,
  dma_map_single,
  dma_unmap_single,
  expectWord,
  GFP_KERNEL,
  init_completion,
  type Kernel,
  kmalloc,
  type Paddr,
  page_to_pfn,
  ptr,
  race,
  ringDoorbell,
  type Vaddr,
  vaddr,
  wait_for_completion,
} from '../src/index.js';
import { type Claim, type Fix, fixCases } from './lib/fixes.js';
import { virt_to_page } from './lib/objects.js';
import { PCX } from './lib/parisc.js';

const DEVICE = 0;
const IRQ = 5;
const BYTES = 8;
const LINE_BYTES = 32;
const STREAMING = 1;

const byDevice = (offset: number): number => (0xde000000 | offset) >>> 0;
const transferDone = (k: Kernel): Completion => ptr<'completion'>(k.sym.race_data + 64);

function takeTwo(k: Kernel): void {
  const streaming = k.config.parameters.streaming === STREAMING;
  const take = (): Vaddr =>
    streaming ? (kmalloc(k, BYTES, GFP_KERNEL) as Vaddr) : dma_alloc_noncoherent(k, BYTES, GFP_KERNEL).addr;
  let a = take();
  while (a % LINE_BYTES !== 0) a = take();
  k.vars.a = a;
  k.vars.b = take();
}

function readIntoA(k: Kernel): void {
  const [a, b] = [k.vars.a as Vaddr, k.vars.b as Vaddr];
  const bus = dma_map_single(k, a, BYTES, DMA_FROM_DEVICE);
  const value = k.load32(b);
  if (k.config.parameters.store !== 0) k.store32(b, (value ^ 0x55555555) >>> 0);
  deviceWrite(k, DEVICE, 0, bus);
  ringDoorbell(k, DEVICE);
  wait_for_completion(k, transferDone(k));
  dma_unmap_single(k, bus, BYTES, DMA_FROM_DEVICE);
  const pfn = page_to_pfn(k, virt_to_page(k, a));
  for (let i = 0; i < BYTES; i += 4) {
    expectWord(pfn, (a & 4095) + i, byDevice(i), k.load32(vaddr(a + i)), 'read by the driver', 'big');
  }
}

function writeObject(d: Device): void {
  d.waitDoorbell();
  d.transferIn(d.register(0) as Paddr, BYTES, byDevice);
  d.raise(0, IRQ);
}

const CLEAN: Claim = { outcome: 'clean' };
const LOST: Claim = { outcome: 'wrong-bytes', says: ['read by the driver'] };
const every: Partial<Record<Fix, Claim>> = {
  none: LOST,
  'PageSlab test': LOST,
  'VM_BUG_ON, DEBUG_VM': LOST,
  VM_BUG_ON: LOST,
  'pages for DMA memory, ARM': LOST,
  'no coherent branch': LOST,
  'flush_dcache_range()': LOST,
  'PageSlab() in the caller': LOST,
};
const PAGES = 'pages for DMA memory, PA-RISC';
const streaming = { streaming: STREAMING };

export default race({
  id: '2007-06-parisc-unmap-flush-overwrites-device',
  title: 'the flush at the end of a transfer writes old bytes over those of the device',
  source: 'seed 001',
  spec: ['slab-dma/S14'],
  machine: PCX,
  cases: [
    ...fixCases('', {}, { ...every, [PAGES]: CLEAN }),
    ...fixCases('streaming', { parameters: streaming }, { ...every, [PAGES]: LOST }),
    { name: 'B is read', machine: { parameters: { store: 0 } }, ...CLEAN },
    { name: 'B is read, streaming', machine: { parameters: { ...streaming, store: 0 } }, ...CLEAN },
    { name: 'SLAB', machine: { slab: 'slab' }, ...CLEAN },
    { name: 'SLAB, streaming', machine: { slab: 'slab', parameters: streaming }, ...CLEAN },
    { name: 'PA-7100', machine: { core: 'pcxt' }, ...LOST },
    { name: 'PA-7300LC, streaming', machine: { core: 'pcxl2', parameters: streaming }, ...LOST },
  ],
  vars: ['a', 'b'],

  setup(k) {
    init_completion(k, transferDone(k));
    takeTwo(k);
  },

  irqs: { [IRQ]: (k) => complete(k, transferDone(k)) },
  devices: [writeObject],
  threads: [readIntoA],
});
