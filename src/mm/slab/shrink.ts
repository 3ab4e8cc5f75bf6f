/**
 * Giving back what a cache of SLAB holds and does not need, and giving up a cache.
 * Source: do_drain(), drain_cpu_caches(), drain_freelist(), __cache_shrink(), kmem_cache_shrink(), kmem_cache_destroy(), mm/slab.c, Linux 2.6.22.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { CallFunction, on_each_cpu } from '../../cpu/smp.js';
import { BUG_ON } from '../../shared/bug.js';
import { in_interrupt, local_irq_disable, local_irq_enable } from '../../shared/irqflags.js';
import { container_of, list_add, list_del, list_empty, list_prev } from '../../shared/list.js';
import { NULL, ptr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { kasan_disable_current, kasan_enable_current } from '../kasan.js';
import {
  changeFree,
  free_block,
  lockChain,
  lockLists,
  sharedOf,
  slab_destroy,
  unlockChain,
  unlockLists,
} from '../slab.js';
import { refusesInterrupts } from '../slab-common.js';
import {
  type ArrayCache,
  chainOf,
  cpu_cache_get,
  freeOf,
  fullOf,
  type List3,
  nodelist,
  partialOf,
  type SlabCache,
  slabNameOf,
} from './cache.js';
import { slab_error } from './debug.js';

const availOf = (k: Kernel, ac: ArrayCache): number => k.read(ac, k.structs.array_cache.avail);

/** What drain_cpu_caches() has every CPU do: empty its array. Context: interrupts off. The memory checker: see flush_cpu_slab() of SLUB. */
export function do_drain(k: Kernel, cache: number): void {
  kasan_disable_current(k);
  const s = ptr<'slab_kmem_cache'>(cache);
  const ac = cpu_cache_get(k, s);
  lockLists(k, nodelist(k, s));
  free_block(k, s, ac, availOf(k, ac));
  unlockLists(k, nodelist(k, s));
  k.write(ac, k.structs.array_cache.avail, 0);
  kasan_enable_current(k);
}

/** All arrays, the shared one last. Context: process, interrupts on. */
function drain_cpu_caches(k: Kernel, s: SlabCache): void {
  on_each_cpu(k, CallFunction.do_drain, s, 0);
  const l3 = nodelist(k, s);
  const shared = sharedOf(k, l3);
  if (shared === NULL || availOf(k, shared) === 0) return;
  local_irq_disable(k);
  lockLists(k, l3);
  free_block(k, s, shared, availOf(k, shared));
  k.write(shared, k.structs.array_cache.avail, 0);
  unlockLists(k, l3);
  local_irq_enable(k);
}

/** Give back slabs that are all free, the oldest first, until @tofree have gone. Context: process, interrupts on. */
function drain_freelist(k: Kernel, s: SlabCache, l3: List3, tofree: number): void {
  for (let nr_freed = 0; nr_freed < tofree && !list_empty(k, freeOf(k, l3)); nr_freed++) {
    local_irq_disable(k);
    lockLists(k, l3);
    const entry = list_prev(k, freeOf(k, l3));
    const found = entry !== freeOf(k, l3);
    if (found) {
      list_del(k, entry);
      changeFree(k, l3, -k.read(s, k.structs.slab_kmem_cache.num));
    }
    unlockLists(k, l3);
    local_irq_enable(k);
    if (!found) return;
    slab_destroy(k, s, container_of<'slab'>(entry, k.structs.slab.list.offset));
  }
}

/** Return: 1 if slabs with objects are left. Context: process, interrupts on. */
function __cache_shrink(k: Kernel, s: SlabCache): number {
  drain_cpu_caches(k, s);
  const l3 = nodelist(k, s);
  drain_freelist(k, s, l3, k.read(l3, k.structs.kmem_list3.free_objects));
  return list_empty(k, fullOf(k, l3)) && list_empty(k, partialOf(k, l3)) ? 0 : 1;
}

/**
 * Objects that arrays hold go back to their slabs, and slabs without objects to the page allocator.
 *
 * Context: process, may sleep, interrupts on. Takes and releases cache_chain_mutex.
 * Return:  1 if slabs with objects are left, else 0.
 */
export function kmem_cache_shrink(k: Kernel, s: SlabCache): number {
  BUG_ON(k, refusesInterrupts(k) && in_interrupt(k), 'mm/slab.c kmem_cache_shrink');
  lockChain(k);
  const left = __cache_shrink(k, s);
  unlockChain(k);
  return left;
}

/** Source: mm/slab.c, Linux 2.6.22; mm/slab_common.c from 3.7 on. */
function sayObjectsLeft(k: Kernel, s: SlabCache): void {
  if (k.LINUX_VERSION_CODE < KERNEL_VERSION(3, 7, 0)) {
    slab_error(k, s, 'kmem_cache_destroy', "Can't free all objects");
    return;
  }
  k.printk(`kmem_cache_destroy ${slabNameOf(k, s)}: Slab cache still has objects`);
  k.dumpStack();
}

/**
 * Give up a cache, unless objects of it are still allocated: that is said, and the cache stays.
 *
 * Context: process, may sleep, interrupts on. Takes and releases cache_chain_mutex.
 */
export function kmem_cache_destroy(k: Kernel, s: SlabCache): void {
  BUG_ON(k, refusesInterrupts(k) && in_interrupt(k), 'mm/slab.c kmem_cache_destroy');
  lockChain(k);
  list_del(k, chainOf(k, s));
  if (__cache_shrink(k, s) !== 0) {
    sayObjectsLeft(k, s);
    list_add(k, chainOf(k, s), k.sym.cache_chain);
  } else k.write(s, k.structs.slab_kmem_cache.num, 0);
  unlockChain(k);
}
