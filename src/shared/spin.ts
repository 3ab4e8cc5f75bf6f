/**
 * Waiting without a lock: loops that read words until they hold what is wanted. Parallel mode spins, and yields the host now and then;
 * controlled mode takes a thread that waits so for one that cannot go on until a word that it has read changes, so that a loop has no end of
 * schedules.
 */
import { How } from './access.js';
import { UsageError } from './errors.js';
import type { KernelBase } from './kernel-base.js';
import type { Vaddr } from './types.js';

/** Words that one wait can look at. */
export const WAIT_WORDS_MAX = 8;

/**
 * One round of a loop that waits: `while (k.shared.busy !== 0) cpu_relax(k);`. What the loop has loaded since the round before is what it waits for.
 * Source: asm/processor.h. In controlled mode a round that stored something is not taken for waiting.
 */
export function cpu_relax(k: KernelBase): void {
  k.relax();
}

/** Wait until the word at @addr satisfies @holds. Return: the word. Each look at it is a load like smp_load_acquire(). */
export function waitUntil(k: KernelBase, addr: Vaddr, holds: (value: number) => boolean): number;
/** Wait until the words at @addrs, loaded one after the other, satisfy @holds. Return: the words. */
export function waitUntil(k: KernelBase, addrs: readonly Vaddr[], holds: (...values: number[]) => boolean): number[];
export function waitUntil(
  k: KernelBase,
  where: Vaddr | readonly Vaddr[],
  holds: (...values: number[]) => boolean,
): number | number[] {
  const addrs = typeof where === 'number' ? [where] : where;
  if (addrs.length === 0 || addrs.length > WAIT_WORDS_MAX) {
    throw new UsageError(`waitUntil() looks at 1 to ${WAIT_WORDS_MAX} words, not ${addrs.length}`);
  }
  for (;;) {
    const mark = k.mark();
    const values = addrs.map((addr) => k.loadAs(addr, How.marked | How.acquire));
    if (holds(...values)) {
      k.recall(mark);
      for (const value of values) k.forget(k.mark(), value);
      return typeof where === 'number' ? (values[0] as number) : values;
    }
    // What @holds was shown in vain counts as known, since it may have kept it.
    k.waitForChange(addrs, values);
  }
}
