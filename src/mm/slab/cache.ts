/**
 * struct kmem_cache, kmem_list3, array_cache and slab of SLAB: where their parts are.
 * Source: mm/slab.c, Linux 2.6.22; spec/slab-dma.md §1.6, §2.5.
 *
 * Differs: caches, lists and arrays stand in static memory; the kernel kmalloc()s the arrays, and all but the first caches.
 */
import type { Kernel } from '../../cpu/kernel.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { type List, list_of } from '../../shared/list.js';
import type { SpinLock } from '../../shared/spinlock.js';
import type { Structs } from '../../shared/structs/configured.js';
import { struct_page } from '../../shared/structs/page.js';
import { type Ptr, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import type { Page } from '../page.js';
import { virt_to_head_page } from '../slab-common.js';
import { readString } from '../string.js';
import { mallocSizes } from './sizes.js';

export type SlabCache = Ptr<'slab_kmem_cache'>;
export type List3 = Ptr<'kmem_list3'>;
export type ArrayCache = Ptr<'array_cache'>;
export type Slab = Ptr<'slab'>;

/** kmem_cache_create() takes from these. */
const SPARE_CACHES = 12;
export const SLAB_NAME_BYTES = 24;
/** Most entries of a CPU's array, and of the array that CPUs share: 8 * batchcount. */
const ENTRIES = 120;
const SHARED_ENTRIES = 8 * 60;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    slab_caches_pool: SlabCache;
    slab_list3_pool: List3;
    /** Arrays of each cache: one for each CPU. */
    slab_arrays_pool: Vaddr;
    slab_shared_pool: Vaddr;
    slab_names: Vaddr;
    slab_pool_used: Vaddr;
    /** Head of the list of caches. */
    cache_chain: List;
    cache_chain_mutex: SpinLock;
  }
}

/** Classes of kmalloc(), those with GFP_DMA, and the spare ones. */
const poolSize = (lineBytes: number): number => 2 * mallocSizes(lineBytes).length + SPARE_CACHES;

const arrayBytes = (structs: Structs, entries: number): number => structs.array_cache.sizeof + entries * 4;

export function slabPoolSymbols(structs: Structs, cpus: number, lineBytes: number): Record<string, SymbolSpec> {
  const pool = poolSize(lineBytes);
  return {
    slab_caches_pool: { bytes: pool * structs.slab_kmem_cache.sizeof, align: 32 },
    slab_list3_pool: { bytes: pool * structs.kmem_list3.sizeof, align: 32 },
    slab_arrays_pool: { bytes: pool * cpus * arrayBytes(structs, ENTRIES), align: 32 },
    slab_shared_pool: { bytes: cpus > 1 ? pool * arrayBytes(structs, SHARED_ENTRIES) : 4, align: 32 },
    slab_names: { bytes: pool * SLAB_NAME_BYTES, align: 32 },
    slab_pool_used: { bytes: 4 },
    cache_chain: { bytes: 8 },
    cache_chain_mutex: { bytes: 4 },
  };
}

export const slabCacheAt = (k: Kernel, n: number): SlabCache =>
  ptr<'slab_kmem_cache'>(k.sym.slab_caches_pool + n * k.structs.slab_kmem_cache.sizeof);
export const list3At = (k: Kernel, n: number): List3 =>
  ptr<'kmem_list3'>(k.sym.slab_list3_pool + n * k.structs.kmem_list3.sizeof);
export const arrayAt = (k: Kernel, n: number, cpu: number): ArrayCache =>
  ptr<'array_cache'>(k.sym.slab_arrays_pool + (n * k.config.cpus + cpu) * arrayBytes(k.structs, ENTRIES));
export const sharedAt = (k: Kernel, n: number): ArrayCache =>
  ptr<'array_cache'>(k.sym.slab_shared_pool + n * arrayBytes(k.structs, SHARED_ENTRIES));
export const slabNameAt = (k: Kernel, n: number): Vaddr => vaddr(k.sym.slab_names + n * SLAB_NAME_BYTES);
export const isPoolFull = (k: Kernel, n: number): boolean => n >= poolSize(k.config.core.dcache.lineBytes);

export const cpu_cache_get = (k: Kernel, s: SlabCache): ArrayCache =>
  k.loadPtr<'array_cache'>(vaddr(s + k.structs.slab_kmem_cache.array.offset + k.cpu * 4));
export const entryOf = (k: Kernel, ac: ArrayCache, index: number): Vaddr =>
  vaddr(ac + k.structs.array_cache.sizeof + index * 4);
export const nodelist = (k: Kernel, s: SlabCache): List3 =>
  ptr<'kmem_list3'>(k.read(s, k.structs.slab_kmem_cache.nodelists));
export const listLockOf = (k: Kernel, l3: List3): SpinLock =>
  ptr<'spinlock'>(l3 + k.structs.kmem_list3.list_lock.offset);
export const partialOf = (k: Kernel, l3: List3): List => list_of(l3, k.structs.kmem_list3.slabs_partial.offset);
export const fullOf = (k: Kernel, l3: List3): List => list_of(l3, k.structs.kmem_list3.slabs_full.offset);
export const freeOf = (k: Kernel, l3: List3): List => list_of(l3, k.structs.kmem_list3.slabs_free.offset);
export const listOfSlab = (k: Kernel, slab: Slab): List => list_of(slab, k.structs.slab.list.offset);
export const chainOf = (k: Kernel, s: SlabCache): List => list_of(s, k.structs.slab_kmem_cache.next.offset);

/** The chain of free objects of a slab: the index of the next one, for each object, behind struct slab. */
export const bufctl = (k: Kernel, slab: Slab, index: number): Vaddr => vaddr(slab + k.structs.slab.sizeof + index * 4);
export const BUFCTL_END = 0xffffffff;
/** What the entry of an object holds that is handed out, with CONFIG_DEBUG_SLAB; the name is the kernel's. */
export const BUFCTL_FREE = 0xfffffffe;
/** The largest index. */
export const SLAB_LIMIT = 0xfffffffc;

/** A page of a slab knows cache and slab by the words of its list head: `mapping` is not touched. */
const NEXT = struct_page.lru.offset;
export function setPageOwner(k: Kernel, page: Page, s: SlabCache, slab: Slab): void {
  k.store(vaddr(page + NEXT), s);
  k.store(vaddr(page + NEXT + 4), slab);
}
export const page_get_cache = (k: Kernel, page: Page): SlabCache => k.loadPtr<'slab_kmem_cache'>(vaddr(page + NEXT));
export const virt_to_slab = (k: Kernel, x: Vaddr): Slab => k.loadPtr<'slab'>(vaddr(virt_to_head_page(k, x) + NEXT + 4));

export const slabNameOf = (k: Kernel, s: SlabCache): string =>
  readString(k, vaddr(k.read(s, k.structs.slab_kmem_cache.name)));
