/**
 * A strategy that explores as another one does and writes down what has come of each execution: final states, dead ends, classes of equivalent
 * executions and, for a depth-first search, how probable each is under a random walk. The text of each goes out as the name of a number.
 */

import { Control, Verdict } from '../../../src/cpu/hw.js';
import { Choice } from '../../../src/explore/shared-state.js';
import { dependent } from '../../../src/explore/strategies/dpor.js';
import { canonicalOrder } from '../../../src/explore/strategies/order.js';
import type { Execution, Situation, Strategy, StrategyStats } from '../../../src/explore/strategy.js';
import { Point } from '../../../src/shared/point.js';
import { collected, wordsOf } from './programme.js';

const mix = (hash: number, value: number): number => {
  const x = Math.imul(hash ^ value, 0x9e3779b1);
  return (Math.imul(x ^ (x >>> 15), 0x85ebca6b) + 0x27d4eb2f) | 0;
};

/** The same number for two executions that differ in the order of independent steps only. */
export function classOf(e: Execution): number {
  const steps = e.steps;
  const count = new Int32Array(Choice.count);
  const touched = Array.from({ length: steps }, (_, i) => e.touched(i).slice());
  const hashes = new Int32Array(steps);
  const choices = Array.from({ length: steps }, (_, i) => e.step(i).choice);
  let sum = 0;
  for (let i = 0; i < steps; i++) {
    const choice = choices[i] as number;
    let before = 0;
    for (let j = 0; j < i; j++) {
      if (choices[j] !== choice && dependent(touched[i]!, touched[j]!)) before = (before + hashes[j]!) | 0;
    }
    count[choice]!++;
    hashes[i] = mix(mix(mix(1, choice), count[choice]!), before);
    sum += hashes[i]!;
  }
  return sum;
}

/** Steps that leave everything as it was, but for who runs next: an execution may have more or fewer of them on its way to the same state. */
const OF_THE_SCHEDULER: readonly number[] = [Point.Sched, Point.Wait, Point.Preempt];

/** How many steps of its own each context has made: where all stand when nobody can go on. */
function positions(e: Execution): string {
  const count = new Array<number>(Choice.count).fill(0);
  for (let i = 0; i < e.steps; i++) {
    const { choice, kind } = e.step(i);
    if (choice < Choice.preempt && !OF_THE_SCHEDULER.includes(kind)) count[choice]!++;
  }
  return count.join(' ').replace(/( 0)+$/, '');
}

const DEAD_ENDS: readonly number[] = [Verdict.deadlock, Verdict.hang];

export class Collecting implements Strategy {
  readonly name: string;
  readonly wants: NonNullable<Strategy['wants']>;
  readonly exhausts: boolean;
  readonly #inner: Strategy;
  readonly #seen = new Map<string, number>();
  readonly #classes = new Map<number, number>();

  constructor(inner: Strategy, classes: boolean) {
    this.name = inner.name;
    this.wants = classes ? { ...inner.wants, footprints: true } : { ...inner.wants };
    this.#inner = inner;
    this.exhausts = inner.exhausts === true;
  }

  begin(shared: Int32Array, execution: number, prefix: Int32Array): number {
    return this.#inner.begin(shared, execution, prefix);
  }

  choose(shared: Int32Array, s: Situation): number {
    return this.#inner.choose(shared, s);
  }

  end(e: Execution, shared: Int32Array): boolean {
    const { kernel, final } = collected();
    if (!e.abandoned) {
      const verdict = kernel!.hw[Control.verdict] as number;
      const failed = e.failed && final === null;
      const text = !failed
        ? `state ${final}`
        : DEAD_ENDS.includes(verdict)
          ? `stuck ${verdict} ${positions(e)} words ${wordsOf(kernel!)}`
          : null;
      if (text !== null) this.#seen.set(text, (this.#seen.get(text) ?? 0) + probability(e));
      if (this.wants.footprints === true && text !== null) {
        const hash = classOf(e);
        this.#classes.set(hash, (this.#classes.get(hash) ?? 0) + 1);
      }
    }
    return this.#inner.end(e, shared);
  }

  stats(): StrategyStats {
    const classes = [...this.#classes].map(([hash, count]) => [`class ${hash}`, count] as const);
    return { ...this.#inner.stats?.(), ...Object.fromEntries([...this.#seen, ...classes]) };
  }
}

/** Of the execution under a random walk: one choice of so many at each decision. */
export function probability(e: Execution): number {
  let p = 1;
  for (let i = 0; i < e.decisions; i++) p /= canonicalOrder(e.decision(i)).length;
  return p;
}
