/** struct kmem_cache of SLUB: where its parts are. Source: include/linux/slub_def.h, Linux 2.6.22; spec/slab-dma.md §1.4. */
import type { Kernel } from '../../cpu/kernel.js';
import { type List, list_of } from '../../shared/list.js';
import type { SpinLock } from '../../shared/spinlock.js';
import { PG_error, struct_page } from '../../shared/structs/page.js';
import { type Ptr, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import type { Page } from '../page.js';
import type { Cache } from '../slab-common.js';
import { readString } from '../string.js';

export type Node = Ptr<'kmem_cache_node'>;

/** KMALLOC_SHIFT_HIGH + 1 caches: index 1 and 2 are those of 96 and 192 bytes, 0 is not used. */
export const KMALLOC_CACHES = 23;
/** kmem_cache_create() and kmalloc with GFP_DMA take from these. Differs: the kernel kmalloc()s them. */
export const SPARE_CACHES = 40;
export const NAME_BYTES = 32;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    kmalloc_caches: Ptr<'kmem_cache'>;
    /** A pointer to the cache of each index that GFP_DMA has asked for. */
    kmalloc_caches_dma: Vaddr;
    spare_kmem_caches: Ptr<'kmem_cache'>;
    /** How many of the spare ones are in use. */
    spare_kmem_caches_used: Vaddr;
    kmem_cache_names: Vaddr;
    slab_caches: List;
    slub_lock: SpinLock;
  }
}

/** The n-th cache: kmalloc's first, then the spare ones. */
export function cacheAt(k: Kernel, n: number): Cache {
  const bytes = k.structs.kmem_cache.sizeof;
  return n < KMALLOC_CACHES
    ? ptr<'kmem_cache'>(k.sym.kmalloc_caches + n * bytes)
    : ptr<'kmem_cache'>(k.sym.spare_kmem_caches + (n - KMALLOC_CACHES) * bytes);
}

export const nameAt = (k: Kernel, n: number): Vaddr => vaddr(k.sym.kmem_cache_names + n * NAME_BYTES);

export const get_node = (k: Kernel, s: Cache): Node =>
  ptr<'kmem_cache_node'>(s + k.structs.kmem_cache.local_node.offset);
export const listLockOf = (n: Node): SpinLock => ptr<'spinlock'>(n);
export const partialOf = (k: Kernel, n: Node): List => list_of(n, k.structs.kmem_cache_node.partial.offset);
export const fullOf = (k: Kernel, n: Node): List => list_of(n, k.structs.kmem_cache_node.full.offset);
export const cpuSlabOf = (k: Kernel, s: Cache, cpu: number): Vaddr =>
  vaddr(s + k.structs.kmem_cache.cpu_slab.offset + cpu * 4);
export const lruOf = (page: Page): List => list_of(page, struct_page.lru.offset);

export const nameOf = (k: Kernel, s: Cache): string => readString(k, vaddr(k.read(s, k.structs.kmem_cache.name)));

/** Is one of the checks in force in this slab? */
export const SlabDebug = (k: Kernel, page: Page): boolean => (k.read(page, struct_page.flags) & (1 << PG_error)) !== 0;

/** Next free object. Page contents: through the data cache. */
export const get_freepointer = (k: Kernel, s: Cache, object: Vaddr): Vaddr =>
  vaddr(k.load32(vaddr(object + k.read(s, k.structs.kmem_cache.offset))));

export function set_freepointer(k: Kernel, s: Cache, object: Vaddr, fp: Vaddr): void {
  k.store32(vaddr(object + k.read(s, k.structs.kmem_cache.offset)), fp);
}
