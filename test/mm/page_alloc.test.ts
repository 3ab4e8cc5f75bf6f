import { describe, expect, it } from 'vitest';
import { virt_to_page } from '../../src/arch/arm/memory.js';
import type { MachineConfig } from '../../src/cpu/config.js';
import { Control } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { readLog } from '../../src/cpu/printk.js';
import { gfp, showGfp } from '../../src/mm/gfp.js';
import { kfree, kmalloc } from '../../src/mm/kmalloc.js';
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
  free_page,
  free_pages,
  get_zeroed_page,
  PageCompound,
  pagesOnCpuLists,
  split_page,
} from '../../src/mm/page_alloc.js';
import { Prng } from '../../src/shared/prng.js';
import { PG_dcache_dirty, struct_page } from '../../src/shared/structs/page.js';
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

describe('bad page state', () => {
  const boot = (kernel: string): Kernel => localMachine('arm926', { kernel, patches: [], preempt: false }).k;
  const KERNEL = (k: Kernel): number => gfp(k).GFP_KERNEL;
  const log = (k: Kernel): string[] => readLog(k.hw, k.layout.log, Control.logHead).map((r) => r.text);
  const pfn = (k: Kernel, page: Page): string => page_to_pfn(k, page).toString(16).padStart(5, '0');
  const hex = (addr: number): string => (addr >>> 0).toString(16).padStart(8, '0');
  /** Every page that can be had without waiting. */
  function all(k: Kernel): Set<number> {
    const pages = new Set<number>();
    const { GFP_ATOMIC, __GFP_NOWARN } = gfp(k);
    for (let p = alloc_page(k, GFP_ATOMIC | __GFP_NOWARN); p !== NULL; p = alloc_page(k, GFP_ATOMIC | __GFP_NOWARN))
      pages.add(p);
    return pages;
  }

  it('of a page of a slab that is given back by itself: 2.6.30 never uses it again', () => {
    const k = boot('2.6.30');
    const object = kmalloc(k, 100, KERNEL(k));
    const page = virt_to_page(k, object);
    free_page(k, vaddr(object & ~4095));
    const [first, second] = log(k);
    expect(first).toBe(`BUG: Bad page state in process thread0  pfn:${pfn(k, page)}`);
    expect(second).toMatch(
      new RegExp(`^page:${hex(page)} flags:[0-9a-f]{8} count:0 mapcount:-?\\d+ mapping:[0-9a-f]{8} index:[0-9a-f]+$`),
    );
    expect(all(k).has(page)).toBe(false);
  });

  it('of a page that is still in a file: by its fields, in the words of each version', () => {
    const says = (kernel: string): string[] => {
      const k = boot(kernel);
      const page = alloc_page(k, KERNEL(k));
      k.write(page, struct_page.mapping, 0xc0123450 | 0);
      __free_pages(k, page, 0);
      const again = all(k).has(page);
      const lines = log(k).filter((line) => !line.includes('Pid:') && !line.includes('CPU:'));
      return [...lines.map((line) => line.replace(hex(page), 'PAGE').replace(pfn(k, page), 'PFN')), `again: ${again}`];
    };
    expect(says('2.6.22').slice(0, 4)).toEqual([
      "Bad page state in process 'thread0'",
      expect.stringMatching(/^page:PAGE flags:0x[0-9a-f]{8} mapping:c0123450 mapcount:0 count:0$/),
      'Trying to fix it up, but a reboot is needed',
      'Backtrace:',
    ]);
    expect(says('2.6.22').at(-1)).toBe('again: true');
    expect(says('2.6.30').slice(0, 2)).toEqual([
      'BUG: Bad page state in process thread0  pfn:PFN',
      expect.stringMatching(/^page:PAGE flags:[0-9a-f]{8} count:0 mapcount:0 mapping:c0123450 index:0$/),
    ]);
    expect(says('2.6.30').at(-1)).toBe('again: false');
    expect(says('4.12').slice(0, 4)).toEqual([
      'BUG: Bad page state in process thread0  pfn:PFN',
      'page:PAGE count:0 mapcount:0 mapping:c0123450 index:0x0',
      expect.stringMatching(/^flags: 0x[0-9a-f]+$/),
      'page dumped because: non-NULL mapping',
    ]);
    expect(says('4.12').at(-1)).toBe('again: false');
  });

  it.each([
    ['mapped by a user', struct_page._mapcount, 0, 'nonzero mapcount'],
    ['on the list of reclaim', struct_page.flags, 1 << 5, 'PAGE_FLAGS_CHECK_AT_FREE flag(s) set'],
    ['locked', struct_page.flags, 1, 'PAGE_FLAGS_CHECK_AT_FREE flag(s) set'],
  ])('of a page that is %s', (_, field, value, reason) => {
    const k = boot('4.12');
    const page = alloc_page(k, KERNEL(k));
    k.write(page, field, field === struct_page.flags ? k.read(page, field) | value : value);
    __free_pages(k, page, 0);
    expect(log(k)).toContain(`page dumped because: ${reason}`);
    expect(all(k).has(page)).toBe(false);
  });

  it('of pages that were made single, and are given back as a block', () => {
    const k = boot('2.6.30');
    const block = alloc_pages(k, KERNEL(k), 1);
    split_page(k, block, 1);
    __free_pages(k, block, 1);
    expect(log(k)[0]).toBe(`BUG: Bad page state in process thread0  pfn:${pfn(k, page_plus(block, 1))}`);
    expect(log(k)[1]).toMatch(/ count:1 mapcount:0 mapping:\(null\) /);
    const pages = all(k);
    expect([pages.has(block), pages.has(page_plus(block, 1))]).toEqual([false, false]);
  });

  it('of a page that somebody takes a reference of while it is free: another is given out', () => {
    const k = boot('2.6.30');
    const page = alloc_page(k, KERNEL(k));
    __free_pages(k, page, 0);
    k.write(page, struct_page._count, 1);
    expect(alloc_page(k, KERNEL(k))).not.toBe(page);
    expect(log(k)[0]).toBe(`BUG: Bad page state in process thread0  pfn:${pfn(k, page)}`);
    const old = boot('2.6.22');
    const mended = alloc_page(old, KERNEL(old));
    __free_pages(old, mended, 0);
    old.write(mended, struct_page._count, 1);
    expect(alloc_page(old, KERNEL(old))).toBe(mended);
    expect(log(old)[0]).toBe("Bad page state in process 'thread0'");
  });

  it.each(['2.6.22', '2.6.30', '4.12'])(
    'is not that of pages of %s that others hold, that are dirty in a cache, or that were slabs',
    (kernel) => {
      const k = boot(kernel);
      kfree(k, kmalloc(k, 100, KERNEL(k)));
      const page = alloc_page(k, KERNEL(k));
      k.write(page, struct_page._count, 2);
      __free_pages(k, page, 0);
      k.write(page, struct_page.flags, k.read(page, struct_page.flags) | (1 << PG_dcache_dirty));
      __free_pages(k, page, 0);
      const compound = alloc_pages(k, KERNEL(k) | gfp(k).__GFP_COMP, 2);
      __free_pages(k, compound, 2);
      expect(all(k).has(page)).toBe(true);
      expect(log(k)).toEqual([]);
    },
  );
});
