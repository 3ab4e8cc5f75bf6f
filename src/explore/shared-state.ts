/**
 * What the workers of a controlled execution share: the baton, what each context wants to do next, the trace, and the strategy's own
 * words. One `Int32Array` beside the machine's areas; nothing here is visible to the emulated kernel.
 */

/** Threads have the contexts 0 to 31 by slot, devices those after them. */
export const DEVICE_CONTEXT = 32;
export const CONTEXTS_MAX = 40;

/**
 * Words of the head, apart by what is written together: a cache line that two workers write in turn travels at each hand-over, so whoever
 * has the baton keeps what changes at each step to itself, and passes it on with the baton (`Ctx.head`).
 */
export const Ex = {
  /** Non-zero while choices are recorded: from the first step of the threads until all have ended. */
  running: 0,
  /** Decisions that are prescribed: see `prefix`. */
  prefixLength: 1,
  /** Non-zero: the execution left the prescribed schedule (a replay that no longer fits). */
  diverged: 2,
  /** The step bound was reached. */
  tooLong: 3,
  /** Non-zero: the strategy has given the execution up, since it would show nothing new. */
  abandoned: 4,
  /** Non-zero: more was touched than there is room to note. */
  footprintsLost: 5,
  /** Non-zero: the last step has been made; what idle CPUs still do is none. */
  finished: 6,
  /** Steps that the execution before left in `steps`; 0 once a choice differs from it. */
  alike: 7,
  /** Contexts that run or are parked within the race, and have not ended. */
  active: 16,
  /** Workers that spin for the baton: kept only where there are more of them than cores. */
  spinning: 17,
  /** `Head` of the execution that has ended. */
  ended: 32,
  /** Hash of everything but the contexts, as far as it differs from what it was when the threads began: two words. */
  memoryLow: 48,
  memoryHigh: 49,
  /** Entries of `undo` in use. */
  undoEnd: 50,
  /** For each CPU, how often its thread was preempted since one made a step of its own. */
  barren: 56,
  head: 64,
} as const;

/** What travels with the baton. */
export const Head = {
  /** Steps of this execution. */
  steps: 0,
  /** Decisions of this execution: steps with more than one choice. */
  decisions: 1,
  /** Preemptions of this execution so far. */
  preemptions: 2,
  /** Preemptions by the delay measure: places that choices were away from the first. */
  delays: 3,
  /** Hash of the trace so far. */
  traceHash: 4,
  /** Words of `footprints` in use. */
  footprintEnd: 5,
  words: 6,
} as const;

/** Words of a context: one cache line that others write, one that its own worker writes, and what few waits need. */
export const Ctx = {
  /** What the worker is told to do: `Turn`. */
  turn: 0,
  /** Non-zero while its worker sleeps on `turn`. */
  asleep: 1,
  /** Hand-overs to it, over all executions. */
  handovers: 2,
  /** `Head`, with the turn. */
  head: 8,
  state: 16,
  kind: 17,
  addr: 18,
  /** What it waits for: `Block`. */
  block: 19,
  blockIndex: 20,
  blockValue: 21,
  /** Hash of all that it has observed: two words. */
  seenLow: 22,
  seenHigh: 23,
  /** Words that it waits for one of, each with what it was seen to hold: pairs. Their number is in `blockIndex`. */
  pairs: 32,
  words: 64,
} as const;

export const CtxState = { absent: 0, waiting: 1, parked: 2, ended: 3 } as const;

/** Told through `Ctx.turn`. */
export const Turn = { none: 0, run: 1, irq: 2, preempt: 3, over: 4 } as const;
export type Turn = (typeof Turn)[keyof typeof Turn];

/** Condition under which a context can go on; `never` for one that has ended, or does not take part. */
export const Block = { never: 0, none: 1, word: 2, hwWord: 3, idle: 4, words: 5 } as const;

/** A choice: thread 0 to 31 makes its next step; CPU takes its pending interrupts; CPU preempts its thread; a device makes its next step. */
export const Choice = { irq: 32, preempt: 40, device: 48, count: 64 } as const;

export const choiceName = (choice: number): string => {
  if (choice >= Choice.device) return `device${choice - Choice.device}`;
  if (choice >= Choice.preempt) return `preempt CPU${choice - Choice.preempt}`;
  return choice >= Choice.irq ? `interrupt CPU${choice - Choice.irq}` : `thread${choice}`;
};

/** Choices other than threads, as bits: 0 to 7 interrupts by CPU, 8 to 15 preemptions, 16 to 23 devices. */
export const OTHERS_PREEMPT = 8;
export const OTHERS_DEVICE = 16;

/** Words recorded for a step. Few, since they travel from core to core with the baton. */
export const Step = {
  /** Choice, kind in bits 8 to 15, CPUs with interrupts masked before the step in bits 16 to 23. */
  what: 0,
  addr: 1,
  words: 2,
} as const;
export const choiceOf = (what: number): number => what & 0xff;
export const kindOfStep = (what: number): number => (what >>> 8) & 0xff;
export const maskedOf = (what: number): number => (what >>> 16) & 0xff;

/** Words recorded beside it where footprints or states are wanted. */
export const Detail = {
  /** Value of the announced kernel word before the step. */
  before: 0,
  /** End of the step's part of `footprints`; it begins where the step before ends. */
  footprintEnd: 1,
  words: 2,
} as const;

/** Words recorded for a decision. */
export const Decided = {
  step: 0,
  /** Choice, and the context before plus one in bits 8 to 15. */
  what: 1,
  /** Preemptions before it, delays in the upper half. */
  cost: 2,
  /** Threads that could go on, other choices. */
  threads: 3,
  others: 4,
  words: 5,
} as const;

/** What a strategy wants to be told beyond who can go on. */
export interface Wants {
  /** What each step touches. */
  readonly footprints: boolean;
  /** A hash of the state at each step. */
  readonly states: boolean;
  /** To be asked at steps with one choice too. */
  readonly everyStep: boolean;
}

export interface ExLayout {
  readonly contexts: number;
  readonly prefix: number;
  readonly decisions: number;
  readonly steps: number;
  readonly details: number;
  readonly strategy: number;
  readonly footprints: number;
  readonly footprintWords: number;
  /** Indices of the words of memory and hardware that differ from what they were when the threads began. */
  readonly undo: number;
  readonly undoWords: number;
  readonly stepsMax: number;
  readonly words: number;
}

export const STRATEGY_WORDS = 1 << 16;
const FOOTPRINT_WORDS = 1 << 20;
const UNDO_WORDS = 1 << 18;

export function layoutEx(stepsMax: number, wants: Wants): ExLayout {
  const contexts = Ex.head;
  const prefix = contexts + CONTEXTS_MAX * Ctx.words;
  const decisions = prefix + stepsMax;
  const steps = decisions + stepsMax * Decided.words;
  const details = steps + stepsMax * Step.words;
  const strategy = details + (wants.footprints || wants.states ? stepsMax * Detail.words : 0);
  const footprints = strategy + STRATEGY_WORDS;
  const footprintWords = wants.footprints ? FOOTPRINT_WORDS : 0;
  const undo = footprints + footprintWords;
  const undoWords = wants.states ? UNDO_WORDS : 0;
  return {
    contexts,
    prefix,
    decisions,
    steps,
    details,
    strategy,
    footprints,
    footprintWords,
    undo,
    undoWords,
    stepsMax,
    words: undo + undoWords,
  };
}

/** Words of a step in a result's `trace`: choice, kind, address. */
export const STEP_WORDS = 3;

/** Hand-overs of the baton, over all executions. */
export function handoversOf(ex: Int32Array): number {
  let sum = 0;
  for (let context = 0; context < CONTEXTS_MAX; context++)
    sum += ex[Ex.head + context * Ctx.words + Ctx.handovers] as number;
  return sum;
}

/** The context that was given the baton last: the one with the most steps before it. */
export function holderOf(ex: Int32Array): number {
  const steps = (context: number): number => Atomics.load(ex, Ex.head + context * Ctx.words + Ctx.head + Head.steps);
  let holder = 0;
  for (let context = 1; context < CONTEXTS_MAX; context++) if (steps(context) > steps(holder)) holder = context;
  return holder;
}
