/** The checkers of a machine, other than lockdep, as its configuration asks for them. */
import { MemoryChecker, type MemoryReport } from '../check/memory/memory.js';
import { checksOf } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import { PLACES } from './lockdep.js';

/** What a worker does with each of its checkers. */
export interface Checker {
  readonly name: string;
  /** Slot 0, before each execution, and before boot: nothing is known. */
  restart(): void;
  /** Slot 0, when an execution has ended that nothing went wrong in: what only shows then. */
  end(): void;
  /** What the first report of the execution says; empty when there is none. */
  readonly headline: string;
}

export interface CheckerReport {
  readonly checker: string;
  readonly kind: string;
  readonly headline: string;
  readonly lines: readonly string[];
}

/** The checkers, each of which hears of what this worker's thread does. @onReport: hears of each report, besides the log. */
export function checkersOf(k: Kernel, onReport?: (report: CheckerReport) => void): Checker[] {
  const names = checksOf(k.config.check);
  const every = k.config.lockdepMode === 'continue';
  const checkers: Checker[] = [];
  if (names.includes('memory') || names.includes('leak')) {
    const memory = new MemoryChecker(k, {
      places: PLACES,
      every,
      accesses: names.includes('memory'),
      leaks: names.includes('leak'),
      ...(onReport !== undefined && {
        onReport: (r: MemoryReport) => onReport({ checker: r.kind === 'leak' ? 'leak' : 'memory', ...r }),
      }),
    });
    k.watchMemory(memory);
    checkers.push(memory);
  }
  return checkers;
}
