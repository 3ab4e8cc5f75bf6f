/** Strategies by chance: random walk, PCT, POS. Each execution's chance follows from the seed and its number alone. */
import { Point } from '../../shared/point.js';
import { Prng } from '../../shared/prng.js';
import { Choice } from '../shared-state.js';
import type { Execution, Situation, Strategy, StrategyOptions, StrategyStats } from '../strategy.js';
import { type SavedSample, TraceSample } from './distinct.js';

/** xorshift32: zero comes from zero only. */
function xorshift(x: number): number {
  x ^= x << 13;
  x ^= x >>> 17;
  return x ^ (x << 5);
}

/** Chance that does not depend on which worker asks: it is in a shared word. */
function nextRandom(shared: Int32Array, at: number): number {
  const x = xorshift(shared[at] as number);
  shared[at] = x;
  return x >>> 0;
}

/** What a strategy by chance keeps in a checkpoint. */
interface Saved {
  readonly traces: SavedSample;
  readonly steps?: number;
}

/** A stream of chance of its own, one execution in so many, and 4 times so many powers of two. */
const ROUNDS_SEED = 0x726f756e;
const ROUNDS_RARE = 4;
const ROUNDS_SCALES = 9;

abstract class Sampling implements Strategy {
  abstract readonly name: string;
  protected readonly options: StrategyOptions;
  protected readonly saved: Saved | null;
  /** The first executions of the search are every shard's, for what they teach; of the others each shard has its own. */
  protected readonly common: number = 0;
  readonly #traces: TraceSample;
  readonly #prng = new Prng(0);

  constructor(options: StrategyOptions) {
    this.options = options;
    this.saved = options.state as Saved | null;
    this.#traces = new TraceSample(this.saved?.traces);
  }

  /** Number of an execution among those of all shards. */
  #numberOf(execution: number): number {
    const { shard, shards } = this.options;
    const { common } = this;
    if (execution <= common) return execution;
    const first = common + 1 + ((((shard - common) % shards) + shards) % shards);
    return first + (execution - common - 1) * shards;
  }

  /** One generator for all executions, one after the other. */
  protected prngOf(execution: number): Prng {
    return this.#prng.restart(this.options.seed, this.#numberOf(execution));
  }

  /** In one execution of four, loops of cpu_relax() may give up while others could go on: after 4, 8, ... or 1,024 rounds at the latest. */
  rounds(execution: number): number {
    const prng = this.#prng.restart(this.options.seed ^ ROUNDS_SEED, this.#numberOf(execution));
    return prng.below(ROUNDS_RARE) === 0 ? 4 << prng.below(ROUNDS_SCALES) : 0;
  }

  counts(execution: Execution): boolean {
    return execution.number > this.common || (execution.number - 1) % this.options.shards === this.options.shard;
  }

  abstract begin(shared: Int32Array, execution: number): number;
  abstract choose(shared: Int32Array, s: Situation): number;

  end(execution: Execution, _shared: Int32Array): boolean {
    if (this.counts(execution)) this.#traces.add(execution.traceHash);
    return true;
  }

  stats(): StrategyStats {
    const traces = this.#traces;
    return {
      distinctTraces: traces.distinct(),
      tracesAtLeast: traces.atLeast(),
      unseenChance: traces.unseenChance(),
    };
  }

  save(): Saved {
    return { traces: this.#traces.save() };
  }
}

/** An execution gives way once in 1, 2, 4, ... decisions: so many of these. */
const RARITIES = 6;

/**
 * A choice by chance at each decision. Each execution draws how seldom it gives way: with a chance of 1, 1/2, 1/4, ... 1/32 a decision is left to chance,
 * any choice as likely as the others; else the context that runs goes on while it can. `uniform`: every decision is.
 *
 * Where one context has to make many steps while another makes few, a walk that is uniform at each decision hardly ever does: the chance falls with each
 * step. That no one rate is right, and that a few drawn in turn cost no more than a small factor, is from Groce et al., "Swarm testing", ISSTA 2012.
 */
export class RandomWalk extends Sampling {
  readonly name = 'random';

  /** Words: the chance, and below what a draw leaves a decision to chance; 0 for always. */
  begin(shared: Int32Array, execution: number): number {
    const prng = this.prngOf(execution);
    shared[0] = prng.u32() | 1;
    const rarity = this.options.uniform ? 0 : prng.below(RARITIES);
    shared[1] = rarity === 0 ? 0 : 1 << (32 - rarity);
    return 0;
  }

  choose(shared: Int32Array, s: Situation): number {
    if (s.currentEnabled && this.#goesOn(shared, s)) return s.choices[0] as number;
    // The bias of the multiplication is below count / 2^32.
    return s.choices[Math.floor((this.#draw(shared, s) / 0x100000000) * s.count)] as number;
  }

  #goesOn(shared: Int32Array, s: Situation): boolean {
    const { preemptionsMax } = this.options;
    if (preemptionsMax >= 0 && s.preemptions >= preemptionsMax) return true;
    const limit = (shared[1] as number) >>> 0;
    return limit !== 0 && this.#draw(shared, s) >= limit;
  }

  #draw(shared: Int32Array, s: Situation): number {
    const x = xorshift(s.carried === 0 ? (shared[0] as number) : s.carried);
    s.carried = x;
    return x >>> 0;
  }
}

/** Executions from which PCT learns how long an execution is. */
const LEARNING = 32;
const LOWEST = 64;
const NEXT_CHANGE = 65;
/** Pairs of a step and a priority, by step, ended by -1. */
const CHANGES = 66;
const CHANGES_END = 256;

/**
 * PCT: random priorities, the highest goes; at d - 1 random steps the one that is to run gets a priority below all of these, the i-th of them i.
 * Which of the steps comes first is chance too: a defect may need the thread that was stopped first to wait longest. Finds a bug of depth d with
 * probability at least 1 / (n k^(d-1)). Source: Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding
 * bugs", ASPLOS 2010. Interrupts, preemptions and devices take part with priorities of their own.
 */
export class Pct extends Sampling {
  readonly name = 'pct';
  protected override readonly common: number;
  /** A change falls on a step without a choice as well as on any other. */
  readonly wants = { everyStep: true };
  #steps: number;

  constructor(options: StrategyOptions) {
    super(options);
    this.common = options.stepsExpected === 0 ? LEARNING : 0;
    this.#steps = this.saved?.steps ?? (options.stepsExpected || 100);
  }

  begin(shared: Int32Array, execution: number): number {
    const { depth } = this.options;
    const prng = this.prngOf(execution);
    for (let choice = 0; choice < Choice.count; choice++) shared[choice] = depth + (prng.u32() >>> 2);
    const points = Array.from({ length: depth - 1 }, () => prng.below(this.#steps));
    prepareChanges(shared, points);
    return 0;
  }

  choose(shared: Int32Array, s: Situation): number {
    return chooseByPriority(shared, s);
  }

  /** The longest of the first executions is the guess at how long the others will be: the same in every shard. */
  override end(execution: Execution, shared: Int32Array): boolean {
    if (execution.number <= this.common) this.#steps = Math.max(this.#steps, execution.steps);
    return super.end(execution, shared);
  }

  override save(): Saved {
    return { ...super.save(), steps: this.#steps };
  }
}

/** Words: 0 to 63 the priority of each choice, then the lowest one given, and the changes; the i-th of @points gives priority i, from 1. */
function prepareChanges(shared: Int32Array, points: readonly number[]): void {
  shared[LOWEST] = 1;
  shared[NEXT_CHANGE] = CHANGES;
  let at = CHANGES;
  const changes = points.map((step, i) => [step, i + 1] as const).sort(([a, p], [b, q]) => a - b || q - p);
  for (const change of changes.slice(0, (CHANGES_END - CHANGES) / 2 - 1)) {
    shared.set(change, at);
    at += 2;
  }
  shared[at] = -1;
}

/** The choice of highest priority, after the changes that are due. */
function chooseByPriority(shared: Int32Array, s: Situation): number {
  let best = highest(shared, s);
  for (let at = shared[NEXT_CHANGE] as number; shared[at] === s.step; at += 2) {
    shared[best] = shared[at + 1] as number;
    shared[NEXT_CHANGE] = at + 2;
    best = highest(shared, s);
  }
  if (best >= Choice.preempt && best < Choice.device) lower(shared, best);
  return best;
}

/** Below all others. A preemption is on offer again as soon as it has happened: at the top it would be chosen for ever. */
function lower(shared: Int32Array, choice: number): void {
  shared[LOWEST] = (shared[LOWEST] as number) - 1;
  shared[choice] = shared[LOWEST];
}

function highest(shared: Int32Array, s: Situation): number {
  let best = s.choices[0] as number;
  for (let i = 1; i < s.count; i++) {
    const choice = s.choices[i] as number;
    if ((shared[choice] as number) > (shared[best] as number)) best = choice;
  }
  return best;
}

/** Kinds of steps that change nothing that others can see at their address. */
const reads = (kind: number): boolean => kind === Point.Load || kind === Point.CachedLoad || kind === Point.Wait;

/**
 * POS: each pending step has a random priority, the highest goes; a step that races with the one that went draws a new one. Source: Yuan,
 * Yang and Gu, "Partial order aware concurrency sampling", CAV 2018.
 */
export class Pos extends Sampling {
  readonly name = 'pos';
  readonly wants = { everyStep: true };

  /** Words: 0 to 63 the priority of each choice's pending step, 64 the chance. */
  begin(shared: Int32Array, execution: number): number {
    shared[64] = this.prngOf(execution).u32() | 1;
    for (let choice = 0; choice < Choice.count; choice++) shared[choice] = nextRandom(shared, 64) >>> 1;
    return 0;
  }

  choose(shared: Int32Array, s: Situation): number {
    const best = highest(shared, s);
    const addr = s.addrOf(best);
    const read = reads(s.kindOf(best));
    for (let i = 0; i < s.count; i++) {
      const other = s.choices[i] as number;
      const races = s.addrOf(other) === addr && !(read && reads(s.kindOf(other)));
      if (other === best || races) shared[other] = nextRandom(shared, 64) >>> 1;
    }
    return best;
  }
}
