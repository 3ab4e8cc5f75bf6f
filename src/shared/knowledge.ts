/**
 * What a thread remembers. Two states of a race are the same to a search of states (`--states`) when memory is the same and each thread
 * knows the same: its local variables cannot be seen, so all that it has ever read stands for them. What is known to be forgotten makes more
 * states alike, and the search shorter.
 */
import { UsageError } from './errors.js';
import type { KernelBase } from './kernel-base.js';

/** A hash of what a thread has learnt up to some moment. */
export type Mark = readonly [low: number, high: number];

/** Who wants to know which statement uses a variable of `k.shared`; each is told of the property's own function, whose caller it is. */
export interface VariableUses {
  /** The variable is read next. */
  reads(getter: () => number): void;
  stored(setter: (value: number) => void): void;
}

/**
 * Do @body and forget what it has read, but for its result. `forgetting(k, () => increment(k));` is a step of a thread that goes on in the
 * same way whatever the counter was. Anything else that outlives @body must not depend on what it has read: it assigns no variable from
 * outside, changes no object from outside, and keeps its decisions to itself. A race that breaks this rule may be called clean when it is not;
 * other strategies and parallel mode do not care.
 *
 * Context: any.
 * Return:  the result of @body: nothing, a boolean or a whole number of 32 bits.
 * Errors:  UsageError when the result is something else, which could hold anything.
 */
export function forgetting<T extends number | boolean>(k: KernelBase, body: () => T): T;
export function forgetting(k: KernelBase, body: () => void): void;
export function forgetting(k: KernelBase, body: () => unknown): unknown {
  const mark = k.mark();
  const result = body();
  const learnt = Number(result ?? 0);
  if (typeof result === 'object' || (learnt | 0) !== learnt) {
    throw new UsageError('forgetting(): the function must return nothing, a boolean or a whole number of 32 bits');
  }
  k.forget(mark, learnt);
  return result;
}
