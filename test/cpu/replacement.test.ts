/** Victim rules, spec/hardware.md §2.1 note 6 and §4.1. V7 and V7b are in vectors-vivt.test.ts. */
import { describe, expect, it } from 'vitest';
import type { CacheGeometry } from '../../src/cpu/core.js';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import { Seat } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';
import { core, ld, st, stat, waysOf } from './bytes.js';

const BASE = 0xc00e0000;
/** A small cache: the lines of set s are BASE + (s + n * sets) * 32. */
const small = (replacement: CacheGeometry['replacement'], sets = 2, ways = 4): Kernel =>
  localMachine('arm926', { core: core('arm926', {}, { sets, ways, replacement }) }).k;
const at = (set: number, n: number, sets = 2): number => BASE + (set + n * sets) * 32;
const held = (k: Kernel, set: number): (number | null)[] =>
  waysOf(k, set).map((va) => (va === null ? null : (va - BASE - set * 32) / 64));

describe('round robin with free ways first', () => {
  it('has one pointer for all sets', () => {
    const k = small('rr-invalid-first');
    for (const set of [0, 1]) for (let n = 0; n < 4; n++) ld(k, at(set, n));
    ld(k, at(0, 4));
    ld(k, at(1, 4));
    expect(held(k, 0)).toEqual([4, 1, 2, 3]);
    expect(held(k, 1)).toEqual([0, 4, 2, 3]);
  });
});

describe('round robin per set (XScale)', () => {
  it('has a pointer for each set, which fills of free ways do not move', () => {
    const k = small('rr-per-set');
    for (const set of [0, 1]) for (let n = 0; n < 4; n++) ld(k, at(set, n));
    ld(k, at(0, 4));
    ld(k, at(1, 4));
    expect(held(k, 0)).toEqual([4, 1, 2, 3]);
    expect(held(k, 1)).toEqual([4, 1, 2, 3]);
    k.mmu.cacheLine(CacheOp.invalidate, at(0, 3));
    ld(k, at(0, 5));
    ld(k, at(0, 6));
    expect(held(k, 0)).toEqual([4, 6, 2, 5]);
  });
});

describe('one unconditional pointer (ARM920T)', () => {
  it('moves with every fill of any set and wraps', () => {
    const k = small('rr-shared-unconditional');
    ld(k, at(0, 0));
    ld(k, at(1, 1));
    ld(k, at(0, 2));
    ld(k, at(0, 3));
    expect(held(k, 0)).toEqual([0, null, 2, 3]);
    expect(held(k, 1)).toEqual([null, 1, null, null]);
    ld(k, at(0, 4));
    expect(held(k, 0)).toEqual([4, null, 2, 3]);
  });

  it('is not moved by hits, by invalidation or by cleaning', () => {
    const k = small('rr-shared-unconditional');
    ld(k, at(0, 0));
    ld(k, at(0, 0));
    k.mmu.cacheLine(CacheOp.clean, at(0, 0));
    k.mmu.cacheLine(CacheOp.flush, at(0, 0));
    ld(k, at(0, 1));
    expect(held(k, 0)).toEqual([null, 1, null, null]);
  });
});

describe('least recently used', () => {
  it('counts loads and stores as use', () => {
    const k = small('lru');
    for (let n = 0; n < 4; n++) ld(k, at(0, n));
    ld(k, at(0, 0));
    st(k, at(0, 1), 1);
    ld(k, at(0, 4));
    expect(held(k, 0)).toEqual([0, 1, 4, 3]);
    ld(k, at(0, 5));
    expect(held(k, 0)).toEqual([0, 1, 4, 5]);
    ld(k, at(0, 6));
    expect(held(k, 0)).toEqual([6, 1, 4, 5]);
  });

  it('counts those of whole words too, on a core that has the rule', () => {
    const { k } = localMachine('cortex-a15', { core: core('cortex-a15', {}, { sets: 1, ways: 4 }) });
    const word = (n: number) => vaddr(BASE + n * 64);
    const lines = () => waysOf(k, 0).map((pa) => ((pa as number) - 0x800e0000) / 64);
    for (let n = 0; n < 4; n++) k.store32(word(n), n);
    k.load32(word(0));
    k.store32(word(1), 1);
    k.load32(word(4));
    k.load32(word(5));
    expect(lines()).toEqual([0, 1, 4, 5]);
  });
});

describe('random replacement', () => {
  it('takes free ways first, then any way, and the same ones after every reset', () => {
    const runs = [0, 1].map(() => {
      const k = small('random', 1);
      const history: string[] = [];
      for (let n = 0; n < 200; n++) {
        ld(k, BASE + n * 32);
        const ways = waysOf(k, 0).map((va) => (va === null ? null : (va - BASE) / 32));
        history.push(String(ways.indexOf(n)));
      }
      return history;
    });
    expect(runs[0]?.slice(0, 4)).toEqual(['0', '1', '2', '3']);
    expect(new Set(runs[0]?.slice(4))).toEqual(new Set(['0', '1', '2', '3']));
    expect(runs[1]).toEqual(runs[0]);
  });
});

describe('every rule', () => {
  it('writes a dirty victim back, and counts the eviction once', () => {
    for (const replacement of ['rr-invalid-first', 'rr-per-set', 'rr-shared-unconditional', 'random', 'lru'] as const) {
      const k = small(replacement, 1, 2);
      for (const n of [0, 1]) {
        ld(k, BASE + n * 32);
        st(k, BASE + n * 32, 0x70 + n);
      }
      let n = 2;
      while (k.bytes[0xe0000] !== 0x70 || k.bytes[0xe0020] !== 0x71) {
        ld(k, BASE + n * 32);
        if (n++ > 60) expect.fail(`${replacement}: a dirty line is never evicted`);
      }
      expect(stat(k, Seat.evictions)).toBe(n - 2);
      expect(stat(k, Seat.writeBacks)).toBe(2);
      expect([ld(k, BASE), ld(k, BASE + 32)]).toEqual([0x70, 0x71]);
    }
  });
});
