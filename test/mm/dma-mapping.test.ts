/** Streaming DMA: what each call writes to memory and what it throws away. spec/highmem.md §9. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import { Seat } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import {
  cpu_switch_mm,
  type DmaDirection,
  dma_cache_maint,
  dma_map_page,
  dma_map_sg,
  dma_map_single,
  dma_sync_sg_for_cpu,
  dma_sync_sg_for_device,
  dma_sync_single_for_cpu,
  dma_sync_single_for_device,
  dma_unmap_page,
  dma_unmap_sg,
  type Scatterlist,
} from '../../src/mm/arm/dma-mapping.js';
import { kmap, kmap_atomic, kunmap } from '../../src/mm/arm/highmem.js';
import { kmap_flush_unused, page_address, pkmap_count } from '../../src/mm/highmem.js';
import type { Page } from '../../src/mm/page.js';
import { alloc_page, GFP_HIGHUSER, GFP_KERNEL } from '../../src/mm/page_alloc.js';
import { KernelBug } from '../../src/shared/errors.js';
import { NULL, type Paddr, type Vaddr } from '../../src/shared/types.js';
import { core, ld, ram, setRam, st, stat } from '../cpu/bytes.js';
import { localMachine } from '../machine.js';

const IN_2_6_31 = ['kmap-high-get', 'tlb-ops-broadcast'];
const IN_2_6_34 = [
  ...IN_2_6_31,
  'kmap-atomic-uses-pkmap',
  'debug-kmap-atomic',
  'flush-kmaps-vivt-only',
  'kunmap-atomic-vivt-only',
  'kmap-high-l1-vipt',
  'dma-speculative-prefetch',
];
const V6_RC = [...IN_2_6_34, 'v6-unmap-invalidates'];

const BIDIRECTIONAL = 0;
const TO_DEVICE = 1;
const FROM_DEVICE = 2;
const DIRECTIONS = [TO_DEVICE, FROM_DEVICE, BIDIRECTIONAL] as const;

const LINE = 32;

const machine = (id: string, patches: readonly string[], options: Partial<MachineConfig> = {}): Kernel =>
  localMachine(id, { core: core(id), patches, ...options }).k;

const indexOf = (k: Kernel, page: Page): number => (page - k.sym.mem_map) / 32;
const physOf = (k: Kernel, page: Page): Paddr => (k.config.core.physBase + indexOf(k, page) * 4096) as Paddr;
const linear = (k: Kernel, page: Page): Vaddr => (0xc0000000 + indexOf(k, page) * 4096) as Vaddr;

function filled(k: Kernel, gfp = GFP_HIGHUSER): Page {
  const page = alloc_page(k, gfp);
  setRam(k, physOf(k, page), '11*4096');
  return page;
}

/** Make the line at @va dirty: 0xaa throughout. */
function dirty(k: Kernel, va: number): void {
  for (let i = 0; i < LINE; i++) {
    ld(k, va + i);
    st(k, va + i, 0xaa);
  }
}

/** What has become of the line at @va, which was dirty, and which RAM has at @pa. RAM is changed to find out. */
function fate(k: Kernel, va: number, pa: number): string {
  const cleaned = ram(k, pa, LINE) === `aa*${LINE}`;
  setRam(k, pa, `dd*${LINE}`);
  const gone = ld(k, va) === 0xdd;
  if (cleaned) return gone ? 'flush' : 'clean';
  return gone ? 'inv' : 'nothing';
}

/** A highmem page with a pkmap mapping, whose first line is dirty. */
function kmapped(k: Kernel): { page: Page; va: Vaddr; pa: Paddr } {
  const page = filled(k);
  const va = kmap(k, page);
  dirty(k, va);
  return { page, va, pa: physOf(k, page) };
}

function lowmem(k: Kernel): { page: Page; va: Vaddr; pa: Paddr } {
  const page = filled(k, GFP_KERNEL);
  dirty(k, linear(k, page));
  return { page, va: linear(k, page), pa: physOf(k, page) };
}

/** The same for a page that no pkmap slot maps; the test sees it through a slot for atomic kmaps. */
function unmapped(k: Kernel): { page: Page; va: Vaddr; pa: Paddr } {
  const page = filled(k);
  const va = kmap_atomic(k, page, 3);
  dirty(k, va);
  return { page, va, pa: physOf(k, page) };
}

/** Rows: core, version, patches, what mapping does by direction (to, from, both), what unmapping does. */
const TABLE = [
  ['arm926', '2.6.31', IN_2_6_31, ['clean', 'inv', 'flush'], ['nothing', 'nothing', 'nothing']],
  ['cortex-a9', '2.6.31', IN_2_6_31, ['clean', 'inv', 'flush'], ['nothing', 'nothing', 'nothing']],
  ['arm11mpcore', '2.6.31', IN_2_6_31, ['clean', 'inv', 'flush'], ['nothing', 'nothing', 'nothing']],
  ['arm926', '2.6.34', IN_2_6_34, ['clean', 'inv', 'flush'], ['nothing', 'nothing', 'nothing']],
  ['cortex-a9', '2.6.34', IN_2_6_34, ['clean', 'inv', 'clean'], ['nothing', 'inv', 'inv']],
  ['arm11mpcore', '2.6.34', IN_2_6_34, ['clean', 'inv', 'flush'], ['nothing', 'nothing', 'nothing']],
  ['arm11mpcore', '2.6.34-rc1 to rc7', V6_RC, ['clean', 'inv', 'clean'], ['nothing', 'inv', 'inv']],
] as const;

describe.each(TABLE)('%s, Linux %s', (id, version, patches, map, unmap) => {
  const kinds = { lowmem, kmapped };

  it.each(['lowmem', 'kmapped'] as const)('maps a %s page', (kind) => {
    const found = DIRECTIONS.map((dir) => {
      const k = machine(id, patches);
      const { page, va, pa } = kinds[kind](k);
      expect(dma_map_page(k, page, 0, LINE, dir)).toBe(pa);
      return fate(k, va, pa);
    });
    expect(found).toEqual(map);
  });

  it.each(['lowmem', 'kmapped'] as const)('unmaps a %s page', (kind) => {
    const found = DIRECTIONS.map((dir) => {
      const k = machine(id, patches);
      const { va, pa } = kinds[kind](k);
      dma_unmap_page(k, pa, LINE, dir);
      return fate(k, va, pa);
    });
    expect(found).toEqual(unmap);
  });

  it('synchronises as it maps and unmaps', () => {
    const run = (call: (k: Kernel, pa: Paddr, dir: DmaDirection) => void): string[] =>
      DIRECTIONS.map((dir) => {
        const k = machine(id, patches);
        const { va, pa } = lowmem(k);
        call(k, pa, dir);
        return fate(k, va, pa);
      });
    expect(run((k, pa, dir) => dma_sync_single_for_device(k, pa, LINE, dir))).toEqual(map);
    expect(run((k, pa, dir) => dma_sync_single_for_cpu(k, pa, LINE, dir))).toEqual(unmap);
    expect(
      run((k, pa, dir) => void dma_map_single(k, (pa - k.config.core.physBase + 0xc0000000) as Vaddr, LINE, dir)),
    ).toEqual(map);
  });

  it('synchronises the pages of a list', () => {
    const run = (call: typeof dma_sync_sg_for_cpu): string[] =>
      DIRECTIONS.map((dir) => {
        const k = machine(id, patches);
        const { page, va, pa } = kmapped(k);
        call(k, [{ page, offset: 0, length: LINE, dma_address: pa }], dir);
        return fate(k, va, pa);
      });
    expect(run(dma_sync_sg_for_device)).toEqual(map);
    expect(run(dma_sync_sg_for_cpu)).toEqual(unmap);
  });

  it('gives the pin on a kmapped page back, and has none on an unmapped one', () => {
    const k = machine(id, patches);
    const { page, pa } = kmapped(k);
    dma_map_page(k, page, 0, 4096, BIDIRECTIONAL);
    dma_unmap_page(k, pa, 4096, BIDIRECTIONAL);
    expect(pkmap_count(k, 1)).toBe(2);
    const other = filled(k);
    dma_map_page(k, other, 0, 4096, BIDIRECTIONAL);
    expect(page_address(k, other)).toBe(NULL);
    expect([k.preemptCount, k.irqsOff]).toEqual([0, false]);
  });

  it('reaches an unmapped highmem page only from 2.6.34, on physically tagged caches', () => {
    const reached = version !== '2.6.31' && id !== 'arm926';
    const found = DIRECTIONS.map((dir) => {
      const k = machine(id, patches);
      const { page, va, pa } = unmapped(k);
      dma_map_page(k, page, 0, LINE, dir);
      return fate(k, va, pa);
    });
    expect(found).toEqual(reached ? map : ['nothing', 'nothing', 'nothing']);
  });

  it('refuses other directions', () => {
    for (const dir of [3, 4, -1]) {
      const k = machine(id, patches);
      const { page, va, pa } = lowmem(k);
      const entry: Scatterlist = { page, offset: 0, length: LINE, dma_address: pa };
      const bad = dir as DmaDirection;
      expect(() => dma_map_page(k, page, 0, LINE, bad)).toThrow(KernelBug);
      expect(() => dma_map_single(k, va, LINE, bad)).toThrow(KernelBug);
      expect(() => dma_unmap_page(k, pa, LINE, bad)).toThrow(KernelBug);
      expect(() => dma_sync_single_for_cpu(k, pa, LINE, bad)).toThrow(KernelBug);
      expect(() => dma_sync_single_for_device(k, pa, LINE, bad)).toThrow(KernelBug);
      expect(() => dma_map_sg(k, [entry], bad)).toThrow(KernelBug);
      expect(fate(k, va, pa)).toBe('nothing');
    }
  });
});

describe('the outer cache', () => {
  /** An unmapped highmem page whose first line is dirty in the outer cache and nowhere else. */
  function inOuter(k: Kernel): { page: Page; pa: Paddr } {
    const { page, pa } = kmapped(k);
    kunmap(k, page);
    kmap_flush_unused(k); // up to 2.6.33 it writes the whole inner cache back
    expect([page_address(k, page), ram(k, pa, 1)]).toEqual([NULL, '11*1']);
    return { page, pa };
  }
  const outerFate = (dir: DmaDirection): string => {
    const k = machine('cortex-a9-l2', IN_2_6_31);
    const { page, pa } = inOuter(k);
    dma_map_page(k, page, 0, LINE, dir);
    return fate(k, kmap(k, page), pa);
  };

  it('is maintained for unmapped pages too in 2.6.31', () => {
    expect(DIRECTIONS.map(outerFate)).toEqual(['clean', 'inv', 'flush']);
  });

  it.each([
    ['2.6.31', IN_2_6_31, ['clean', 'inv', 'flush'], ['nothing', 'nothing', 'nothing']],
    ['2.6.34', IN_2_6_34, ['clean', 'inv', 'clean'], ['nothing', 'inv', 'inv']],
  ] as const)('follows the inner one in %s', (_, patches, map, unmap) => {
    const mapped = DIRECTIONS.map((dir) => {
      const k = machine('cortex-a9-l2', patches);
      const { page, va, pa } = kmapped(k);
      dma_map_page(k, page, 0, LINE, dir);
      return fate(k, va, pa);
    });
    const taken = DIRECTIONS.map((dir) => {
      const k = machine('cortex-a9-l2', patches);
      const { va, pa } = kmapped(k);
      dma_unmap_page(k, pa, LINE, dir);
      return fate(k, va, pa);
    });
    expect([mapped, taken]).toEqual([map, unmap]);
  });
});

describe('a range over several highmem pages', () => {
  /** Three pages in a row, mapped in the opposite order, so that addresses do not run on from page to page. */
  function threePages(k: Kernel): { pages: Page[]; vas: Vaddr[] } {
    const pages = [filled(k), filled(k), filled(k)];
    expect(pages.map((p) => p - (pages[0] as Page))).toEqual([0, 32, 64]);
    const vas = [...pages].reverse().map((page) => kmap(k, page));
    return { pages, vas: vas.reverse() };
  }

  /** Lines that reach memory, as [page, offset], of those around the ends of the pages. */
  function cleaned(offset: number, size: number, patches: readonly string[], start = 0): number[][] {
    const k = machine('arm926', patches);
    const { pages, vas } = threePages(k);
    const probes = [0, 32, 64, 4032, 4064];
    for (const va of vas) for (const probe of probes) dirty(k, va + probe);
    dma_map_page(k, pages[start] as Page, offset, size, TO_DEVICE);
    return pages.flatMap((page, nr) =>
      probes.filter((probe) => ram(k, physOf(k, page) + probe, LINE) === `aa*${LINE}`).map((probe) => [nr, probe]),
    );
  }

  describe.each([
    ['2.6.31', IN_2_6_31],
    ['2.6.34', IN_2_6_34],
  ])('Linux %s', (_, patches) => {
    it.each([
      [
        'crosses from one page into the next',
        4064,
        64,
        [
          [0, 4064],
          [1, 0],
        ],
      ],
      ['ends with the page', 4064, 32, [[0, 4064]]],
      [
        'begins in the page after the first',
        4096 + 32,
        4064,
        [
          [1, 32],
          [1, 64],
          [1, 4032],
          [1, 4064],
        ],
      ],
      [
        'begins there and crosses',
        4096 + 4064,
        64,
        [
          [1, 4064],
          [2, 0],
        ],
      ],
      ['begins two pages on', 8192, 4096, [0, 32, 64, 4032, 4064].map((o) => [2, o])],
      [
        'covers a page in the middle',
        4064,
        32 + 4096 + 32,
        [[0, 4064], ...[0, 32, 64, 4032, 4064].map((o) => [1, o]), [2, 0]],
      ],
      ['is empty: one line all the same', 32, 0, [[0, 32]]],
    ])('%s', (_, offset, size, lines) => {
      expect(cleaned(offset, size, patches)).toEqual(lines);
    });

    it('skips the inner operation on a page in the middle that has no mapping', () => {
      const k = machine('arm926', patches);
      const { pages, vas } = threePages(k);
      for (const va of vas) dirty(k, va);
      kunmap(k, pages[1] as Page);
      kmap_flush_unused(k);
      for (const va of [vas[0], vas[2]]) dirty(k, va as Vaddr);
      setRam(k, physOf(k, pages[1] as Page), 'dd*32');
      dma_map_page(k, pages[0] as Page, 0, 3 * 4096, TO_DEVICE);
      expect(pages.map((page) => ram(k, physOf(k, page), 1))).toEqual(['aa*1', 'dd*1', 'aa*1']);
    });
  });

  it('processes lowmem in one go, across pages', () => {
    const k = machine('arm926', IN_2_6_31);
    const first = filled(k, GFP_KERNEL);
    const second = filled(k, GFP_KERNEL);
    const [a, b] = first < second ? [first, second] : [second, first];
    expect(b - a).toBe(32);
    dirty(k, linear(k, a) + 4064);
    dirty(k, linear(k, b));
    dma_map_page(k, a, 4064, 64, TO_DEVICE);
    expect([ram(k, physOf(k, a) + 4064, LINE), ram(k, physOf(k, b), LINE)]).toEqual(['aa*32', 'aa*32']);
  });
});

describe('a partial line', () => {
  it.each(['arm926', 'cortex-a9', 'arm11mpcore'])('of a neighbour is written before it is discarded (%s)', (id) => {
    const k = machine(id, IN_2_6_31);
    const { page, va, pa } = kmapped(k);
    dirty(k, va + LINE);
    dirty(k, va + 2 * LINE);
    dma_map_page(k, page, 4, 2 * LINE, FROM_DEVICE);
    expect(ram(k, pa, 3 * LINE)).toBe('aa*32 11*32 aa*32');
  });
});

describe('dma_map_sg()', () => {
  const list = (k: Kernel): { sg: Scatterlist[]; vas: number[] } => {
    const [high, low] = [kmapped(k), lowmem(k)];
    dirty(k, high.va + 64);
    const at = (page: Page, offset: number): Scatterlist => ({ page, offset, length: LINE, dma_address: 0 as Paddr });
    return { sg: [at(high.page, 64), at(low.page, 0)], vas: [high.va + 64, low.va] };
  };

  it('maps every entry, and says where', () => {
    const k = machine('cortex-a9', IN_2_6_31);
    const { sg, vas } = list(k);
    expect(dma_map_sg(k, sg, TO_DEVICE)).toBe(2);
    expect(sg.map((s) => s.dma_address)).toEqual(sg.map((s) => physOf(k, s.page) + s.offset));
    expect(sg.map((s, i) => fate(k, vas[i] as number, s.dma_address))).toEqual(['clean', 'clean']);
    const untouched = physOf(k, (sg[0] as Scatterlist).page);
    expect(ram(k, untouched, LINE), 'before the entry').toBe('11*32');
  });

  it.each([
    ['2.6.31', IN_2_6_31, 'nothing'],
    ['2.6.34', IN_2_6_34, 'inv'],
  ])('is undone by dma_unmap_sg() (%s)', (_, patches, expected) => {
    const k = machine('cortex-a9', patches);
    const { sg, vas } = list(k);
    dma_map_sg(k, sg, FROM_DEVICE);
    for (const va of vas) dirty(k, va);
    dma_unmap_sg(k, sg, FROM_DEVICE);
    expect(sg.map((s, i) => fate(k, vas[i] as number, s.dma_address))).toEqual([expected, expected]);
  });

  it('has nothing to do for an empty list', () => {
    expect(dma_map_sg(machine('arm926', IN_2_6_31), [], TO_DEVICE)).toBe(0);
  });
});

describe('outside the direct map', () => {
  const HIGH_MEMORY = 0xc0000000 + 256 * 4096;

  it('dma_cache_maint() is a bug on a pkmap address, and on a slot of the fixmap', () => {
    const k = machine('arm926', IN_2_6_31);
    const { page, va, pa } = kmapped(k);
    expect(() => dma_cache_maint(k, va, LINE, TO_DEVICE)).toThrow(KernelBug);
    expect(() => dma_cache_maint(k, kmap_atomic(k, page, 3), LINE, TO_DEVICE)).toThrow(KernelBug);
    expect(ram(k, pa, 1)).toBe('11*1');
  });

  it('the last byte counts, and one after it does not', () => {
    const k = machine('arm926', IN_2_6_31);
    expect(() => dma_cache_maint(k, (HIGH_MEMORY - LINE) as Vaddr, LINE, TO_DEVICE)).not.toThrow();
    expect(() => dma_cache_maint(k, (HIGH_MEMORY - LINE) as Vaddr, LINE + 1, TO_DEVICE)).toThrow(KernelBug);
    expect(() => dma_cache_maint(k, (0xc0000000 - LINE) as Vaddr, 2 * LINE, TO_DEVICE)).toThrow(KernelBug);
  });

  it.each([
    ['2.6.31', IN_2_6_31],
    ['2.6.34', IN_2_6_34],
  ])('dma_map_single() is one too (%s)', (_, patches) => {
    const k = machine('arm926', patches);
    const { va } = kmapped(k);
    expect(() => dma_map_single(k, va, LINE, TO_DEVICE)).toThrow(KernelBug);
  });

  it('so is dma_sync_single_for_device() for a highmem page until 2.6.33', () => {
    const k = machine('arm926', IN_2_6_31);
    const { pa } = kmapped(k);
    expect(() => dma_sync_single_for_device(k, pa, LINE, TO_DEVICE)).toThrow(KernelBug);
    const later = machine('arm926', IN_2_6_34);
    const page = kmapped(later);
    dma_sync_single_for_device(later, page.pa, LINE, TO_DEVICE);
    expect(fate(later, page.va, page.pa)).toBe('clean');
  });
});

describe('cpu_switch_mm()', () => {
  it('writes the whole cache back, leaves nothing in it, and empties the TLB', () => {
    const k = machine('arm926', IN_2_6_31);
    const [high, low] = [kmapped(k), lowmem(k)];
    cpu_switch_mm(k);
    const before = stat(k, Seat.tlbMisses);
    expect([fate(k, high.va, high.pa), fate(k, low.va, low.pa)]).toEqual(['flush', 'flush']);
    expect(stat(k, Seat.tlbMisses) - before).toBeGreaterThan(0);
  });
});
