/** Seed 004: where the pages of vmalloc() come from. spec/vmalloc-gfp.md §12.3. */
import { describe, expect, it } from 'vitest';
import type { MachineConfig } from '../../src/cpu/config.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { gfp } from '../../src/mm/gfp.js';
import { vmalloc_to_page } from '../../src/mm/memory.js';
import { nr_free_pages_of, struct_zone, zone_nr } from '../../src/mm/mmzone.js';
import { PageHighMem, page_zonenum, ZONE_DMA, ZONE_HIGHMEM, ZONE_NORMAL } from '../../src/mm/page.js';
import { alloc_page, drainZone } from '../../src/mm/page_alloc.js';
import { is_vmalloc_addr, struct_vm_struct } from '../../src/mm/vmalloc/vm-struct.js';
import { find_vm_area } from '../../src/mm/vmalloc/vmap-purge.js';
import { __vmalloc, vfree } from '../../src/mm/vmalloc.js';
import { zoneinfo } from '../../src/mm/vmstat.js';
import { NULL, type Vaddr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

const HM = ['hm'];
const boot = (patches: readonly string[], options: Partial<MachineConfig> = {}): Kernel =>
  localMachine('cortex-a9', {
    kernel: '4.10',
    patches: [...patches],
    lowmemPages: 4096,
    highmemPages: 12288,
    ...options,
  }).k;
const kernelMask = (k: Kernel): number => gfp(k).GFP_KERNEL;
const lowmemPages = (k: Kernel, area: Vaddr, pages: number): number =>
  Array.from({ length: pages }, (_, i) => vmalloc_to_page(k, area + i * 4096)).filter((page) => !PageHighMem(k, page))
    .length;

describe('an area of 1 MB', () => {
  it('vmalloc/V004-03: takes 256 data pages of lowmem in 4.10, none with hm, and the same for everything else', () => {
    const cost = (patches: readonly string[]): { data: number; lowmem: number } => {
      const k = boot(patches);
      // The first area pays for slabs too.
      __vmalloc(k, 4096, kernelMask(k));
      const before = nr_free_pages_of(k, zone_nr(k, ZONE_NORMAL));
      const area = __vmalloc(k, 1 << 20, kernelMask(k));
      return { data: lowmemPages(k, area, 256), lowmem: before - nr_free_pages_of(k, zone_nr(k, ZONE_NORMAL)) };
    };
    const [plain, patched] = [cost([]), cost(HM)];
    expect(plain.data).toBe(256);
    expect(patched.data).toBe(0);
    expect(Math.abs(plain.lowmem - 256 - patched.lowmem)).toBeLessThanOrEqual(8);
  });
});

describe('the array of pages of an area of 1025 pages', () => {
  it('vmalloc/V004-04: is an area itself, of highmem in 4.10 already, and goes with the area', () => {
    for (const patches of [[], HM]) {
      const k = boot(patches);
      const area = __vmalloc(k, 1025 * 4096, kernelMask(k));
      const array = vaddr(k.read(find_vm_area(k, area), struct_vm_struct.pages));
      expect(is_vmalloc_addr(k, array)).toBe(true);
      expect(lowmemPages(k, array, 2)).toBe(0);
      expect(lowmemPages(k, area, 1025)).toBe(patches.length === 0 ? 1025 : 0);
      vfree(k, area);
      expect(find_vm_area(k, array)).toBe(NULL);
    }
  });
});

describe('a highmem request that falls back', () => {
  const last = (reserve: number | null): { served: number; left: number; kernel: boolean } => {
    const k = boot(HM, { watermarks: true });
    const normal = zone_nr(k, ZONE_NORMAL);
    if (reserve !== null) k.store(vaddr(normal + struct_zone.lowmem_reserve.offset + ZONE_HIGHMEM * 4), reserve);
    drainZone(k, zone_nr(k, ZONE_HIGHMEM), 0);
    const { GFP_HIGHUSER, __GFP_DIRECT_RECLAIM, __GFP_NOWARN } = gfp(k);
    drainZone(k, normal, 600);
    let served = 0;
    while (alloc_page(k, (GFP_HIGHUSER & ~__GFP_DIRECT_RECLAIM) | __GFP_NOWARN) !== NULL) served++;
    const left = nr_free_pages_of(k, normal);
    const kernel = left > k.read(normal, struct_zone.pages_low) && alloc_page(k, kernelMask(k)) !== NULL;
    return { served, left, kernel };
  };

  it('vmalloc/V004-12: leaves the reserve to GFP_KERNEL, which is served at once', () => {
    const { left, kernel } = last(null);
    expect(left).toBeGreaterThanOrEqual(128 + 384 - 8);
    expect(kernel).toBe(true);
  });

  it('vmalloc/V004-12: without a reserve takes lowmem down to its min mark', () => {
    const { left, kernel } = last(0);
    expect(left).toBeLessThanOrEqual(128);
    expect(kernel).toBe(false);
  });
});

describe('the zones of an area, when one is used up after the other', () => {
  it('vmalloc/V004-14: are Normal and DMA in 4.10, with HighMem before them under hm', () => {
    const order = (patches: readonly string[]): number[] => {
      const k = boot(patches, { lowmemPages: 1024, dmaPages: 512, highmemPages: 256 });
      const zones: number[] = [];
      const { GFP_KERNEL, __GFP_NORETRY, __GFP_NOWARN } = gfp(k);
      for (;;) {
        const free = nr_free_pages_of(k, zone_nr(k, ZONE_NORMAL)) + nr_free_pages_of(k, zone_nr(k, ZONE_DMA));
        if (free < 64) break;
        const area = __vmalloc(k, 16 * 4096, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
        for (let i = 0; i < 16; i++) {
          const zone = page_zonenum(k, vmalloc_to_page(k, area + i * 4096));
          if (zones.at(-1) !== zone) zones.push(zone);
        }
      }
      return zones;
    };
    expect(order([])).toEqual([ZONE_NORMAL, ZONE_DMA]);
    expect(order(HM)).toEqual([ZONE_HIGHMEM, ZONE_NORMAL, ZONE_DMA]);
  });
});

describe('PA-RISC, which has no highmem', () => {
  it('vmalloc/V004-15: has the same counters with and without hm', () => {
    const counters = (patches: readonly string[]): string => {
      const { k } = localMachine('pa8800', { kernel: '4.10', patches: [...patches], lowmemPages: 1024 });
      for (let i = 0; i < 8; i++) __vmalloc(k, (i + 1) * 4096, kernelMask(k));
      vfree(k, __vmalloc(k, 32 * 4096, kernelMask(k)));
      return zoneinfo(k);
    };
    expect(counters(HM)).toBe(counters([]));
    expect(counters(HM)).toContain('Normal');
  });
});
