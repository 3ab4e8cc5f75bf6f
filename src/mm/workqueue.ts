/**
 * Work that is put off to process context. Source: kernel/workqueue.c, Linux 2.6.22: schedule_work(), flush_scheduled_work().
 *
 * Differs: works are numbers, since workers share no closures; each CPU has a word with a bit for each that is pending. There is no thread
 * events/N: a thread of the race runs them by flush_scheduled_work() when it likes, which stands for that thread's being scheduled then.
 */
import type { Kernel } from '../cpu/kernel.js';
import { atomic_xchg, test_and_set_bit } from '../shared/atomic.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { type Vaddr, vaddr } from '../shared/types.js';

/** Numbers of the works; boot fills `k.works`. */
export const Work = { free_work: 0 } as const;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** A word for each CPU: bit n is set while work n is pending there. */
    work_pending: Vaddr;
  }
}

export const workqueueSymbols = (cpus: number): Record<string, SymbolSpec> => ({
  work_pending: { bytes: 4 * cpus, align: 32 },
});

/** Context: any. Return: false when it was pending on this CPU already. */
export function schedule_work(k: Kernel, work: number): boolean {
  return !test_and_set_bit(k, work, vaddr(k.sym.work_pending + k.cpu * 4));
}

/** Run what is pending on any CPU, in the caller's context. Context: process, may sleep. */
export function flush_scheduled_work(k: Kernel): void {
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    let pending = atomic_xchg(k, vaddr(k.sym.work_pending + cpu * 4), 0);
    for (let work = 0; pending !== 0; work++, pending >>>= 1) if ((pending & 1) !== 0) k.works[work]?.(k);
  }
}
