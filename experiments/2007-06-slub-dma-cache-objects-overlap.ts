/**
 * Claim: kmalloc(96, GFP_DMA) of SLUB in 2.6.22 hands out buffers that overlap. A cache for GFP_DMA is made when it is first asked for, with objects of
 * 1 << index bytes; but index 1 stands for 96 bytes and index 2 for 192, so they have 2 and 4, as far apart as long long is aligned.
 *
 * Two buffers of one class with GFP_DMA; each is filled from end to end, then the first is read.
 *
 * Kernels: 2.6.22: 96 bytes are 4 apart with the old ABI, 8 with the new one; 192 likewise. 64 and 128 bytes, whose index is their logarithm, and SLAB:
 * no overlap.
 * Source: mm/slub.c (get_slab), include/linux/slub_def.h, Linux 2.6.22.19; spec/slab-dma.md §2.4.
 */
import { expectWord, gfp, type Kernel, kmalloc, page_to_pfn, race, type Vaddr, vaddr } from '../src/index.js';
import { AT91SAM9263 } from './lib/at91.js';
import { virt_to_page } from './lib/objects.js';

const wordAt = (buffer: number, offset: number): number => (0xb0000000 | (buffer << 16) | offset) >>> 0;

function fillTwo(k: Kernel): void {
  const { size = 96 } = k.config.parameters;
  const { GFP_KERNEL, GFP_DMA } = gfp(k);
  const buffers = [0, 1].map(() => kmalloc(k, size, GFP_KERNEL | GFP_DMA) as Vaddr);
  buffers.forEach((addr, nr) => {
    for (let i = 0; i < size; i += 4) k.store32(vaddr(addr + i), wordAt(nr, i));
  });
  const [first = vaddr(0), second = vaddr(0)] = buffers;
  const apart = `the buffers are ${Math.abs(second - first)} bytes apart`;
  for (let i = 0; i < size; i += 4) {
    const at = vaddr(first + i);
    expectWord(page_to_pfn(k, virt_to_page(k, at)), at & 4095, wordAt(0, i), k.load32(at), apart);
  }
}

const overlap = (name: string, size: number, oabi: boolean, apart: number) => ({
  name,
  machine: { oabi, parameters: { size } },
  outcome: 'wrong-bytes' as const,
  says: [`the buffers are ${apart} bytes apart`],
});

export default race({
  id: '2007-06-slub-dma-cache-objects-overlap',
  title: 'two buffers of kmalloc(96, GFP_DMA) overlap',
  source: 'mm/slub.c, Linux 2.6.22.19',
  spec: ['slab-dma/S26'],
  machine: { ...AT91SAM9263, dmaPages: 512 },
  cases: [
    overlap('96 bytes', 96, true, 4),
    overlap('96 bytes, new ABI', 96, false, 8),
    overlap('192 bytes', 192, true, 4),
    overlap('192 bytes, new ABI', 192, false, 8),
    { name: '96 bytes, SLAB', machine: { slab: 'slab' }, outcome: 'clean' },
    { name: '64 bytes', machine: { parameters: { size: 64 } }, outcome: 'clean' },
    { name: '128 bytes', machine: { parameters: { size: 128 } }, outcome: 'clean' },
  ],

  threads: [fillTwo],
});
