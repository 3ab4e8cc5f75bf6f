/** Bounce buffers of ARM 2.6.22. spec/slab-dma.md §4.3. */
import { describe, expect, it } from 'vitest';
import { dma_flush_range } from '../../src/arch/arm/cache.js';
import { virt_to_page } from '../../src/arch/arm/memory.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { struct_device } from '../../src/mm/arm/dma-coherent.js';
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE, type Scatterlist } from '../../src/mm/arm/dma-mapping.js';
import {
  type BounceDevice,
  dmabounce_map_sg,
  dmabounce_map_single,
  dmabounce_register_dev,
  dmabounce_sync_sg,
  dmabounce_sync_single,
  dmabounce_unmap_sg,
  dmabounce_unmap_single,
  dmabounce_unregister_dev,
} from '../../src/mm/arm/dmabounce.js';
import { dma_pool_alloc, dma_pool_create, dma_pool_destroy, dma_pool_free } from '../../src/mm/arm/dmapool.js';
import { gfp } from '../../src/mm/gfp.js';
import { countCache, kmalloc, kmallocCache } from '../../src/mm/kmalloc.js';
import { GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { local_irq_restore, local_irq_save } from '../../src/shared/irqflags.js';
import { type Paddr, ptr, type Vaddr, vaddr } from '../../src/shared/types.js';
import { dmesgOf, localMachine } from '../machine.js';

const DMA_PAGES = 256;
const BYTES = 256;

/** A device that reaches the first megabyte of memory only. */
function setup(small = 64, large = 0): { k: Kernel; device: BounceDevice; limit: number } {
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
  dmabounce_register_dev(k, device, dev, small, large);
  return { k, device, limit };
}

const far = (k: Kernel, bytes = BYTES): Vaddr => kmalloc(k, bytes, GFP_KERNEL) as Vaddr;
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

describe('the pools of a device', () => {
  const objects = (k: Kernel): number => countCache(k, kmallocCache(k, 32)).active;
  const pageOf = (handle: Paddr): number => handle >>> 12;

  it('give small and large buffers blocks of pages that stay with them, others pages of their own', () => {
    const { k, device } = setup(64, 1024);
    const map = (bytes: number): Paddr => dmabounce_map_single(k, device, far(k, 4096), bytes, DMA_TO_DEVICE);
    const small = Array.from({ length: 65 }, () => map(64));
    expect(small.map((h) => (h & 4095) / 64)).toEqual([...Array.from({ length: 64 }, (_, i) => i), 0]);
    expect(new Set(small.map(pageOf)).size).toBe(2);
    const large = Array.from({ length: 5 }, () => map(65));
    expect(large.map((h) => (h & 4095) / 1024)).toEqual([0, 1, 2, 3, 0]);
    expect(map(1025) & 4095).toBe(0);
    // What is given back is given out again, on the page that was made last first.
    dmabounce_unmap_single(k, device, small[7] as Paddr, 64, DMA_TO_DEVICE);
    dmabounce_unmap_single(k, device, small[64] as Paddr, 64, DMA_TO_DEVICE);
    expect([map(8), map(8)]).toEqual([small[64], (small[64] as Paddr) + 64]);
    expect(dmesgOf(k)).toEqual([]);
  });

  it('have what is written in one block in no other', () => {
    const { k, device } = setup(24, 0);
    const buffers = Array.from({ length: 200 }, (_, i) => {
      const x = far(k, 24);
      for (let at = 0; at < 24; at += 4) k.store32(vaddr(x + at), (i << 8) | at);
      return { x, handle: dmabounce_map_single(k, device, x, 24, DMA_BIDIRECTIONAL) };
    });
    for (const [i, { handle }] of buffers.entries()) {
      for (let at = 0; at < 24; at += 4) {
        expect(k.memory.read32((handle + at) as Paddr)).toBe((i << 8) | at);
        k.memory.write32((handle + at) as Paddr, ~((i << 8) | at));
      }
    }
    for (const [i, { x, handle }] of buffers.entries()) {
      dmabounce_unmap_single(k, device, handle, 24, DMA_BIDIRECTIONAL);
      for (let at = 0; at < 24; at += 4) expect(k.load32(vaddr(x + at)) | 0).toBe(~((i << 8) | at));
    }
  });

  it('are given back with the device, which must have no buffers mapped', () => {
    const { k, device } = setup(64, 1024);
    const before = objects(k);
    const handle = dmabounce_map_single(k, device, far(k), 64, DMA_TO_DEVICE);
    expect(() => dmabounce_unregister_dev(k, device)).toThrow(/unregister/);
    dmabounce_unmap_single(k, device, handle, 64, DMA_TO_DEVICE);
    dmabounce_unregister_dev(k, device);
    expect(objects(k)).toBe(before);
  });

  it('may be used with interrupts off, where pages of their own are a warning', () => {
    const { k, device } = setup(64, 0);
    const [pooled, own] = [64, 65].map((bytes) => dmabounce_map_single(k, device, far(k), bytes, DMA_FROM_DEVICE));
    const flags = local_irq_save(k);
    dmabounce_unmap_single(k, device, pooled as Paddr, 64, DMA_FROM_DEVICE);
    expect(dmesgOf(k)).toEqual([]);
    dmabounce_unmap_single(k, device, own as Paddr, 65, DMA_FROM_DEVICE);
    local_irq_restore(k, flags);
    expect(dmesgOf(k).some((l) => l.startsWith('WARNING: at'))).toBe(true);
  });

  it('tell of an address that is no block of theirs', () => {
    const { k } = setup();
    const pool = ptr<'dma_pool'>(k.sym.race_data + 512);
    expect(dma_pool_create(k, pool, ptr<'device'>(k.sym.race_data + 64), 0)).toBe(false);
    expect(dma_pool_create(k, pool, ptr<'device'>(k.sym.race_data + 64), 48, 32, 4096)).toBe(true);
    const a = dma_pool_alloc(k, pool);
    const b = dma_pool_alloc(k, pool);
    expect(b.handle - a.handle).toBe(64);
    dma_pool_free(k, pool, a.addr, (a.handle + 0x100000) as Paddr);
    expect(dmesgOf(k).at(-1)).toMatch(/^dma_pool_free ff.*bad dma\)$/);
    dma_pool_free(k, pool, a.addr, a.handle);
    dma_pool_destroy(k, pool);
    expect(dmesgOf(k).at(-1)).toMatch(/^dma_pool_destroy ff[0-9a-f]{6} busy$/);
  });
});

describe('a scatterlist', () => {
  it('has each entry bounced or not, as it needs it, and copied back', () => {
    const { k, device, limit } = setup();
    const near = kmalloc(k, BYTES, GFP_KERNEL | gfp(k).GFP_DMA) as Vaddr;
    const buffers = [far(k), near, far(k)] as const;
    const sg: Scatterlist[] = buffers.map((x) => ({
      page: virt_to_page(k, x),
      offset: x & 4095,
      length: BYTES,
      dma_address: 0 as Paddr,
    }));
    expect(dmabounce_map_sg(k, device, sg, DMA_FROM_DEVICE)).toBe(3);
    expect(sg.map((s) => s.dma_address >>> 0 <= limit)).toEqual([true, true, true]);
    expect(sg.map((s, i) => s.dma_address === k.__pa(buffers[i] as Vaddr))).toEqual([false, true, false]);
    const fill = (salt: number): void =>
      sg.forEach((s, i) => {
        for (let at = 0; at < BYTES; at += 4)
          k.memory.write32((s.dma_address + at) as Paddr, wordAt(salt + i * 64 + at));
      });
    fill(1 << 16);
    dmabounce_sync_sg(k, device, sg, DMA_FROM_DEVICE);
    buffers.forEach((x, i) => {
      expect(k.load32(vaddr(x + 8)) >>> 0).toBe(wordAt((1 << 16) + i * 64 + 8));
    });
    for (const x of buffers) dma_flush_range(k, x, vaddr(x + BYTES));
    fill(2 << 16);
    dmabounce_unmap_sg(k, device, sg, DMA_FROM_DEVICE);
    buffers.forEach((x, i) => {
      for (let at = 0; at < BYTES; at += 4) expect(k.load32(vaddr(x + at)) >>> 0).toBe(wordAt((2 << 16) + i * 64 + at));
    });
  });
});

describe('a buffer larger than the window of the device', () => {
  it('is refused with ~0, and unmapping that is said', () => {
    const { k, device, limit } = setup();
    const handle = dmabounce_map_single(k, device, far(k), DMA_PAGES * 4096 + 4, DMA_TO_DEVICE);
    expect(handle >>> 0).toBe(0xffffffff);
    expect(dmesgOf(k).at(-1)).toBe(`DMA mapping too big (requested 0x100004 mask 0x${limit.toString(16)})`);
    dmabounce_unmap_single(k, device, handle, 4, DMA_TO_DEVICE);
    expect(dmesgOf(k).at(-1)).toBe('Trying to unmap invalid mapping');
  });
});
