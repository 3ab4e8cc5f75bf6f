/**
 * A number that is kept in four places: two words of static kernel data and two words of a page, which go through the data cache. It is
 * well-formed when all four agree, so it needs a lock: whoever comes in the middle of an update sees, or makes, a torn one.
 */
import { expect, type Kernel, type Vaddr, vaddr } from '../../src/index.js';

export interface Counter {
  /** What it is called in a report. */
  readonly name: string;
  /** Two words of static data. */
  readonly words: Vaddr;
  /** Two words of a page, in different cache lines. */
  readonly cached: Vaddr;
}

const LINE = 64;
/** Bytes that a counter needs in a page. */
export const COUNTER_CACHED_BYTES = 2 * LINE;

/** Read the four places, one after the other; report when they do not agree. */
export function readCounter(k: Kernel, c: Counter, where: string): number {
  const value = k.load(c.words);
  const second = k.load(vaddr(c.words + 4));
  expect(second === value, `${c.name}: torn in static data, ${where}`, value, second);
  const third = k.load(c.cached);
  expect(third === value, `${c.name}: torn between static data and page, ${where}`, value, third);
  const fourth = k.load(vaddr(c.cached + LINE));
  expect(fourth === value, `${c.name}: torn in the page, ${where}`, value, fourth);
  return value;
}

/** Add one, by plain loads and stores: the lock of the counter is held. */
export function bumpCounter(k: Kernel, c: Counter, where: string): void {
  const value = readCounter(k, c, where) + 1;
  k.store(c.words, value);
  k.store(c.cached, value);
  k.store(vaddr(c.words + 4), value);
  k.store(vaddr(c.cached + LINE), value);
}

/** For setup. */
export function zeroCounter(k: Kernel, c: Counter): void {
  for (const at of [c.words, vaddr(c.words + 4), c.cached, vaddr(c.cached + LINE)]) k.store(at, 0);
}
