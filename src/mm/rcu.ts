/**
 * Read-copy update, as far as vmalloc needs it: readers that disable preemption, and objects that are freed when no reader can have them any more.
 *
 * Source: include/linux/rcupdate.h, kernel/rcuclassic.c, Linux 2.6.28. Differs: no grace periods. Every CPU counts how deep it is in read-side sections;
 * objects wait on a list until somebody finds each count at zero at some moment after they were taken out of reach.
 */
import type { Kernel } from '../cpu/kernel.js';
import { preempt_disable, preempt_enable } from '../shared/irqflags.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { type SpinLock, spin_lock_irqsave, spin_unlock_irqrestore } from '../shared/spinlock.js';
import { NULL, type Vaddr, vaddr } from '../shared/types.js';
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
  const depth = k.load(nestingOf(k, k.cpu));
  k.store(nestingOf(k, k.cpu), depth + 1);
  if (depth === 0) k.hangWatch?.rcuReader();
}

export function rcu_read_unlock(k: Kernel): void {
  const depth = k.load(nestingOf(k, k.cpu));
  if (depth === 1) k.hangWatch?.rcuReader();
  k.store(nestingOf(k, k.cpu), depth - 1);
  preempt_enable(k);
}

/**
 * Free @object, which nobody can find any more, when all readers that may have found it are done. It has its rcu_head @offset bytes from its start.
 *
 * Context: any that may free memory. Takes and releases rcu_lock (irqsave).
 */
export function kfree_rcu(k: Kernel, object: Vaddr, offset: number): void {
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
  for (let cpu = 0; cpu < k.config.cpus; cpu++) quiet &&= k.load(nestingOf(k, cpu)) === 0;
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
