/**
 * What the workers of a controlled execution share: the baton, what each context wants to do next, the trace, and the strategy's own
 * words. One `Int32Array` beside the machine's areas; nothing here is visible to the emulated kernel.
 */

/** Contexts are thread slots; slot numbers stay below this. */
export const CONTEXTS_MAX = 32;

/** Words of the head. */
export const Ex = {
  /** Choice that ran last: see `Choice`. */
  last: 0,
  /** Context that ran last, or -1. */
  current: 1,
  /** Steps of this execution. */
  steps: 2,
  /** Decisions of this execution: steps with more than one choice. */
  decisions: 3,
  /** Contexts that run or are parked within the race, and have not ended. */
  active: 4,
  /** Preemptions of this execution so far. */
  preemptions: 5,
  /** Hand-overs of the baton, over all executions. */
  handovers: 6,
  /** Hash of the trace so far. */
  traceHash: 7,
  /** Non-zero while choices are recorded: from the first step of the threads until all have ended. */
  running: 8,
  /** Decisions that are prescribed: see `prefix`. */
  prefixLength: 9,
  /** Non-zero: the execution left the prescribed schedule (a replay that no longer fits). */
  diverged: 10,
  /** The step bound was reached. */
  tooLong: 11,
  head: 32,
} as const;

/** Words of a context. */
export const Ctx = {
  /** What the worker is told to do: `Turn`. */
  turn: 0,
  state: 1,
  kind: 2,
  addr: 3,
  /** What it waits for: `Block`. */
  block: 4,
  blockIndex: 5,
  blockValue: 6,
  words: 16,
} as const;

export const CtxState = { absent: 0, waiting: 1, parked: 2, ended: 3 } as const;

/** Told through `Ctx.turn`. */
export const Turn = { none: 0, run: 1, irq: 2, preempt: 3, over: 4 } as const;
export type Turn = (typeof Turn)[keyof typeof Turn];

/** Condition under which a parked context can go on. */
export const Block = { none: 0, word: 1, hwWord: 2, idle: 3 } as const;

/** A choice: thread 0 to 31 makes its next step; CPU takes its pending interrupts; CPU preempts its thread. */
export const Choice = { irq: 32, preempt: 48, count: 64 } as const;

export const choiceName = (choice: number): string => {
  if (choice >= Choice.preempt) return `preempt CPU${choice - Choice.preempt}`;
  return choice >= Choice.irq ? `interrupt CPU${choice - Choice.irq}` : `thread${choice}`;
};

/** Words recorded for a step: choice, kind, address. */
export const STEP_WORDS = 3;
/** Words recorded for a decision: step, threads enabled, interrupts and preemptions enabled, context before, choice, preemptions before. */
export const DECISION_WORDS = 6;

export interface ExLayout {
  readonly contexts: number;
  readonly prefix: number;
  readonly decisions: number;
  readonly steps: number;
  readonly strategy: number;
  readonly stepsMax: number;
  readonly words: number;
}

export const STRATEGY_WORDS = 1024;

export function layoutEx(stepsMax: number): ExLayout {
  const contexts = Ex.head;
  const prefix = contexts + CONTEXTS_MAX * Ctx.words;
  const decisions = prefix + stepsMax;
  const steps = decisions + stepsMax * DECISION_WORDS;
  const strategy = steps + stepsMax * STEP_WORDS;
  return { contexts, prefix, decisions, steps, strategy, stepsMax, words: strategy + STRATEGY_WORDS };
}
