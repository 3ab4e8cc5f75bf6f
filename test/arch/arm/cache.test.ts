/** Ranges of cache maintenance, by CPU type: spec/highmem.md §9.6, spec/hardware.md §2.2. Every line of the test starts out dirty. */
import { describe, expect, it } from 'vitest';
import {
  dma_clean_range,
  dma_flush_range,
  dma_inv_range,
  flush_dcache_page_at,
  outer_clean_range,
  outer_flush_range,
  outer_inv_range,
} from '../../../src/arch/arm/cache.js';
import { CORES } from '../../../src/arch/arm/cores.js';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { type Paddr, vaddr } from '../../../src/shared/types.js';
import { core, ld, ram, setRam, st } from '../../cpu/bytes.js';
import { localMachine } from '../../machine.js';

const VA = 0xc00e0000;
const PA = 0xe0000;

/** Without an outer cache: what leaves the data cache is in RAM. */
const inner = CORES.map((row) => [row.id, row.dcache.lineBytes] as const);

/** `count` lines of 0x11 in RAM, of which the CPU has set every byte to 0xaa. */
function dirty(id: string, count: number, options = {}): Kernel {
  const { k } = localMachine(id, { core: core(id, { physBase: 0, outer: null }), ...options });
  const bytes = count * k.config.core.dcache.lineBytes;
  setRam(k, PA, `11*${bytes}`);
  for (let i = 0; i < bytes; i++) {
    ld(k, VA + i);
    st(k, VA + i, 0xaa);
  }
  return k;
}

const at = (offset: number) => vaddr(VA + offset);
/** What the CPU sees afterwards: what was thrown away is 0x11 again. */
const seen = (k: Kernel, offset: number): number => ld(k, VA + offset);

describe.each(inner)('%s', (id, line) => {
  it('invalidates whole lines without writing them back', () => {
    const k = dirty(id, 4);
    dma_inv_range(k, at(line), at(3 * line));
    expect([0, line, 2 * line, 3 * line].map((o) => seen(k, o))).toEqual([0xaa, 0x11, 0x11, 0xaa]);
    expect(ram(k, PA + line, 2 * line)).toBe(`11*${2 * line}`);
  });

  it('keeps the neighbours in a partial first and last line', () => {
    const k = dirty(id, 4);
    dma_inv_range(k, at(line - 4), at(2 * line + 4));
    expect(ram(k, PA, 4 * line)).toBe(`aa*${line} 11*${line} aa*${line} 11*${line}`);
    expect([0, line, 2 * line, 3 * line].map((o) => seen(k, o))).toEqual([0xaa, 0x11, 0xaa, 0xaa]);
  });

  it('loses the neighbours if the edges are not cleaned', () => {
    const k = dirty(id, 2, { patches: ['mutant-no-edge-clean'] });
    dma_inv_range(k, at(4), at(line + 4));
    expect([seen(k, 0), seen(k, 2 * line - 1)]).toEqual([0x11, 0x11]);
  });

  it('cleans a range and keeps it', () => {
    const k = dirty(id, 3);
    dma_clean_range(k, at(line + 1), at(line + 2));
    expect(ram(k, PA, 3 * line)).toBe(`11*${line} aa*${line} 11*${line}`);
    setRam(k, PA + line, 'dd*4');
    expect(seen(k, line)).toBe(0xaa);
  });

  it('cleans and invalidates a range', () => {
    const k = dirty(id, 3);
    dma_flush_range(k, at(line), at(2 * line));
    expect(ram(k, PA, 3 * line)).toBe(`11*${line} aa*${line} 11*${line}`);
    setRam(k, PA + line, 'dd*4');
    expect(seen(k, line)).toBe(0xdd);
  });

  it('processes one line of an empty range', () => {
    const k = dirty(id, 2);
    dma_clean_range(k, at(line), at(line));
    expect(ram(k, PA, 2 * line)).toBe(`11*${line} aa*${line}`);
  });

  it('flushes a page and no more', () => {
    const k = dirty(id, 1);
    ld(k, VA + 4096);
    st(k, VA + 4096, 0xbb);
    setRam(k, PA + 4096, '22*1');
    flush_dcache_page_at(k, at(0));
    expect([ram(k, PA, line), ram(k, PA + 4096, 1)]).toEqual([`aa*${line}`, '22*1']);
  });
});

describe('a range of the outer cache', () => {
  const lines = (): Kernel => {
    const { k } = localMachine('cortex-a9-l2', { core: core('cortex-a9-l2', { physBase: 0 }) });
    setRam(k, PA, '11*96');
    for (let i = 0; i < 96; i++) {
      ld(k, VA + i);
      st(k, VA + i, 0xaa);
    }
    dma_flush_range(k, at(0), at(96)); // dirty in the outer cache, and nowhere else
    expect(ram(k, PA, 96)).toBe('11*96');
    return k;
  };
  const range = (from: number, to: number) => [(PA + from) as Paddr, (PA + to) as Paddr] as const;

  it('is cleaned, and kept', () => {
    const k = lines();
    outer_clean_range(k, ...range(32, 64));
    expect(ram(k, PA, 96)).toBe('11*32 aa*32 11*32');
    setRam(k, PA + 32, 'dd*1');
    expect(ld(k, VA + 32)).toBe(0xaa);
  });

  it('is invalidated without its partial first and last line, which are flushed', () => {
    const k = lines();
    outer_inv_range(k, ...range(4, 92));
    expect(ram(k, PA, 96)).toBe('aa*32 11*32 aa*32');
    expect([ld(k, VA), ld(k, VA + 32), ld(k, VA + 64)]).toEqual([0xaa, 0x11, 0xaa]);
  });

  it('is flushed', () => {
    const k = lines();
    outer_flush_range(k, ...range(32, 64));
    setRam(k, PA + 32, 'dd*1');
    expect(ld(k, VA + 32)).toBe(0xdd);
  });
});
