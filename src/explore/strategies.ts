/** The strategies that come with Murphy. */
import { Prng } from '../shared/prng.js';
import { Choice } from './shared-state.js';
import type { Execution, Situation, Strategy, StrategyOptions } from './strategy.js';

/** xorshift32 on a shared word: chance that does not depend on which worker asks. */
function nextRandom(shared: Int32Array, at: number): number {
  let x = shared[at] as number;
  x ^= x << 13;
  x ^= x >>> 17;
  x ^= x << 5;
  shared[at] = x;
  return x >>> 0;
}

/** Uniform integer below @n; the bias of the multiplication is below n / 2^32. */
const below = (shared: Int32Array, at: number, n: number): number =>
  Math.floor((nextRandom(shared, at) / 0x100000000) * n);

/** Uniform choice at each decision. */
class RandomWalk implements Strategy {
  readonly name = 'random';
  readonly #prng: Prng;
  readonly #preemptionsMax: number;

  constructor(options: StrategyOptions) {
    this.#prng = new Prng(options.seed);
    this.#preemptionsMax = options.preemptionsMax;
  }

  begin(shared: Int32Array): number {
    shared[0] = this.#prng.u32() | 1;
    return 0;
  }

  choose(shared: Int32Array, s: Situation): number {
    if (this.#preemptionsMax >= 0 && s.currentEnabled && s.preemptions >= this.#preemptionsMax)
      return s.choices[0] as number;
    return s.choices[below(shared, 0, s.count)] as number;
  }

  end(): boolean {
    return true;
  }
}

/**
 * PCT: random priorities, the highest goes; at d - 1 random steps the running one falls below all others. Finds a bug of depth d with
 * probability at least 1 / (n k^(d-1)). Source: Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding
 * bugs", ASPLOS 2010. Interrupts and preemptions take part with priorities of their own.
 */
class Pct implements Strategy {
  readonly name = 'pct';
  readonly #prng: Prng;
  readonly #depth: number;
  #steps: number;

  constructor(options: StrategyOptions) {
    this.#prng = new Prng(options.seed);
    this.#depth = options.depth;
    this.#steps = options.stepsExpected;
  }

  /** Words: 0..63 priority by choice, 64 lowest priority given, 65.. change points, ended by -1. */
  begin(shared: Int32Array): number {
    for (let choice = 0; choice < Choice.count; choice++) shared[choice] = this.#depth + (this.#prng.u32() >>> 2);
    shared[64] = this.#depth;
    const points = Array.from({ length: this.#depth - 1 }, () => this.#prng.below(this.#steps)).sort((a, b) => a - b);
    points.forEach((p, i) => {
      shared[65 + i] = p;
    });
    shared[65 + points.length] = -1;
    shared[128] = 0;
    return 0;
  }

  choose(shared: Int32Array, s: Situation): number {
    let best = this.#highest(shared, s);
    while (shared[65 + (shared[128] as number)] !== -1 && s.step >= (shared[65 + (shared[128] as number)] as number)) {
      shared[128] = (shared[128] as number) + 1;
      this.#lower(shared, best);
      best = this.#highest(shared, s);
    }
    if (best >= Choice.preempt) this.#lower(shared, best);
    return best;
  }

  /** Below all others. A preemption is on offer again as soon as it has happened: at the top it would be chosen for ever. */
  #lower(shared: Int32Array, choice: number): void {
    shared[64] = (shared[64] as number) - 1;
    shared[choice] = shared[64];
  }

  #highest(shared: Int32Array, s: Situation): number {
    let best = s.choices[0] as number;
    for (let i = 1; i < s.count; i++) {
      const choice = s.choices[i] as number;
      if ((shared[choice] as number) > (shared[best] as number)) best = choice;
    }
    return best;
  }

  /** The longest execution seen is the best guess at how long the next will be. */
  end(execution: Execution): boolean {
    this.#steps = Math.max(this.#steps, execution.steps);
    return true;
  }
}

/**
 * Depth-first search over all schedules with at most so many preemptions. Source: Musuvathi and Qadeer, "Iterative context bounding for
 * systematic testing of multithreaded programs", PLDI 2007.
 */
class DepthFirst implements Strategy {
  readonly name = 'dfs';
  readonly #preemptionsMax: number;
  #prefix: number[] = [];

  constructor(options: StrategyOptions) {
    this.#preemptionsMax = options.preemptionsMax;
  }

  begin(_shared: Int32Array, _execution: number, prefix: Int32Array): number {
    prefix.set(this.#prefix);
    return this.#prefix.length;
  }

  choose(_shared: Int32Array, s: Situation): number {
    return s.choices[0] as number;
  }

  end(execution: Execution): boolean {
    for (let i = execution.decisions - 1; i >= 0; i--) {
      const d = execution.decision(i);
      const next = this.#alternative(d);
      if (next < 0) continue;
      this.#prefix = Array.from({ length: i }, (_, j) => execution.decision(j).choice);
      this.#prefix.push(next);
      return true;
    }
    return false;
  }

  /** The choice after the one taken, in canonical order, if the bound allows it; else -1. */
  #alternative(d: { threads: number; others: number; current: number; choice: number; preemptions: number }): number {
    const currentEnabled = d.current >= 0 && ((d.threads >>> d.current) & 1) === 1;
    if (currentEnabled && this.#preemptionsMax >= 0 && d.preemptions >= this.#preemptionsMax) return -1;
    const order = canonicalOrder(d.threads, d.others, d.current);
    return order[order.indexOf(d.choice) + 1] ?? -1;
  }
}

/** The present context first if it can go on, then threads, interrupts, preemptions by number. */
export function canonicalOrder(threads: number, others: number, current: number): number[] {
  const order: number[] = [];
  const currentEnabled = current >= 0 && ((threads >>> current) & 1) === 1;
  if (currentEnabled) order.push(current);
  for (let t = 0; t < 32; t++) if (((threads >>> t) & 1) === 1 && !(currentEnabled && t === current)) order.push(t);
  for (let o = 0; o < 32; o++) if (((others >>> o) & 1) === 1) order.push(Choice.irq + o);
  return order;
}

/** The recorded choices again; beyond them the present context goes on. */
class Replay implements Strategy {
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

export function makeStrategy(options: StrategyOptions): Strategy {
  if (options.name === 'random') return new RandomWalk(options);
  if (options.name === 'pct') return new Pct(options);
  return options.name === 'dfs' ? new DepthFirst(options) : new Replay(options);
}
