/**
 * Depth-first search over all schedules, or over those with at most so many preemptions or delays; with `states`, never twice from the
 * same state.
 *
 * Sources: Musuvathi and Qadeer, "Iterative context bounding for systematic testing of multithreaded programs", PLDI 2007; Emmi, Qadeer
 * and Rakamarić, "Delay-bounded scheduling", POPL 2011, with the canonical order of the choices as the deterministic scheduler.
 */
import type { Decision, Execution, Situation, Strategy, StrategyOptions, StrategyStats } from '../strategy.js';
import { canonicalOrder, currentEnabled, shuffleKey } from './order.js';
import { StateTable } from './state-table.js';

/** Decisions by which the space is divided into parts for shards. */
const SHARD_DEPTH = 10;

/** Shared words. */
const PATH_HASH = 0;

interface Saved {
  readonly prefix: number[];
  readonly pruned: number;
  readonly explored: number;
}

export class DepthFirst implements Strategy {
  readonly name: string = 'dfs';
  readonly exhausts = true;
  readonly wants: { readonly states: boolean; readonly footprints: boolean };
  readonly #o: StrategyOptions;
  readonly #table: StateTable | null;
  #prefix: number[] = [];
  #pruned = 0;
  /** Part of the space that lies before the present execution, between 0 and 1, if all subtrees were alike. */
  #explored = 0;

  constructor(options: StrategyOptions) {
    this.#o = options;
    this.wants = { states: options.states, footprints: false };
    this.#table = options.states && options.table !== null ? new StateTable(options.table) : null;
    const saved = options.state as Saved | null;
    if (saved === null) return;
    this.#prefix = saved.prefix;
    this.#pruned = saved.pruned;
    this.#explored = saved.explored;
  }

  begin(shared: Int32Array, _execution: number, prefix: Int32Array): number {
    prefix.set(this.#prefix);
    shared[PATH_HASH] = hashOf(this.#prefix.slice(0, SHARD_DEPTH));
    return this.#prefix.length;
  }

  choose(shared: Int32Array, s: Situation): number {
    const { shards, shard, seed } = this.#o;
    if (shards > 1 && s.decision === SHARD_DEPTH && !isMine(shared[PATH_HASH] as number, shard, shards)) return -1;
    // What all shards go through is no shard's own: a state seen there has been explored in part only.
    const own = shards === 1 || s.decision >= SHARD_DEPTH;
    if (own && this.#table !== null && this.#seen(this.#table, s)) return -1;
    let best = s.choices[0] as number;
    if (this.#o.shuffle) {
      let key = Number.POSITIVE_INFINITY;
      for (let i = 0; i < s.count; i++) {
        const choice = s.choices[i] as number;
        const own = shuffleKey(seed, s.step, choice);
        if (own >= key || !this.#allows(s.currentEnabled, i, s.preemptions, s.delays)) continue;
        key = own;
        best = choice;
      }
    }
    if (s.decision < SHARD_DEPTH) shared[PATH_HASH] = hashStep(shared[PATH_HASH] as number, best);
    return best;
  }

  /** A bound depends on who ran last, so with one the same state is another for each context that it is reached by. */
  #seen(table: StateTable, s: Situation): boolean {
    const [low, high] = s.state();
    const { preemptionsMax, delaysMax } = this.#o;
    if (preemptionsMax < 0 && delaysMax < 0) return table.seen(low, high, 0);
    const last = s.currentEnabled ? (s.choices[0] as number) + 1 : 0;
    const cost = preemptionsMax >= 0 ? s.preemptions : s.delays;
    return table.seen(low ^ Math.imul(last, 0x9e3779b1), high ^ Math.imul(last, 0x85ebca6b), cost);
  }

  /** Is the choice at @place of the canonical order inside the bounds? */
  #allows(canGoOn: boolean, place: number, preemptions: number, delays: number): boolean {
    const { preemptionsMax, delaysMax } = this.#o;
    if (preemptionsMax >= 0 && canGoOn && place > 0 && preemptions >= preemptionsMax) return false;
    return delaysMax < 0 || delays + place <= delaysMax;
  }

  end(execution: Execution): boolean {
    if (execution.abandoned) this.#pruned++;
    for (let i = execution.decisions - 1; i >= 0; i--) {
      const next = this.#alternative(execution.decision(i));
      if (next < 0) continue;
      this.#prefix = Array.from({ length: i }, (_, j) => execution.decision(j).choice);
      this.#prefix.push(next);
      if ((execution.number & 63) === 1) this.#explored = this.#partBefore(execution, i, next);
      return true;
    }
    this.#explored = 1;
    return false;
  }

  counts(execution: Execution): boolean {
    const { shards, shard } = this.#o;
    if (shards === 1 || execution.decisions > SHARD_DEPTH) return true;
    const path = Array.from(
      { length: Math.min(execution.decisions, SHARD_DEPTH) },
      (_, i) => execution.decision(i).choice,
    );
    return isMine(hashOf(path), shard, shards);
  }

  #order(d: Decision): number[] {
    const order = canonicalOrder(d);
    if (!this.#o.shuffle) return order;
    const { seed } = this.#o;
    return order.sort((a, b) => shuffleKey(seed, d.step, a) - shuffleKey(seed, d.step, b));
  }

  #allowed(d: Decision): number[] {
    const canonical = canonicalOrder(d);
    const canGoOn = currentEnabled(d);
    return this.#order(d).filter((c) => this.#allows(canGoOn, canonical.indexOf(c), d.preemptions, d.delays));
  }

  /** The choice after the one taken, if the bounds allow one; else -1. */
  #alternative(d: Decision): number {
    const order = this.#allowed(d);
    return order[order.indexOf(d.choice) + 1] ?? -1;
  }

  #partBefore(execution: Execution, last: number, next: number): number {
    let part = 1;
    let before = 0;
    for (let i = 0; i <= last; i++) {
      const d = execution.decision(i);
      const order = this.#allowed(d);
      part /= order.length;
      before += part * order.indexOf(i === last ? next : d.choice);
    }
    return before;
  }

  stats(): StrategyStats {
    const table = this.#table;
    return {
      exploredPart: this.#explored,
      ...(this.#pruned === 0 ? {} : { pruned: this.#pruned }),
      ...(table === null ? {} : { states: table.size, tableFull: table.full ? 1 : 0 }),
    };
  }

  save(): Saved {
    return { prefix: this.#prefix, pruned: this.#pruned, explored: this.#explored };
  }
}

export const hashStep = (hash: number, choice: number): number => {
  const x = Math.imul(hash ^ (choice + 1), 0x9e3779b1);
  return x ^ (x >>> 15);
};
export const hashOf = (path: readonly number[]): number => path.reduce(hashStep, 0x6d757270);
export const isMine = (hash: number, shard: number, shards: number): boolean => (hash >>> 0) % shards === shard;
