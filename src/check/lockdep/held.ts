/**
 * What lockdep knows of the locks that a task holds, for whoever is not that task: debug_show_all_locks(). Held stacks are the workers' own, but
 * their chains are in the shared area, and a chain's key follows from the classes in it.
 */
import { type Area, Chain, chainHigh, chainLow, Head, SUBCLASSES_MAX } from './area.js';
import { lockLine } from './report-parts.js';
import type { RuleSet } from './rules.js';

export interface HeldByTask {
  readonly slot: number;
  /** Addresses, the lock that was taken first in front. */
  readonly locks: readonly number[];
}

type Key = readonly [low: number, high: number];
const NEW_CHAIN: Key = [0, 0];

/** A lock line for each, with the function that first took the lock in this chain; locks that have no class are no locks to lockdep. */
function linesOf(area: Area, does: RuleSet, locks: readonly number[]): string[] {
  let key = NEW_CHAIN;
  const lines: string[] = [];
  for (const lock of locks) {
    const base = area.classOf(lock);
    if (base === 0) continue;
    const found = followed(area, does, key, base);
    key = found.key;
    lines.push(` #${lines.length}: ${lockLine({ area, does }, lock >>> 0, found.id, found.site)}`);
  }
  return lines;
}

/** The class, or subclass, by which a chain goes on: from what is held already, or in an interrupt from the beginning. */
function followed(area: Area, does: RuleSet, from: Key, base: number): { key: Key; id: number; site: string } {
  const subclasses = area.at.subclasses + base * SUBCLASSES_MAX;
  const ids = [base, ...area.words.subarray(subclasses, subclasses + SUBCLASSES_MAX)].filter((id) => id !== 0);
  const reads = does.strong ? [0, 2, 1] : [0];
  for (const start of [from, NEW_CHAIN]) {
    for (const id of ids) {
      for (const read of reads) {
        const key = mixed(start, id | (read << 13));
        const at = area.chainSlot(key[0], key[1]);
        if (at < 0 || area.words[at + Chain.used] !== area.head(Head.epoch)) continue;
        return { key, id, site: area.text(area.words[at + Chain.site] as number) || '?' };
      }
    }
  }
  return { key: mixed(from, base), id: base, site: '?' };
}

const mixed = ([low, high]: Key, element: number): Key => [chainLow(low, element), chainHigh(low, high, element)];

/** @tasks: those that live. Empty when none holds a lock. */
export function allHeldLocks(area: Area, does: RuleSet, tasks: readonly HeldByTask[]): string[] {
  const lines = tasks.flatMap(({ slot, locks }) => {
    const held = linesOf(area, does, locks);
    if (held.length === 0) return [];
    return [`${held.length} lock${held.length > 1 ? 's' : ''} held by thread${slot}/${slot}:`, ...held];
  });
  return lines.length === 0 ? [] : ['Showing all locks held in the system:', ...lines];
}
