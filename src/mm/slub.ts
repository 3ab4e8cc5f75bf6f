/**
 * mm/slub.c: the slab allocator without queues. A slab's free objects form a chain through their own bytes; what the allocator knows about a
 * slab stands in its first struct page, the cache's address in the word that page cache pages call `mapping`.
 *
 * Source: mm/slub.c and include/linux/slub_def.h, Linux 2.6.22.19; spec/slab-dma.md §2.1 to §2.4. All versions run this algorithm.
 * Objects, and so the free chains, are page contents: they go through the data cache. struct page and struct kmem_cache are static data.
 * The patches `mutant-*` are deliberate defects.
 * Caches that fit into one another are one (slub/merge.ts); shrinking and destruction are slub/shrink.ts.
 * Left out: NUMA, sysfs, freeing by RCU.
 */
import type { Kernel } from '../cpu/kernel.js';
import { atomic_dec, atomic_inc, atomic_read } from '../shared/atomic.js';
import { BUG_ON } from '../shared/bug.js';
import {
  local_irq_disable,
  local_irq_enable,
  local_irq_restore,
  local_irq_save,
  might_sleep,
  might_sleep_if,
} from '../shared/irqflags.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_add_tail,
  list_del,
  list_next,
} from '../shared/list.js';
import { spin_lock, spin_unlock } from '../shared/spinlock.js';
import type { Structs } from '../shared/structs/configured.js';
import { PG_active, PG_error, PG_locked, PG_slab, struct_page } from '../shared/structs/page.js';
import { NULL, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION, LINUX_3_13 } from '../shared/version.js';
import { gfp, gfpflags_allow_blocking } from './gfp.js';
import { bit_spin_lock, bit_spin_trylock, bit_spin_unlock, initSpin, lockSpin, unlockSpin } from './lock-types.js';
import { debug_check_no_locks_freed, lockdep_trace_alloc } from './lockdep.js';
import { lowmem_page_address, type Page } from './page.js';
import { __free_pages, alloc_pages } from './page_alloc.js';
import {
  ARCH_KMALLOC_MINALIGN,
  type Cache,
  type CacheCounters,
  clearPageFlags,
  construct,
  setPageFlags,
  slabHookFile,
  virt_to_head_page,
  ZERO_SIZE_PTR,
} from './slab-common.js';
import {
  cacheAt,
  cpuSlabOf,
  fullOf,
  get_freepointer,
  get_node,
  KMALLOC_CACHES,
  listLockOf,
  lruOf,
  NAME_BYTES,
  type Node,
  nameAt,
  nameOf,
  partialOf,
  SlabDebug,
  SPARE_CACHES,
  set_freepointer,
} from './slub/cache.js';
import {
  alloc_debug_processing,
  check_object,
  free_debug_processing,
  init_object,
  init_tracking,
  POISON_INUSE,
  slab_pad_check,
} from './slub/debug.js';
import { find_mergeable } from './slub/merge.js';
import {
  __OBJECT_POISON,
  calculate_sizes,
  DEBUG_SLAB_FLAGS,
  roundUp,
  SLAB_CACHE_DMA,
  SLAB_DESTROY_BY_RCU,
  SLAB_PANIC,
  SLAB_POISON,
  SLAB_RED_ZONE,
  SLAB_STORE_USER,
  sizeParameters,
  slub_debug_flags,
} from './slub/sizes.js';
import { memset, writeString } from './string.js';

/** Empty slabs are kept while there are fewer partial ones. */
const MIN_PARTIAL = 2;
const KMALLOC_SHIFT_LOW = 3;
const KMALLOC_SHIFT_HIGH = KMALLOC_CACHES - 1;

export const slubSymbols = (structs: Structs): Record<string, SymbolSpec> => ({
  kmalloc_caches: { bytes: KMALLOC_CACHES * structs.kmem_cache.sizeof, align: 32 },
  kmalloc_caches_dma: { bytes: KMALLOC_CACHES * 4 },
  spare_kmem_caches: { bytes: SPARE_CACHES * structs.kmem_cache.sizeof, align: 32 },
  spare_kmem_caches_used: { bytes: 4 },
  kmem_cache_names: { bytes: (KMALLOC_CACHES + SPARE_CACHES) * NAME_BYTES, align: 32 },
  slab_caches: { bytes: 8 },
  slub_lock: { bytes: 4 },
});

// ---- the lock of a slab --------------------------------------------------------------------------------------------

const flagsOf = (page: Page): Vaddr => vaddr(page + struct_page.flags.offset);
const unlocked = (k: Kernel): boolean => k.patched['mutant-slub-no-slab-lock'];
export function slab_lock(k: Kernel, page: Page): void {
  if (!unlocked(k)) bit_spin_lock(k, PG_locked, flagsOf(page));
}
export const slab_trylock = (k: Kernel, page: Page): boolean =>
  unlocked(k) || bit_spin_trylock(k, PG_locked, flagsOf(page));
export function slab_unlock(k: Kernel, page: Page): void {
  if (!unlocked(k)) bit_spin_unlock(k, PG_locked, flagsOf(page));
}

/** A frozen slab is some CPU's, and on no list. Context: slab lock held, or the page known to nobody. */
const SlabFrozen = (k: Kernel, page: Page): boolean => (k.read(page, struct_page.flags) & (1 << PG_active)) !== 0;

// ---- lists ---------------------------------------------------------------------------------------------------------

export function changePartial(k: Kernel, n: Node, by: number): void {
  const { nr_partial } = k.structs.kmem_cache_node;
  k.write(n, nr_partial, k.read(n, nr_partial) + by);
}

/** Context: slab lock held, interrupts off. Takes and releases list_lock. */
function add_partial(k: Kernel, n: Node, page: Page, tail: boolean): void {
  lockSpin(k, listLockOf(n));
  changePartial(k, n, 1);
  if (tail) list_add_tail(k, lruOf(page), partialOf(k, n));
  else list_add(k, lruOf(page), partialOf(k, n));
  unlockSpin(k, listLockOf(n));
}

function remove_partial(k: Kernel, s: Cache, page: Page): void {
  const n = get_node(k, s);
  lockSpin(k, listLockOf(n));
  list_del(k, lruOf(page));
  changePartial(k, n, -1);
  unlockSpin(k, listLockOf(n));
}

/** Only debug slabs that remember their users are on the list of full ones. */
function add_full(k: Kernel, n: Node, page: Page): void {
  lockSpin(k, listLockOf(n));
  list_add(k, lruOf(page), fullOf(k, n));
  unlockSpin(k, listLockOf(n));
}

function remove_full(k: Kernel, s: Cache, page: Page): void {
  const n = get_node(k, s);
  if ((k.read(s, k.structs.kmem_cache.flags) & SLAB_STORE_USER) === 0) return;
  lockSpin(k, listLockOf(n));
  list_del(k, lruOf(page));
  unlockSpin(k, listLockOf(n));
}

/**
 * A partial slab whose lock is free, locked, frozen and off the list. The order of locks is the reverse of everybody else's, hence the try.
 *
 * Context: interrupts off. Takes and releases list_lock; returns with the slab's lock.
 */
function get_partial(k: Kernel, s: Cache): Page {
  const n = get_node(k, s);
  if (k.read(n, k.structs.kmem_cache_node.nr_partial) === 0) return NULL;
  lockSpin(k, listLockOf(n));
  const head = partialOf(k, n);
  let found: Page = NULL;
  for (let entry: List = list_next(k, head); entry !== head; entry = list_next(k, entry)) {
    const page = container_of<'page'>(entry, struct_page.lru.offset);
    if (!slab_trylock(k, page)) continue;
    list_del(k, entry);
    changePartial(k, n, -1);
    setPageFlags(k, page, 1 << PG_active);
    found = page;
    break;
  }
  unlockSpin(k, listLockOf(n));
  return found;
}

// ---- slabs ---------------------------------------------------------------------------------------------------------

function allocate_slab(k: Kernel, s: Cache, flags: number): Page {
  const { __GFP_COMP, GFP_DMA } = gfp(k);
  const order = k.read(s, k.structs.kmem_cache.order);
  let mask = order > 0 ? flags | __GFP_COMP : flags;
  if ((k.read(s, k.structs.kmem_cache.flags) & SLAB_CACHE_DMA) !== 0) mask |= GFP_DMA;
  return alloc_pages(k, mask, order);
}

function setup_object(k: Kernel, s: Cache, page: Page, object: Vaddr): void {
  if (SlabDebug(k, page)) {
    init_object(k, s, object, false);
    init_tracking(k, s, object);
  }
  construct(k, k.read(s, k.structs.kmem_cache.ctor), object, s);
}

/**
 * A slab with all its objects free and chained.
 *
 * Context: interrupts off; they are on meanwhile if the mask allows to sleep.
 */
function new_slab(k: Kernel, s: Cache, flags: number): Page {
  const { GFP_LEVEL_MASK, GFP_RECLAIM_MASK } = gfp(k);
  const maySleep = gfpflags_allow_blocking(k, flags);
  if (maySleep) local_irq_enable(k);
  const page = allocate_slab(k, s, flags & (GFP_LEVEL_MASK | GFP_RECLAIM_MASK));
  if (page !== NULL) fillSlab(k, s, page);
  if (maySleep) local_irq_disable(k);
  return page;
}

function fillSlab(k: Kernel, s: Cache, page: Page): void {
  const f = k.structs.kmem_cache;
  atomic_inc(k, vaddr(get_node(k, s) + k.structs.kmem_cache_node.nr_slabs.offset));
  k.write(page, struct_page.offset, k.read(s, f.offset) >>> 2);
  k.write(page, struct_page.slab, s);
  setPageFlags(k, page, 1 << PG_slab);
  const flags = k.read(s, f.flags);
  if ((flags & DEBUG_SLAB_FLAGS) !== 0) setPageFlags(k, page, 1 << PG_error);
  const start = lowmem_page_address(k, page);
  if ((flags & SLAB_POISON) !== 0) memset(k, start, POISON_INUSE, 4096 << k.read(s, f.order));
  const size = k.read(s, f.size);
  const end = start + k.read(s, f.objects) * size;
  let last = start;
  for (let p = start + size; p < end; p += size) {
    setup_object(k, s, page, last);
    set_freepointer(k, s, last, vaddr(p));
    last = vaddr(p);
  }
  setup_object(k, s, page, last);
  set_freepointer(k, s, last, NULL);
  k.write(page, struct_page.freelist, start);
  k.write(page, struct_page.lockless_freelist, NULL);
  k.write(page, struct_page.inuse, 0);
}

/** The slab's pages go back. Context: interrupts off; nobody else knows the page. */
export function discard_slab(k: Kernel, s: Cache, page: Page): void {
  const f = k.structs.kmem_cache;
  atomic_dec(k, vaddr(get_node(k, s) + k.structs.kmem_cache_node.nr_slabs.offset));
  k.write(page, struct_page._mapcount, -1);
  clearPageFlags(k, page, 1 << PG_slab);
  if (SlabDebug(k, page)) {
    slab_pad_check(k, s, page);
    const start = lowmem_page_address(k, page);
    const size = k.read(s, f.size);
    const objects = k.read(s, f.objects);
    for (let i = 0; i < objects; i++) check_object(k, s, page, vaddr(start + i * size), false);
    clearPageFlags(k, page, 1 << PG_error);
  }
  k.write(page, struct_page.mapping, NULL);
  __free_pages(k, page, k.read(s, f.order));
}

/**
 * The slab is no CPU's any more: onto a list, or away.
 *
 * Context: interrupts off, slab lock held, which is released.
 */
function unfreeze_slab(k: Kernel, s: Cache, page: Page): void {
  const n = get_node(k, s);
  clearPageFlags(k, page, 1 << PG_active);
  if (k.read(page, struct_page.inuse) !== 0) {
    if (k.read(page, struct_page.freelist) !== NULL) add_partial(k, n, page, false);
    else if (SlabDebug(k, page) && (k.read(s, k.structs.kmem_cache.flags) & SLAB_STORE_USER) !== 0) {
      add_full(k, n, page);
    }
    slab_unlock(k, page);
  } else if (k.read(n, k.structs.kmem_cache_node.nr_partial) < MIN_PARTIAL) {
    // At the tail: the slabs in use are emptied first.
    add_partial(k, n, page, true);
    slab_unlock(k, page);
  } else {
    slab_unlock(k, page);
    discard_slab(k, s, page);
  }
}

/** Context: interrupts off, slab lock held, which is released. */
function deactivate_slab(k: Kernel, s: Cache, page: Page, cpu: number): void {
  const free = struct_page.lockless_freelist;
  for (let object = k.read(page, free); object !== NULL; object = k.read(page, free)) {
    const link = vaddr(object + k.read(page, struct_page.offset) * 4);
    k.write(page, free, k.load32(link));
    k.store32(link, k.read(page, struct_page.freelist));
    k.write(page, struct_page.freelist, object);
    k.write(page, struct_page.inuse, k.read(page, struct_page.inuse) - 1);
  }
  k.store(cpuSlabOf(k, s, cpu), NULL);
  unfreeze_slab(k, s, page);
}

function flush_slab(k: Kernel, s: Cache, page: Page, cpu: number): void {
  slab_lock(k, page);
  deactivate_slab(k, s, page, cpu);
}

/** This CPU's slab of the cache goes back to the lists. Context: interrupts off; an inter-processor call reaches the others. */
export function __flush_cpu_slab(k: Kernel, s: Cache): void {
  const page = k.loadPtr<'page'>(cpuSlabOf(k, s, k.cpu));
  if (page !== NULL) flush_slab(k, s, page, k.cpu);
}

// ---- alloc ---------------------------------------------------------------------------------------------------------

/**
 * An object, when the CPU's slab has none that is free without a lock.
 *
 * Context: interrupts off; on meanwhile if a slab has to be made and the mask allows to sleep.
 */
function __slab_alloc(k: Kernel, s: Cache, flags: number, cpuPage: Page): Vaddr {
  let page = cpuPage;
  if (page !== NULL) slab_lock(k, page);
  for (;;) {
    if (page !== NULL) {
      const object = load_freelist(k, s, page);
      if (object !== NULL) return object;
      deactivate_slab(k, s, page, k.cpu);
    }
    page = get_partial(k, s);
    if (page === NULL) page = install_new_slab(k, s, flags);
    else k.store(cpuSlabOf(k, s, k.cpu), page);
    if (page === NULL) return NULL;
  }
}

/** The chain of the slab becomes the CPU's own; its first object is the answer. NULL: none is free, the lock is still held. */
function load_freelist(k: Kernel, s: Cache, page: Page): Vaddr {
  const object = vaddr(k.read(page, struct_page.freelist));
  if (object === NULL) return NULL;
  if (SlabDebug(k, page)) return allocDebug(k, s, page, object);
  const next = k.load32(vaddr(object + k.read(page, struct_page.offset) * 4));
  k.write(page, struct_page.lockless_freelist, next);
  k.write(page, struct_page.inuse, k.read(s, k.structs.kmem_cache.objects));
  k.write(page, struct_page.freelist, NULL);
  slab_unlock(k, page);
  return object;
}

function allocDebug(k: Kernel, s: Cache, page: Page, object: Vaddr): Vaddr {
  if (!alloc_debug_processing(k, s, page, object)) return NULL;
  k.write(page, struct_page.inuse, k.read(page, struct_page.inuse) + 1);
  k.write(page, struct_page.freelist, k.load32(vaddr(object + k.read(page, struct_page.offset) * 4)));
  slab_unlock(k, page);
  return object;
}

/**
 * A new slab for this CPU, locked. Another context may have given it one while interrupts were on: that one goes back to the lists. Until
 * 2.6.22.6 (patch `slub-populated-cpu-slab`) it was taken instead of the new one, and the chain that is the CPU's own was overwritten.
 */
function install_new_slab(k: Kernel, s: Cache, flags: number): Page {
  const page = new_slab(k, s, flags);
  if (page === NULL) return NULL;
  const populated = k.loadPtr<'page'>(cpuSlabOf(k, s, k.cpu));
  if (populated !== NULL) {
    if (k.patched['slub-populated-cpu-slab']) {
      discard_slab(k, s, page);
      slab_lock(k, populated);
      return populated;
    }
    flush_slab(k, s, populated, k.cpu);
  }
  slab_lock(k, page);
  setPageFlags(k, page, 1 << PG_active);
  k.store(cpuSlabOf(k, s, k.cpu), page);
  return page;
}

/** From here on each allocation asks whether it may sleep (commit 89124d706db). */
const SLUB_ASKS = KERNEL_VERSION(2, 6, 29);

/**
 * An object of the cache. Its contents are whatever the memory held, unless the cache has a constructor or poison.
 *
 * Context: any if the mask does not allow to sleep, else process. Takes and releases slab and list locks, interrupts off.
 * Return:  NULL when the page allocator has nothing.
 */
export function kmem_cache_alloc(k: Kernel, s: Cache, flags: number): Vaddr {
  lockdep_trace_alloc(k, flags);
  k.op();
  if (k.LINUX_VERSION_CODE >= SLUB_ASKS)
    might_sleep_if(k, gfpflags_allow_blocking(k, flags), slabHookFile(k, 'mm/slub.c:0'));
  const irqs = local_irq_save(k);
  const page = k.loadPtr<'page'>(cpuSlabOf(k, s, k.cpu));
  const first = page === NULL ? NULL : k.read(page, struct_page.lockless_freelist);
  let object: Vaddr;
  if (first === NULL) object = __slab_alloc(k, s, flags, page);
  else {
    object = vaddr(first);
    const next = k.load32(vaddr(object + k.read(page, struct_page.offset) * 4));
    k.write(page, struct_page.lockless_freelist, next);
  }
  local_irq_restore(k, irqs);
  return object;
}

// ---- free ----------------------------------------------------------------------------------------------------------

/** Onto the chain that is under the slab's lock. Context: interrupts off. */
function __slab_free(k: Kernel, s: Cache, page: Page, object: Vaddr): void {
  slab_lock(k, page);
  if (SlabDebug(k, page)) {
    const prior = k.read(page, struct_page.freelist);
    if (!free_debug_processing(k, s, page, object)) {
      slab_unlock(k, page);
      return;
    }
    if (!SlabFrozen(k, page) && prior === NULL) remove_full(k, s, page);
  }
  const prior = k.read(page, struct_page.freelist);
  k.store32(vaddr(object + k.read(page, struct_page.offset) * 4), prior);
  k.write(page, struct_page.freelist, object);
  const inuse = k.read(page, struct_page.inuse) - 1;
  k.write(page, struct_page.inuse, inuse);
  if (SlabFrozen(k, page)) slab_unlock(k, page);
  else if (inuse === 0) {
    if (prior !== NULL) remove_partial(k, s, page);
    slab_unlock(k, page);
    discard_slab(k, s, page);
  } else {
    if (prior === NULL) add_partial(k, get_node(k, s), page, false);
    slab_unlock(k, page);
  }
}

function slab_free(k: Kernel, s: Cache, page: Page, object: Vaddr): void {
  debug_check_no_locks_freed(k, object, s);
  const irqs = k.patched['mutant-slub-free-irqs-on'] ? 0 : local_irq_save(k);
  if (page === k.loadPtr<'page'>(cpuSlabOf(k, s, k.cpu)) && !SlabDebug(k, page)) {
    k.store32(vaddr(object + k.read(page, struct_page.offset) * 4), k.read(page, struct_page.lockless_freelist));
    k.write(page, struct_page.lockless_freelist, object);
  } else __slab_free(k, s, page, object);
  if (!k.patched['mutant-slub-free-irqs-on']) local_irq_restore(k, irqs);
}

/** Context: any. */
export function kmem_cache_free(k: Kernel, s: Cache, object: Vaddr): void {
  k.op();
  slab_free(k, s, virt_to_head_page(k, object), object);
}

// ---- caches --------------------------------------------------------------------------------------------------------

/** What a cache is made from. */
interface CacheSpec {
  readonly name: string;
  /** The name that slub_debug= is compared with. */
  readonly openedAs: string;
  readonly objsize: number;
  readonly align: number;
  readonly flags: number;
  readonly ctor: number;
}

/** Fill in a cache that nobody knows yet. Return: false when no slab can hold such an object. */
function kmem_cache_open(k: Kernel, n: number, { name, openedAs, objsize, align, flags, ctor }: CacheSpec): boolean {
  const s = cacheAt(k, n);
  const f = k.structs.kmem_cache;
  const all = flags | slub_debug_flags(k.config.slubDebug, openedAs, objsize);
  const sizes = calculate_sizes(sizeParameters(k.config), objsize, all, align, ctor !== 0);
  if (sizes === null) return false;
  writeString(k, nameAt(k, n), name.slice(0, NAME_BYTES - 1));
  const poisons = (all & SLAB_POISON) !== 0 && (all & SLAB_DESTROY_BY_RCU) === 0 && ctor === 0;
  k.write(s, f.flags, poisons ? all | __OBJECT_POISON : all);
  k.write(s, f.size, sizes.size);
  k.write(s, f.objsize, objsize);
  k.write(s, f.offset, sizes.offset);
  k.write(s, f.order, sizes.order);
  k.write(s, f.objects, sizes.objects);
  k.write(s, f.refcount, 1);
  k.write(s, f.ctor, ctor);
  k.write(s, f.inuse, sizes.inuse);
  k.write(s, f.align, align);
  k.write(s, f.name, nameAt(k, n));
  init_kmem_cache_node(k, get_node(k, s));
  return true;
}

function init_kmem_cache_node(k: Kernel, n: Node): void {
  k.write(n, k.structs.kmem_cache_node.nr_partial, 0);
  k.write(n, k.structs.kmem_cache_node.nr_slabs, 0);
  initSpin(k, listLockOf(n), '&n->list_lock');
  INIT_LIST_HEAD(k, partialOf(k, n));
  INIT_LIST_HEAD(k, fullOf(k, n));
}

export const listOfCache = (k: Kernel, s: Cache): List => vaddr(s + k.structs.kmem_cache.list.offset) as List;

/** down_write(&slub_lock), which may sleep. Differs: a spinlock with the check of a semaphore, since nothing under it sleeps here. */
export function lockCaches(k: Kernel): void {
  might_sleep(k, k.LINUX_VERSION_CODE < LINUX_3_13 ? 'kernel/rwsem.c:0' : 'kernel/locking/rwsem.c:0');
  spin_lock(k, k.sym.slub_lock);
}
export const unlockCaches = (k: Kernel): void => spin_unlock(k, k.sym.slub_lock);

/** A struct that no cache has: the next one, or one that was given back. Context: slub_lock held. Return: its number, or -1. */
function spareCache(k: Kernel): number {
  const used = k.load(k.sym.spare_kmem_caches_used);
  if (used < SPARE_CACHES) {
    k.store(k.sym.spare_kmem_caches_used, used + 1);
    return KMALLOC_CACHES + used;
  }
  for (let n = KMALLOC_CACHES; n < KMALLOC_CACHES + SPARE_CACHES; n++) {
    if (k.read(cacheAt(k, n), k.structs.kmem_cache.refcount) === 0) return n;
  }
  return -1;
}

/**
 * A cache of objects of one size: an old one whose objects are as large or larger by less than a word, with the same flags, alignment
 * and without constructor, or a new one. @ctor: see `Kernel.ctors`; it is called once for each object of a new slab.
 *
 * Context: process, may sleep.
 * Return:  NULL when no slab can hold such an object, or the spare structs are used up.
 * Errors:  panic instead of NULL with SLAB_PANIC.
 */
export function kmem_cache_create(
  k: Kernel,
  name: string,
  size: number,
  align: number,
  flags: number,
  ctor = 0,
): Cache {
  lockCaches(k);
  let s = find_mergeable(k, size, align, flags, ctor);
  if (s !== NULL) shareCache(k, s, size);
  else s = newCache(k, { name, openedAs: name, objsize: size, align, flags, ctor });
  unlockCaches(k);
  if (s === NULL && (flags & SLAB_PANIC) !== 0) {
    k.die('bug', `Kernel panic - not syncing: Cannot create slab ${name} size=${size}`, size);
  }
  return s;
}

/** One user more, whose objects have to be cleared in full. Context: slub_lock held. */
function shareCache(k: Kernel, s: Cache, size: number): void {
  const f = k.structs.kmem_cache;
  k.write(s, f.refcount, k.read(s, f.refcount) + 1);
  k.write(s, f.objsize, Math.max(k.read(s, f.objsize), size));
  k.write(s, f.inuse, Math.max(k.read(s, f.inuse), roundUp(size, 4)));
}

/** Context: slub_lock held. */
function newCache(k: Kernel, spec: CacheSpec): Cache {
  const n = spareCache(k);
  if (n < 0 || !kmem_cache_open(k, n, spec)) return NULL;
  const s = cacheAt(k, n);
  list_add(k, listOfCache(k, s), k.sym.slab_caches);
  return s;
}

/** kmalloc's caches of powers of two are opened as `kmalloc`, and get their names when all are there: slub_debug=,kmalloc-64 names none of them. */
export function kmem_cache_init(k: Kernel): void {
  INIT_LIST_HEAD(k, k.sym.slab_caches);
  for (let index = 1; index <= KMALLOC_SHIFT_HIGH; index++) {
    const objsize = kmallocSize(index);
    if (index > 2 && index < KMALLOC_SHIFT_LOW) continue;
    const name = `kmalloc-${objsize}`;
    const openedAs = index <= 2 ? name : 'kmalloc';
    const spec = { name, openedAs, objsize, align: ARCH_KMALLOC_MINALIGN(k), flags: 0, ctor: 0 };
    if (kmem_cache_open(k, index, spec)) list_add(k, listOfCache(k, cacheAt(k, index)), k.sym.slab_caches);
  }
}

// ---- kmalloc -------------------------------------------------------------------------------------------------------

const kmallocSize = (index: number): number => (index === 1 ? 96 : index === 2 ? 192 : 1 << index);

/** Return: 0 for size 0, -1 for what is too large. */
export function kmalloc_index(size: number): number {
  if (size === 0) return 0;
  if (size > 64 && size <= 96) return 1;
  if (size > 128 && size <= 192) return 2;
  const index = Math.max(KMALLOC_SHIFT_LOW, 32 - Math.clz32(size - 1));
  return index > KMALLOC_SHIFT_HIGH ? -1 : index;
}

/** The cache of kmalloc(size): for tests and experiments too. NULL for sizes that have none. */
export function kmallocCache(k: Kernel, size: number): Cache {
  const index = kmalloc_index(size);
  return index <= 0 ? NULL : cacheAt(k, index);
}

/**
 * The cache for a size and mask. One for GFP_DMA is made when it is first asked for; its objects are 1 << index bytes, which is wrong for the
 * indexes 1 and 2: a defect of 2.6.22.
 *
 * Context: with GFP_DMA process context, although callers with GFP_ATOMIC come here as well.
 */
function get_slab(k: Kernel, size: number, flags: number): Cache {
  const index = kmalloc_index(size);
  if (index === 0) return NULL;
  BUG_ON(k, index < 0, 'mm/slub.c get_slab: size', size);
  if ((flags & gfp(k).GFP_DMA) === 0) return cacheAt(k, index);
  const slot = vaddr(k.sym.kmalloc_caches_dma + index * 4);
  const known = k.loadPtr<'kmem_cache'>(slot);
  if (known !== NULL) return known;
  // Two that come at the same time both make a cache, as in the source.
  const s = create_kmalloc_cache(k, `kmalloc_dma-${1 << index}`, 1 << index, SLAB_CACHE_DMA);
  k.store(slot, s);
  return s;
}

/** Never one that is there already. Context: process, may sleep. Errors: panic when there is none to be had. */
function create_kmalloc_cache(k: Kernel, name: string, objsize: number, flags: number): Cache {
  lockCaches(k);
  const s = newCache(k, { name, openedAs: name, objsize, align: ARCH_KMALLOC_MINALIGN(k), flags, ctor: 0 });
  unlockCaches(k);
  if (s === NULL)
    k.die('bug', `Kernel panic - not syncing: Creation of kmalloc slab ${name} size=${objsize} failed.`, objsize);
  return s;
}

/**
 * Memory of at least @size bytes.
 *
 * Context: any if the mask does not allow to sleep, else process.
 * Return:  NULL when there is none; ZERO_SIZE_PTR for 0 bytes.
 */
export function __kmalloc(k: Kernel, size: number, flags: number): Vaddr {
  const s = get_slab(k, size, flags);
  if (s === NULL) return size === 0 ? ZERO_SIZE_PTR : NULL;
  const object = kmem_cache_alloc(k, s, flags & ~gfp(k).__GFP_ZERO);
  if (object !== NULL && (flags & gfp(k).__GFP_ZERO) !== 0)
    memset(k, object, 0, k.read(s, k.structs.kmem_cache.objsize));
  return object;
}

/** Context: any. NULL and ZERO_SIZE_PTR are ignored. */
export function kfree(k: Kernel, x: Vaddr): void {
  if (x <= ZERO_SIZE_PTR) return;
  k.op();
  const page = virt_to_head_page(k, x);
  slab_free(k, k.read(page, struct_page.slab) as Cache, page, x);
}

/** How many bytes of an object may be used. Context: any. */
export function ksize(k: Kernel, x: Vaddr): number {
  if (x <= ZERO_SIZE_PTR) return 0;
  const s = k.read(virt_to_head_page(k, x), struct_page.slab) as Cache;
  const f = k.structs.kmem_cache;
  const flags = k.read(s, f.flags);
  if ((flags & (SLAB_RED_ZONE | SLAB_POISON)) !== 0) return k.read(s, f.objsize);
  if ((flags & (SLAB_STORE_USER | SLAB_DESTROY_BY_RCU)) !== 0) return k.read(s, f.inuse);
  return k.read(s, f.size);
}

// ---- reports -------------------------------------------------------------------------------------------------------

/** Count a cache. Debug slabs that are full and not tracked are on no list: they are what is missing to nr_slabs. */
export function countCache(k: Kernel, s: Cache): CacheCounters {
  const f = k.structs.kmem_cache;
  const n = get_node(k, s);
  const objectsPerSlab = k.read(s, f.objects);
  const slabs = atomic_read(k, vaddr(n + k.structs.kmem_cache_node.nr_slabs.offset));
  let free = 0;
  let partial = 0;
  for (let e = list_next(k, partialOf(k, n)); e !== partialOf(k, n); e = list_next(k, e)) {
    partial++;
    free += objectsPerSlab - k.read(container_of<'page'>(e, struct_page.lru.offset), struct_page.inuse);
  }
  let cpuSlabs = 0;
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    const page = k.loadPtr<'page'>(cpuSlabOf(k, s, cpu));
    if (page === NULL) continue;
    cpuSlabs++;
    free += objectsPerSlab - k.read(page, struct_page.inuse);
    for (let x = k.read(page, struct_page.lockless_freelist); x !== NULL; x = get_freepointer(k, s, vaddr(x))) free++;
  }
  return {
    name: nameOf(k, s),
    objsize: k.read(s, f.objsize),
    size: k.read(s, f.size),
    objectsPerSlab,
    order: k.read(s, f.order),
    slabs,
    partial,
    cpuSlabs,
    active: slabs * objectsPerSlab - free,
  };
}

/** Every cache, the youngest first. */
export function eachCache(k: Kernel): Cache[] {
  const caches: Cache[] = [];
  const head = k.sym.slab_caches;
  for (let e = list_next(k, head); e !== head; e = list_next(k, e)) {
    caches.push(container_of<'kmem_cache'>(e, k.structs.kmem_cache.list.offset));
  }
  return caches;
}

/** How many slabs of kmalloc(@size) are on the list of partial ones: the word that a page cache page would have the root of its tree in. */
export const partialSlabs = (k: Kernel, size: number): number =>
  k.read(get_node(k, kmallocCache(k, size)), k.structs.kmem_cache_node.nr_partial);
