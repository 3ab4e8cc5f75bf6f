/** A strategy that works as another one and counts its executions: what it adds up for each goes out as a number under the choices that were made. */
import type { Execution, Situation, Strategy, StrategyStats } from '../../../src/explore/strategy.js';

export class Counted implements Strategy {
  readonly name: string;
  readonly wants: NonNullable<Strategy['wants']>;
  readonly #inner: Strategy;
  readonly #weight: (e: Execution) => number;
  readonly #traces = new Map<string, number>();
  #failing = 0;

  constructor(inner: Strategy, weight: (e: Execution) => number = () => 1) {
    this.name = inner.name;
    this.wants = inner.wants ?? {};
    this.#inner = inner;
    this.#weight = weight;
  }

  begin(shared: Int32Array, execution: number, prefix: Int32Array): number {
    return this.#inner.begin(shared, execution, prefix);
  }

  choose(shared: Int32Array, s: Situation): number {
    return this.#inner.choose(shared, s);
  }

  end(e: Execution, shared: Int32Array): boolean {
    let trace = 'trace ';
    for (let i = 0; i < e.steps; i++) trace += e.step(i).choice;
    const weight = this.#weight(e);
    this.#traces.set(trace, (this.#traces.get(trace) ?? 0) + weight);
    if (e.failed) this.#failing += weight;
    return this.#inner.end(e, shared);
  }

  stats(): StrategyStats {
    return { ...this.#inner.stats?.(), failing: this.#failing, ...Object.fromEntries(this.#traces) };
  }
}
