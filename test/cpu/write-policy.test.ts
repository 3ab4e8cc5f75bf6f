/** Which bytes a store moves, and where to: spec/hardware.md §2.1 notes 2 to 5, §4.3 S2 to S4 and S8 to S13. */
import { describe, expect, it } from 'vitest';
import { flush_cache_all } from '../../src/arch/arm/cache.js';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import { Seat } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { localMachine } from '../machine.js';
import { dmaWrite, ld, loads, MT_WRITETHROUGH, map, ram, setRam, st, stat } from './bytes.js';

const VA = 0xc0003000;
const PA = 0x20003000;
const V = 0xbfe05000;

describe('a write-back line', () => {
  const filled = (): Kernel => {
    const { k } = localMachine('arm926');
    setRam(k, PA, '11*32');
    ld(k, VA);
    return k;
  };

  it('is written back by half-lines: only those that were stored to', () => {
    for (const [at, low, high] of [
      [0, 'aa*1 11*15', 'dd*16'],
      [15, '11*15 aa*1', 'dd*16'],
      [16, 'dd*16', 'aa*1 11*15'],
      [31, 'dd*16', '11*15 aa*1'],
    ] as const) {
      const k = filled();
      st(k, VA + at, 0xaa);
      dmaWrite(k, PA, 'dd*32');
      k.mmu.cacheLine(CacheOp.clean, VA + 4);
      expect([ram(k, PA, 16), ram(k, PA + 16, 16)]).toEqual([low, high]);
      expect(stat(k, Seat.writeBacks)).toBe(1);
    }
  });

  it('is clean after a clean: a second one writes nothing', () => {
    const k = filled();
    st(k, VA, 0xaa);
    st(k, VA + 16, 0xbb);
    k.mmu.cacheLine(CacheOp.clean, VA);
    expect(stat(k, Seat.writeBacks)).toBe(2);
    dmaWrite(k, PA, 'dd*32');
    k.mmu.cacheLine(CacheOp.clean, VA);
    k.mmu.cacheLine(CacheOp.flush, VA);
    expect(ram(k, PA, 32)).toBe('dd*32');
    expect(stat(k, Seat.writeBacks)).toBe(2);
  });

  it('loses its dirty bytes to an invalidation, which is counted', () => {
    const k = filled();
    st(k, VA, 0xaa);
    k.mmu.cacheLine(CacheOp.invalidate, VA + 31);
    expect(loads(k, VA, 32)).toBe('11*32');
    expect(stat(k, Seat.invalidatedDirty)).toBe(1);
  });

  it('goes to the physical address of its fill, whatever the page tables say by then', () => {
    const { k } = localMachine('arm926', { pkmapSlots: 512 });
    const [a, b] = [0x200e0000, 0x200e1000];
    setRam(k, a, '00*32');
    setRam(k, b, '00*32');
    map(k, V, a);
    ld(k, V);
    st(k, V, 0x5a);
    map(k, V, b);
    k.mmu.flushTlbPage(V, false);
    k.mmu.cacheLine(CacheOp.clean, V);
    expect([ram(k, a, 2), ram(k, b, 2)]).toEqual(['5a*1 00*1', '00*2']);
  });

  it('takes no maintenance for another address', () => {
    const k = filled();
    st(k, VA, 0xaa);
    for (const other of [VA - 32, VA + 32, VA + 0x1000]) k.mmu.cacheLine(CacheOp.flush, other);
    expect(ram(k, PA, 1)).toBe('11*1');
  });
});

describe('a write-through page', () => {
  it('sends stores that hit to memory too, and its lines are never dirty', () => {
    const { k } = localMachine('arm926', { pkmapSlots: 512 });
    setRam(k, PA, '11*32');
    map(k, V, PA, MT_WRITETHROUGH);
    ld(k, V);
    st(k, V, 0xa1);
    expect(ld(k, V)).toBe(0xa1);
    expect(ram(k, PA, 1)).toBe('11*1'); // in the write buffer
    k.mmu.drain();
    expect(ram(k, PA, 1)).toBe('a1*1');
    k.mmu.cacheLine(CacheOp.flush, V);
    expect(stat(k, Seat.writeBacks)).toBe(0);
    expect(loads(k, V, 32)).toBe('a1*1 11*31');
  });

  it('overwrites DMA data by the stored bytes alone', () => {
    const { k } = localMachine('arm926', { pkmapSlots: 512 });
    setRam(k, PA, '11*32');
    map(k, V, PA, MT_WRITETHROUGH);
    ld(k, V);
    dmaWrite(k, PA, 'dd*32');
    st(k, V + 5, 0xa1);
    k.mmu.drain();
    expect(ram(k, PA, 32)).toBe('dd*5 a1*1 dd*26');
  });
});

describe('a store that misses', () => {
  it('allocates on cores that say so, with the rest of the line from memory', () => {
    const { k } = localMachine('arm11mpcore');
    setRam(k, 0x3000, '11*32');
    st(k, VA + 5, 0xaa);
    expect(stat(k, Seat.fills)).toBe(1);
    expect(ram(k, 0x3000, 32)).toBe('11*32');
    expect(loads(k, VA, 32)).toBe('11*5 aa*1 11*26');
    expect(stat(k, Seat.fills)).toBe(1);
  });
});

describe('the write buffer', () => {
  it('holds as many words as the core has, and then passes the oldest on', () => {
    const { k } = localMachine('arm926'); // 16 words
    setRam(k, PA, '00*128');
    for (let n = 0; n < 17; n++) k.mmu.store32(VA + n * 4, 0x01010101 * (n + 1));
    expect(ram(k, PA, 8)).toBe('01*4 00*4');
    k.mmu.drain();
    expect(ram(k, PA, 68)).toBe(
      Array.from({ length: 17 }, (_, n) => `${(n + 1).toString(16).padStart(2, '0')}*4`).join(' '),
    );
  });

  it('keeps the order of stores to one word', () => {
    const { k } = localMachine('arm926');
    setRam(k, PA, '00*4');
    st(k, VA, 1);
    st(k, VA + 1, 2);
    st(k, VA, 3);
    k.mmu.drain();
    expect(ram(k, PA, 4)).toBe('03*1 02*1 00*2');
  });
});

describe('flush_cache_all()', () => {
  it('leaves nothing in the cache and every byte in memory', () => {
    for (const [id, base] of [
      ['arm920t', 0x20000000],
      ['arm926', 0x20000000],
      ['cortex-a15', 0x80000000],
    ] as const) {
      const { k } = localMachine(id);
      for (let n = 0; n < 40; n++) {
        ld(k, 0xc00e0000 + n * 96);
        st(k, 0xc00e0000 + n * 96, n);
      }
      flush_cache_all(k);
      for (let n = 0; n < 40; n++) expect(k.bytes[0xe0000 + n * 96]).toBe(n);
      const fills = stat(k, Seat.fills);
      dmaWrite(k, base + 0xe0000, 'dd*4');
      expect(ld(k, 0xc00e0000)).toBe(0xdd);
      expect(stat(k, Seat.fills)).toBe(fills + 1);
    }
  });
});
