/**
 * What decides who goes next. A strategy is made in every worker from the same options. It is asked in whatever worker has the baton, so
 * what it remembers during an execution lives in shared words; between executions it is called in one worker only and may keep what it
 * likes.
 */
import type { Wants } from './shared-state.js';

/** The situation at a decision. */
export interface Situation {
  /** Number of the decision in this execution, from 0. */
  readonly decision: number;
  /** Number of the step, from 0. */
  readonly step: number;
  /** Choices in canonical order: the one that goes on with the present context first, if there is one. */
  readonly choices: Int32Array;
  readonly count: number;
  /** Can the present context go on? Then any other choice is a preemption. */
  readonly currentEnabled: boolean;
  /** Preemptions so far. */
  readonly preemptions: number;
  /** Places that choices were away from the first, so far. */
  readonly delays: number;
  /** A number of the strategy's own, 0 at the first decision. It goes with the baton: a shared word that each decision changes would cost more. */
  carried: number;
  /** Next step of the context behind a choice: kind and address. */
  kindOf(choice: number): number;
  addrOf(choice: number): number;
  /** What step @step has touched, as `Footprint` writes it (wants.footprints). Steps that have ended only. */
  touched(step: number): Int32Array;
  /** Two words that stand for the state of the machine and of every context (wants.states). */
  state(): readonly [low: number, high: number];
}

/** One decision of an execution that has ended. */
export interface Decision {
  readonly step: number;
  readonly threads: number;
  readonly others: number;
  readonly current: number;
  readonly choice: number;
  readonly preemptions: number;
  readonly delays: number;
}

/** One step of an execution that has ended. */
export interface StepRecord {
  readonly choice: number;
  readonly kind: number;
  readonly addr: number;
  /** CPUs with interrupts masked before it, as bits (wants.footprints or wants.states). */
  readonly masked: number;
  /** The interrupt or preemption, as a choice, inside which its context makes it; 0 for the context's own steps (wants.footprints or wants.states). */
  readonly within: number;
  /** In how many interrupts and preemptions its context is, one inside the other. */
  readonly depth: number;
  /** Value of the announced kernel word before it (wants.footprints or wants.states). */
  readonly before: number;
}

/** The execution that has just ended. */
export interface Execution {
  /** From 1. */
  readonly number: number;
  readonly decisions: number;
  readonly steps: number;
  readonly preemptions: number;
  readonly traceHash: number;
  readonly failed: boolean;
  /** The strategy gave it up on the way. */
  readonly abandoned: boolean;
  /** Its last step ended it for everybody: others could have gone on. */
  readonly cut: boolean;
  decision(i: number): Decision;
  step(i: number): StepRecord;
  touched(i: number): Int32Array;
  /** CONFIG_PREEMPT. */
  readonly preemptible: boolean;
  /** CPU of a thread or of an interrupt. */
  cpuOf(choice: number): number;
}

/** Numbers that a strategy reports beside the executions, by name: classes, states, pruned, estimate. */
export type StrategyStats = Readonly<Record<string, number>>;

export interface Strategy {
  readonly name: string;
  readonly wants?: Partial<Wants>;
  /** It keeps to its shard (`StrategyOptions.shard`); without saying so a user's strategy is refused shards. */
  readonly sharded?: boolean;
  /** When nothing is left, every schedule within the bounds has been explored, or one that shows the same: the result says `exhausted`. */
  readonly exhausts?: boolean;
  /**
   * Before an execution: prepare the shared words, and write the choices that are prescribed, decision by decision. Return: how many, or
   * -1 when nothing is left to explore.
   */
  begin(shared: Int32Array, execution: number, prefix: Int32Array): number;
  /** Before begin(), unless the user has said it: see `ExploreOptions.rounds`. Default: 0. */
  rounds?(execution: number): number;
  /** Beyond what is prescribed: the choice to take, one of `situation.choices`; -1 to give the execution up. */
  choose(shared: Int32Array, situation: Situation): number;
  /** After an execution. Return: false when nothing is left to explore. */
  end(execution: Execution, shared: Int32Array): boolean;
  /** Is this execution one of this shard's? Asked before it is judged. */
  counts?(execution: Execution): boolean;
  stats?(): StrategyStats;
  /** Where the exploration stands, as data: it goes into a checkpoint, and comes back as `StrategyOptions.state`. */
  save?(): unknown;
}

/** What a strategy is made from; goes to the workers as data. */
export interface StrategyOptions {
  readonly name: string;
  /** URL of the module of a strategy that is not one of Murphy's: its default export makes it from these options. */
  readonly module: string | null;
  readonly seed: number;
  /** Depth of PCT: one more than its priority changes. */
  readonly depth: number;
  /** Steps that PCT expects, for placing its changes; 0 to learn it. */
  readonly stepsExpected: number;
  /** Most preemptions of an execution; -1 for no bound. */
  readonly preemptionsMax: number;
  /** Most delays of an execution; -1 for no bound. */
  readonly delaysMax: number;
  /** Do not explore a state twice. */
  readonly states: boolean;
  /** A random walk whose every choice is as likely as the others, at every decision. */
  readonly uniform: boolean;
  /** Try the choices in an order that chance gives (dfs, dpor): what is explored is the same. */
  readonly shuffle: boolean;
  /** This is part @shard, from 0, of @shards that together explore the space. */
  readonly shard: number;
  readonly shards: number;
  /** Choices to repeat. */
  readonly schedule: readonly number[];
  /** `ExploreOptions.rounds`, if that is given. */
  readonly rounds: number | null;
  /** Memory that all workers share, for a table of states. */
  readonly table: SharedArrayBuffer | null;
  /** What `save()` answered, to go on from there; null to begin. */
  readonly state: unknown;
}

/** What the default export of a strategy module is. */
export type StrategyFactory = (options: StrategyOptions) => Strategy;
