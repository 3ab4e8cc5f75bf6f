/**
 * Controlled mode, inside a worker. Slot 0 also drives: reset, setup, the strategy between executions, the oracle. The others sleep until
 * the baton comes; a worker that is never chosen in an execution is never woken.
 */
import { crc32 } from 'node:zlib';
import { Attention, Control, Seat, Verdict } from '../cpu/hw.js';
import { Ev } from '../cpu/tracer.js';
import type { Job } from '../lab/job.js';
import type { RaceSpec } from '../lab/race.js';
import { RaceWorker } from '../lab/race-worker.js';
import type { Failure } from '../lab/types.js';
import { Point } from '../shared/point.js';
import { BatonController } from './controller.js';
import { type History, NO_HISTORY, Recorder } from './recorder.js';
import { DECISION_WORDS, Ex, type ExLayout, layoutEx, STEP_WORDS, Turn } from './shared-state.js';
import { signatureOf } from './signature.js';
import { canonicalOrder, makeStrategy } from './strategies.js';
import type { Decision, Execution, Strategy, StrategyOptions } from './strategy.js';

/** What the main thread sends beyond the job. */
export interface ExploreJob {
  readonly buffer: SharedArrayBuffer;
  readonly stepsMax: number;
  readonly strategy: StrategyOptions;
  /** Record what happens, for an explanation: the word that puts the events of all workers in order. */
  readonly history: SharedArrayBuffer | null;
  /** Only a failure of this signature ends the exploration. */
  readonly wanted: string | null;
  /** Of failures with the same signature keep the one with the shortest schedule, not the first. */
  readonly shortest: boolean;
}

/** A failing execution: what failed where, and how to get there. */
export interface Found {
  /** Failures with the same one are alike: see signatureOf(). */
  readonly signature: string;
  readonly failure: Failure;
  /** How many executions failed so. */
  readonly count: number;
  /** Choices, decision by decision. */
  readonly schedule: readonly number[];
  /** Decisions up to the last that was not the default. */
  readonly prescribed: number;
  readonly preemptions: number;
  readonly steps: number;
  readonly traceHash: number;
  /** CRC-32 of memory after it. */
  readonly memoryHash: number;
  /** Steps: choice, kind, address. */
  readonly trace: Int32Array;
}

/** What slot 0 answers. */
export interface ExploreReport {
  readonly executions: number;
  readonly exhausted: boolean;
  readonly seconds: number;
  /** Distinct failures, in the order in which they were found. */
  readonly failures: readonly Found[];
  /** The one that the result is about: the wanted one, else the first that the race claims, else the first. */
  readonly chosen: Found | null;
  /** Of the last execution. */
  readonly prescribed: number;
  readonly traceHash: number;
  readonly steps: number;
  readonly decisionsMost: number;
  readonly handovers: number;
  readonly moduleError: string | null;
  readonly diverged: boolean;
  /** CRC-32 of memory after the last execution. */
  readonly memoryHash: number;
  readonly history: History;
}

/** More distinct failures than this are not kept apart. */
const FAILURES_MAX = 64;

/** Decisions up to the last that did not take the first choice. */
function prescribedDecisions(ended: Execution): number {
  for (let i = ended.decisions - 1; i >= 0; i--) {
    const { threads, others, current, choice } = ended.decision(i);
    if (choice !== canonicalOrder(threads, others, current)[0]) return i + 1;
  }
  return 0;
}

/** In order of the numbers, the first counting most. */
function isLess(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at >= 0 && (a[at] as number) < (b[at] as number);
}

export class WorkerExplorer extends RaceWorker {
  readonly #ex: Int32Array;
  readonly #layout: ExLayout;
  readonly #strategy: Strategy;
  readonly #controller: BatonController;
  readonly #threads: readonly number[];
  readonly #recorder: Recorder | null;
  readonly #explore: ExploreJob;
  readonly #found = new Map<string, Found>();
  /** Failure of the execution that has just been judged. */
  #latest: Failure | null = null;

  constructor(job: Job, race: RaceSpec, explore: ExploreJob) {
    super(job, race);
    this.#explore = explore;
    this.#layout = layoutEx(explore.stepsMax);
    this.#ex = new Int32Array(explore.buffer);
    this.#strategy = makeStrategy(explore.strategy);
    this.#controller = new BatonController(this.k, this.#ex, this.#layout, this.#strategy);
    this.#threads = job.threads.map((t) => t.slot);
    this.k.controller = this.#controller;
    this.k.clock = () => this.#ex[Ex.steps] as number;
    const { history } = explore;
    this.#recorder = history === null ? null : new Recorder(this.k, history, () => this.#ex[Ex.steps] as number);
    this.k.setTracer(this.#recorder);
    this.k.onStuck = null;
    this.k.onQuiet = null;
  }

  /** A worker other than slot 0: executions as the baton brings them, until the exploration ends. */
  follow(): History {
    for (;;) {
      const turn = this.#controller.waitTurn(() => this.serve());
      if (turn === Turn.over) return this.#recorder?.take() ?? NO_HISTORY;
      this.#take(turn);
    }
  }

  /** Slot 0: one execution after the other. */
  lead(): ExploreReport {
    const { hw } = this.k;
    const { job } = this;
    const started = performance.now();
    let executions = 0;
    let exhausted = false;
    let decisionsMost = 0;
    let diverged = false;
    while (
      !exhausted &&
      executions < job.executions &&
      this.moduleError === null &&
      !(job.stopAtFailure && this.#chosen() !== null) &&
      Atomics.load(hw, Control.quit) === 0 &&
      ((executions & 63) !== 0 || (performance.now() - started) / 1000 < job.seconds)
    ) {
      executions++;
      this.#latest = null;
      this.#one(executions);
      this.judge(executions);
      const ended = this.#execution();
      decisionsMost = Math.max(decisionsMost, ended.decisions);
      diverged ||= this.#ex[Ex.diverged] !== 0;
      if (this.#latest !== null) this.#remember(this.#latest, ended);
      exhausted = !this.#strategy.end(ended);
    }
    for (let slot = 1; slot < this.k.config.threadsMax; slot++) this.#controller.dismiss(slot);
    return {
      executions,
      exhausted,
      seconds: (performance.now() - started) / 1000,
      failures: [...this.#found.values()],
      chosen: this.#chosen(),
      prescribed: prescribedDecisions(this.#execution()),
      traceHash: (this.#ex[Ex.traceHash] as number) >>> 0,
      steps: this.#ex[Ex.steps] as number,
      decisionsMost,
      handovers: this.#ex[Ex.handovers] as number,
      moduleError: this.moduleError,
      diverged,
      memoryHash: this.#memoryHash(),
      history: this.#recorder?.take() ?? NO_HISTORY,
    };
  }

  protected override keep(failure: Failure): void {
    this.#latest = failure;
    // The log that is kept belongs to the failure that the result is about.
    const { wanted } = this.#explore;
    if (wanted !== null && signatureOf(failure, this.k.config) === wanted && !this.#found.has(wanted)) {
      this.failure = null;
    }
    super.keep(failure);
  }

  /** Enter a failing execution among the distinct ones. */
  #remember(failure: Failure, ended: Execution): void {
    const ex = this.#ex;
    const signature = signatureOf(failure, this.k.config);
    const before = this.#found.get(signature);
    if (before === undefined && this.#found.size >= FAILURES_MAX) return;
    const preemptions = ex[Ex.preemptions] as number;
    const prescribed = prescribedDecisions(ended);
    if (before !== undefined) {
      const cost = [preemptions, prescribed, ended.steps];
      const shorter = isLess(cost, [before.preemptions, before.prescribed, before.steps]);
      if (!this.#explore.shortest || !shorter) {
        this.#found.set(signature, { ...before, count: before.count + 1 });
        return;
      }
    }
    this.#found.set(signature, {
      ...{ signature, failure, count: (before?.count ?? 0) + 1, prescribed, preemptions, steps: ended.steps },
      schedule: Array.from({ length: ended.decisions }, (_, i) => ended.decision(i).choice),
      trace: ex.slice(this.#layout.steps, this.#layout.steps + ended.steps * STEP_WORDS),
      traceHash: (ex[Ex.traceHash] as number) >>> 0,
      memoryHash: this.#memoryHash(),
    });
  }

  #chosen(): Found | null {
    const { wanted } = this.#explore;
    if (wanted !== null) return this.#found.get(wanted) ?? null;
    const all = [...this.#found.values()];
    return all.find((f) => this.job.claimed.includes(f.failure.outcome)) ?? all[0] ?? null;
  }

  #memoryHash(): number {
    return crc32(this.k.memory.bytes);
  }

  #one(execution: number): void {
    const { k } = this;
    const { hw, layout, config } = k;
    this.reset();
    Atomics.store(hw, Control.execution, execution);
    this.alone(() => this.race.setup?.(k), 'setup');
    if (Atomics.load(hw, Control.verdict) !== Verdict.none) return;
    this.queueThreads();
    const strategyWords = this.#ex.subarray(this.#layout.strategy);
    this.#controller.reset(this.#threads);
    const prefix = this.#ex.subarray(this.#layout.prefix, this.#layout.decisions);
    this.#ex[Ex.prefixLength] = this.#strategy.begin(strategyWords, execution, prefix);
    const attention = Attention.controlled | this.watched;
    for (let cpu = 0; cpu < config.cpus; cpu++) hw[layout.seats + cpu * Seat.words + Seat.attention] = attention;
    if (this.#controller.start()) this.#take(this.#controller.first());
    for (let turn = this.#wait(); turn !== Turn.over; turn = this.#wait()) this.#take(turn);
    for (let cpu = 0; cpu < config.cpus; cpu++) {
      const seat = layout.seats + cpu * Seat.words;
      hw[seat + Seat.attention] = (hw[seat + Seat.attention] as number) & ~Attention.controlled;
    }
  }

  #wait(): Turn {
    return this.#controller.waitTurn(() => false);
  }

  /** This worker has the baton for the first time in this execution: run its thread, or idle for its CPU. */
  #take(turn: Turn): void {
    const { k } = this;
    k.beginExecution();
    this.#controller.begin(turn);
    this.guarded(() => {
      if (this.body === null) {
        k.scheduler?.idleUntilOver(k);
        return;
      }
      if (this.job.slot >= k.config.cpus) k.scheduler?.waitForSeat(k);
      else this.#controller.firstStep();
      k.trace(Ev.step, Point.Sched, k.current);
      k.irqsOff = false;
      this.runBody(this.body);
    }, `thread ${this.job.slot}`);
    this.#recorder?.flush();
    this.#controller.end();
  }

  #execution(): Execution {
    const ex = this.#ex;
    const { decisions, steps } = this.#layout;
    return {
      decisions: ex[Ex.decisions] as number,
      steps: ex[Ex.steps] as number,
      decision(i): Decision {
        const at = decisions + i * DECISION_WORDS;
        return {
          step: ex[at] as number,
          threads: ex[at + 1] as number,
          others: ex[at + 2] as number,
          current: ex[at + 3] as number,
          choice: ex[at + 4] as number,
          preemptions: ex[at + 5] as number,
        };
      },
      step: (i) => {
        const at = steps + i * STEP_WORDS;
        return [ex[at] as number, ex[at + 1] as number, ex[at + 2] as number];
      },
    };
  }
}
