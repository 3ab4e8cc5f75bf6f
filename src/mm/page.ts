/** Frames, zones and `struct page`. Source: include/linux/{mm,mmzone}.h, asm-generic/memory_model.h (flat), Linux 2.6.30. */
import type { Kernel } from '../cpu/kernel.js';
import { struct_page } from '../shared/structs/page.js';
import type { Paddr, Pfn, Ptr, Vaddr } from '../shared/types.js';

export type Page = Ptr<'page'>;

/** Zones, low to high. One without pages is in no zonelist. Differs: ZONE_MOVABLE is left out. */
export const ZONE_DMA = 0;
export const ZONE_NORMAL = 1;
export const ZONE_HIGHMEM = 2;
export const MAX_NR_ZONES = 3;
/** The zone stands in the two top bits of page->flags. */
export const ZONES_PGSHIFT = 30;

export const page_to_pfn = (k: Kernel, page: Page): Pfn =>
  (((page - k.sym.mem_map) >>> 5) + (k.config.core.physBase >>> 12)) as Pfn;
export const pfn_to_page = (k: Kernel, pfn: Pfn): Page =>
  (k.sym.mem_map + (pfn - (k.config.core.physBase >>> 12)) * struct_page.sizeof) as Page;
export const page_to_phys = (k: Kernel, page: Page): Paddr => (page_to_pfn(k, page) * 4096) as Paddr;

/** The zone never changes, so no scheduling point. */
export const page_zonenum = (k: Kernel, page: Page): number =>
  (k.words[(page - k.staticBase) >>> 2] as number) >>> ZONES_PGSHIFT;
export const PageHighMem = (k: Kernel, page: Page): boolean =>
  (k.words[((page | 0) - (k.staticBase | 0)) >>> 2] as number) >>> ZONES_PGSHIFT === ZONE_HIGHMEM;

/** Linear address of a lowmem page. */
export const lowmem_page_address = (k: Kernel, page: Page): Vaddr => k.__va(page_to_phys(k, page));

/** The next struct page, as `page + n` in C. */
export const page_plus = (page: Page, n: number): Page => (page + n * struct_page.sizeof) as Page;

/** Smallest n with @size <= 2^n pages. Source: include/asm-generic/page.h. */
export const get_order = (size: number): number => (size <= 4096 ? 0 : 32 - Math.clz32((size - 1) >>> 12));
