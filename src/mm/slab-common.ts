/**
 * What SLUB and SLAB share: kmalloc sizes, flags, names. Source: include/linux/{slab,slub_def}.h, Linux 2.6.22.
 */
import type { Kernel } from '../cpu/kernel.js';
import { PG_compound, PG_reclaim, PG_slab, struct_page } from '../shared/structs/page.js';
import { type Ptr, ptr, type Vaddr } from '../shared/types.js';
import { KERNEL_VERSION, LINUX_4_4 } from '../shared/version.js';
import { type Page, pfn_to_page } from './page.js';

export const MAX_ORDER = 11;
/** The alignment of long long: 4 with ARM's old ABI. Source: include/linux/slub_def.h, mm/slab.c, Linux 2.6.22. */
export const ARCH_KMALLOC_MINALIGN = (k: Kernel): number => (k.config.core.arch === 'arm' && k.config.oabi ? 4 : 8);

/** Counters of one cache. Exact when nobody allocates or frees meanwhile. */
export interface CacheCounters {
  readonly name: string;
  readonly objsize: number;
  readonly size: number;
  readonly objectsPerSlab: number;
  readonly order: number;
  readonly slabs: number;
  readonly partial: number;
  /** SLUB: slabs that belong to a CPU. */
  readonly cpuSlabs: number;
  /** Objects that are allocated. */
  readonly active: number;
}

/** What kmalloc(0) answers: a pointer that nobody may follow. */
export const ZERO_SIZE_PTR = ptr<never>(16);

export type Cache = Ptr<'kmem_cache'>;

/** Where an allocation asks whether it may sleep: 4.x has one place for both allocators. Source: slab_pre_alloc_hook(), Linux 4.10. */
export const slabHookFile = (k: Kernel, older: string): string =>
  k.LINUX_VERSION_CODE < LINUX_4_4 ? older : 'mm/slab.h:0';

/** Are caches neither made nor given up in interrupts? Source: mm/slab.c, Linux 2.6.22, 3.2; mm/slab_common.c, 4.12, without CONFIG_DEBUG_VM. */
export const refusesInterrupts = (k: Kernel): boolean => k.LINUX_VERSION_CODE < KERNEL_VERSION(3, 7, 0);

/** Differs: struct page of an address, by mem_map arithmetic alone; asm/page.h has the same. */
const virt_to_page = (k: Kernel, x: Vaddr): Page => pfn_to_page(k, (k.__pa(x) >>> 12) as never);

const TAIL = (1 << PG_compound) | (1 << PG_reclaim);

/** The page that holds what an allocator knows about an object. Context: any. */
export function virt_to_head_page(k: Kernel, x: Vaddr): Page {
  const page = virt_to_page(k, x);
  if ((k.read(page, struct_page.flags) & TAIL) !== TAIL) return page;
  return ptr<'page'>(k.read(page, struct_page.private));
}

export const PageSlab = (k: Kernel, page: Page): boolean => (k.read(page, struct_page.flags) & (1 << PG_slab)) !== 0;

/** page->flags |= @bits, a load and a store: safe only where nobody else can change the word. */
export function setPageFlags(k: Kernel, page: Page, bits: number): void {
  k.write(page, struct_page.flags, k.read(page, struct_page.flags) | bits);
}

export function clearPageFlags(k: Kernel, page: Page, bits: number): void {
  k.write(page, struct_page.flags, k.read(page, struct_page.flags) & ~bits);
}

/** Call the constructor with number @ctor, if it is one, for an object. Context: the allocator's; the object is nobody's. */
export function construct(k: Kernel, ctor: number, object: Vaddr, s: number): void {
  if (ctor !== 0) k.ctors[ctor - 1]?.(k, object, s);
}
