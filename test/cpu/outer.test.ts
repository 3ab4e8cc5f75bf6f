import { describe, expect, it } from 'vitest';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import type { Paddr } from '../../src/shared/types.js';
import { vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';
import { core, ld, MT_UNCACHED, MT_WRITETHROUGH, map, ram, setPgd, setRam, st } from './bytes.js';

const VA = 0xc0003000;
const PA = 0x3000;

describe('an outer cache', () => {
  it('takes a cacheable store that no data cache allocates a line for', () => {
    const { k } = localMachine('feroceon');
    setRam(k, PA, '11*32');
    ld(k, VA); // allocates in both
    k.mmu.cacheLine(CacheOp.invalidate, VA);
    st(k, VA, 0xa1); // misses, goes through the write buffer
    expect(ld(k, VA)).toBe(0xa1);
    expect(ram(k, PA, 2)).toBe('11*2');
    k.memory.outer?.cleanLine(PA as Paddr);
    expect(ram(k, PA, 2)).toBe('a1*1 11*1');
  });

  it('takes write-through stores of the data cache', () => {
    const { k } = localMachine('feroceon', { pkmapSlots: 512 });
    const V = 0xbfe05000;
    setRam(k, PA, '11*32');
    map(k, V, PA, MT_WRITETHROUGH);
    ld(k, V);
    st(k, V, 0xa1);
    k.mmu.drain();
    k.mmu.cacheLine(CacheOp.invalidate, V);
    expect(ld(k, V)).toBe(0xa1);
    expect(ram(k, PA, 2)).toBe('11*2');
  });

  it('is passed by uncached accesses and by devices', () => {
    const { k } = localMachine('feroceon', { pkmapSlots: 512 });
    const V = 0xbfe05000;
    setRam(k, PA, '11*32');
    map(k, V, PA, MT_UNCACHED);
    ld(k, VA);
    st(k, V, 0xa2);
    expect(ram(k, PA, 2)).toBe('a2*1 11*1');
    k.mmu.cacheLine(CacheOp.invalidate, VA);
    expect(ld(k, VA)).toBe(0x11);
  });

  it('writes a dirty victim back to RAM', () => {
    const { k } = localMachine('xsc3', {
      core: core('xsc3', { physBase: 0, outer: { sets: 2, ways: 2, lineBytes: 32 } }),
    });
    setRam(k, PA, '11*32');
    ld(k, VA);
    st(k, VA, 0xa1);
    k.mmu.cacheLine(CacheOp.flush, VA);
    expect(ram(k, PA, 1)).toBe('11*1');
    ld(k, VA + 64);
    ld(k, VA + 128);
    expect(ram(k, PA, 1)).toBe('a1*1');
    expect(ld(k, VA)).toBe(0xa1);
  });
});

describe('a page-table entry that is dirty in the outer cache', () => {
  const [table, pte, V] = [0xe0000, 0xc00e0000, 0xd0000000];
  const [A, B] = [0xe1000, 0xe2000];
  /** A small page, kernel read-write, write-back. */
  const entry = (pa: number): number => pa | (0x55 << 4) | 0xc | 2;

  const walk = (id: string): number => {
    const { k } = localMachine(id, { core: core(id, { physBase: 0 }) });
    setRam(k, table, '00*1024');
    setRam(k, A, 'a0*32');
    setRam(k, B, 'b0*32');
    setPgd(k, V, table);
    k.mmu.store32(pte, entry(A));
    k.mmu.cacheLine(CacheOp.flush, pte);
    k.memory.outer?.cleanLine(table as Paddr);
    k.mmu.load32(pte); // now in the outer cache
    k.mmu.store32(pte, entry(B));
    k.mmu.cacheLine(CacheOp.flush, pte);
    k.mmu.drain();
    k.mmu.flushTlbPage(vaddr(V), false);
    return ld(k, V);
  };

  it('is seen by the walker of Cortex-A9 and XScale3', () => {
    expect(walk('cortex-a9-l2')).toBe(0xb0);
    expect(walk('xsc3')).toBe(0xb0);
  });

  it('is not seen by the walker of Feroceon, which reads DRAM', () => {
    expect(walk('feroceon')).toBe(0xa0);
  });
});
