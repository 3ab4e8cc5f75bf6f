/** I/O page directories: drivers/parisc/{ccio-dma,sba_iommu}.c; spec/slab-dma.md §4.4, spec/hardware.md §8.1, §8.2. */
import { describe, expect, it } from 'vitest';
import { Device } from '../../src/cpu/device.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { cacheLineOps } from '../../src/lab/oracle.js';
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_TO_DEVICE } from '../../src/mm/arm/dma-mapping.js';
import { dma_map_single, dma_sync_single_for_cpu, dma_unmap_single } from '../../src/mm/dma-mapping.js';
import { lowmem_page_address } from '../../src/mm/page.js';
import { __get_free_pages, alloc_page, GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { dma_alloc_coherent, dma_free_coherent } from '../../src/mm/parisc/pci-dma.js';
import { type Paddr, type Vaddr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const PAGE = 4096;
const CCIO = 'pcxu';
const SBA = 'pcxw2';

function boot(core: string, options: object = {}): { k: Kernel; device: Device } {
  const { k } = localMachine(core, { kernel: '2.6.22', patches: [], preempt: false, iommu: true, ...options });
  const arena = k.words.buffer as SharedArrayBuffer;
  return { k, device: new Device(k.config, { arena, hw: k.hw.buffer as SharedArrayBuffer }, 0) };
}
const page = (k: Kernel): Vaddr => lowmem_page_address(k, alloc_page(k, GFP_KERNEL));
const bytesAt = (k: Kernel, at: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => k.load8(vaddr(at + i)));
const entryOf = (k: Kernel, bus: number): Vaddr => vaddr((k.load(k.sym.ioc_pdir_base) >>> 0) + (bus >>> 12) * 8);
const map8 = (k: Kernel, byte: number): number => k.load8(vaddr(k.sym.ioc_res_map + byte));

describe.each([[CCIO], [SBA]])('an I/O page directory (%s)', (core) => {
  it('gives bus addresses of its own, through which a device reaches memory and the caches', () => {
    const { k, device } = boot(core);
    const buffer = vaddr(page(k) + 0x240);
    const bus = dma_map_single(k, buffer, 64, DMA_BIDIRECTIONAL);
    expect([bus === k.__pa(buffer), bus & 0xfff]).toEqual([false, 0x240]);
    k.store32(buffer, 0xcafe0001);
    expect(device.read32(bus)).toBe(0xcafe0001);
    device.write32((bus + 4) as Paddr, 0xcafe0002);
    expect(k.load32(vaddr(buffer + 4))).toBe(0xcafe0002);
  });

  it('maps buffers across pages page by page', () => {
    const { k, device } = boot(core);
    const pages = __get_free_pages(k, GFP_KERNEL, 2);
    const bus = dma_map_single(k, vaddr(pages + 100 * 4), 3 * PAGE, DMA_FROM_DEVICE);
    for (const offset of [0, PAGE, 2 * PAGE, 3 * PAGE - 4]) {
      device.write32((bus + offset) as Paddr, offset + 1);
      expect(k.load32(vaddr(pages + 400 + offset))).toBe(offset + 1);
    }
  });

  it('stops a device at an address that nothing is mapped to: a machine check', () => {
    const { k, device } = boot(core);
    expect(() => device.read32(0x5000 as Paddr)).toThrow('High Priority Machine Check (HPMC): Code=1 (Addr=00005000)');
    dma_map_single(k, page(k), 64, DMA_FROM_DEVICE);
    expect(() => device.write32(0x40000000 as Paddr, 1)).toThrow('Addr=40000000');
  });

  it('serves consistent memory as whole pages that are mapped in both directions, and has nothing to synchronise', () => {
    const { k, device } = boot(core);
    const memory = dma_alloc_coherent(k, 100, GFP_KERNEL) as { addr: Vaddr; handle: Paddr };
    expect([memory.addr & 0xfff, memory.handle & 0xfff, memory.handle === k.__pa(memory.addr)]).toEqual([0, 0, false]);
    k.store32(memory.addr, 7);
    const before = cacheLineOps(k);
    dma_sync_single_for_cpu(k, memory.handle, 100, DMA_BIDIRECTIONAL);
    expect([device.read32(memory.handle), cacheLineOps(k) - before]).toEqual([7, 0]);
    dma_free_coherent(k, 100, memory.addr, memory.handle);
    expect(bytesAt(k, entryOf(k, memory.handle) + 7, 1)).toEqual([0]);
  });
});

describe('ccio', () => {
  it('takes eight, sixteen or thirty-two I/O pages at a time, and panics when the map is full', () => {
    const { k } = boot(CCIO, { lowmemPages: 256 });
    const buffer = __get_free_pages(k, GFP_KERNEL, 4);
    const map = (pages: number): number => dma_map_single(k, buffer, pages * PAGE, DMA_FROM_DEVICE) / PAGE;
    expect([map(1), map(8), map(9), map(1)]).toEqual([0, 8, 16, 32]);
    expect([0, 1, 2, 3, 4, 5].map((i) => map8(k, i))).toEqual([0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    for (let left = 256 / 8 - 5; left > 0; left--) map(1);
    expect(() => map(1)).toThrow('I/O MMU is out of mapping resources');
  });

  it('gives a range back and comes round to it', () => {
    const { k } = boot(CCIO, { lowmemPages: 256 });
    const buffer = page(k);
    const bus = Array.from({ length: 32 }, () => dma_map_single(k, buffer, 64, DMA_FROM_DEVICE));
    dma_unmap_single(k, bus[5] as Paddr, 64, DMA_FROM_DEVICE);
    expect(dma_map_single(k, buffer, 64, DMA_FROM_DEVICE)).toBe(bus[5]);
  });

  it('writes an entry as two big-endian words: coherence index; page, hints and valid bit', () => {
    const { k } = boot(CCIO);
    const buffer = page(k);
    const index = (buffer >>> 12) & 0xff;
    const words = (addr: number, direction: 0 | 1 | 2): number[] => {
      const entry = entryOf(k, dma_map_single(k, vaddr(addr), 64, direction));
      return [k.load32(entry), k.load32(vaddr(entry + 4))];
    };
    const pa = k.__pa(buffer);
    expect(words(buffer, DMA_BIDIRECTIONAL)).toEqual([index << 16, pa | 0x03]);
    expect(words(buffer, DMA_TO_DEVICE)).toEqual([index << 16, pa | 0x11]);
    expect(words(buffer, DMA_FROM_DEVICE)).toEqual([index << 16, pa | 0x01]);
    // A buffer that begins inside a line has partial lines read before they are written.
    expect(words(buffer + 4, DMA_FROM_DEVICE)).toEqual([index << 16, pa | 0x03]);
  });

  it('has each entry flushed, because the adapter does not look into caches for it', () => {
    const { k, device } = boot(CCIO, { patches: ['mutant-iopdir-no-fdc'] });
    const bus = dma_map_single(k, page(k), 64, DMA_FROM_DEVICE);
    expect(() => device.write32(bus, 1)).toThrow('HPMC');
  });

  it('flushes something else when it unmaps: the valid entry stays in memory, and a device that goes on reaches the page', () => {
    const { k, device } = boot(CCIO);
    const buffer = page(k);
    const bus = dma_map_single(k, buffer, 64, DMA_FROM_DEVICE);
    device.write32(bus, 1);
    dma_unmap_single(k, bus, 64, DMA_FROM_DEVICE);
    device.write32(bus, 2);
    expect(k.load32(buffer)).toBe(2);
  });

  it('stops that device when the entry is flushed', () => {
    const { k, device } = boot(CCIO, { patches: ['ccio-flush-invalid'] });
    const bus = dma_map_single(k, page(k), 64, DMA_FROM_DEVICE);
    device.write32(bus, 1);
    dma_unmap_single(k, bus, 64, DMA_FROM_DEVICE);
    expect(() => device.write32(bus, 2)).toThrow('HPMC');
  });
});

describe('sba', () => {
  it('takes as many I/O pages as it needs, aligned to a power of two, and goes on from where it was', () => {
    const { k } = boot(SBA, { lowmemPages: 256 });
    const buffer = __get_free_pages(k, GFP_KERNEL, 4);
    const map = (pages: number): number => dma_map_single(k, buffer, pages * PAGE, DMA_FROM_DEVICE) / PAGE;
    expect([map(1), map(1), map(2), map(3), map(1), map(5), map(16)]).toEqual([0, 1, 2, 4, 7, 8, 16]);
    expect([0, 1, 2, 3].map((i) => map8(k, i))).toEqual([0xff & ~0x00, 0xf8, 0xff, 0xff]);
  });

  it('begins behind the first line of a map that has more', () => {
    const { k } = boot(SBA, { lowmemPages: 1024 });
    expect(dma_map_single(k, page(k), 64, DMA_FROM_DEVICE)).toBe(64 * 8 * PAGE);
  });

  it('panics when 256 pages are mapped', () => {
    const { k } = boot(SBA, { lowmemPages: 256 });
    const buffer = page(k);
    for (let i = 0; i < 256; i++) dma_map_single(k, buffer, 4, DMA_FROM_DEVICE);
    expect(() => dma_map_single(k, buffer, 4, DMA_FROM_DEVICE)).toThrow('out of mapping resources');
  });

  it('gives ranges back sixteen at a time', () => {
    const { k } = boot(SBA, { lowmemPages: 256 });
    const buffer = page(k);
    const bus = Array.from({ length: 17 }, () => dma_map_single(k, buffer, 64, DMA_FROM_DEVICE));
    for (const one of bus.slice(0, 15)) dma_unmap_single(k, one, 64, DMA_FROM_DEVICE);
    expect([map8(k, 0), map8(k, 1), map8(k, 2)]).toEqual([0xff, 0xff, 0x80]);
    dma_unmap_single(k, bus[15] as Paddr, 64, DMA_FROM_DEVICE);
    expect([map8(k, 0), map8(k, 1), map8(k, 2)]).toEqual([0, 0, 0x80]);
  });

  it('writes a little-endian entry: index in the first byte, valid bit in the last', () => {
    const { k } = boot(SBA);
    const buffer = page(k);
    const pa = k.__pa(buffer);
    const entry = entryOf(k, dma_map_single(k, buffer, 64, DMA_FROM_DEVICE));
    const index = (buffer >>> 12) & 0xff;
    expect(bytesAt(k, entry, 8)).toEqual([index, (pa >>> 8) & 0xf0, (pa >>> 16) & 0xff, pa >>> 24, 0, 0, 0, 0x80]);
  });

  it('flushes entries only where firmware says that the directory is not coherent', () => {
    const count = (options: object): number => {
      const { k, device } = boot(SBA, options);
      const before = cacheLineOps(k);
      const bus = dma_map_single(k, page(k), 64, DMA_FROM_DEVICE);
      const ops = cacheLineOps(k) - before;
      device.write32(bus, 1);
      return ops;
    };
    expect([count({}), count({ ioPdirFdc: true })]).toEqual([0, 1]);
    expect(() => count({ ioPdirFdc: true, patches: ['mutant-iopdir-no-fdc'] })).toThrow('HPMC');
  });

  it('purges what the adapter remembers: without, a device goes on through an entry that is gone', () => {
    const late = (patches: string[]): (() => void) => {
      const { k, device } = boot(SBA, { patches });
      const bus = dma_map_single(k, page(k), 64, DMA_FROM_DEVICE);
      device.write32(bus, 1);
      dma_unmap_single(k, bus, 64, DMA_FROM_DEVICE);
      return () => device.write32(bus, 2);
    };
    expect(late([])).toThrow('HPMC');
    expect(late(['mutant-sba-no-purge'])).not.toThrow();
  });
});
