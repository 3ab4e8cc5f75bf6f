import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { gfp, showGfp } from '../../src/mm/gfp.js';
import {
  free_area,
  nr_free_pages_of,
  present_pages,
  struct_free_area,
  struct_zone,
  zone_nr,
} from '../../src/mm/mmzone.js';
import {
  type Page,
  PageHighMem,
  page_plus,
  page_to_pfn,
  page_zonenum,
  ZONE_DMA,
  ZONE_HIGHMEM,
  ZONE_NORMAL,
} from '../../src/mm/page.js';
import {
  __free_pages,
  __get_free_pages,
  alloc_page,
  alloc_pages,
  compound_head,
  compound_order,
  drain_local_pages,
  free_pages,
  get_zeroed_page,
  PageCompound,
  pagesOnCpuLists,
  split_page,
} from '../../src/mm/page_alloc.js';
import { Prng } from '../../src/shared/prng.js';
import { NULL, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const ERAS = ['2.5.53', '2.6.22', '4.12'] as const;

/** The reference machine of spec/vmalloc-gfp.md §1. */
const ref32 = (kernel: string, options: Partial<MachineConfig> = {}): Kernel =>
  localMachine('arm926', { kernel, patches: [], lowmemPages: 4096, highmemPages: 12288, watermarks: true, ...options })
    .k;
const small = (kernel: string, options: Partial<MachineConfig> = {}): Kernel =>
  localMachine('arm926', { kernel, patches: [], lowmemPages: 512, highmemPages: 64, ...options }).k;

const freeBlocks = (k: Kernel, zone: number): number[] =>
  Array.from({ length: 11 }, (_, order) => k.read(free_area(zone_nr(k, zone), order), struct_free_area.nr_free));
const freePages = (k: Kernel, zone: number): number =>
  nr_free_pages_of(k, zone_nr(k, zone)) + pagesOnCpuLists(k, zone_nr(k, zone));
const marks = (k: Kernel, zone: number): number[] =>
  [struct_zone.pages_min, struct_zone.pages_low, struct_zone.pages_high].map((f) => k.read(zone_nr(k, zone), f));

describe('the GFP flags', () => {
  it.each([
    ['2.5.53', { GFP_ATOMIC: 0x20, GFP_NOIO: 0x10, GFP_NOFS: 0xd0, GFP_KERNEL: 0x1d0, GFP_HIGHUSER: 0x1d2 }],
    ['2.6.22', { GFP_ATOMIC: 0x20, GFP_NOIO: 0x10, GFP_NOFS: 0x50, GFP_KERNEL: 0xd0, GFP_HIGHUSER: 0x200d2 }],
    ['2.6.34', { GFP_ATOMIC: 0x20, GFP_NOWAIT: 0, GFP_KERNEL: 0xd0 }],
    ['4.10', { GFP_ATOMIC: 0x1080020, GFP_NOIO: 0x1400000, GFP_NOFS: 0x1400040, GFP_KERNEL: 0x14000c0 }],
    ['4.12', { GFP_NOWAIT: 0x1000000, GFP_HIGHUSER: 0x14200c2, GFP_TEMPORARY: 0x14000d0 }],
  ])('of %s have the bits of its gfp.h', (kernel, expected) => {
    expect(gfp(small(kernel))).toMatchObject(expected);
  });

  it('have the masks that slabs and vmalloc hand on', () => {
    expect(gfp(small('2.5.53')).GFP_LEVEL_MASK).toBe(0x7f0);
    expect(gfp(small('2.6.22')).GFP_LEVEL_MASK).toBe(0x75ff0);
    expect(gfp(small('4.12')).GFP_RECLAIM_MASK).toBe(0x1493ee0);
  });

  it('are shown as %pGg shows them', () => {
    const k = small('4.12');
    const { GFP_KERNEL, GFP_NOFS, __GFP_NOWARN, __GFP_HIGHMEM, __GFP_IO } = gfp(k);
    expect(showGfp(k, GFP_KERNEL)).toBe('GFP_KERNEL');
    expect(showGfp(k, GFP_NOFS | __GFP_NOWARN | __GFP_HIGHMEM)).toBe('GFP_NOFS|__GFP_HIGHMEM|__GFP_NOWARN');
    expect(showGfp(k, __GFP_IO)).toBe('__GFP_IO');
    expect(showGfp(k, 0)).toBe('none');
  });
});

describe.each(ERAS)('the buddy system of %s', (kernel) => {
  it('merges what was split back into the blocks of boot', () => {
    const k = small(kernel);
    const before = freeBlocks(k, ZONE_NORMAL);
    const { GFP_ATOMIC } = gfp(k);
    const prng = new Prng(7);
    const held: { page: Page; order: number }[] = [];
    for (let i = 0; i < 400; i++) {
      if (held.length > 0 && prng.below(3) === 0) {
        const [gone] = held.splice(prng.below(held.length), 1);
        __free_pages(k, gone!.page, gone!.order);
        continue;
      }
      const order = prng.below(5);
      const page = alloc_pages(k, GFP_ATOMIC, order);
      if (page !== NULL) held.push({ page, order });
    }
    const frames = held.flatMap(({ page, order }) => {
      return Array.from({ length: 1 << order }, (_, i) => page_to_pfn(k, page) + i);
    });
    expect(new Set(frames).size).toBe(frames.length);
    for (const { page, order } of held) __free_pages(k, page, order);
    drain_local_pages(k, zone_nr(k, ZONE_NORMAL));
    expect(freeBlocks(k, ZONE_NORMAL)).toEqual(before);
  });

  it('aligns a block to its size and takes the smallest that will do', () => {
    const k = small(kernel);
    const start = k.config.core.physBase >>> 12;
    for (let order = 0; order <= 6; order++) {
      const page = alloc_pages(k, gfp(k).GFP_KERNEL, order);
      expect((page_to_pfn(k, page) - start) % (1 << order)).toBe(0);
    }
  });

  it('keeps count of its pages', () => {
    const k = small(kernel);
    const before = freePages(k, ZONE_HIGHMEM);
    const pages = Array.from({ length: 10 }, () => alloc_page(k, gfp(k).GFP_HIGHUSER));
    const block = alloc_pages(k, gfp(k).GFP_HIGHUSER, 3);
    expect(freePages(k, ZONE_HIGHMEM)).toBe(before - 18);
    for (const page of pages) __free_pages(k, page, 0);
    __free_pages(k, block, 3);
    expect(freePages(k, ZONE_HIGHMEM)).toBe(before);
  });

  it('serves highmem requests from lowmem when highmem is used up, and never the other way', () => {
    const k = small(kernel, { lowmemPages: 128, highmemPages: 4 });
    const { GFP_HIGHUSER, GFP_KERNEL, __GFP_NOWARN } = gfp(k);
    const pages = Array.from({ length: 5 }, () => alloc_page(k, GFP_HIGHUSER));
    expect(pages.map((p) => PageHighMem(k, p))).toEqual([true, true, true, true, false]);
    __free_pages(k, pages[0]!, 0);
    for (;;) {
      const page = alloc_page(k, (GFP_KERNEL & ~gfp(k).__GFP_WAIT & ~gfp(k).__GFP_DIRECT_RECLAIM) | __GFP_NOWARN);
      if (page === NULL) break;
      expect(page_zonenum(k, page)).toBe(ZONE_NORMAL);
    }
    expect(freePages(k, ZONE_HIGHMEM)).toBe(1);
  });
});

describe('pages in order', () => {
  it('ascend in 2.6.22, since a split hands out the lower half', () => {
    const k = small('2.6.22');
    const first = alloc_page(k, gfp(k).GFP_HIGHUSER);
    for (let i = 1; i < 64; i++) expect(alloc_page(k, gfp(k).GFP_HIGHUSER)).toBe(page_plus(first, i));
  });

  it('descend in 2.5.53, where it hands out the upper half', () => {
    const k = small('2.5.53');
    expect(page_to_pfn(k, alloc_pages(k, gfp(k).GFP_HIGHUSER, 3))).toBe((k.config.core.physBase >>> 12) + 512 + 56);
    expect(page_to_pfn(k, alloc_pages(k, gfp(k).GFP_HIGHUSER, 3))).toBe((k.config.core.physBase >>> 12) + 512 + 48);
  });
});

describe('the zone of a request', () => {
  it('follows from DMA before HIGHMEM', () => {
    for (const kernel of ERAS) {
      const k = small(kernel, { dmaPages: 256 });
      const { GFP_KERNEL, __GFP_DMA, __GFP_HIGHMEM } = gfp(k);
      expect(page_zonenum(k, alloc_page(k, GFP_KERNEL))).toBe(ZONE_NORMAL);
      expect(page_zonenum(k, alloc_page(k, GFP_KERNEL | __GFP_DMA))).toBe(ZONE_DMA);
      expect(page_zonenum(k, alloc_page(k, GFP_KERNEL | __GFP_HIGHMEM))).toBe(ZONE_HIGHMEM);
      expect(page_zonenum(k, alloc_page(k, GFP_KERNEL | __GFP_DMA | __GFP_HIGHMEM))).toBe(ZONE_DMA);
    }
  });

  it('is NORMAL for __GFP_DMA on a machine without ZONE_DMA from 2.6 on', () => {
    const k = small('4.12');
    expect(page_zonenum(k, alloc_page(k, gfp(k).GFP_KERNEL | gfp(k).__GFP_DMA))).toBe(ZONE_NORMAL);
  });
});

describe('the watermarks of REF32', () => {
  it('are those of the specification', () => {
    expect(marks(ref32('2.5.53'), ZONE_NORMAL)).toEqual([32, 64, 96]);
    expect(marks(ref32('2.5.53'), ZONE_HIGHMEM)).toEqual([96, 192, 288]);
    const k = ref32('4.12');
    expect(marks(k, ZONE_NORMAL)).toEqual([128, 160, 192]);
    expect(marks(k, ZONE_HIGHMEM)).toEqual([32, 128, 224]);
    const reserve = vaddr(zone_nr(k, ZONE_NORMAL) + struct_zone.lowmem_reserve.offset + ZONE_HIGHMEM * 4);
    expect(k.load(reserve)).toBe(384);
    expect(present_pages(k, zone_nr(k, ZONE_HIGHMEM))).toBe(12288);
  });
});

describe('blocks', () => {
  it('are compound on request, and no longer once they are free', () => {
    const k = small('2.6.22');
    const page = alloc_pages(k, gfp(k).GFP_KERNEL | gfp(k).__GFP_COMP, 2);
    expect(compound_order(k, page)).toBe(2);
    expect(compound_head(k, page_plus(page, 3))).toBe(page);
    __free_pages(k, page, 2);
    for (let i = 0; i < 4; i++) expect(PageCompound(k, page_plus(page, i))).toBe(false);
  });

  it('become single pages by split_page()', () => {
    const k = small('2.6.22');
    const before = freePages(k, ZONE_NORMAL);
    const page = alloc_pages(k, gfp(k).GFP_KERNEL, 2);
    split_page(k, page, 2);
    for (let i = 0; i < 4; i++) __free_pages(k, page_plus(page, i), 0);
    expect(freePages(k, ZONE_NORMAL)).toBe(before);
  });

  it('hold junk, but for get_zeroed_page() and __GFP_ZERO, in lowmem and highmem', () => {
    for (const kernel of ERAS) {
      const k = small(kernel);
      const { GFP_KERNEL } = gfp(k);
      const junk = __get_free_pages(k, GFP_KERNEL, 0);
      expect(k.load32(junk)).not.toBe(0);
      const zeroed = get_zeroed_page(k, GFP_KERNEL);
      for (let i = 0; i < 4096; i += 4) expect(k.load32(vaddr(zeroed + i))).toBe(0);
      free_pages(k, junk, 0);
    }
  });

  it('outside the direct map are not freed by their address', () => {
    const k = small('2.6.22');
    expect(() => free_pages(k, vaddr(0x1000), 0)).toThrow(/not a linear address/);
    free_pages(k, NULL, 0);
  });

  it('are not asked for in highmem by their address', () => {
    const k = small('4.12');
    expect(() => __get_free_pages(k, gfp(k).GFP_HIGHUSER, 0)).toThrow(/__GFP_HIGHMEM/);
    expect(() => get_zeroed_page(k, gfp(k).GFP_HIGHUSER)).toThrow(/__GFP_HIGHMEM/);
    const old = small('2.6.22');
    expect(__get_free_pages(old, gfp(old).GFP_HIGHUSER, 0)).toBe(NULL);
  });
});
