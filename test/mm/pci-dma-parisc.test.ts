/** arch/parisc/kernel/pci-dma.c: spec/slab-dma.md §4.4, spec/vmalloc-gfp.md §9.1. */
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import { cacheLineOps } from '../../src/lab/oracle.js';
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_NONE, DMA_TO_DEVICE } from '../../src/mm/arm/dma-mapping.js';
import { dma_get_cache_alignment } from '../../src/mm/dma-mapping.js';
import { gfp } from '../../src/mm/gfp.js';
import { GfpSite, gfpEvents, traceGfp } from '../../src/mm/gfp-events.js';
import { dma_cache_sync } from '../../src/mm/parisc/dma-ops.js';
import {
  type DmaMemory,
  dma_alloc_coherent,
  dma_alloc_noncoherent,
  dma_free_coherent,
  dma_free_noncoherent,
  pa11_dma_alloc_consistent,
  pa11_dma_free_consistent,
  pa11_dma_map_single,
  pa11_dma_sync_single,
  pa11_dma_unmap_single,
  pcxl_alloc_range,
  pcxl_free_range,
} from '../../src/mm/parisc/pci-dma.js';
import { type Paddr, vaddr } from '../../src/shared/types.js';
import { ram, setRam } from '../cpu/parisc-bytes.js';
import { localMachine } from '../machine.js';

const PAGE = 4096;
const boot = (id = 'pcxl', options = {}): Kernel =>
  localMachine(id, { lowmemPages: 512, kernel: '2.6.22', ...options }).k;

describe('pcxl_alloc_range()', () => {
  it('takes a byte of the map, 32 KB of addresses, for one page and for eight', () => {
    const k = boot();
    expect([pcxl_alloc_range(k, PAGE), pcxl_alloc_range(k, 8 * PAGE), pcxl_alloc_range(k, PAGE)]).toEqual([
      0x8000, 0x10000, 0x18000,
    ]);
    expect([0, 1, 2].map((i) => k.load8(vaddr(k.sym.pcxl_res_map + i)))).toEqual([0x01, 0xff, 0x01]);
  });

  it('goes by units of two and four bytes for more, aligned, with the bits at the low end of the big-endian unit', () => {
    const k = boot();
    pcxl_alloc_range(k, PAGE);
    expect(pcxl_alloc_range(k, 16 * PAGE)).toBe(0x8000 + 2 * 0x8000);
    expect(pcxl_alloc_range(k, 32 * PAGE)).toBe(0x8000 + 4 * 0x8000);
    expect(k.load16(vaddr(k.sym.pcxl_res_map + 2))).toBe(0xffff);
    pcxl_alloc_range(k, 9 * PAGE);
    expect([8, 9].map((i) => k.load8(vaddr(k.sym.pcxl_res_map + i)))).toEqual([0x01, 0xff]);
  });

  it('begins where it left off, comes round, and panics when 256 small ranges are out', () => {
    const k = boot();
    for (let i = 0; i < 256; i++) pcxl_alloc_range(k, PAGE);
    pcxl_free_range(k, vaddr(0x8000 + 5 * 0x8000), PAGE);
    expect(pcxl_alloc_range(k, PAGE)).toBe(0x8000 + 5 * 0x8000);
    expect(() => pcxl_alloc_range(k, PAGE)).toThrow('out of dma mapping resources');
  });

  it('panics for more than 32 pages', () => {
    expect(() => pcxl_alloc_range(boot(), 33 * PAGE)).toThrow('Too many pages to map');
  });
});

describe('consistent memory', () => {
  it('is uncached: a device reads what was stored, and the CPU what the device wrote', () => {
    const k = boot();
    const { addr, handle } = pa11_dma_alloc_consistent(k, 256, gfp(k).GFP_KERNEL);
    k.store32(addr, 0xa1b2c3d4);
    expect(ram(k, handle, 4)).toBe('a1*1 b2*1 c3*1 d4*1');
    setRam(k, handle, 'dd*4');
    expect(k.load32(addr)).toBe(0xdddddddd);
  });

  it('goes with its addresses, its translation and its page', () => {
    const k = boot();
    const { addr, handle } = pa11_dma_alloc_consistent(k, 256, gfp(k).GFP_KERNEL);
    k.store32(addr, 1);
    pa11_dma_free_consistent(k, 256, addr, handle);
    expect(() => k.load32(addr)).toThrow('Code=15');
    expect(k.load8(k.sym.pcxl_res_map)).toBe(0);
    expect(pa11_dma_alloc_consistent(k, 256, gfp(k).GFP_KERNEL).handle).toBe(handle);
  });

  it('vmalloc/V000-02: asks for a page table with GFP_KERNEL, with RMK1 by the mask of the caller', () => {
    const masks = (patches: string[]): number[] => {
      const k = boot('pcxl', { kernel: '2.5.53', patches, preempt: false });
      for (let i = 0; i < 127; i++) pa11_dma_alloc_consistent(k, PAGE, gfp(k).GFP_KERNEL);
      traceGfp(k, [GfpSite.pte_alloc]);
      expect(pa11_dma_alloc_consistent(k, PAGE, gfp(k).GFP_ATOMIC).addr).toBe(0x400000);
      return gfpEvents(k).map((event) => event.gfp_mask);
    };
    expect(masks([])).toEqual([0x1d0]);
    expect(masks(['rmk1'])).toEqual([0x20]);
  });

  it('is mapped only up to 4 MB where a range crosses: the kernel steps on by 4 MB from an address that it has not rounded', () => {
    const k = boot();
    for (let i = 0; i < 126; i++) pcxl_alloc_range(k, PAGE);
    const { addr, handle } = pa11_dma_alloc_consistent(k, 16 * PAGE, gfp(k).GFP_KERNEL);
    expect(addr).toBe(0x3f8000);
    for (let page = 0; page < 8; page++) k.store32(vaddr(addr + page * PAGE), page);
    const words = Array.from({ length: 8 }, (_, page) => k.memory.read32((handle + page * PAGE) as Paddr));
    expect(words).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(() => k.store32(vaddr(0x400000), 8)).toThrow('Code=15 (Addr=00400000)');
  });

  it('gets a page table where the addresses reach 4 MB', () => {
    const k = boot();
    for (let i = 0; i < 127; i++) pcxl_alloc_range(k, PAGE);
    const { addr, handle } = pa11_dma_alloc_consistent(k, PAGE, gfp(k).GFP_KERNEL);
    k.store32(addr, 0x12345678);
    expect([addr, k.memory.read32(handle)]).toEqual([0x400000, 0x12345678]);
  });

  it('is not to be had on machines that cannot map memory uncached', () => {
    expect(dma_alloc_coherent(boot('pcxs'), 256, 0)).toBe(null);
  });
});

describe('an I/O adapter that snoops the caches', () => {
  it.each(['pcxt-prime', 'pcxu', 'pcxw2', 'pa8800'])(
    'has coherent memory of whole cleared pages, cached, and no other: %s',
    (core) => {
      const k = boot(core);
      for (const { addr, handle } of [
        dma_alloc_coherent(k, 300, gfp(k).GFP_KERNEL),
        dma_alloc_noncoherent(k, 300, gfp(k).GFP_KERNEL),
      ].map((m) => m as DmaMemory)) {
        expect([addr % PAGE, k.__pa(addr)]).toEqual([0, handle]);
        for (let at = 0; at < 300; at += 4) expect(k.load32(vaddr(addr + at))).toBe(0);
        k.store32(addr, 0x12345678);
        dma_free_noncoherent(k, 300, addr, handle);
      }
      const again = dma_alloc_coherent(k, 300, gfp(k).GFP_KERNEL) as DmaMemory;
      dma_free_coherent(k, 300, again.addr, again.handle);
    },
  );

  it('is not what other machines have', () => {
    expect(boot('pcxs').config.core.parisc?.coherentIo).toBe(false);
    const pcx = boot('pcxs');
    const small = dma_alloc_noncoherent(pcx, 8, gfp(pcx).GFP_KERNEL);
    expect(dma_alloc_noncoherent(pcx, 8, gfp(pcx).GFP_KERNEL).addr - small.addr).toBe(8);
    dma_free_noncoherent(pcx, 8, small.addr, small.handle);
  });
});

describe('streaming maps', () => {
  const PA = 0x123000;
  const K = vaddr(0x10123000);
  const dirty = (k: Kernel): Kernel => {
    setRam(k, PA, '11*32');
    k.store32(K, 0xa1a1a1a1);
    return k;
  };

  it('flush at map time whatever the direction', () => {
    for (const dir of [DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE] as const) {
      const k = dirty(boot());
      expect(pa11_dma_map_single(k, K, 4, dir)).toBe(PA);
      expect(ram(k, PA, 8)).toBe('a1*4 11*4');
      expect(k.mmu.cache.own.find(PA)).toBe(-1);
    }
  });

  it('flush at unmap unless the device only read, and always at a sync', () => {
    const ramAfter = (act: (k: Kernel) => void): string => {
      const k = dirty(boot());
      act(k);
      return ram(k, PA, 4);
    };
    expect(ramAfter((k) => pa11_dma_unmap_single(k, PA as Paddr, 4, DMA_TO_DEVICE))).toBe('11*4');
    expect(ramAfter((k) => pa11_dma_unmap_single(k, PA as Paddr, 4, DMA_FROM_DEVICE))).toBe('a1*4');
    expect(ramAfter((k) => pa11_dma_sync_single(k, PA as Paddr, 4, DMA_TO_DEVICE))).toBe('a1*4');
  });

  it('are a BUG without a direction', () => {
    expect(() => pa11_dma_map_single(boot(), K, 4, DMA_NONE)).toThrow('pa11_dma_map_single');
  });

  it('leave the caches alone where the adapter snoops', () => {
    const k = dirty(boot('pcxu'));
    pa11_dma_map_single(k, K, 4, DMA_TO_DEVICE);
    expect(ram(k, PA, 4)).toBe('11*4');
  });
});

describe('dma_cache_sync()', () => {
  it('flushes noncoherent memory, and does nothing behind an adapter that snoops', () => {
    const flushed = (core: string): number => {
      const k = boot(core);
      const { addr } = dma_alloc_noncoherent(k, 100, gfp(k).GFP_KERNEL);
      const atFirst = cacheLineOps(k);
      dma_cache_sync(k, addr, 100);
      return cacheLineOps(k) - atFirst;
    };
    expect([flushed('pcxt'), flushed('pcxu')]).toEqual([4, 0]);
    expect(['pcxt', 'pcxu'].map((core) => dma_get_cache_alignment(boot(core)))).toEqual([32, 64]);
  });
});
