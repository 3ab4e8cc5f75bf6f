/**
 * mm/slab.c: the slab allocator with queues. Each CPU has an array of free objects of each cache, filled and emptied in batches from an array that CPUs
 * share, and that from slabs on three lists. What SLAB knows about a slab stands in the slab or in an object of another cache; struct page only
 * points to it, by the words of its list head: `mapping` stays NULL.
 *
 * Source: mm/slab.c, Linux 2.6.22.19; spec/slab-dma.md §1.6, §2.5. Slabs are page contents: struct slab, its chain and the objects go through the data
 * cache. Caches, lists and arrays are static data.
 * With CONFIG_DEBUG_SLAB the entry of the chain is marked while its object is handed out, and looked at when it comes back.
 * Shrinking and destruction are slab/shrink.ts. Left out: NUMA, statistics, the periodic reaping of arrays.
 */
import type { Kernel } from '../cpu/kernel.js';
import { BUG_ON } from '../shared/bug.js';
import {
  in_interrupt,
  local_irq_disable,
  local_irq_enable,
  local_irq_restore,
  local_irq_save,
  might_sleep,
  might_sleep_if,
} from '../shared/irqflags.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_add_tail,
  list_del,
  list_next,
} from '../shared/list.js';
import { mutexFile } from '../shared/mutex.js';
import { spin_lock, spin_unlock } from '../shared/spinlock.js';
import { PG_slab } from '../shared/structs/page.js';
import { NULL, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { LINUX_2_6 } from '../shared/version.js';
import { gfp, gfpflags_allow_blocking } from './gfp.js';
import { initSpin, lockSpin, unlockSpin } from './lock-types.js';
import { lockdep_trace_alloc } from './lockdep.js';
import { lowmem_page_address, page_plus } from './page.js';
import { __free_pages, alloc_pages } from './page_alloc.js';
import {
  type ArrayCache,
  arrayAt,
  BUFCTL_END,
  BUFCTL_FREE,
  bufctl,
  chainOf,
  cpu_cache_get,
  entryOf,
  freeOf,
  fullOf,
  isPoolFull,
  type List3,
  list3At,
  listLockOf,
  listOfSlab,
  nodelist,
  page_get_cache,
  partialOf,
  SLAB_NAME_BYTES,
  type Slab,
  type SlabCache,
  setPageOwner,
  sharedAt,
  slabCacheAt,
  slabNameAt,
  slabNameOf,
  virt_to_slab,
} from './slab/cache.js';
import {
  cache_alloc_debugcheck_after,
  cache_free_debugcheck,
  checkBufctl,
  initDebugObject,
  slab_destroy_objs,
} from './slab/debug.js';
import {
  CFLGS_OFF_SLAB,
  mallocSizes,
  SLAB_CACHE_DMA,
  SLAB_HWCACHE_ALIGN,
  SLAB_PANIC,
  slabParameters,
  slabSizes,
  tunables,
} from './slab/sizes.js';
import {
  ARCH_KMALLOC_MINALIGN,
  type CacheCounters,
  clearPageFlags,
  construct,
  PageSlab,
  refusesInterrupts,
  setPageFlags,
  slabHookFile,
  virt_to_head_page,
} from './slab-common.js';
import { memset, writeString } from './string.js';

/** Most objects that an array is refilled with which nobody has used for a while. */
const BATCHREFILL_LIMIT = 16;

// ---- objects of a slab ---------------------------------------------------------------------------------------------

function index_to_obj(k: Kernel, s: SlabCache, slab: Slab, index: number): Vaddr {
  return vaddr(k.read(slab, k.structs.slab.s_mem) + k.read(s, k.structs.slab_kmem_cache.buffer_size) * index);
}

/** Context: list_lock held. */
function slab_get_obj(k: Kernel, s: SlabCache, slab: Slab): Vaddr {
  const f = k.structs.slab;
  const index = k.read(slab, f.free);
  const objp = index_to_obj(k, s, slab, index);
  k.write(slab, f.inuse, k.read(slab, f.inuse) + 1);
  const next = k.load32(bufctl(k, slab, index));
  if (k.config.debugSlab) k.store32(bufctl(k, slab, index), BUFCTL_FREE | 0);
  k.write(slab, f.free, next);
  return objp;
}

/** Context: list_lock held. */
function slab_put_obj(k: Kernel, s: SlabCache, slab: Slab, objp: Vaddr): void {
  const f = k.structs.slab;
  const index = (objp - k.read(slab, f.s_mem)) / k.read(s, k.structs.slab_kmem_cache.buffer_size);
  if (k.config.debugSlab) checkBufctl(k, s, slab, index, objp);
  k.store32(bufctl(k, slab, index), k.read(slab, f.free));
  k.write(slab, f.free, index);
  k.write(slab, f.inuse, k.read(slab, f.inuse) - 1);
}

export function changeFree(k: Kernel, l3: List3, by: number): void {
  const { free_objects } = k.structs.kmem_list3;
  k.write(l3, free_objects, k.read(l3, free_objects) + by);
}

// ---- slabs ---------------------------------------------------------------------------------------------------------

/** Pages that say they belong to a slab, each of them: they are no compound page. Return: linear address, or NULL. */
function kmem_getpages(k: Kernel, s: SlabCache, flags: number): Vaddr {
  const f = k.structs.slab_kmem_cache;
  const order = k.read(s, f.gfporder);
  const page = alloc_pages(k, (flags | k.read(s, f.gfpflags)) >>> 0, order);
  if (page === NULL) return NULL;
  for (let i = 0; i < 1 << order; i++) setPageFlags(k, page_plus(page, i), 1 << PG_slab);
  return lowmem_page_address(k, page);
}

function kmem_freepages(k: Kernel, s: SlabCache, addr: Vaddr): void {
  const order = k.read(s, k.structs.slab_kmem_cache.gfporder);
  const page = virt_to_head_page(k, addr);
  for (let i = 0; i < 1 << order; i++) {
    BUG_ON(k, !PageSlab(k, page_plus(page, i)), 'mm/slab.c kmem_freepages: no slab page', page);
    clearPageFlags(k, page_plus(page, i), 1 << PG_slab);
  }
  __free_pages(k, page, order);
}

/** struct slab: at the beginning of the pages, behind the colour, or an object of another cache. */
function alloc_slabmgmt(k: Kernel, s: SlabCache, pages: Vaddr, colour: number, flags: number): Slab {
  const f = k.structs.slab_kmem_cache;
  const offSlab = (k.read(s, f.flags) & CFLGS_OFF_SLAB) !== 0;
  const addr = offSlab ? kmem_cache_alloc(k, ptr<'slab_kmem_cache'>(k.read(s, f.slabp_cache)), flags) : pages + colour;
  if (addr === NULL) return NULL;
  const slab = ptr<'slab'>(addr);
  const colouroff = offSlab ? colour : colour + k.read(s, f.slab_size);
  k.write(slab, k.structs.slab.inuse, 0);
  k.write(slab, k.structs.slab.colouroff, colouroff);
  k.write(slab, k.structs.slab.s_mem, pages + colouroff);
  return slab;
}

function slab_map_pages(k: Kernel, s: SlabCache, slab: Slab, pages: Vaddr): void {
  const page = virt_to_head_page(k, pages);
  const count = 1 << k.read(s, k.structs.slab_kmem_cache.gfporder);
  for (let i = 0; i < count; i++) setPageOwner(k, page_plus(page, i), s, slab);
}

function cache_init_objs(k: Kernel, s: SlabCache, slab: Slab): void {
  const num = k.read(s, k.structs.slab_kmem_cache.num);
  const ctor = k.read(s, k.structs.slab_kmem_cache.ctor);
  for (let i = 0; i < num; i++) {
    const objp = index_to_obj(k, s, slab, i);
    if (k.config.debugSlab) initDebugObject(k, s, objp, ctor);
    else construct(k, ctor, objp, s);
    k.store32(bufctl(k, slab, i), i + 1 < num ? i + 1 : BUFCTL_END | 0);
  }
  k.write(slab, k.structs.slab.free, 0);
}

/** Where the objects of the next slab begin: a line further each time, as far as there is room. Takes and releases list_lock. */
function nextColour(k: Kernel, s: SlabCache, l3: List3): number {
  const { colour_next } = k.structs.kmem_list3;
  lockLists(k, l3);
  const offset = k.read(l3, colour_next);
  const next = offset + 1;
  k.write(l3, colour_next, next >= k.read(s, k.structs.slab_kmem_cache.colour) ? 0 : next);
  unlockLists(k, l3);
  return offset * k.read(s, k.structs.slab_kmem_cache.colour_off);
}

/**
 * One more slab, all free.
 *
 * Context: interrupts off; they are on meanwhile if the mask allows to sleep. Takes and releases list_lock.
 */
function cache_grow(k: Kernel, s: SlabCache, flags: number): boolean {
  const { GFP_LEVEL_MASK, GFP_RECLAIM_MASK } = gfp(k);
  const local_flags = flags & (GFP_LEVEL_MASK | GFP_RECLAIM_MASK);
  const l3 = nodelist(k, s);
  const colour = nextColour(k, s, l3);
  const maySleep = gfpflags_allow_blocking(k, local_flags);
  if (maySleep) local_irq_enable(k);
  const slab = makeSlab(k, s, colour, local_flags);
  if (maySleep) local_irq_disable(k);
  if (slab === NULL) return false;
  lockLists(k, l3);
  list_add_tail(k, listOfSlab(k, slab), freeOf(k, l3));
  changeFree(k, l3, k.read(s, k.structs.slab_kmem_cache.num));
  unlockLists(k, l3);
  return true;
}

function makeSlab(k: Kernel, s: SlabCache, colour: number, flags: number): Slab {
  const pages = kmem_getpages(k, s, flags);
  if (pages === NULL) return NULL;
  const slab = alloc_slabmgmt(k, s, pages, colour, flags);
  if (slab === NULL) {
    kmem_freepages(k, s, pages);
    return NULL;
  }
  k.write(slab, k.structs.slab.nodeid, 0);
  slab_map_pages(k, s, slab, pages);
  cache_init_objs(k, s, slab);
  return slab;
}

/** Context: any; the slab is on no list. */
export function slab_destroy(k: Kernel, s: SlabCache, slab: Slab): void {
  if (k.config.debugSlab) slab_destroy_objs(k, s, slab);
  const pages = vaddr(k.read(slab, k.structs.slab.s_mem) - k.read(slab, k.structs.slab.colouroff));
  kmem_freepages(k, s, pages);
  const f = k.structs.slab_kmem_cache;
  if ((k.read(s, f.flags) & CFLGS_OFF_SLAB) === 0) return;
  const irqs = local_irq_save(k);
  __cache_free(k, ptr<'slab_kmem_cache'>(k.read(s, f.slabp_cache)), slab);
  local_irq_restore(k, irqs);
}

// ---- arrays --------------------------------------------------------------------------------------------------------

/** Move up to @max objects from one array to the other. Context: list_lock held. Return: how many. */
function transfer_objects(k: Kernel, to: ArrayCache, from: ArrayCache, max: number): number {
  const f = k.structs.array_cache;
  const [have, there] = [k.read(from, f.avail), k.read(to, f.avail)];
  const nr = Math.min(have, max, k.read(to, f.limit) - there);
  if (nr <= 0) return 0;
  for (let i = 0; i < nr; i++) k.store(entryOf(k, to, there + i), k.load(entryOf(k, from, have - nr + i)));
  k.write(from, f.avail, have - nr);
  k.write(to, f.avail, there + nr);
  k.write(to, f.touched, 1);
  return nr;
}

export const sharedOf = (k: Kernel, l3: List3): ArrayCache =>
  ptr<'array_cache'>(k.read(l3, k.structs.kmem_list3.shared));

/** From the shared array or from slabs into this CPU's array. Context: list_lock held. */
function refill(k: Kernel, s: SlabCache, ac: ArrayCache, l3: List3, batchcount: number): void {
  const shared = sharedOf(k, l3);
  if (shared !== NULL && transfer_objects(k, ac, shared, batchcount) > 0) return;
  const { avail } = k.structs.array_cache;
  let left = batchcount;
  while (left > 0) {
    const slab = slabWithFree(k, l3);
    if (slab === NULL) break;
    left = takeObjects(k, s, ac, slab, left);
    list_del(k, listOfSlab(k, slab));
    const full = k.read(slab, k.structs.slab.free) >>> 0 === BUFCTL_END;
    list_add(k, listOfSlab(k, slab), full ? fullOf(k, l3) : partialOf(k, l3));
  }
  changeFree(k, l3, -k.read(ac, avail));
}

function slabWithFree(k: Kernel, l3: List3): Slab {
  const partial = list_next(k, partialOf(k, l3));
  if (partial !== partialOf(k, l3)) return container_of<'slab'>(partial, k.structs.slab.list.offset);
  k.write(l3, k.structs.kmem_list3.free_touched, 1);
  const free = list_next(k, freeOf(k, l3));
  return free === freeOf(k, l3) ? NULL : container_of<'slab'>(free, k.structs.slab.list.offset);
}

/** Return: how many are still wanted. */
function takeObjects(k: Kernel, s: SlabCache, ac: ArrayCache, slab: Slab, wanted: number): number {
  const { avail } = k.structs.array_cache;
  const num = k.read(s, k.structs.slab_kmem_cache.num);
  let left = wanted;
  while (left > 0 && k.read(slab, k.structs.slab.inuse) < num) {
    const at = k.read(ac, avail);
    k.store(entryOf(k, ac, at), slab_get_obj(k, s, slab));
    k.write(ac, avail, at + 1);
    left--;
  }
  return left;
}

/** The lock of a cache's lists. Context: interrupts off. */
export function lockLists(k: Kernel, l3: List3): void {
  if (!k.patched['mutant-slab-no-list-lock']) lockSpin(k, listLockOf(k, l3));
}
export function unlockLists(k: Kernel, l3: List3): void {
  if (!k.patched['mutant-slab-no-list-lock']) unlockSpin(k, listLockOf(k, l3));
}

/** This CPU's array is empty. Context: interrupts off; on meanwhile if a slab has to be made and the mask allows to sleep. */
function cache_alloc_refill(k: Kernel, s: SlabCache, flags: number): Vaddr {
  const f = k.structs.array_cache;
  let ac = cpu_cache_get(k, s);
  for (;;) {
    let batchcount = k.read(ac, f.batchcount);
    if (k.read(ac, f.touched) === 0) batchcount = Math.min(batchcount, BATCHREFILL_LIMIT);
    const l3 = nodelist(k, s);
    lockLists(k, l3);
    refill(k, s, ac, l3, batchcount);
    unlockLists(k, l3);
    if (k.read(ac, f.avail) === 0) {
      const grown = cache_grow(k, s, flags);
      // Interrupts may have been on: the array may have been filled meanwhile.
      ac = cpu_cache_get(k, s);
      if (k.read(ac, f.avail) === 0) {
        if (!grown) return NULL;
        continue;
      }
    }
    k.write(ac, f.touched, 1);
    return pop(k, ac);
  }
}

function pop(k: Kernel, ac: ArrayCache): Vaddr {
  const { avail } = k.structs.array_cache;
  const at = k.read(ac, avail) - 1;
  k.write(ac, avail, at);
  return vaddr(k.load(entryOf(k, ac, at)) >>> 0);
}

/** Objects go back to their slabs; slabs that are all free beyond the limit go away. Context: list_lock held. */
export function free_block(k: Kernel, s: SlabCache, ac: ArrayCache, count: number): void {
  const l3 = nodelist(k, s);
  const { free_objects, free_limit } = k.structs.kmem_list3;
  for (let i = 0; i < count; i++) {
    const objp = vaddr(k.load(entryOf(k, ac, i)) >>> 0);
    const slab = virt_to_slab(k, objp);
    list_del(k, listOfSlab(k, slab));
    slab_put_obj(k, s, slab, objp);
    changeFree(k, l3, 1);
    if (k.read(slab, k.structs.slab.inuse) !== 0) list_add_tail(k, listOfSlab(k, slab), partialOf(k, l3));
    else if (k.read(l3, free_objects) > k.read(l3, free_limit)) {
      changeFree(k, l3, -k.read(s, k.structs.slab_kmem_cache.num));
      slab_destroy(k, s, slab);
    } else list_add(k, listOfSlab(k, slab), freeOf(k, l3));
  }
}

/** This CPU's array is full: a batch goes to the shared array, or to the slabs. Context: interrupts off. */
function cache_flusharray(k: Kernel, s: SlabCache, ac: ArrayCache): void {
  const f = k.structs.array_cache;
  const l3 = nodelist(k, s);
  let batchcount = k.read(ac, f.batchcount);
  lockLists(k, l3);
  const shared = sharedOf(k, l3);
  const have = shared === NULL ? 0 : k.read(shared, f.avail);
  const room = shared === NULL ? 0 : k.read(shared, f.limit) - have;
  if (room > 0) {
    batchcount = Math.min(batchcount, room);
    for (let i = 0; i < batchcount; i++) k.store(entryOf(k, shared, have + i), k.load(entryOf(k, ac, i)));
    k.write(shared, f.avail, have + batchcount);
  } else free_block(k, s, ac, batchcount);
  unlockLists(k, l3);
  const left = k.read(ac, f.avail) - batchcount;
  k.write(ac, f.avail, left);
  for (let i = 0; i < left; i++) k.store(entryOf(k, ac, i), k.load(entryOf(k, ac, batchcount + i)));
}

// ---- alloc, free ---------------------------------------------------------------------------------------------------

/**
 * An object of the cache.
 *
 * Context: any if the mask does not allow to sleep, else process. Interrupts are off in it; takes and releases list_lock.
 * Return:  NULL when the page allocator has nothing.
 */
export function kmem_cache_alloc(k: Kernel, s: SlabCache, flags: number): Vaddr {
  lockdep_trace_alloc(k, flags);
  k.op();
  // cache_alloc_debugcheck_before(), which is there without CONFIG_DEBUG_SLAB as well.
  if (k.LINUX_VERSION_CODE >= LINUX_2_6)
    might_sleep_if(k, gfpflags_allow_blocking(k, flags), slabHookFile(k, 'mm/slab.c:0'));
  const irqs = local_irq_save(k);
  const ac = cpu_cache_get(k, s);
  let objp: Vaddr;
  if (k.read(ac, k.structs.array_cache.avail) > 0) {
    k.write(ac, k.structs.array_cache.touched, 1);
    objp = pop(k, ac);
  } else objp = cache_alloc_refill(k, s, flags);
  local_irq_restore(k, irqs);
  if (objp === NULL || !k.config.debugSlab) return objp;
  return cache_alloc_debugcheck_after(k, s, objp);
}

/** Context: interrupts off. */
function __cache_free(k: Kernel, s: SlabCache, x: Vaddr): void {
  const objp = k.config.debugSlab ? cache_free_debugcheck(k, s, x) : x;
  const ac = cpu_cache_get(k, s);
  const { avail, limit } = k.structs.array_cache;
  if (k.read(ac, avail) >= k.read(ac, limit)) cache_flusharray(k, s, ac);
  const at = k.read(ac, avail);
  k.store(entryOf(k, ac, at), objp);
  k.write(ac, avail, at + 1);
}

/** Context: any. */
export function kmem_cache_free(k: Kernel, s: SlabCache, x: Vaddr): void {
  k.op();
  const irqs = local_irq_save(k);
  __cache_free(k, s, x);
  local_irq_restore(k, irqs);
}

/** virt_to_cache(). Errors: BUG when the page is no slab's. */
function cacheOf(k: Kernel, x: Vaddr): SlabCache {
  const page = virt_to_head_page(k, x);
  BUG_ON(k, !PageSlab(k, page), 'mm/slab.c page_get_cache: no slab page', page);
  return page_get_cache(k, page);
}

/** Context: any. NULL is ignored. */
export function kfree(k: Kernel, x: Vaddr): void {
  if (x === NULL) return;
  k.op();
  const irqs = local_irq_save(k);
  __cache_free(k, cacheOf(k, x), x);
  local_irq_restore(k, irqs);
}

/** How many bytes of an object may be used. Context: any. */
export function ksize(k: Kernel, x: Vaddr): number {
  return x === NULL ? 0 : objSize(k, cacheOf(k, x));
}

function objSize(k: Kernel, s: SlabCache): number {
  const f = k.structs.slab_kmem_cache;
  return k.read(s, k.config.debugSlab ? f.obj_size : f.buffer_size);
}

// ---- kmalloc -------------------------------------------------------------------------------------------------------

/** Number of the class in the pool, or -1. */
function classOf(k: Kernel, size: number, dma: boolean): number {
  const sizes = mallocSizes(k.config.core.dcache.lineBytes);
  const index = sizes.findIndex((bytes) => bytes >= size);
  return index < 0 ? -1 : index * 2 + (dma ? 1 : 0);
}

/** __find_general_cachep(). NULL for sizes that have no class. */
export function kmallocCache(k: Kernel, size: number, dma = false): SlabCache {
  const n = classOf(k, size, dma);
  return n < 0 ? NULL : slabCacheAt(k, n);
}

/** Context: any if the mask does not allow to sleep, else process. Return: NULL when there is none, or for sizes above 4 MB. */
export function __kmalloc(k: Kernel, size: number, flags: number): Vaddr {
  const { GFP_DMA, __GFP_ZERO } = gfp(k);
  const s = kmallocCache(k, size, (flags & GFP_DMA) !== 0);
  if (s === NULL) return NULL;
  const x = kmem_cache_alloc(k, s, flags & ~__GFP_ZERO);
  if (x !== NULL && (flags & __GFP_ZERO) !== 0) memset(k, x, 0, objSize(k, s));
  return x;
}

// ---- caches --------------------------------------------------------------------------------------------------------

function initArray(k: Kernel, ac: ArrayCache, limit: number, batchcount: number): void {
  const f = k.structs.array_cache;
  k.write(ac, f.avail, 0);
  k.write(ac, f.limit, limit);
  k.write(ac, f.batchcount, batchcount);
  k.write(ac, f.touched, 0);
  initSpin(k, ptr<'spinlock'>(ac + f.lock.offset), '&nc->lock');
}

function initLists(k: Kernel, l3: List3, shared: ArrayCache, free_limit: number): void {
  const f = k.structs.kmem_list3;
  for (const head of [partialOf(k, l3), fullOf(k, l3), freeOf(k, l3)]) INIT_LIST_HEAD(k, head);
  k.write(l3, f.free_objects, 0);
  k.write(l3, f.free_limit, free_limit);
  k.write(l3, f.colour_next, 0);
  initSpin(k, listLockOf(k, l3), '&parent->list_lock');
  k.write(l3, f.shared, shared);
  k.write(l3, f.alien, NULL);
  k.write(l3, f.free_touched, 0);
}

/** What a cache is made from. */
interface CacheSpec {
  readonly name: string;
  readonly size: number;
  readonly align: number;
  readonly flags: number;
  readonly ctor: number;
}

/** Fill in the @n-th cache of the pool. Return: false when no slab can hold such an object. */
function openCache(k: Kernel, n: number, { name, size, align, flags, ctor }: CacheSpec): boolean {
  const p = slabParameters(k.config);
  const sizes = slabSizes(p, size, flags, align);
  if (sizes === null) return false;
  const s = slabCacheAt(k, n);
  const f = k.structs.slab_kmem_cache;
  const { limit, batchcount, shared } = tunables(p, sizes.buffer_size, k.config.cpus);
  writeString(k, slabNameAt(k, n), name.slice(0, SLAB_NAME_BYTES - 1));
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    k.store(vaddr(s + f.array.offset + cpu * 4), arrayAt(k, n, cpu));
    initArray(k, arrayAt(k, n, cpu), limit, batchcount);
  }
  if (shared > 0) initArray(k, sharedAt(k, n), shared * batchcount, 0xbaadf00d);
  k.write(s, f.batchcount, batchcount);
  k.write(s, f.limit, limit);
  k.write(s, f.shared, shared);
  k.write(s, f.buffer_size, sizes.buffer_size);
  k.write(s, f.reciprocal_buffer_size, Math.ceil(2 ** 32 / sizes.buffer_size));
  k.write(s, f.flags, sizes.flags);
  k.write(s, f.num, sizes.num);
  k.write(s, f.gfporder, sizes.gfporder);
  k.write(s, f.gfpflags, (flags & SLAB_CACHE_DMA) !== 0 ? gfp(k).GFP_DMA : 0);
  k.write(s, f.colour, sizes.colour);
  k.write(s, f.colour_off, sizes.colour_off);
  k.write(s, f.slab_size, sizes.slab_size);
  const off = (sizes.flags & CFLGS_OFF_SLAB) !== 0;
  k.write(s, f.slabp_cache, off ? kmallocCache(k, sizes.slab_size) : NULL);
  k.write(s, f.ctor, ctor);
  k.write(s, f.name, slabNameAt(k, n));
  k.write(s, f.nodelists, list3At(k, n));
  if (k.config.debugSlab) {
    k.write(s, f.obj_offset, sizes.obj_offset);
    k.write(s, f.obj_size, Math.ceil(size / 4) * 4);
  }
  initLists(k, list3At(k, n), shared > 0 ? sharedAt(k, n) : NULL, (1 + k.config.cpus) * batchcount + sizes.num);
  return true;
}

/** A struct that no cache has: the next one, or one that was given back. Context: cache_chain_mutex held. Return: its number, or -1. */
function spareCache(k: Kernel): number {
  const used = k.load(k.sym.slab_pool_used);
  if (!isPoolFull(k, used)) {
    k.store(k.sym.slab_pool_used, used + 1);
    return used;
  }
  for (let n = 0; !isPoolFull(k, n); n++) {
    if (k.read(slabCacheAt(k, n), k.structs.slab_kmem_cache.num) === 0) return n;
  }
  return -1;
}

/**
 * A cache of objects of one size. @ctor: see `Kernel.ctors`; it is called for each object of a new slab, or, where free objects are poisoned, for each
 * object that is handed out.
 *
 * Context: process, may sleep.
 * Return:  NULL when there is a cache of that name, no slab can hold such an object, or the spare structs are used up.
 * Errors:  BUG in interrupts before 4.x, and for objects below a word; panic instead of NULL with SLAB_PANIC.
 */
export function kmem_cache_create(
  k: Kernel,
  name: string,
  size: number,
  align: number,
  flags: number,
  ctor = 0,
): SlabCache {
  const refused = refusesInterrupts(k) && in_interrupt(k);
  BUG_ON(k, refused || size < 4, 'mm/slab.c kmem_cache_create: early error', size);
  lockChain(k);
  const s = newCache(k, { name, size, align, flags, ctor });
  unlockChain(k);
  if (s === NULL && (flags & SLAB_PANIC) !== 0) {
    k.die('bug', `Kernel panic - not syncing: kmem_cache_create(): failed to create slab \`${name}'`, size);
  }
  return s;
}

/** Differs: a spinlock with the check of a mutex, since nothing under it sleeps here. */
export function lockChain(k: Kernel): void {
  might_sleep(k, mutexFile(k));
  spin_lock(k, k.sym.cache_chain_mutex);
}
export const unlockChain = (k: Kernel): void => spin_unlock(k, k.sym.cache_chain_mutex);

/** Context: cache_chain_mutex held. */
function newCache(k: Kernel, spec: CacheSpec): SlabCache {
  if (eachCache(k).some((other) => slabNameOf(k, other) === spec.name)) {
    k.printk(`kmem_cache_create: duplicate cache ${spec.name}`);
    return NULL;
  }
  const n = spareCache(k);
  if (n < 0 || !openCache(k, n, spec)) return NULL;
  const s = slabCacheAt(k, n);
  list_add(k, chainOf(k, s), k.sym.cache_chain);
  return s;
}

/** Boot: the caches of kmalloc(). */
export function kmem_cache_init(k: Kernel): void {
  INIT_LIST_HEAD(k, k.sym.cache_chain);
  k.store(k.sym.cache_chain_mutex, k.freeLock);
  const align = ARCH_KMALLOC_MINALIGN(k);
  const sizes = mallocSizes(k.config.core.dcache.lineBytes);
  sizes.forEach((size, i) => {
    for (const [nr, suffix, flags] of [
      [0, '', 0],
      [1, '(DMA)', SLAB_CACHE_DMA],
    ] as const) {
      const n = i * 2 + nr;
      const name = `size-${size}${suffix}`;
      if (openCache(k, n, { name, size, align, flags: SLAB_HWCACHE_ALIGN | flags, ctor: 0 })) {
        list_add(k, chainOf(k, slabCacheAt(k, n)), k.sym.cache_chain);
      }
    }
  });
  k.store(k.sym.slab_pool_used, sizes.length * 2);
}

// ---- reports -------------------------------------------------------------------------------------------------------

/** What a list of slabs holds. */
export function countList(k: Kernel, head: List): { slabs: number; inuse: number } {
  let slabs = 0;
  let inuse = 0;
  for (let e = list_next(k, head); e !== head; e = list_next(k, e)) {
    slabs++;
    inuse += k.read(container_of<'slab'>(e, k.structs.slab.list.offset), k.structs.slab.inuse);
  }
  return { slabs, inuse };
}

/** How many objects of the cache are struct slab of other caches. */
function managementObjects(k: Kernel, s: SlabCache): number {
  const f = k.structs.slab_kmem_cache;
  let count = 0;
  for (const other of eachCache(k)) {
    if (k.read(other, f.slabp_cache) !== s) continue;
    const l3 = nodelist(k, other);
    for (const head of [partialOf(k, l3), fullOf(k, l3), freeOf(k, l3)]) count += countList(k, head).slabs;
  }
  return count;
}

/** Count a cache: objects in arrays are free, those that hold other caches' struct slab do not count. Exact when nobody allocates or frees meanwhile. */
export function countCache(k: Kernel, s: SlabCache): CacheCounters {
  const f = k.structs.slab_kmem_cache;
  const l3 = nodelist(k, s);
  const { avail } = k.structs.array_cache;
  const lists = [partialOf(k, l3), fullOf(k, l3), freeOf(k, l3)].map((head) => countList(k, head));
  const [partial, full, free] = lists as [
    ReturnType<typeof countList>,
    ReturnType<typeof countList>,
    ReturnType<typeof countList>,
  ];
  const shared = sharedOf(k, l3);
  let queued = shared === NULL ? 0 : k.read(shared, avail);
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    queued += k.read(ptr<'array_cache'>(k.load(vaddr(s + f.array.offset + cpu * 4)) >>> 0), avail);
  }
  return {
    name: slabNameOf(k, s),
    objsize: objSize(k, s),
    size: k.read(s, f.buffer_size),
    objectsPerSlab: k.read(s, f.num),
    order: k.read(s, f.gfporder),
    slabs: partial.slabs + full.slabs + free.slabs,
    partial: partial.slabs,
    cpuSlabs: 0,
    active: partial.inuse + full.inuse + free.inuse - queued - managementObjects(k, s),
  };
}

/** Every cache, the youngest first. */
export function eachCache(k: Kernel): SlabCache[] {
  const caches: SlabCache[] = [];
  const head = k.sym.cache_chain;
  for (let e = list_next(k, head); e !== head; e = list_next(k, e)) {
    caches.push(container_of<'slab_kmem_cache'>(e, k.structs.slab_kmem_cache.next.offset));
  }
  return caches;
}
