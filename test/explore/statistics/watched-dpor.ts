/** DPOR that writes down, before each execution, what part it believes lies behind it. */
import { Dpor } from '../../../src/explore/strategies/dpor.js';
import type { Execution, Situation, Strategy, StrategyOptions, StrategyStats } from '../../../src/explore/strategy.js';

class WatchedDpor implements Strategy {
  readonly name = 'dpor';
  readonly #inner: Dpor;
  readonly wants: NonNullable<Strategy['wants']>;
  readonly #parts: Record<string, number> = {};

  constructor(options: StrategyOptions) {
    this.#inner = new Dpor(options);
    this.wants = this.#inner.wants;
  }

  begin(shared: Int32Array, execution: number, prefix: Int32Array): number {
    return this.#inner.begin(shared, execution, prefix);
  }

  choose(shared: Int32Array, s: Situation): number {
    return this.#inner.choose(shared, s);
  }

  end(e: Execution): boolean {
    const more = this.#inner.end(e);
    this.#parts[`behind ${e.number}`] = this.#inner.stats().exploredPart as number;
    return more;
  }

  stats(): StrategyStats {
    return { ...this.#inner.stats(), ...this.#parts };
  }
}

export default (options: StrategyOptions): Strategy => new WatchedDpor(options);
