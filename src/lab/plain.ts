/** The functions of a race are synchronous: what one of them awaits, nobody schedules, and what comes of it nobody hears. */
import { UsageError } from '../shared/errors.js';

/** A function of a race that returns a promise; said of the function. */
export class Asynchronous extends UsageError {}

/** Throws Asynchronous where a function of a race has @returned a promise, or anything that can be awaited. */
export function mustBePlain(returned: unknown): void {
  if (typeof returned !== 'object' || returned === null) return;
  const { then } = returned as { readonly then?: unknown };
  if (typeof then !== 'function') return;
  // What it comes to nobody is to hear of any more: a rejection would end the worker.
  then.call(
    returned,
    () => {},
    () => {},
  );
  throw new Asynchronous(
    'is asynchronous: it returns a promise, and what it awaits nobody schedules; make it a plain function, which waits by waitUntil(), a lock or a queue',
  );
}
