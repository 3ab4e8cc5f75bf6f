/**
 * An execution as exports and pages need it: its events in order, whose they are, in which functions.
 *
 * Controlled mode has no clock. Where a format wants a time, it is the place of an event in their order: a microsecond each. Events of
 * parallel mode have the host's time.
 */
import { Ev } from '../../cpu/tracer.js';
import { contextOf } from '../../explore/explain/columns.js';
import { type Explanation, explain, NO_EXPLANATION } from '../../explore/explain/explain.js';
import { Names } from '../../explore/explain/names.js';
import type { ExploreResult } from '../../explore/explore.js';
import type { TraceEvent } from '../../lab/recorder.js';
import type { RunResult } from '../../lab/types.js';
import { layoutStatics } from '../../mm/boot.js';
import { UsageError } from '../../shared/errors.js';

/** What the clock can tell apart, microseconds. */
export const TICK = 0.001;

/** What is told of the execution beside its events. */
export type Traced = Pick<
  ExploreResult,
  'experiment' | 'core' | 'kernel' | 'cpus' | 'outcome' | 'failure' | 'machine' | 'history'
>;

export interface Execution {
  readonly result: Traced;
  readonly explanation: Explanation;
  readonly names: Names;
  readonly events: readonly TraceEvent[];
  /** Names of the kernel threads, by slot. */
  readonly threads: ReadonlyMap<number, string>;
}

/** One of controlled mode, which can be explained and drawn step by step. */
export interface Replayed extends Execution {
  readonly result: ExploreResult;
}

/** @result: of a replay with its history. @threads: names by slot. */
export const executionOf = (result: ExploreResult, threads: ReadonlyMap<number, string>): Replayed => ({
  ...{ result, threads, explanation: explain(result), events: result.history.events },
  names: new Names(result.machine, layoutStatics(result.machine).sym),
});

/**
 * A failing execution of parallel mode, as its event rings have it. Nothing is explained: the events of different CPUs are in the order in
 * which they were written down, which need not be that of the accesses. Throws UsageError where nothing was recorded.
 */
export function executionOfRun(result: RunResult): Execution {
  const { traced } = result;
  if (traced === undefined) {
    throw new UsageError('the run has recorded no failing execution; give it "events", and let it fail');
  }
  const { threads, machine, history } = traced;
  return {
    ...{ result: { ...result, machine, history }, threads, explanation: NO_EXPLANATION, events: history.events },
    names: new Names(machine, layoutStatics(machine).sym),
  };
}

/** Microseconds from the first event to each. Each is later than those before it. */
export function timesOf(events: readonly TraceEvent[]): ReadonlyMap<TraceEvent, number> {
  const times = new Map<TraceEvent, number>();
  const first = events[0]?.time ?? 0;
  let last = -1;
  for (const e of events) {
    last = e.time === undefined ? last + 1 : Math.max(last + TICK, e.time - first);
    times.set(e, last);
  }
  return times;
}

/** Name of the thread or device that an event belongs to. */
export const taskOf = (execution: Execution, e: TraceEvent): string =>
  e.cpu < 0 ? `device${e.slot}` : (execution.threads.get(e.slot) ?? `thread${e.slot}`);

const withoutRepeats = (list: readonly string[]): string[] => list.filter((name, i) => name !== list[i - 1]);

/** In which functions each event happened. Has to see every event, in order. */
export class Frames {
  /** Per context of a worker: how many functions of its stack were interrupted, and by which line, handler by handler. */
  readonly #interrupted = new Map<string, { readonly depth: number; readonly line: number }[]>();

  /** Return: functions of the event's own context, outermost first, without those that it has interrupted. */
  own(e: TraceEvent): string[] {
    const last = this.#of(e).at(-1);
    return withoutRepeats(outermostFirst(e).slice(last?.depth ?? 0));
  }

  /** Return: all functions on the stack, outermost first, with `irq N` where a handler begins. */
  all(e: TraceEvent): string[] {
    const frames = outermostFirst(e);
    for (const { depth, line } of this.#of(e).toReversed())
      frames.splice(Math.min(depth, frames.length), 0, `irq ${line}`);
    return withoutRepeats(frames);
  }

  see(e: TraceEvent): void {
    if (e.what === Ev.irqEnter) this.#of(e).push({ depth: e.stack.length, line: e.a });
    if (e.what === Ev.irqExit) this.#of(e).pop();
  }

  #of(e: TraceEvent): { readonly depth: number; readonly line: number }[] {
    const key = e.cpu < 0 ? contextOf(e) : String(e.slot);
    const found = this.#interrupted.get(key) ?? [];
    this.#interrupted.set(key, found);
    return found;
  }
}

/** A handler without a name of its own has that of its line. */
const outermostFirst = (e: TraceEvent): string[] =>
  e.stack.map((name) => (/^\d+$/.test(name) ? `handler ${name}` : name)).reverse();

/** Something that lasts: a function, the hold of a lock. */
export interface Span<T = string> {
  readonly what: T;
  readonly depth: number;
  readonly from: number;
  /** The first moment at which it is over. */
  to: number;
}

/** Nested spans of one context, from what was on its stack at each moment. */
export class Nesting {
  readonly #open: Span[] = [];
  readonly spans: Span[] = [];
  #last = 0;

  /** @stack: outermost first. @at: later than in any call before. @length: how long the moment lasts. */
  see(stack: readonly string[], at: number, length = 1): void {
    const same = stack.findIndex((name, i) => this.#open[i]?.what !== name);
    this.#open.length = Math.min(this.#open.length, same < 0 ? stack.length : same);
    for (const name of stack.slice(this.#open.length)) {
      const span = { what: name, depth: this.#open.length, from: at, to: at };
      this.#open.push(span);
      this.spans.push(span);
    }
    this.#last = at + length;
    for (const span of this.#open) span.to = this.#last;
  }
}

/** A lock held by a context. */
export interface Hold {
  readonly lock: number;
  readonly taken: TraceEvent;
  /** Null: held to the end. */
  released: TraceEvent | null;
}

/** Every hold of a lock, in the order in which they were taken. */
export function holdsOf(events: readonly TraceEvent[]): Hold[] {
  const holds: Hold[] = [];
  for (const e of events) {
    if (e.what === Ev.lockAcquired) holds.push({ lock: e.a, taken: e, released: null });
    if (e.what !== Ev.lockReleased) continue;
    const open = holds.filter((h) => h.lock === e.a && h.released === null);
    const own = open.findLast((h) => h.taken.slot === e.slot) ?? open.at(-1);
    if (own !== undefined) own.released = e;
  }
  return holds;
}
