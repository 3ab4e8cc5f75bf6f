/**
 * Read-copy update, as far as vmalloc needs it: readers that disable preemption, and objects that are freed when no reader can have them any more.
 *
 * Source: include/linux/rcupdate.h, kernel/rcuclassic.c, Linux 2.6.28. Differs: no quiescent states. Every CPU counts how deep it is in read-side sections;
 * objects wait on a list until somebody finds each count at zero at some moment after they were taken out of reach.
 */
import type { Kernel } from '../cpu/kernel.js';
import { READ_ONCE, smp_load_acquire, smp_store_release, WRITE_ONCE } from '../shared/access.js';
import { atomic_add_return } from '../shared/atomic.js';
import { might_sleep, preempt_disable, preempt_enable } from '../shared/irqflags.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { waitUntil } from '../shared/spin.js';
import { type SpinLock, spin_lock_irqsave, spin_unlock_irqrestore } from '../shared/spinlock.js';
import { NULL, type Ptr, type Vaddr, vaddr } from '../shared/types.js';
import { LINUX_3_13 } from '../shared/version.js';
import { kfree } from './kmalloc.js';

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** A word for each CPU. */
    rcu_nesting: Vaddr;
    rcu_lock: SpinLock;
    /** First object that waits, linked by its rcu_head. */
    rcu_list: Vaddr;
  }
}

export const rcuSymbols = (cpus: number): Record<string, SymbolSpec> => ({
  rcu_nesting: { bytes: 4 * cpus, align: 32 },
  rcu_lock: { bytes: 4, align: 32 },
  rcu_list: { bytes: 4 },
});

const nestingOf = (k: Kernel, cpu: number): Vaddr => vaddr(k.sym.rcu_nesting + cpu * 4);

/** Context: any. */
export function rcu_read_lock(k: Kernel): void {
  preempt_disable(k);
  const depth = smp_load_acquire(k, nestingOf(k, k.cpu));
  WRITE_ONCE(k, nestingOf(k, k.cpu), depth + 1);
  if (depth === 0) k.hangWatch?.rcuReader();
}

export function rcu_read_unlock(k: Kernel): void {
  const depth = READ_ONCE(k, nestingOf(k, k.cpu));
  if (depth === 1) k.hangWatch?.rcuReader();
  // Whoever finds the count at zero comes after all that the section did.
  smp_store_release(k, nestingOf(k, k.cpu), depth - 1);
  preempt_enable(k);
}

/** A pointer that a read-side section may follow. Source: include/linux/rcupdate.h, Linux 2.6.30: a read that what depends on it comes after. */
export function rcu_dereference<T extends string>(k: Kernel, addr: Vaddr): Ptr<T> {
  return (smp_load_acquire(k, addr) >>> 0) as Ptr<T>;
}

/** Let readers find what is behind @pointer, as it is by now. Source: include/linux/rcupdate.h, Linux 2.6.30. */
export function rcu_assign_pointer(k: Kernel, addr: Vaddr, pointer: number): void {
  smp_store_release(k, addr, pointer | 0);
}

/**
 * Wait until every read-side section that is under way has ended. All that they did comes before what follows; what preceded comes before every section
 * that begins later.
 *
 * Context: process, outside of read-side sections; sleeps.
 * Source:  kernel/rcupdate.c, Linux 2.6.30. Differs: it looks at each CPU's count until it is zero, by an atomic operation, which is the barrier.
 */
export function synchronize_rcu(k: Kernel): void {
  might_sleep(k, k.LINUX_VERSION_CODE < LINUX_3_13 ? 'kernel/rcupdate.c:0' : 'kernel/rcu/update.c:0');
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    while (atomic_add_return(k, 0, nestingOf(k, cpu)) !== 0) waitUntil(k, nestingOf(k, cpu), (depth) => depth === 0);
  }
}

/**
 * Free @object, which nobody can find any more, when all readers that may have found it are done. It has its rcu_head @offset bytes from its start.
 *
 * Context: any that may free memory. Takes and releases rcu_lock (irqsave).
 */
export function kfree_rcu(k: Kernel, object: Vaddr, offset: number): void {
  object = vaddr(object);
  const head = vaddr(object + offset);
  k.hangWatch?.rcuQueued(object);
  k.store(vaddr(head + 4), object);
  const flags = spin_lock_irqsave(k, k.sym.rcu_lock);
  k.store(head, k.load(k.sym.rcu_list));
  k.store(k.sym.rcu_list, head);
  spin_unlock_irqrestore(k, k.sym.rcu_lock, flags);
}

/** Free what waits, if no CPU is in a read-side section. Context: as kfree_rcu(), outside of read-side sections. */
export function rcu_process_callbacks(k: Kernel): void {
  const flags = spin_lock_irqsave(k, k.sym.rcu_lock);
  let head = k.loadPtr<'rcu_head'>(k.sym.rcu_list);
  let quiet = true;
  for (let cpu = 0; cpu < k.config.cpus; cpu++) quiet &&= smp_load_acquire(k, nestingOf(k, cpu)) === 0;
  if (quiet) k.store(k.sym.rcu_list, NULL);
  spin_unlock_irqrestore(k, k.sym.rcu_lock, flags);
  while (quiet && head !== NULL) {
    const next = k.loadPtr<'rcu_head'>(head);
    const object = vaddr(k.load(vaddr(head + 4)));
    k.hangWatch?.rcuFreed(object);
    kfree(k, object);
    head = next;
  }
}
