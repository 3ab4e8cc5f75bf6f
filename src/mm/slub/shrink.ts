/**
 * Giving back what a cache of SLUB holds and does not need, and giving up a cache.
 * Source: flush_all(), kmem_cache_shrink(), kmem_cache_close(), kmem_cache_destroy(), mm/slub.c, Linux 2.6.22;
 * what is said of objects that are left over: Linux 2.6.30, 4.12 and mm/slab_common.c.
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
import { KERNEL_VERSION } from '../../shared/version.js';
import { gfp } from '../gfp.js';
import { kasan_disable_current, kasan_enable_current } from '../kasan.js';
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
  slab_lock,
  slab_trylock,
  slab_unlock,
  unlockCaches,
} from '../slub.js';
import { get_node, listLockOf, lruOf, type Node, nameOf, partialOf } from './cache.js';
import { list_slab_objects } from './reports-2.6.23.js';

/** Up to so many partial slabs are not put in order. */
const MAX_PARTIAL = 10;
const ENOMEM = 12;
const LIST_HEAD_BYTES = 8;

/** What flush_all() has every CPU do. Context: interrupts off. An interrupt handler is watched by itself, so it says whose accesses these are. */
export function flush_cpu_slab(k: Kernel, s: number): void {
  kasan_disable_current(k);
  __flush_cpu_slab(k, ptr<'kmem_cache'>(s));
  kasan_enable_current(k);
}

/** Every CPU's slab of the cache goes back to the lists. Context: process, interrupts on. */
export function flush_all(k: Kernel, s: Cache): void {
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

/** list_slab_objects() is there. */
const LISTS_OBJECTS = KERNEL_VERSION(2, 6, 26);
/** kmem_cache_destroy() is common to both allocators. */
const SLAB_COMMON = KERNEL_VERSION(3, 7, 0);
const CLOSE_IS_SHUTDOWN = KERNEL_VERSION(4, 6, 0);

function remaining(k: Kernel, s: Cache): string {
  if (k.LINUX_VERSION_CODE < SLAB_COMMON) return 'Objects remaining on kmem_cache_close()';
  const where = k.LINUX_VERSION_CODE < CLOSE_IS_SHUTDOWN ? 'kmem_cache_close' : '__kmem_cache_shutdown';
  return `Objects remaining in ${nameOf(k, s)} on ${where}()`;
}

/**
 * Slabs without objects go back; from 2.6.26 on the objects of the others are listed. The count of partial ones stays, since the cache is given
 * up. Full slabs are on no list that is looked at.
 *
 * Context: interrupts on. Takes and releases list_lock (irqsave) and slab locks.
 * Source:  free_list(), Linux 2.6.22; free_partial(), Linux 2.6.30.
 */
function free_partial(k: Kernel, s: Cache, n: Node, head: List): void {
  const irqs = local_irq_save(k);
  lockSpin(k, listLockOf(n));
  for (let entry = list_next(k, head), next: List; entry !== head; entry = next) {
    next = list_next(k, entry);
    const page = pageOf(entry);
    if (k.read(page, struct_page.inuse) === 0) {
      list_del(k, lruOf(page));
      discard_slab(k, s, page);
    } else if (k.LINUX_VERSION_CODE >= LISTS_OBJECTS) {
      slab_lock(k, page);
      list_slab_objects(k, s, page, remaining(k, s));
      slab_unlock(k, page);
    }
  }
  unlockSpin(k, listLockOf(n));
  local_irq_restore(k, irqs);
}

/** Return: are there slabs left? */
function kmem_cache_close(k: Kernel, s: Cache): boolean {
  flush_all(k, s);
  const n = get_node(k, s);
  free_partial(k, s, n, partialOf(k, n));
  return atomic_read(k, vaddr(n + k.structs.kmem_cache_node.nr_slabs.offset)) !== 0;
}

function sayObjectsLeft(k: Kernel, s: Cache): void {
  if (k.LINUX_VERSION_CODE < LISTS_OBJECTS) {
    WARN_ON(k, true, 'mm/slub.c kmem_cache_destroy()');
    return;
  }
  const common = k.LINUX_VERSION_CODE >= SLAB_COMMON;
  const old = `SLUB ${nameOf(k, s)}: kmem_cache_destroy called for cache that still has objects.`;
  k.printk(common ? `kmem_cache_destroy ${nameOf(k, s)}: Slab cache still has objects` : old);
  k.dumpStack();
}

/**
 * One user of the cache less; the last one gives it up, with its objects or without.
 *
 * Context: process, may sleep, interrupts on. Takes and releases slub_lock.
 * Errors:  WARN, from 2.6.26 on a report, when objects are still allocated; the struct is free all the same. Differs: 3.7 and later keep such a
 *          cache.
 */
export function kmem_cache_destroy(k: Kernel, s: Cache): void {
  const { refcount } = k.structs.kmem_cache;
  lockCaches(k);
  const users = k.read(s, refcount) - 1;
  k.write(s, refcount, users);
  if (users === 0) {
    list_del(k, listOfCache(k, s));
    if (kmem_cache_close(k, s)) sayObjectsLeft(k, s);
  }
  unlockCaches(k);
}
