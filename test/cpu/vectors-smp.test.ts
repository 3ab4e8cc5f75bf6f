/** The worked byte examples V10 to V13 of spec/hardware.md §5: coherent CPUs, speculation, an outer cache. PA 3000 is c0003000. */
import { describe, expect, it } from 'vitest';
import { dma_inv_range, outer_clean_range, outer_inv_range } from '../../src/arch/arm/cache.js';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { DMA_FROM_DEVICE, dma_map_page, dma_unmap_page } from '../../src/mm/arm/dma-mapping.js';
import { pfn_to_page } from '../../src/mm/page.js';
import { type Paddr, type Pfn, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';
import { core, dmaRead, dmaWrite, ld, loads, MT_UNCACHED, map, mesi, ram, setRam, st } from './bytes.js';

const VA = 0xc0003000;
const PA = 0x3000;

const smp = (id: string, options = {}): [Kernel, Kernel] => {
  const { cpus } = localMachine(id, { core: core(id, { physBase: 0 }), cpus: 2, ...options });
  return cpus as unknown as [Kernel, Kernel];
};

describe('V10: ARM11 MPCore, whose maintenance operations stay in the CPU that executes them', () => {
  const dirtyInCpu0 = (): [Kernel, Kernel] => {
    const [cpu0, cpu1] = smp('arm11mpcore');
    setRam(cpu0, PA, '11*32');
    st(cpu0, VA, 0xa1);
    expect(mesi(cpu0, PA)).toBe('M');
    return [cpu0, cpu1];
  };

  it('misses the line that is dirty in another CPU, and all DMA data is lost', () => {
    const [cpu0, cpu1] = dirtyInCpu0();
    dma_inv_range(cpu1, vaddr(VA), vaddr(VA + 32));
    dmaWrite(cpu0, PA, 'dd*32');
    expect(ld(cpu0, VA)).toBe(0xa1);
    expect(ram(cpu0, PA, 32)).toBe('dd*32');
    expect(ld(cpu1, VA)).toBe(0xa1);
    expect(ram(cpu0, PA, 32)).toBe('a1*1 11*31');
  });

  it('finds it after a load and a store of the same word (read and write for ownership, 2.6.35)', () => {
    const [cpu0, cpu1] = dirtyInCpu0();
    cpu1.mmu.store32(VA, cpu1.mmu.load32(VA));
    expect([mesi(cpu0, PA), mesi(cpu1, PA)]).toEqual(['I', 'M']);
    dma_inv_range(cpu1, vaddr(VA), vaddr(VA + 32));
    dmaWrite(cpu0, PA, 'dd*32');
    expect([ld(cpu0, VA), ld(cpu1, VA)]).toEqual([0xdd, 0xdd]);
    expect(ram(cpu0, PA, 32)).toBe('dd*32');
  });

  it('finds it on Cortex-A9, where the operation is broadcast', () => {
    const [cpu0, cpu1] = smp('cortex-a9');
    setRam(cpu0, PA, '11*32');
    st(cpu0, VA, 0xa1);
    dma_inv_range(cpu1, vaddr(VA), vaddr(VA + 32));
    dmaWrite(cpu0, PA, 'dd*32');
    expect([ld(cpu0, VA), ld(cpu1, VA)]).toEqual([0xdd, 0xdd]);
  });
});

describe('V10b: write for ownership before an invalidation', () => {
  /** Other lines of the set, enough to make every way of it change hands. */
  const evict = (k: Kernel): void => {
    for (let n = 1; n <= 8; n++) ld(k, VA + n * 0x2000);
  };

  it('destroys the first word of a delivered buffer if the line is evicted in between (2.6.34)', () => {
    const [cpu0] = smp('arm11mpcore');
    setRam(cpu0, PA, '44*32');
    cpu0.mmu.store32(VA, 0x12345678);
    evict(cpu0);
    cpu0.mmu.cacheLine(CacheOp.invalidate, VA);
    expect(ram(cpu0, PA, 32)).toBe('78*1 56*1 34*1 12*1 44*28');
  });

  it('leaves it if the word is loaded first (2.6.35)', () => {
    const [cpu0] = smp('arm11mpcore');
    setRam(cpu0, PA, '44*32');
    cpu0.mmu.store32(VA, cpu0.mmu.load32(VA));
    evict(cpu0);
    cpu0.mmu.cacheLine(CacheOp.invalidate, VA);
    expect(ram(cpu0, PA, 32)).toBe('44*32');
  });
});

describe('V11: Cortex-A9 fetches a line of a buffer that a device owns', () => {
  /** A page of the direct map that no kernel data is in. */
  const [buffer, pa] = [0xc00e0000, 0xe0000];
  const transfer = (patches: string[]): number => {
    const [k] = smp('cortex-a9', { patches: ['kmap-high-get', ...patches] });
    setRam(k, pa, '11*32');
    const page = pfn_to_page(k, (pa >>> 12) as Pfn);
    const handle = dma_map_page(k, page, 0, 32, DMA_FROM_DEVICE);
    expect(k.mmu.speculativeFill(buffer)).toBe(true);
    dmaWrite(k, pa, 'dd*32');
    dma_unmap_page(k, handle, 32, DMA_FROM_DEVICE);
    return ld(k, buffer);
  };

  it('leaves the CPU with stale bytes when unmap does nothing (2.6.33)', () => {
    expect(transfer([])).toBe(0x11);
  });

  it('does no harm when unmap invalidates again (2.6.34)', () => {
    expect(transfer(['dma-speculative-prefetch'])).toBe(0xdd);
  });
});

describe('speculativeFill()', () => {
  it('brings in a clean line, exclusive if no other CPU has it and shared if one has', () => {
    const [cpu0, cpu1] = smp('cortex-a9');
    setRam(cpu0, PA, '11*64');
    expect(cpu0.mmu.speculativeFill(VA)).toBe(true);
    expect(mesi(cpu0, PA)).toBe('E');
    expect(cpu0.mmu.speculativeFill(VA + 4)).toBe(false);
    expect(cpu1.mmu.speculativeFill(VA)).toBe(true);
    expect([mesi(cpu0, PA), mesi(cpu1, PA)]).toEqual(['S', 'S']);
  });

  it('takes the bytes of another CPU that has the line dirty', () => {
    const [cpu0, cpu1] = smp('cortex-a9');
    setRam(cpu0, PA, '11*32');
    st(cpu0, VA, 0xa1);
    expect(cpu1.mmu.speculativeFill(VA)).toBe(true);
    expect(ram(cpu0, PA, 2)).toBe('a1*1 11*1');
    expect(ld(cpu1, VA)).toBe(0xa1);
  });

  it('writes a dirty victim back', () => {
    const { k } = localMachine('cortex-a15', { core: core('cortex-a15', { physBase: 0 }) });
    setRam(k, PA, '11*64');
    st(k, VA, 0xa1);
    for (const way of [1, 2]) expect(k.mmu.speculativeFill(VA + way * 0x4000)).toBe(true);
    expect(mesi(k, PA)).toBe('I');
    expect(ram(k, PA, 2)).toBe('a1*1 11*1');
  });

  it('needs a translation in the TLB and a cacheable page; it neither walks nor faults', () => {
    const { k } = localMachine('cortex-a9', { pkmapSlots: 512 });
    const [cached, uncached, pa] = [0xbfe05000, 0xbfe06000, 0x100e0000];
    expect(k.mmu.speculativeFill(cached)).toBe(false); // nothing mapped
    map(k, cached, pa);
    map(k, uncached, pa, MT_UNCACHED);
    expect(k.mmu.speculativeFill(cached)).toBe(false); // mapped, but no TLB entry
    ld(k, cached);
    ld(k, uncached);
    expect(k.mmu.speculativeFill(cached + 32)).toBe(true);
    expect(k.mmu.speculativeFill(uncached + 64)).toBe(false);
  });

  it('does nothing on cores that do not speculate', () => {
    for (const id of ['arm926', 'arm11mpcore']) {
      expect(localMachine(id).k.mmu.speculativeFill(0xc00e0000)).toBe(false);
    }
  });
});

const line = (k: Kernel, op: (k: Kernel, start: Paddr, end: Paddr) => void): void =>
  op(k, PA as Paddr, (PA + 32) as Paddr);
const L2 = 'cortex-a9-l2';

describe('V12: a dirty line goes to a device through two caches', () => {
  const dirty = (): Kernel => {
    const [k] = smp(L2);
    setRam(k, PA, '11*32');
    st(k, VA, 0xa1); // the fill for the store leaves the old line in the outer cache
    return k;
  };

  it('stops in the outer cache if that is cleaned first', () => {
    const k = dirty();
    line(k, outer_clean_range);
    k.mmu.cacheLine(CacheOp.clean, VA);
    expect(dmaRead(k, PA, 32)).toBe('11*32');
  });

  it('arrives if the inner cache is cleaned first', () => {
    const k = dirty();
    k.mmu.cacheLine(CacheOp.clean, VA);
    line(k, outer_clean_range);
    expect(dmaRead(k, PA, 32)).toBe('a1*1 11*31');
  });
});

describe('V13: both caches are invalidated after DMA', () => {
  const staleOuter = (): Kernel => {
    const [k] = smp(L2);
    setRam(k, PA, '11*32');
    ld(k, VA);
    k.mmu.cacheLine(CacheOp.invalidate, VA);
    dmaWrite(k, PA, 'dd*32');
    return k;
  };

  it('leaves stale bytes if the inner cache comes first and fills from the outer one in between', () => {
    const k = staleOuter();
    k.mmu.cacheLine(CacheOp.invalidate, VA);
    expect(k.mmu.speculativeFill(VA)).toBe(true);
    line(k, outer_inv_range);
    expect(loads(k, VA, 32)).toBe('11*32');
  });

  it('leaves none if the outer cache comes first', () => {
    const k = staleOuter();
    line(k, outer_inv_range);
    expect(k.mmu.speculativeFill(VA)).toBe(true);
    k.mmu.cacheLine(CacheOp.invalidate, VA);
    expect(loads(k, VA, 32)).toBe('dd*32');
  });
});
