/** Atomic kmaps and the temporary mapping for L1 maintenance: spec/highmem.md §7. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import { Control, Seat } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { readLog } from '../../src/cpu/printk.js';
import {
  kmap,
  kmap_atomic,
  kmap_atomic_pfn,
  kmap_atomic_to_page,
  kmap_high_l1_vipt,
  kunmap,
  kunmap_atomic,
  kunmap_high_l1_vipt,
} from '../../src/mm/arm/highmem.js';
import { kmap_flush_unused, page_address, pkmap_count } from '../../src/mm/highmem.js';
import type { Page } from '../../src/mm/page.js';
import { alloc_page, GFP_HIGHUSER, GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { KernelBug } from '../../src/shared/errors.js';
import { NULL, type Vaddr } from '../../src/shared/types.js';
import { core, ld, linuxPte, MT_WRITEBACK, pteOf, ram, setRam, st, stat } from '../cpu/bytes.js';
import { localMachine } from '../machine.js';

const IN_2_6_31 = ['kmap-high-get', 'tlb-ops-broadcast'];
const IN_2_6_32 = [...IN_2_6_31, 'kmap-atomic-uses-pkmap', 'debug-kmap-atomic'];
const IN_2_6_34 = [
  ...IN_2_6_32,
  'flush-kmaps-vivt-only',
  'kunmap-atomic-vivt-only',
  'kmap-high-l1-vipt',
  'dma-speculative-prefetch',
];
const IN_2_6_35 = [...IN_2_6_34, 'kmap-atomic-debug-nonvivt'];

const USER0 = 3;
const USER1 = 4;
const slot = (type: number): Vaddr => (0xfff00000 + type * 4096) as Vaddr;
const PKMAP_1 = 0xbfffd000; // four slots below 3 GB

const machine = (id: string, patches: readonly string[], options: Partial<MachineConfig> = {}): Kernel =>
  localMachine(id, { core: core(id), patches, ...options }).k;

const pfnOf = (k: Kernel, page: Page): number => (page - k.sym.mem_map) / 32 + k.config.core.physBase / 4096;
const physOf = (k: Kernel, page: Page): number => pfnOf(k, page) * 4096;

/** A highmem page whose bytes are all @byte in RAM. */
function filled(k: Kernel, byte: string): Page {
  const page = alloc_page(k, GFP_HIGHUSER);
  setRam(k, physOf(k, page), `${byte}*4096`);
  return page;
}

/** Make the first line at @va dirty. */
function dirty(k: Kernel, va: number, byte: number): void {
  ld(k, va);
  st(k, va, byte);
}

const inRam = (k: Kernel, page: Page): string => ram(k, physOf(k, page), 1);
const entry = (k: Kernel, va: number): number => k.load(pteOf(k, va) as Vaddr) >>> 0;
const entryOf = (k: Kernel, page: Page): number => linuxPte(physOf(k, page), MT_WRITEBACK);

/** Run as an interrupt handler: interrupts off, the count says so. */
function inHardirq<T>(k: Kernel, body: () => T): T {
  const before = k.irqsOff;
  k.preemptCount += 0x10000;
  k.irqsOff = true;
  const result = body();
  k.preemptCount -= 0x10000;
  k.irqsOff = before;
  return result;
}

const warnings = (k: Kernel): number =>
  readLog(k.hw, k.layout.log, Control.logHead).filter((r) => r.text.includes('WARNING')).length;

describe('kmap_atomic()', () => {
  it('maps the page in the slot of its type and forbids preemption until kunmap_atomic()', () => {
    const k = machine('arm926', IN_2_6_31);
    const page = filled(k, '11');
    expect(kmap_atomic(k, page, USER1)).toBe(0xfff04000);
    expect(entry(k, slot(USER1))).toBe(entryOf(k, page));
    expect(ld(k, slot(USER1))).toBe(0x11);
    expect(page_address(k, page)).toBe(NULL);
    expect(k.preemptCount).toBe(1);
    kunmap_atomic(k, slot(USER1), USER1);
    expect(k.preemptCount).toBe(0);
    expect(entry(k, slot(USER1)), 'the entry stays without debugging').toBe(entryOf(k, page));
  });

  it('forbids it for a lowmem page too, and returns its linear address', () => {
    const k = machine('arm926', IN_2_6_31);
    const page = alloc_page(k, GFP_KERNEL);
    const addr = kmap_atomic(k, page, USER0);
    expect(addr).toBe(0xc0000000 + ((page - k.sym.mem_map) / 32) * 4096);
    expect([entry(k, slot(USER0)), k.preemptCount]).toEqual([0, 1]);
    kunmap_atomic(k, addr, USER0);
    expect(k.preemptCount).toBe(0);
  });

  it('replaces the page of a slot in the TLB too', () => {
    const k = machine('cortex-a9', IN_2_6_31);
    const [a, b] = [filled(k, '11'), filled(k, '22')];
    kmap_atomic(k, a, USER0);
    expect(ld(k, slot(USER0))).toBe(0x11);
    kunmap_atomic(k, slot(USER0), USER0);
    kmap_atomic(k, b, USER0);
    expect(ld(k, slot(USER0))).toBe(0x22);
  });

  it.each([
    ['2.6.31', IN_2_6_31, 14],
    ['2.6.34', IN_2_6_34, 15],
  ] as const)('has slots of its own on each CPU (%s)', (_, patches, types) => {
    const { cpus } = localMachine('cortex-a9', { cpus: 2, patches });
    const [k0, k1] = cpus as [Kernel, Kernel];
    const page = filled(k0, '11');
    expect(kmap_atomic(k0, page, USER0)).toBe(0xfff00000 + USER0 * 4096);
    expect(kmap_atomic(k1, page, USER0)).toBe(0xfff00000 + (USER0 + types) * 4096);
  });

  it('uses the pkmap mapping of a page from 2.6.32 and holds a count on it', () => {
    const k = machine('arm926', IN_2_6_32);
    const page = filled(k, '11');
    kmap(k, page);
    expect(kmap_atomic(k, page, USER0)).toBe(PKMAP_1);
    expect([pkmap_count(k, 1), entry(k, slot(USER0))]).toEqual([3, 0]);
    kunmap_atomic(k, (PKMAP_1 + 0xbc0) as Vaddr, USER0);
    expect([pkmap_count(k, 1), k.preemptCount]).toEqual([2, 0]);
  });

  it('makes a second mapping until 2.6.31, which sees nothing of the dirty lines of the first on VIVT', () => {
    const k = machine('arm926', IN_2_6_31);
    const page = filled(k, '11');
    dirty(k, kmap(k, page), 0xaa);
    kunmap(k, page);
    expect(kmap_atomic(k, page, USER0)).toBe(slot(USER0));
    expect(ld(k, slot(USER0))).toBe(0x11);
    expect(pkmap_count(k, 1)).toBe(1);
  });

  it.each([
    ['cortex-a9', IN_2_6_35, true, 'slot'],
    ['cortex-a9', IN_2_6_35, false, 'pkmap'],
    ['cortex-a9', IN_2_6_34, true, 'pkmap'],
    ['arm926', IN_2_6_35, true, 'pkmap'],
  ] as const)('%s, %j, debugging %j: a kmapped page is found at its %s', (id, patches, debugHighmem, where) => {
    const k = machine(id, patches, { debugHighmem });
    const page = filled(k, '11');
    kmap(k, page);
    expect(kmap_atomic(k, page, USER0)).toBe(where === 'slot' ? slot(USER0) : PKMAP_1);
    expect(pkmap_count(k, 1)).toBe(where === 'slot' ? 2 : 3);
  });
});

describe('with DEBUG_HIGHMEM', () => {
  it('a slot in use is a bug, and kunmap_atomic() clears the entry and the translation', () => {
    const k = machine('cortex-a9', IN_2_6_31, { debugHighmem: true });
    const [a, b] = [filled(k, '11'), filled(k, '22')];
    kmap_atomic(k, a, USER0);
    ld(k, slot(USER0));
    expect(() => kmap_atomic(k, b, USER0)).toThrow(KernelBug);
    kunmap_atomic(k, (slot(USER0) + 17) as Vaddr, USER0);
    expect(entry(k, slot(USER0))).toBe(0);
    expect(() => ld(k, slot(USER0))).toThrow();
  });

  it('an address of another slot is a bug', () => {
    const k = machine('arm926', IN_2_6_31, { debugHighmem: true });
    kmap_atomic(k, filled(k, '11'), USER0);
    expect(() => kunmap_atomic(k, (slot(USER0) - 4096) as Vaddr, USER0)).toThrow(KernelBug);
  });
});

describe('kunmap_atomic()', () => {
  it.each([
    ['arm926', '2.6.31', IN_2_6_31, 'aa*1'],
    ['arm926', '2.6.34', IN_2_6_34, 'aa*1'],
    ['cortex-a9', '2.6.31', IN_2_6_31, 'aa*1'],
    ['cortex-a9', '2.6.34', IN_2_6_34, '11*1'],
  ] as const)(
    '%s %s: what was stored through the slot reaches memory, or stays in a physically tagged cache',
    (id, _, patches, byte) => {
      const k = machine(id, patches);
      const page = filled(k, '11');
      dirty(k, kmap_atomic(k, page, USER0), 0xaa);
      kunmap_atomic(k, slot(USER0), USER0);
      expect(inRam(k, page)).toBe(byte);
    },
  );

  it('flushes the page of the address that it is given, be it the wrong one', () => {
    const k = machine('arm926', IN_2_6_31);
    const [a, b] = [filled(k, '11'), filled(k, '22')];
    dirty(k, kmap_atomic(k, a, USER0), 0xaa);
    dirty(k, kmap_atomic(k, b, USER1), 0xbb);
    kunmap_atomic(k, slot(USER0), USER1);
    expect([inRam(k, a), inRam(k, b)]).toEqual(['aa*1', '22*1']);
  });
});

describe('flush_cache_kmaps()', () => {
  it.each([
    ['arm926', '2.6.31', IN_2_6_31, 'aa*1'],
    ['arm926', '2.6.34', IN_2_6_34, 'aa*1'],
    ['cortex-a9', '2.6.31', IN_2_6_31, 'aa*1'],
    ['cortex-a9', '2.6.34', IN_2_6_34, '11*1'],
  ] as const)('%s %s', (id, _, patches, byte) => {
    const k = machine(id, patches);
    const page = filled(k, '11');
    dirty(k, kmap(k, page), 0xaa);
    kunmap(k, page);
    expect(inRam(k, page)).toBe('11*1');
    kmap_flush_unused(k);
    expect(inRam(k, page)).toBe(byte);
    expect(pkmap_count(k, 1)).toBe(0);
  });
});

describe('kmap_atomic_pfn() and kmap_atomic_to_page()', () => {
  it('maps a lowmem frame in the slot as well', () => {
    const k = machine('cortex-a9', IN_2_6_31);
    const page = alloc_page(k, GFP_KERNEL);
    setRam(k, physOf(k, page), '33*32');
    expect(kmap_atomic_pfn(k, pfnOf(k, page), USER1)).toBe(slot(USER1));
    expect([ld(k, slot(USER1)), entry(k, slot(USER1)), k.preemptCount]).toEqual([0x33, entryOf(k, page), 1]);
    kunmap_atomic(k, slot(USER1), USER1);
    expect(k.preemptCount).toBe(0);
  });

  it('does not look for a pkmap mapping', () => {
    const k = machine('arm926', IN_2_6_34);
    const page = filled(k, '11');
    kmap(k, page);
    expect(kmap_atomic_pfn(k, pfnOf(k, page), USER0)).toBe(slot(USER0));
    expect(pkmap_count(k, 1)).toBe(2);
  });

  it('names the page behind a slot or a linear address', () => {
    const k = machine('arm926', IN_2_6_31);
    const [high, low] = [filled(k, '11'), alloc_page(k, GFP_KERNEL)];
    const addr = kmap_atomic(k, high, USER0);
    expect(kmap_atomic_to_page(k, (addr + 100) as Vaddr)).toBe(high);
    expect(kmap_atomic_to_page(k, (0xc0000000 + ((low - k.sym.mem_map) / 32) * 4096 + 100) as Vaddr)).toBe(low);
  });
});

describe('debug_kmap_atomic()', () => {
  const TYPES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
  const map = (k: Kernel, type: number): void => {
    kunmap_atomic(k, kmap_atomic(k, alloc_page(k, GFP_HIGHUSER), type), type);
  };
  const debugging = (patches: readonly string[]): Kernel => machine('arm926', patches, { debugHighmem: true });

  /** Types that are warned of: everything but IRQ0, IRQ1, ... of the context's row, and those that want interrupts off. */
  it.each([
    ['process context', 0, false, [0, 5, 6, 9, 10, 11, 12]],
    ['process context, interrupts off', 0, true, []],
    ['bottom halves disabled', 0x100, false, [0, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['bottom halves disabled, interrupts off', 0x100, true, []],
    ['hardirq', 0x10000, true, [1, 2, 3, 4, 7, 8, 11, 12]],
    ['hardirq with interrupts on', 0x10000, false, TYPES],
  ] as const)('%s', (_, count, off, warned) => {
    const found = TYPES.filter((type) => {
      const k = debugging(IN_2_6_32);
      k.preemptCount += count;
      k.irqsOff = off;
      map(k, type);
      return warnings(k) > 0;
    });
    expect(found).toEqual(warned);
  });

  it('stops after ten warnings', () => {
    const k = debugging(IN_2_6_32);
    const seen = Array.from({ length: 13 }, () => {
      map(k, 9);
      return warnings(k);
    });
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10]);
  });

  it('is silent without DEBUG_HIGHMEM, for lowmem pages, and before 2.6.32', () => {
    const silent = [machine('arm926', IN_2_6_32), debugging(IN_2_6_31)];
    for (const k of silent) map(k, 9);
    const k = debugging(IN_2_6_32);
    kunmap_atomic(k, kmap_atomic(k, alloc_page(k, GFP_KERNEL), 9), 9);
    expect([...silent, k].map(warnings)).toEqual([0, 0, 0]);
  });
});

describe('kmap_high_l1_vipt()', () => {
  const L1 = slot(13);
  const vipt = (): Kernel => machine('cortex-a9', IN_2_6_34);
  const depth = (k: Kernel): number => k.load(k.sym.kmap_high_l1_vipt_depth);
  const misses = (k: Kernel, body: () => void): number => {
    const before = stat(k, Seat.tlbMisses);
    body();
    return stat(k, Seat.tlbMisses) - before;
  };

  it('maps the page in the slot KM_L1_CACHE and leaves it there', () => {
    const k = vipt();
    const page = filled(k, '11');
    const saved = { pte: 0xffffffff };
    expect(kmap_high_l1_vipt(k, page, saved)).toBe(0xfff0d000);
    expect([saved.pte, depth(k), k.preemptCount, k.irqsOff]).toEqual([0, 1, 1, false]);
    expect([entry(k, L1), ld(k, L1)]).toEqual([entryOf(k, page), 0x11]);
    kunmap_high_l1_vipt(k, page, saved);
    expect([entry(k, L1), depth(k), k.preemptCount, k.irqsOff]).toEqual([entryOf(k, page), 0, 0, false]);
  });

  it('neither writes nor flushes when the slot holds the page already', () => {
    const k = vipt();
    const page = filled(k, '11');
    const saved = { pte: 0 };
    kmap_high_l1_vipt(k, page, saved);
    ld(k, L1);
    kunmap_high_l1_vipt(k, page, saved);
    kmap_high_l1_vipt(k, page, saved);
    expect(saved.pte).toBe(entryOf(k, page));
    expect(misses(k, () => ld(k, L1))).toBe(0);
  });

  it('flushes the translation when the page is another', () => {
    const k = vipt();
    const [a, b] = [filled(k, '11'), filled(k, '22')];
    const saved = { pte: 0 };
    kmap_high_l1_vipt(k, a, saved);
    ld(k, L1);
    kunmap_high_l1_vipt(k, a, saved);
    kmap_high_l1_vipt(k, b, saved);
    expect(saved.pte).toBe(entryOf(k, a));
    expect(ld(k, L1)).toBe(0x22);
  });

  it('nests in an interrupt, which gives the interrupted mapping back', () => {
    const k = vipt();
    const [a, b] = [filled(k, '11'), filled(k, '22')];
    const [outer, inner] = [{ pte: 0 }, { pte: 0 }];
    kmap_high_l1_vipt(k, a, outer);
    ld(k, L1);
    inHardirq(k, () => {
      kmap_high_l1_vipt(k, b, inner);
      expect([depth(k), k.preemptCount, k.irqsOff]).toEqual([2, 0x10001, true]);
      expect([inner.pte, ld(k, L1)]).toEqual([entryOf(k, a), 0x22]);
      kunmap_high_l1_vipt(k, b, inner);
      expect([depth(k), k.preemptCount, k.irqsOff]).toEqual([1, 0x10001, true]);
    });
    expect([entry(k, L1), ld(k, L1)]).toEqual([entryOf(k, a), 0x11]);
    kunmap_high_l1_vipt(k, a, outer);
    expect([depth(k), k.preemptCount]).toEqual([0, 0]);
  });

  it('nests with the same page without touching the entry', () => {
    const k = vipt();
    const page = filled(k, '11');
    const [outer, inner] = [{ pte: 0 }, { pte: 0 }];
    kmap_high_l1_vipt(k, page, outer);
    ld(k, L1);
    inHardirq(k, () => {
      kmap_high_l1_vipt(k, page, inner);
      kunmap_high_l1_vipt(k, page, inner);
    });
    expect([inner.pte, entry(k, L1), depth(k)]).toEqual([entryOf(k, page), entryOf(k, page), 1]);
    expect(misses(k, () => ld(k, L1))).toBe(0);
  });

  it('counts each CPU for itself, in slots fifteen apart', () => {
    const { cpus } = localMachine('cortex-a9', { cpus: 2, patches: IN_2_6_34 });
    const [k0, k1] = cpus as [Kernel, Kernel];
    const page = filled(k0, '11');
    expect(kmap_high_l1_vipt(k1, page, { pte: 0 })).toBe(0xfff0d000 + 15 * 4096);
    expect([depth(k0), k0.load((k0.sym.kmap_high_l1_vipt_depth + 4) as Vaddr)]).toEqual([0, 1]);
  });

  it('is a bug to undo for another page, or more often than it was done', () => {
    const k = vipt();
    const [a, b] = [filled(k, '11'), filled(k, '22')];
    const saved = { pte: 0 };
    kmap_high_l1_vipt(k, a, saved);
    expect(() => kunmap_high_l1_vipt(k, b, saved)).toThrow(KernelBug);
    kunmap_high_l1_vipt(k, a, saved);
    expect(() => kunmap_high_l1_vipt(k, a, saved)).toThrow(KernelBug);
  });
});
