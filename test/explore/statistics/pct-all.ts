/**
 * PCT as its paper defines it, with nothing left to chance: the executions go through all orders of priorities and all places of the d - 1 changes, each
 * once. `stepsExpected` is k; the seed is the number of threads, or 32 for one thread and the interrupts of its CPU.
 *
 * Source: Burckhardt et al., ASPLOS 2010, section 2.3: priorities d, d + 1, ... in random order; at the i-th change point, anywhere in the k steps,
 * the priority of whoever is to run becomes i.
 */
import type { Execution, Situation, Strategy, StrategyOptions } from '../../../src/explore/strategy.js';
import { Counted } from './counted.js';

function permutations(n: number): number[][] {
  if (n === 0) return [[]];
  return permutations(n - 1).flatMap((p) =>
    Array.from({ length: n }, (_, at) => [...p.slice(0, at), n - 1, ...p.slice(at)]),
  );
}

/** Shared words: the priority of each choice, from here on the places of the changes. */
const CHANGES = 100;

class AllOfPct implements Strategy {
  readonly name = 'pct-all';
  readonly wants = { everyStep: true };
  readonly #choices: readonly number[];
  readonly #orders: number[][];
  readonly #steps: number;
  readonly #changes: number;

  constructor(options: StrategyOptions) {
    this.#choices = options.seed === 32 ? [0, 32] : Array.from({ length: options.seed }, (_, thread) => thread);
    this.#orders = permutations(this.#choices.length);
    this.#steps = options.stepsExpected;
    this.#changes = options.depth - 1;
  }

  get #count(): number {
    return this.#orders.length * this.#steps ** this.#changes;
  }

  begin(shared: Int32Array, execution: number): number {
    let number = execution - 1;
    const order = this.#orders[number % this.#orders.length]!;
    number = Math.floor(number / this.#orders.length);
    order.forEach((rank, i) => {
      shared[this.#choices[i]!] = this.#changes + 1 + rank;
    });
    for (let i = 1; i <= this.#changes; i++) {
      shared[CHANGES + i] = number % this.#steps;
      number = Math.floor(number / this.#steps);
    }
    return 0;
  }

  choose(shared: Int32Array, s: Situation): number {
    for (let i = this.#changes; i >= 1; i--) if (shared[CHANGES + i] === s.step) shared[best(shared, s)] = i;
    return best(shared, s);
  }

  end(e: Execution): boolean {
    return e.number < this.#count;
  }
}

function best(shared: Int32Array, s: Situation): number {
  let highest = s.choices[0]!;
  for (let i = 1; i < s.count; i++) if (shared[s.choices[i]!]! > shared[highest]!) highest = s.choices[i]!;
  return highest;
}

export default (options: StrategyOptions): Counted => new Counted(new AllOfPct(options));
