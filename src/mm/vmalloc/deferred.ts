/**
 * vfree() from where it must not be done at once: the address goes on a list of this CPU, and a work item frees it later.
 *
 * Source: mm/vmalloc.c (`vfree_deferred`, `free_work`), Linux 4.12; spec/vmalloc-gfp.md §6.5. The first word of the area is the link, so what
 * stood there is lost.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_cmpxchg, atomic_xchg } from '../../shared/atomic.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { schedule_work, Work } from '../workqueue.js';

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    /** First entry of a `struct llist_head` for each CPU. */
    vfree_deferred: Vaddr;
  }
}

export const deferredSymbols = (cpus: number): Record<string, SymbolSpec> => ({
  vfree_deferred: { bytes: 4 * cpus, align: 32 },
});

/** Push an entry whose first word is its link. Return: whether the list was empty. Source: lib/llist.c, Linux 4.12. */
export function llist_add(k: Kernel, entry: Vaddr, head: Vaddr): boolean {
  for (;;) {
    const first = k.load(head);
    k.store32(entry, first);
    if (atomic_cmpxchg(k, head, first, entry | 0) === first) return first === 0;
  }
}

/** Take the whole list. Return: its first entry. */
export const llist_del_all = (k: Kernel, head: Vaddr): Vaddr => vaddr(atomic_xchg(k, head, 0));

/** Context: any but NMI. Takes no lock. */
export function vfree_later(k: Kernel, addr: Vaddr): void {
  if (llist_add(k, addr, vaddr(k.sym.vfree_deferred + k.cpu * 4))) schedule_work(k, Work.free_work);
}

/** The work item: @free each area that was put off, on any CPU. Context: process, may sleep. */
export function free_deferred(k: Kernel, free: (k: Kernel, addr: Vaddr) => void): void {
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    let addr = llist_del_all(k, vaddr(k.sym.vfree_deferred + cpu * 4));
    while (addr !== NULL) {
      const next = vaddr(k.load32(addr));
      free(k, addr);
      addr = next;
    }
  }
}
