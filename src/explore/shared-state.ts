/**
 * What the workers of a controlled execution share: the baton, what each context wants to do next, the trace, and the strategy's own
 * words. One `Int32Array` beside the machine's areas; nothing here is visible to the emulated kernel.
 */

/** Threads have the contexts 0 to 31 by slot, devices those after them. */
export const DEVICE_CONTEXT = 32;
export const CONTEXTS_MAX = 40;

/** Words of the head: what all may read at any time and few ever write, then what is written together, a cache line each. */
export const Ex = {
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
  /** Non-zero: the last step has been made; what idle CPUs still do is none. Only where footprints are noted. */
  finished: 6,
  /** Contexts that have not unwound yet, of an execution that was called off: see Baton.end(). */
  unwinding: 16,
  /** The last turn, once nobody has the baton any more. */
  sequence: 18,
  /** Workers that spin for the baton: kept only where there are more of them than cores. */
  spinning: 17,
  /** How often a loop of cpu_relax() goes round with nothing changed before it counts as waiting. */
  rounds: 19,
  /**
   * Non-zero: nobody could go on, and nothing has happened since but that loops of cpu_relax() were let go round; one more than the context of the last
   * one. What the execution was before is in `Head` from `deadEndHead` on.
   */
  deadEnd: 20,
  /** Non-zero: the strategy looks at the execution that has ended, or prepares the next one. */
  considers: 21,
  /** `Head` of the execution that has ended. */
  ended: 32,
  /** Hash of everything but the contexts, as far as it differs from what it was when the threads began: two words. */
  memoryLow: 48,
  memoryHigh: 49,
  /** Entries of `undo` in use. */
  undoEnd: 50,
  /** For each CPU, how often its thread was preempted since one made a step of its own. */
  barren: 56,
  /** `Head` of the moment at which nobody could go on. */
  deadEndHead: 96,
  head: 128,
} as const;

/** What travels with the baton, in the cache line that passes it: a line that two workers write in turn costs as much as the hand-over itself. */
export const Head = {
  /** Steps of this execution. */
  steps: 0,
  /** Decisions of this execution: steps with more than one choice. */
  decisions: 1,
  /** Preemptions of this execution so far. */
  preemptions: 2,
  /** Hash of the trace so far. */
  traceHash: 3,
  /** Steps that this execution may have in common with the one before; 0 once a choice differs. */
  alike: 4,
  /** One more than the context in whose trail the last step is; `BARREN`; in the upper half, how many contexts run or are parked within the race. */
  trail: 5,
  /** A number of the strategy's own. */
  carried: 6,
  /** Threads that can go on whatever happens, and those that wait for something, as bits. */
  ready: 7,
  waiting: 8,
  /** Preemptions by the delay measure: places that choices were away from the first. */
  delays: 9,
  words: 10,
} as const;

/** In `Head.trail`: a thread was preempted in this execution, so that `Ex.barren` counts. */
export const BARREN = 1 << 8;

/**
 * Words of a context: one cache line that others write, one that its own worker writes, and what few waits need. The two are 128 bytes apart,
 * since processors fetch lines in pairs. Whoever gets the baton only reads the line that brings it: had it to clear a word there, the line would travel once more.
 * Allocators put a large block at the beginning of a page or 16 bytes behind it, so that 12 words from here on are in one line, but not 16.
 */
export const Ctx = {
  /** Number of the last hand-over to this context, of those of all: what its worker waits to change. */
  turn: 0,
  /** What the worker is told to do: `Told`. */
  told: 1,
  /** `Head`, with the turn. */
  head: 2,
  /** What the giver waits for, if anything, as its own words say too: `Told` has the kind. */
  giverIndex: 12,
  giverValue: 13,
  /** Non-zero while its worker sleeps on `turn`. */
  asleep: 14,
  state: 32,
  kind: 33,
  addr: 34,
  /** What it waits for: `Block`. */
  block: 35,
  blockIndex: 36,
  /** Of words: 0, or in a loop of cpu_relax() how often it has gone round in the same way, plus one. */
  blockValue: 37,
  /** Hash of all that it has observed: two words. */
  seenLow: 38,
  seenHigh: 39,
  /** Hand-overs by it, over all executions. */
  handovers: 40,
  /** Words that it waits for one of, each with what it was seen to hold: pairs. Their number is in `blockIndex`. See `Waits.waitForChange()`. */
  pairs: 48,
  words: 96,
} as const;

export const CtxState = { absent: 0, waiting: 1, parked: 2, ended: 3 } as const;

/** In `Ctx.told`: the choice to carry out; whether there was no other; that nothing follows; the giver, and in the uppermost bits its `Block`. */
export const Told = { choice: 0xff, alone: 0x100, over: 0x200, giverShift: 16, blockShift: 24 } as const;

/** What a worker that has the baton does with it. */
export const Turn = { none: 0, run: 1, irq: 2, preempt: 3, over: 4 } as const;
export type Turn = (typeof Turn)[keyof typeof Turn];

/** Condition under which a context can go on; `never` for one that has ended, or does not take part. */
export const Block = { never: 0, none: 1, word: 2, hwWord: 3, idle: 4, words: 5 } as const;

/** A choice: thread 0 to 31 makes its next step; CPU takes its pending interrupts; CPU preempts its thread; a device makes its next step. */
export const Choice = { irq: 32, preempt: 40, device: 48, count: 64 } as const;
/** Added to an idle context: it leaves, since the execution is over, which is no step. */
export const LEAVES = 64;

/** The choice that goes on with a context; -1 for none. */
export const choiceOfContext = (context: number): number =>
  context < DEVICE_CONTEXT ? context : Choice.device + context - DEVICE_CONTEXT;

export const choiceName = (choice: number): string => {
  if (choice >= Choice.device) return `device${choice - Choice.device}`;
  if (choice >= Choice.preempt) return `preempt CPU${choice - Choice.preempt}`;
  return choice >= Choice.irq ? `interrupt CPU${choice - Choice.irq}` : `thread${choice}`;
};

/** Choices other than threads, as bits: 0 to 7 interrupts by CPU, 8 to 15 preemptions, 16 to 23 devices. */
export const OTHERS_PREEMPT = 8;
export const OTHERS_DEVICE = 16;

/**
 * Words recorded for a step, in trails: each context has one, with a place for each step of the execution, since one that all write would travel
 * from core to core with the baton. The first three are in the trail of the context that makes the step, the others in that of the context before
 * it, which has chosen (the leader's before the first step), and there only if there was a choice.
 */
export const Step = {
  /**
   * Choice; kind in bits 8 to 14; `DECIDED`; CPUs with interrupts masked before the step in bits 16 to 23; in whose trail the step before it is, as
   * `Head.trail` says, above them.
   */
  what: 0,
  addr: 1,
  /** The execution that has written it. */
  execution: 2,
  /** Threads that could go on, other choices. */
  threads: 3,
  others: 4,
  /** Preemptions before it, delays in the upper half. */
  cost: 5,
  words: 6,
} as const;
/** In `Step.what`: there was a choice, so that the step is a decision. */
export const DECIDED = 0x8000;
export const choiceOf = (what: number): number => what & 0xff;
export const kindOfStep = (what: number): number => (what >>> 8) & 0x7f;
export const maskedOf = (what: number): number => (what >>> 16) & 0xff;
/** Trail of the step before it, plus one. */
export const trailOf = (what: number): number => what >>> 24;

/** Words recorded beside it where footprints or states are wanted. */
export const Detail = {
  /** Value of the announced kernel word before the step. */
  before: 0,
  /** End of the step's part of `footprints`; it begins where the step before ends. */
  footprintEnd: 1,
  /** The interrupt or preemption, as a choice, inside which the context makes it, 0 for its own steps; from bit 8 on, inside how many it is. */
  within: 2,
  words: 3,
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
  /** First trail. */
  readonly trails: number;
  readonly trailWords: number;
  /** Threads, and devices after them. */
  readonly threads: number;
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

const inLines = (words: number): number => (words + 15) & ~15;

export function layoutEx(stepsMax: number, wants: Wants, threads: number, devices: number): ExLayout {
  const contexts = Ex.head;
  const prefix = contexts + CONTEXTS_MAX * Ctx.words;
  const trails = inLines(prefix + stepsMax);
  const trailWords = inLines(stepsMax * Step.words);
  const details = trails + (threads + devices) * trailWords;
  const strategy = details + (wants.footprints || wants.states ? stepsMax * Detail.words : 0);
  const footprints = strategy + STRATEGY_WORDS;
  const footprintWords = wants.footprints ? FOOTPRINT_WORDS : 0;
  const undo = footprints + footprintWords;
  const undoWords = wants.states ? UNDO_WORDS : 0;
  return {
    contexts,
    prefix,
    trails,
    trailWords,
    threads,
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

/** Where the trail of a context begins. */
export const trailAt = (layout: ExLayout, context: number): number =>
  layout.trails + (context < DEVICE_CONTEXT ? context : layout.threads + context - DEVICE_CONTEXT) * layout.trailWords;

/** Words of a step in a result's `trace`: choice, kind, address. */
export const STEP_WORDS = 3;

/** Hand-overs of the baton, over all executions. */
export function handoversOf(ex: Int32Array): number {
  let sum = 0;
  for (let context = 0; context < CONTEXTS_MAX; context++)
    sum += ex[Ex.head + context * Ctx.words + Ctx.handovers] as number;
  return sum;
}

/** The context that was given the baton last. */
export function holderOf(ex: Int32Array): number {
  const turn = (context: number): number => Atomics.load(ex, Ex.head + context * Ctx.words + Ctx.turn) >>> 0;
  let holder = 0;
  for (let context = 1; context < CONTEXTS_MAX; context++) if (turn(context) > turn(holder)) holder = context;
  return holder;
}
