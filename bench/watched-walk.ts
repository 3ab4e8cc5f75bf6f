/** A random walk that looks at the memory of every isolate that takes part, twice in the search: what `bench/memory.ts` compares. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RandomWalk } from '../src/explore/strategies/random.js';
import type { Execution, Situation, Strategy, StrategyOptions, StrategyStats } from '../src/explore/strategy.js';

/** Shared words, behind those of the walk: which look is due, isolates that have looked, the sum of their heaps in KB. */
const LOOK = 100;
const ISOLATES = 101;
const HEAP_KB = 102;
/** Executions in which an isolate can look: each has a turn in nearly every one. */
const WINDOW = 16;

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

class WatchedWalk implements Strategy {
  readonly name = 'watched-walk';
  readonly #walk: RandomWalk;
  /** After how many executions. */
  readonly #looks: readonly number[];
  #looked = 0;
  readonly #seen: Record<string, number> = {};

  /** @options: `stepsExpected` is the number of executions. */
  constructor(options: StrategyOptions) {
    this.#walk = new RandomWalk(options);
    this.#looks = [Math.floor(options.stepsExpected / 10), options.stepsExpected - WINDOW];
  }

  begin(shared: Int32Array, execution: number): number {
    const due = this.#looks.findIndex((at) => execution >= at && execution < at + WINDOW) + 1;
    if (due !== 0 && shared[LOOK] === 0) shared.fill(0, ISOLATES, HEAP_KB + 1);
    shared[LOOK] = due;
    return this.#walk.begin(shared, execution);
  }

  choose(shared: Int32Array, s: Situation): number {
    const due = shared[LOOK] as number;
    if (due > this.#looked) {
      this.#looked = due;
      collectGarbage();
      shared[ISOLATES] = (shared[ISOLATES] as number) + 1;
      shared[HEAP_KB] = (shared[HEAP_KB] as number) + Math.round(process.memoryUsage().heapUsed / 1024);
    }
    return this.#walk.choose(shared, s);
  }

  end(execution: Execution, shared: Int32Array): boolean {
    const due = shared[LOOK] as number;
    if (due > 0) {
      this.#seen[`isolates${due}`] = shared[ISOLATES] as number;
      this.#seen[`heapKb${due}`] = shared[HEAP_KB] as number;
      this.#seen[`residentKb${due}`] = Math.round(process.memoryUsage.rss() / 1024);
    }
    return this.#walk.end(execution, shared);
  }

  stats(): StrategyStats {
    return this.#seen;
  }
}

export default (options: StrategyOptions): Strategy => new WatchedWalk(options);
