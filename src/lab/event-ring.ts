/**
 * The event rings of parallel mode: what each worker did last, until an execution fails. Each worker keeps the ring of the execution that
 * the run keeps as its failure.
 */
import { Control } from '../cpu/hw.js';
import { Ev, type Tracer } from '../cpu/tracer.js';
import { Point } from '../shared/point.js';
import { type History, NO_HISTORY, type Ring } from './recorder.js';

/** What a run asks of its workers. Structured-clonable. */
export interface EventRings {
  /** Events that each worker keeps. */
  readonly size: number;
  /** The word that puts the events of all workers in order. */
  readonly counter: SharedArrayBuffer;
  /** Beginning of the time, by `process.hrtime.bigint()`, which is one clock for all threads. */
  readonly since: bigint;
}

export function ringOf({ size, since }: EventRings): Ring {
  // The clock of a thread counts from its start, and is ten times as fast to read.
  const start = Number(process.hrtime.bigint() - since) / 1000 - performance.now() * 1000;
  return { size, now: () => start + performance.now() * 1000 };
}

type Recording = Tracer & { take(): History };

/** A recorder whose events are taken when an execution is over. */
export class EventRing implements Tracer {
  readonly #hw: Int32Array;
  readonly #recorder: Recording;
  #steps = 0;
  #execution = 0;
  #before = { execution: 0, history: NO_HISTORY };
  #kept = { execution: 0, history: NO_HISTORY };

  /** @recorder: with a function that says how many steps the worker has made in this execution. */
  constructor(hw: Int32Array, recorder: (steps: () => number) => Recording) {
    this.#hw = hw;
    this.#recorder = recorder(() => this.#steps);
  }

  event(what: Ev, a: number, b: number, c: number, d: number): void {
    this.#turn();
    if (what === Ev.step && a !== Point.Wait) this.#steps++;
    this.#recorder.event(what, a, b, c, d);
  }

  /** After an execution: keep its ring if it is the run's failure. */
  keep(): void {
    const wanted = Atomics.load(this.#hw, Control.keptExecution);
    if (wanted === this.#kept.execution) return;
    this.#turn();
    if (wanted === this.#execution) this.#kept = { execution: wanted, history: this.#recorder.take() };
    else if (wanted === this.#before.execution) this.#kept = this.#before;
  }

  get kept(): History {
    return this.#kept.history;
  }

  /** CPU 0 begins the next execution before the others know. */
  #turn(): void {
    const now = Atomics.load(this.#hw, Control.execution);
    if (now === this.#execution) return;
    this.#before = { execution: this.#execution, history: this.#recorder.take() };
    this.#execution = now;
    this.#steps = 0;
  }
}
