/**
 * Giving back what a cache of SLUB holds and does not need, and giving up a cache.
 * Source: flush_all(), kmem_cache_shrink(), kmem_cache_close(), kmem_cache_destroy(), mm/slub.c, Linux 2.6.22.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { CallFunction, on_each_cpu } from '../../cpu/smp.js';
import { atomic_read } from '../../shared/atomic.js';
import { WARN_ON } from '../../shared/bug.js';
import { local_irq_restore, local_irq_save } from '../../shared/irqflags.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_del,
  list_next,
  list_prev,
  list_splice,
} from '../../shared/list.js';
import { struct_page } from '../../shared/structs/page.js';
import { NULL, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { lockSpin, unlockSpin } from '../lock-types.js';
import type { Page } from '../page.js';
import type { Cache } from '../slab-common.js';
import {
  __flush_cpu_slab,
  __kmalloc,
  changePartial,
  discard_slab,
  kfree,
  listOfCache,
  lockCaches,
  slab_trylock,
  slab_unlock,
  unlockCaches,
} from '../slub.js';
import { get_node, listLockOf, lruOf, type Node, partialOf } from './cache.js';

/** Up to so many partial slabs are not put in order. */
const MAX_PARTIAL = 10;
const ENOMEM = 12;
const LIST_HEAD_BYTES = 8;

/** What flush_all() has every CPU do. Context: interrupts off. */
export const flush_cpu_slab = (k: Kernel, s: number): void => __flush_cpu_slab(k, ptr<'kmem_cache'>(s));

/** Every CPU's slab of the cache goes back to the lists. Context: process, interrupts on. */
function flush_all(k: Kernel, s: Cache): void {
  if (k.structs.smp) {
    on_each_cpu(k, CallFunction.flush_cpu_slab, s, 0);
    return;
  }
  const irqs = local_irq_save(k);
  __flush_cpu_slab(k, s);
  local_irq_restore(k, irqs);
}

const pageOf = (entry: List): Page => container_of<'page'>(entry, struct_page.lru.offset);
const nrPartial = (k: Kernel, n: Node): number => k.read(n, k.structs.kmem_cache_node.nr_partial);

/**
 * Give back the slabs without objects, and put the others in order, the fullest first, so that the emptiest come to be empty.
 *
 * The lists of the slabs with 0, 1, 2, ... objects stand in memory from kmalloc(). In 2.6.22 slabs go there as long as more than MAX_PARTIAL are
 * left. If that ends on the way, since empty ones have been given back, those that have gone stay there: on no list of the cache, and linked into
 * memory that is freed. Patch `slub-shrink-sorts-always`: all of them go there and come back.
 *
 * Context: process, may sleep, interrupts on. Takes and releases list_lock (irqsave) and slab locks.
 * Return:  0, or -ENOMEM.
 */
export function kmem_cache_shrink(k: Kernel, s: Cache): number {
  const objects = k.read(s, k.structs.kmem_cache.objects);
  const lists = __kmalloc(k, LIST_HEAD_BYTES * objects, gfp(k).GFP_KERNEL);
  if (lists === NULL) return -ENOMEM;
  flush_all(k, s);
  const n = get_node(k, s);
  if (nrPartial(k, n) !== 0) {
    for (let i = 0; i < objects; i++) INIT_LIST_HEAD(k, listOf(lists, i));
    const irqs = local_irq_save(k);
    lockSpin(k, listLockOf(n));
    sortPartial(k, s, n, lists);
    if (sorts(k, n)) {
      for (let i = objects - 1; i >= 0; i--) list_splice(k, listOf(lists, i), list_prev(k, partialOf(k, n)));
    }
    unlockSpin(k, listLockOf(n));
    local_irq_restore(k, irqs);
  }
  kfree(k, lists);
  return 0;
}

const sorts = (k: Kernel, n: Node): boolean => k.patched['slub-shrink-sorts-always'] || nrPartial(k, n) > MAX_PARTIAL;
const listOf = (lists: Vaddr, inuse: number): List => vaddr(lists + inuse * LIST_HEAD_BYTES) as List;

/** Empty slabs away, the others to the list of as many objects. Objects may be freed meanwhile. Context: list_lock held, interrupts off. */
function sortPartial(k: Kernel, s: Cache, n: Node, lists: Vaddr): void {
  const head = partialOf(k, n);
  for (let entry = list_next(k, head), next: List; entry !== head; entry = next) {
    next = list_next(k, entry);
    const page = pageOf(entry);
    if (k.read(page, struct_page.inuse) === 0 && slab_trylock(k, page)) {
      // Whoever freed the last object may still hold the slab's lock.
      list_del(k, entry);
      changePartial(k, n, -1);
      slab_unlock(k, page);
      discard_slab(k, s, page);
    } else if (sorts(k, n)) {
      list_del(k, entry);
      list_add(k, entry, listOf(lists, k.read(page, struct_page.inuse)));
    }
  }
}

/** Slabs without objects go back. The count of partial ones stays, since the cache is given up. Context: interrupts on. */
function free_list(k: Kernel, s: Cache, n: Node, head: List): void {
  const irqs = local_irq_save(k);
  lockSpin(k, listLockOf(n));
  for (let entry = list_next(k, head), next: List; entry !== head; entry = next) {
    next = list_next(k, entry);
    const page = pageOf(entry);
    if (k.read(page, struct_page.inuse) !== 0) continue;
    list_del(k, lruOf(page));
    discard_slab(k, s, page);
  }
  unlockSpin(k, listLockOf(n));
  local_irq_restore(k, irqs);
}

/** Return: are there slabs left? */
function kmem_cache_close(k: Kernel, s: Cache): boolean {
  flush_all(k, s);
  const n = get_node(k, s);
  free_list(k, s, n, partialOf(k, n));
  return atomic_read(k, vaddr(n + k.structs.kmem_cache_node.nr_slabs.offset)) !== 0;
}

/**
 * One user of the cache less; the last one gives it up, with its objects or without.
 *
 * Context: process, may sleep, interrupts on. Takes and releases slub_lock.
 * Errors:  WARN when objects are still allocated; the struct is free all the same.
 */
export function kmem_cache_destroy(k: Kernel, s: Cache): void {
  const { refcount } = k.structs.kmem_cache;
  lockCaches(k);
  const users = k.read(s, refcount) - 1;
  k.write(s, refcount, users);
  if (users === 0) {
    list_del(k, listOfCache(k, s));
    WARN_ON(k, kmem_cache_close(k, s), 'mm/slub.c kmem_cache_destroy()');
  }
  unlockCaches(k);
}
