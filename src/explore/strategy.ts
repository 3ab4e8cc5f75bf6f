/**
 * What decides who goes next. A strategy is asked in whatever worker has the baton, so what it remembers during an execution lives in
 * shared words; between executions it is called in one place and may keep what it likes.
 */

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
  /** Next step of a thread: kind and address. */
  kindOf(thread: number): number;
  addrOf(thread: number): number;
}

/** One decision of an execution that has ended. */
export interface Decision {
  readonly step: number;
  readonly threads: number;
  readonly others: number;
  readonly current: number;
  readonly choice: number;
  readonly preemptions: number;
}

/** The execution that has just ended. */
export interface Execution {
  readonly decisions: number;
  readonly steps: number;
  decision(i: number): Decision;
  /** Choice, kind and address of a step. */
  step(i: number): readonly [choice: number, kind: number, addr: number];
}

export interface Strategy {
  readonly name: string;
  /** Before an execution: prepare the shared words, and write the choices that are prescribed. Return: how many. */
  begin(shared: Int32Array, execution: number, prefix: Int32Array): number;
  /** Beyond what is prescribed: the choice to take, one of `situation.choices`. */
  choose(shared: Int32Array, situation: Situation): number;
  /** After an execution. Return: false when the space is exhausted. */
  end(execution: Execution): boolean;
}

/** What a strategy is made from; goes to the workers as data. */
export interface StrategyOptions {
  readonly name: 'random' | 'pct' | 'dfs' | 'replay';
  readonly seed: number;
  /** Depth of PCT: one more than its priority changes. */
  readonly depth: number;
  /** Steps that PCT expects, for placing its changes. */
  readonly stepsExpected: number;
  /** Most preemptions of an execution; -1 for no bound. */
  readonly preemptionsMax: number;
  /** Choices to repeat. */
  readonly schedule: readonly number[];
}
