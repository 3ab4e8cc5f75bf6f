/**
 * Looking at every slab of a cache on demand: what a write to /sys/slab/CACHE/validate does (/sys/kernel/slab from 2.6.26 on).
 * Source: validate_slab_cache() and what it calls, mm/slub.c, Linux 2.6.22, 2.6.30. What is found is told, and mended, by debug.ts.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_read } from '../../shared/atomic.js';
import { local_irq_restore, local_irq_save } from '../../shared/irqflags.js';
import { container_of, type List, list_next } from '../../shared/list.js';
import { struct_page } from '../../shared/structs/page.js';
import { hex8, NULL, vaddr } from '../../shared/types.js';
import { lockSpin, unlockSpin } from '../lock-types.js';
import { lowmem_page_address, type Page } from '../page.js';
import type { Cache } from '../slab-common.js';
import { slab_trylock, slab_unlock } from '../slub.js';
import { fullOf, get_freepointer, get_node, listLockOf, type Node, nameOf, partialOf, SlabDebug } from './cache.js';
import { check_object, check_slab, on_freelist } from './debug.js';
import { shapeOf } from './objects.js';
import { flush_all } from './shrink.js';
import { DEBUG_DEFAULT_FLAGS, SLAB_STORE_USER } from './sizes.js';

/** Ends at the first object that is not as it should be. Differs: and at a chain that comes back to itself. Context: slab lock held. */
function validate_slab(k: Kernel, s: Cache, page: Page): void {
  const c = shapeOf(k, s);
  if (!check_slab(k, { s, c, page }) || !on_freelist(k, { s, c, page }, NULL)) return;
  const addr = lowmem_page_address(k, page);
  const free = new Set<number>();
  for (let p = vaddr(k.read(page, struct_page.freelist)); p !== NULL && !free.has(p); p = get_freepointer(k, s, p)) {
    free.add(p);
    if (!check_object(k, s, page, p, false)) return;
  }
  for (let nr = 0; nr < c.objects; nr++) {
    const p = vaddr(addr + nr * c.size);
    if (!free.has(p) && !check_object(k, s, page, p, true)) return;
  }
}

/** Context: list_lock held, which is why nobody waits for the slab's. */
function validate_slab_slab(k: Kernel, s: Cache, page: Page): void {
  if (slab_trylock(k, page)) {
    validate_slab(k, s, page);
    slab_unlock(k, page);
  } else k.printk(`SLUB ${nameOf(k, s)}: Skipped busy slab 0x${hex8(page)}`);
  const debugged = (k.read(s, k.structs.kmem_cache.flags) & DEBUG_DEFAULT_FLAGS) !== 0;
  if (debugged === SlabDebug(k, page)) return;
  k.printk(`SLUB ${nameOf(k, s)}: SlabDebug ${debugged ? 'not ' : ''}set on slab 0x${hex8(page)}`);
}

/** Return: how many slabs the list has. */
function validateList(k: Kernel, s: Cache, head: List): number {
  let count = 0;
  for (let entry = list_next(k, head); entry !== head; entry = list_next(k, entry)) {
    validate_slab_slab(k, s, container_of<'page'>(entry, struct_page.lru.offset));
    count++;
  }
  return count;
}

function validate_slab_node(k: Kernel, s: Cache, n: Node): number {
  const { nr_partial, nr_slabs } = k.structs.kmem_cache_node;
  const flags = local_irq_save(k);
  lockSpin(k, listLockOf(n));
  let count = validateList(k, s, partialOf(k, n));
  const partial = k.read(n, nr_partial);
  if (count !== partial) k.printk(`SLUB ${nameOf(k, s)}: ${count} partial slabs counted but counter=${partial}`);
  if ((k.read(s, k.structs.kmem_cache.flags) & SLAB_STORE_USER) !== 0) {
    count += validateList(k, s, fullOf(k, n));
    const slabs = atomic_read(k, vaddr(n + nr_slabs.offset));
    if (count !== slabs) k.printk(`SLUB: ${nameOf(k, s)} ${count} slabs counted but counter=${slabs}`);
  }
  unlockSpin(k, listLockOf(n));
  local_irq_restore(k, flags);
  return count;
}

/**
 * Look at every object of the slabs that are on a list: the full ones are with SLAB_STORE_USER only.
 *
 * Context: process, interrupts on. Takes and releases list_lock (irqsave) and slab locks.
 * Return:  how many slabs there were.
 */
export function validate_slab_cache(k: Kernel, s: Cache): number {
  flush_all(k, s);
  return validate_slab_node(k, s, get_node(k, s));
}
