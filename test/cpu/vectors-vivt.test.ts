/**
 * The worked byte examples V1 to V9 of spec/hardware.md §5: one CPU with a virtually tagged cache. Profile: ARM926EJ-S, 128 sets × 4 ways
 * × 32 bytes, 16 bytes per dirty bit, allocation on read only, round robin with invalid ways first. Kernel address c0003000 is
 * physical 20003000.
 */
import { describe, expect, it } from 'vitest';
import { dma_inv_range, flush_cache_all } from '../../src/arch/arm/cache.js';
import { flush_tlb_kernel_range, local_flush_tlb_kernel_page } from '../../src/arch/arm/tlb.js';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import { Seat } from '../../src/cpu/hw.js';
import { vaddr } from '../../src/shared/types.js';
import { type LocalMachine, localMachine } from '../machine.js';
import {
  core,
  dmaRead,
  dmaWrite,
  ld,
  loads,
  MT_BUFFERABLE,
  MT_UNCACHED,
  map,
  ram,
  setRam,
  st,
  stat,
  waysOf,
} from './bytes.js';

const VA = 0xc0003000;
const PA = 0x20003000;

/** Highmem begins at 30000000, pkmap at bfe00000, as the vectors have it. */
const highmem = (change = {}): LocalMachine =>
  localMachine('arm926', { core: core('arm926', { physBase: 0x2ff00000, ...change }), pkmapSlots: 512 });

describe('V1: a store that misses', () => {
  it('waits in the write buffer, where no device sees it', () => {
    const { k } = localMachine('arm926');
    setRam(k, PA, '11*32');
    st(k, VA + 4, 0xaa);
    expect(dmaRead(k, PA, 8)).toBe('11*8');
    expect(stat(k, Seat.fills)).toBe(0);
    k.mmu.drain();
    expect(dmaRead(k, PA, 8)).toBe('11*4 aa*1 11*3');
    expect(ld(k, VA + 4)).toBe(0xaa);
    expect(stat(k, Seat.fills)).toBe(1);
  });

  it('is seen by a load of the same CPU, whose fill drains the buffer first', () => {
    const { k } = localMachine('arm926');
    setRam(k, PA, '11*32');
    st(k, VA + 4, 0xaa);
    expect(loads(k, VA, 8)).toBe('11*4 aa*1 11*3');
    expect(ram(k, PA, 8)).toBe('11*4 aa*1 11*3');
  });
});

describe('V2: a device writes under a line with one dirty half', () => {
  it('loses what it wrote to the dirty half and keeps the other', () => {
    const { k } = localMachine('arm926');
    setRam(k, PA, '11*32');
    ld(k, VA);
    st(k, VA + 4, 0xaa);
    expect(ram(k, PA, 32)).toBe('11*32');
    dmaWrite(k, PA, 'dd*32');
    expect([ld(k, VA), ld(k, VA + 4), ld(k, VA + 16)]).toEqual([0x11, 0xaa, 0x11]);
    k.mmu.cacheLine(CacheOp.clean, VA);
    expect(ram(k, PA, 32)).toBe('11*4 aa*1 11*11 dd*16');
    expect(ld(k, VA + 16)).toBe(0x11);
    k.mmu.cacheLine(CacheOp.invalidate, VA);
    expect([ld(k, VA + 16), ld(k, VA + 8), ld(k, VA + 4)]).toEqual([0xdd, 0x11, 0xaa]);
  });

  it('loses all of it where a dirty bit covers the line', () => {
    const { k } = localMachine('cortex-a9', { core: core('cortex-a9', { physBase: 0x20000000 }) });
    setRam(k, PA, '11*32');
    ld(k, VA);
    st(k, VA + 4, 0xaa);
    dmaWrite(k, PA, 'dd*32');
    k.mmu.cacheLine(CacheOp.clean, VA);
    expect(ram(k, PA, 32)).toBe('11*4 aa*1 11*27');
  });
});

describe('V3: a pkmap slot is recycled under an invalidation loop (seed 002)', () => {
  it('throws the new owner store away', () => {
    const { k } = highmem();
    const [A, B, V] = [0x30000000, 0x30001000, 0xbfe05000];
    setRam(k, A, 'a0*64');
    setRam(k, B, 'b0*64');
    map(k, V, A);
    ld(k, V);
    st(k, V, 0xa1);
    ld(k, V + 32);
    st(k, V + 32, 0xa2);
    k.mmu.cacheLine(CacheOp.invalidate, V); // T1, first line of its loop

    flush_cache_all(k); // T2: flush_cache_kmaps()
    map(k, V, B);
    flush_tlb_kernel_range(k, vaddr(V), vaddr(V + 4096));
    expect(ram(k, A, 64)).toBe('a0*32 a2*1 a0*31');
    expect(ld(k, V + 32)).toBe(0xb0);
    const fills = stat(k, Seat.fills);
    st(k, V + 32, 0xbb);
    expect(ld(k, V + 32)).toBe(0xbb);
    expect(stat(k, Seat.fills)).toBe(fills); // the store was a hit

    k.mmu.cacheLine(CacheOp.invalidate, V + 32); // T1 resumes
    expect(ram(k, B, 64)).toBe('b0*64');
    expect(ld(k, V + 32)).toBe(0xb0);
  });
});

describe('V4: one page is mapped by pkmap and fixmap at once', () => {
  const [A, P, F] = [0x30000000, 0xbfe05000, 0xfff03000];
  const dirtyBoth = () => {
    const { k } = highmem();
    setRam(k, A, 'a0*32');
    map(k, P, A);
    map(k, F, A);
    ld(k, P);
    st(k, P, 0xa1);
    expect(ld(k, F)).toBe(0xa0);
    st(k, F + 1, 0xa2);
    expect([ld(k, P), ld(k, P + 1), ld(k, F), ld(k, F + 1)]).toEqual([0xa1, 0xa0, 0xa0, 0xa2]);
    return k;
  };

  it('keeps the store of the alias written back last: pkmap after fixmap', () => {
    const k = dirtyBoth();
    k.mmu.cacheLine(CacheOp.flush, F);
    expect(ram(k, A, 4)).toBe('a0*1 a2*1 a0*2');
    k.mmu.cacheLine(CacheOp.flush, P);
    expect(ram(k, A, 4)).toBe('a1*1 a0*3');
  });

  it('keeps the store of the alias written back last: fixmap after pkmap', () => {
    const k = dirtyBoth();
    k.mmu.cacheLine(CacheOp.flush, P);
    expect(ram(k, A, 4)).toBe('a1*1 a0*3');
    k.mmu.cacheLine(CacheOp.flush, F);
    expect(ram(k, A, 4)).toBe('a0*1 a2*1 a0*2');
  });
});

describe('V5: a page is mapped at an address whose old lines were not flushed', () => {
  it('loads and stores go on in the old page', () => {
    const { k } = highmem();
    const [A, B, V] = [0x30000000, 0x30001000, 0xbfe05000];
    setRam(k, A, 'a0*32');
    setRam(k, B, 'b0*32');
    map(k, V, A);
    ld(k, V);
    map(k, V, B);
    flush_tlb_kernel_range(k, vaddr(V), vaddr(V + 4096));
    expect(ld(k, V)).toBe(0xa0);
    st(k, V + 2, 0xbb);
    k.mmu.cacheLine(CacheOp.clean, V);
    expect(ram(k, A, 32)).toBe('a0*2 bb*1 a0*29');
    expect(ram(k, B, 32)).toBe('b0*32');
  });
});

describe('V6: a device writes under a clean line', () => {
  it('is not seen by the CPU until the line is invalidated', () => {
    const { k } = localMachine('arm926');
    setRam(k, PA, '11*32');
    expect(ld(k, VA)).toBe(0x11);
    dmaWrite(k, PA, 'dd*32');
    expect(ld(k, VA)).toBe(0x11);
    k.mmu.cacheLine(CacheOp.invalidate, VA);
    expect(ld(k, VA)).toBe(0xdd);
  });
});

describe('V7: victims of a set', () => {
  it('are free ways first, then by one pointer that also a dirty victim moves', () => {
    const { k } = localMachine('arm926');
    const va = (line: number): number => 0xc0000000 + line * 0x1000;
    for (let line = 0; line < 8; line++) setRam(k, 0x20000000 + line * 0x1000, `${(0x10 + line).toString(16)}*32`);
    for (const line of [0, 1, 2, 3]) expect(ld(k, va(line))).toBe(0x10 + line);
    expect(waysOf(k, 0)).toEqual([0, 1, 2, 3].map(va));
    st(k, va(1), 0xee);
    ld(k, va(4));
    expect(waysOf(k, 0)).toEqual([4, 1, 2, 3].map(va));
    expect(stat(k, Seat.writeBacks)).toBe(0);
    ld(k, va(5));
    expect(waysOf(k, 0)).toEqual([4, 5, 2, 3].map(va));
    expect(ram(k, 0x20001000, 32)).toBe('ee*1 11*31');
    expect(stat(k, Seat.writeBacks)).toBe(1); // one granule
    ld(k, va(6));
    ld(k, va(0));
    ld(k, va(7));
    expect(waysOf(k, 0)).toEqual([7, 5, 6, 0].map(va));

    k.mmu.cacheLine(CacheOp.invalidate, va(5));
    k.mmu.cacheLine(CacheOp.invalidate, va(7));
    expect(ld(k, va(1))).toBe(0xee);
    expect(waysOf(k, 0)).toEqual([va(1), null, va(6), va(0)]);
    ld(k, va(2)); // the other free way
    ld(k, va(3)); // none free: the pointer is where it was, at way 1
    expect(waysOf(k, 0)).toEqual([1, 3, 6, 0].map(va));
    expect(stat(k, Seat.evictions)).toBe(6);
  });
});

describe('V7b: the victim pointer of ARM920T', () => {
  it('evicts a dirty line although 63 ways of its set are free', () => {
    const { k } = localMachine('arm920t');
    const [X, pa] = [0xc00e0000, 0x200e0000];
    setRam(k, pa, '00*32');
    ld(k, X);
    st(k, X, 0x77);
    for (let n = 0, others = 0; others < 63; n++) {
      if (n % 8 === 0) continue; // set 0
      ld(k, X + n * 32);
      others++;
    }
    expect(ram(k, pa, 32)).toBe('00*32');
    ld(k, X + 0x1000);
    expect(ram(k, pa, 32)).toBe('77*1 00*31');
    expect(waysOf(k, 0)).toEqual([X + 0x1000, ...new Array(63).fill(null)]);
  });
});

describe('V8: a DMA buffer that shares its first and last line with other variables', () => {
  const run = (granuleBytes: number) => {
    const { k } = localMachine('arm926', { core: core('arm926', {}, { granuleBytes }) });
    setRam(k, PA, '11*32');
    ld(k, VA);
    st(k, VA + 1, 0x22);
    st(k, VA + 0x18, 0x33);
    st(k, VA + 0x0a, 0x44);
    dma_inv_range(k, vaddr(VA + 8), vaddr(VA + 24));
    expect(ram(k, PA, 32)).toBe('11*1 22*1 11*8 44*1 11*13 33*1 11*7');
    ld(k, VA);
    st(k, VA, 0x55); // the neighbour, while the device owns the buffer
    dmaWrite(k, PA + 8, 'dd*16');
    expect(ram(k, PA, 32)).toBe('11*1 22*1 11*6 dd*16 33*1 11*7');
    k.mmu.cacheLine(CacheOp.clean, VA); // as an eviction would
    return k;
  };

  it('loses the half that the neighbour dirtied: 8 of 16 bytes', () => {
    expect(ram(run(16), PA, 32)).toBe('55*1 22*1 11*8 44*1 11*5 dd*8 33*1 11*7');
  });

  it('loses all 16 bytes where a dirty bit covers the line', () => {
    expect(ram(run(32), PA, 32)).toBe('55*1 22*1 11*8 44*1 11*13 33*1 11*7');
  });
});

describe('V9: a store to a page that is not cached', () => {
  const [V, page] = [0xbfe05000, 0x20004000];
  const mapped = (type: number) => {
    const { k } = localMachine('arm926', { pkmapSlots: 512 });
    setRam(k, page, '00*4');
    map(k, V, page, type);
    return k;
  };

  it('waits in the write buffer if the page is bufferable (NCB)', () => {
    const k = mapped(MT_BUFFERABLE);
    st(k, V, 0x5a);
    expect(dmaRead(k, page, 4)).toBe('00*4');
    k.mmu.drain();
    expect(dmaRead(k, page, 4)).toBe('5a*1 00*3');
  });

  it('is in memory at once if it is not (NCNB)', () => {
    const k = mapped(MT_UNCACHED);
    st(k, V, 0x5a);
    expect(dmaRead(k, page, 4)).toBe('5a*1 00*3');
    k.mmu.drain();
    expect(dmaRead(k, page, 4)).toBe('5a*1 00*3');
  });

  it('drains what was buffered before it if it is not (NCNB)', () => {
    const { k } = localMachine('arm926', { pkmapSlots: 512 });
    setRam(k, page, '00*8');
    map(k, V, page, MT_BUFFERABLE);
    map(k, V + 4096, page, MT_UNCACHED);
    st(k, V, 0x5a);
    st(k, V + 4096 + 4, 0x5b);
    expect(dmaRead(k, page, 8)).toBe('5a*1 00*3 5b*1 00*3');
  });

  it('is lost to a later write-back if a cached alias of the line is dirty (§4.4 rule 6)', () => {
    const { k } = highmem();
    const [A, cached, uncached] = [0x30000000, 0xbfe05000, 0xbfe06000];
    setRam(k, A, 'a0*32');
    map(k, cached, A);
    map(k, uncached, A, MT_UNCACHED);
    ld(k, cached);
    st(k, cached, 0xa1);
    expect(ld(k, uncached)).toBe(0xa0);
    st(k, uncached + 1, 0xa2);
    st(k, uncached + 17, 0xa3);
    k.mmu.cacheLine(CacheOp.clean, cached);
    expect(ram(k, A, 32)).toBe('a1*1 a0*16 a3*1 a0*14');
  });
});

describe('a new mapping without its TLB flush', () => {
  it('is not used before local_flush_tlb_kernel_page()', () => {
    const { k } = highmem();
    const [A, B, V] = [0x30000000, 0x30001000, 0xbfe05000];
    setRam(k, A, 'a0*64');
    setRam(k, B, 'b0*64');
    map(k, V, A);
    ld(k, V);
    map(k, V, B);
    expect(ld(k, V + 32)).toBe(0xa0);
    local_flush_tlb_kernel_page(k, vaddr(V));
    k.mmu.cacheLine(CacheOp.invalidate, V + 32);
    expect(ld(k, V + 32)).toBe(0xb0);
  });
});
