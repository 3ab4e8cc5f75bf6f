/** The recorded choices again; beyond them the present context goes on. */
import type { Situation, Strategy, StrategyOptions } from '../strategy.js';

export class Replay implements Strategy {
  readonly name = 'replay';
  readonly #schedule: readonly number[];

  constructor(options: StrategyOptions) {
    this.#schedule = options.schedule;
  }

  begin(_shared: Int32Array, _execution: number, prefix: Int32Array): number {
    prefix.set(this.#schedule);
    return this.#schedule.length;
  }

  choose(_shared: Int32Array, s: Situation): number {
    return s.choices[0] as number;
  }

  end(): boolean {
    return false;
  }
}
