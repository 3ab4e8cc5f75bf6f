/** Bounce buffers of ARM 2.6.22. spec/slab-dma.md §4.3. */
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import { struct_device } from '../../src/mm/arm/dma-coherent.js';
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE } from '../../src/mm/arm/dma-mapping.js';
import {
  type BounceDevice,
  dmabounce_map_single,
  dmabounce_register_dev,
  dmabounce_sync_single,
  dmabounce_unmap_single,
} from '../../src/mm/arm/dmabounce.js';
import { gfp } from '../../src/mm/gfp.js';
import { kmalloc } from '../../src/mm/kmalloc.js';
import { GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { type Paddr, ptr, type Vaddr, vaddr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

const DMA_PAGES = 256;
const BYTES = 256;

/** A device that reaches the first megabyte of memory only. */
function setup(): { k: Kernel; device: BounceDevice; limit: number } {
  const physBase = localMachine('arm926').config.core.physBase;
  const limit = physBase + DMA_PAGES * 4096 - 1;
  const options = {
    kernel: '2.6.22',
    patches: ['rmk2'],
    lowmemPages: 1024,
    dmaPages: DMA_PAGES,
    isaDmaThreshold: limit,
  };
  const { k } = localMachine('arm926', options);
  const dev = ptr<'device'>(k.sym.race_data + 64);
  k.write(dev, struct_device.dma_mask, limit);
  k.write(dev, struct_device.coherent_dma_mask, limit);
  const device = ptr<'dmabounce_device_info'>(k.sym.race_data + 128);
  dmabounce_register_dev(k, device, dev);
  return { k, device, limit };
}

const far = (k: Kernel): Vaddr => kmalloc(k, BYTES, GFP_KERNEL) as Vaddr;
const wordAt = (i: number): number => (0xb0000000 | i) >>> 0;

describe('a buffer that the device cannot reach', () => {
  it('is copied to one that it can, and what the device writes is copied back to cache and memory', () => {
    const { k, device, limit } = setup();
    const x = far(k);
    expect(k.__pa(x) >>> 0).toBeGreaterThan(limit);
    const handle = dmabounce_map_single(k, device, x, BYTES, DMA_FROM_DEVICE);
    expect(handle >>> 0).toBeLessThanOrEqual(limit);
    for (let i = 0; i < BYTES; i += 4) k.memory.write32((handle + i) as Paddr, wordAt(i));
    dmabounce_unmap_single(k, device, handle, BYTES, DMA_FROM_DEVICE);
    for (let i = 0; i < BYTES; i += 4) {
      expect(k.load32(vaddr(x + i)) >>> 0).toBe(wordAt(i));
      expect(k.memory.read32((k.__pa(x) + i) as Paddr) >>> 0).toBe(wordAt(i));
    }
    expect(dmesgOf(k)).toEqual([]);
  });

  it('is copied before the device reads, and again when it is synchronised', () => {
    const { k, device } = setup();
    const x = far(k);
    k.store32(x, 1);
    const handle = dmabounce_map_single(k, device, x, BYTES, DMA_TO_DEVICE);
    expect(k.memory.read32(handle)).toBe(1);
    k.store32(x, 2);
    expect(k.memory.read32(handle)).toBe(1);
    dmabounce_sync_single(k, device, handle, BYTES, DMA_TO_DEVICE);
    expect(k.memory.read32(handle)).toBe(2);
    dmabounce_unmap_single(k, device, handle, BYTES, DMA_TO_DEVICE);
  });

  it('cannot be synchronised in both directions', () => {
    const { k, device } = setup();
    const handle = dmabounce_map_single(k, device, far(k), BYTES, DMA_BIDIRECTIONAL);
    expect(() => dmabounce_sync_single(k, device, handle, BYTES, DMA_BIDIRECTIONAL)).toThrow(/sync_single/);
  });

  it('has the handle 0 when there is nothing to bounce to', () => {
    const { k, device } = setup();
    let handle = 1;
    for (let i = 0; i < 600 && handle !== 0; i++) {
      handle = dmabounce_map_single(k, device, far(k), 4096, DMA_TO_DEVICE);
    }
    expect(handle).toBe(0);
    expect(dmesgOf(k).at(-1)).toMatch(/^map_single: unable to map unsafe buffer c0/);
  });
});

describe('a buffer that the device can reach', () => {
  it('is used as it is', () => {
    const { k, device } = setup();
    const x = kmalloc(k, BYTES, GFP_KERNEL | gfp(k).GFP_DMA) as Vaddr;
    expect(dmabounce_map_single(k, device, x, BYTES, DMA_TO_DEVICE)).toBe(k.__pa(x));
    dmabounce_unmap_single(k, device, k.__pa(x), BYTES, DMA_TO_DEVICE);
  });
});
