/**
 * Claim: on an ARM machine whose devices see the caches dma_alloc_coherent() of 2.6.22 is kmalloc(): it looks neither at the device's mask nor at
 * alignment. The device gets an address that it cannot reach, and nobody says so. Without that branch the allocation is refused, with a message.
 *
 * A device that reaches the first 16 MB of the bus asks for 256 bytes; RAM begins above them.
 *
 * Kernels: 2.6.22, coherent: an address above the mask; with pages instead of kmalloc() it is that of a page, and above the mask as well. Without the
 * coherent branch, and on machines that are not coherent: refused.
 * Source: seed 001, mails of 2007-06-22 and 24; arch/arm/mm/consistent.c, Linux 2.6.22; spec/slab-dma.md §4.2.
 */
import {
  arm_dma_alloc_coherent,
  assert,
  GFP_KERNEL,
  type Kernel,
  NULL,
  ptr,
  race,
  report,
  struct_device,
} from '../src/index.js';
import { AT91SAM9263 } from './lib/at91.js';

const MASK = 0x00ffffff;
const BYTES = 256;

const deviceOf = (k: Kernel) => ptr<'device'>(k.sym.race_data);

function allocate(k: Kernel): void {
  const { addr, handle } = arm_dma_alloc_coherent(k, deviceOf(k), BYTES, GFP_KERNEL);
  if (addr === NULL) {
    assert(handle >>> 0 === 0xffffffff, 'the handle of nothing', handle);
    return;
  }
  const place = (handle & 4095) === 0 ? 'a page' : 'inside a page';
  if (handle >>> 0 > MASK) report(`the device cannot reach its memory, which is ${place}`);
}

const REFUSED = 'coherent DMA mask 0xffffff is smaller than system GFP_DMA mask 0xffffffff';

export default race({
  id: '2007-06-arm-coherent-above-mask',
  title: 'coherent memory that the device cannot reach',
  source: 'seed 001',
  spec: ['slab-dma/S16'],
  machine: { ...AT91SAM9263, coherentDma: true },
  cases: [
    { name: 'coherent', outcome: 'report', says: ['which is inside a page'] },
    {
      name: 'coherent, pages for DMA memory',
      machine: { patches: ['arm-coherent-pages'] },
      outcome: 'report',
      says: ['which is a page'],
    },
    {
      name: 'coherent, no coherent branch',
      machine: { patches: ['arm-no-coherent-branch'] },
      outcome: 'clean',
      says: [REFUSED],
    },
    { name: 'not coherent', machine: { coherentDma: false }, outcome: 'clean', says: [REFUSED] },
  ],

  setup(k) {
    k.write(deviceOf(k), struct_device.coherent_dma_mask, MASK);
    // kmalloc-256 has given out an object: the next one does not begin at a page.
    arm_dma_alloc_coherent(k, NULL, BYTES, GFP_KERNEL);
  },

  threads: [allocate],
});
