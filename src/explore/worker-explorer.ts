/**
 * Controlled mode, inside a worker. Slot 0 also drives: reset, setup, the strategy between executions, the oracle. The others sleep until
 * the baton comes; a worker that is never chosen in an execution is never woken.
 */
import { crc32 } from 'node:zlib';
import { Attention, Control, Seat, Verdict } from '../cpu/hw.js';
import type { Job } from '../lab/job.js';
import type { RaceSpec } from '../lab/race.js';
import { RaceWorker } from '../lab/race-worker.js';
import type { Failure } from '../lab/types.js';
import { BatonController } from './controller.js';
import { type History, NO_HISTORY, Recorder } from './recorder.js';
import { DECISION_WORDS, Ex, type ExLayout, layoutEx, STEP_WORDS, Turn } from './shared-state.js';
import { makeStrategy } from './strategies.js';
import type { Decision, Execution, Strategy, StrategyOptions } from './strategy.js';

/** What the main thread sends beyond the job. */
export interface ExploreJob {
  readonly buffer: SharedArrayBuffer;
  readonly stepsMax: number;
  readonly strategy: StrategyOptions;
  /** Record what happens, for an explanation: the word that puts the events of all workers in order. */
  readonly history: SharedArrayBuffer | null;
}

/** What slot 0 answers. */
export interface ExploreReport {
  readonly executions: number;
  readonly exhausted: boolean;
  readonly seconds: number;
  readonly failure: Failure | null;
  /** Choices of the first failing execution, decision by decision. */
  readonly schedule: readonly number[];
  /** Steps of the first failing execution, or of the last: choice, kind, address. */
  readonly trace: Int32Array;
  readonly traceHash: number;
  readonly steps: number;
  readonly decisionsMost: number;
  readonly handovers: number;
  readonly moduleError: string | null;
  readonly diverged: boolean;
  /** Preemptions of the first failing execution. */
  readonly preemptions: number;
  /** CRC-32 of memory after the first failing execution, or the last. */
  readonly memoryHash: number;
  readonly history: History;
}

export class WorkerExplorer extends RaceWorker {
  readonly #ex: Int32Array;
  readonly #layout: ExLayout;
  readonly #strategy: Strategy;
  readonly #controller: BatonController;
  readonly #threads: readonly number[];
  readonly #recorder: Recorder | null;

  constructor(job: Job, race: RaceSpec, explore: ExploreJob) {
    super(job, race);
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
    let schedule: number[] = [];
    let trace = new Int32Array(0);
    let steps = 0;
    let traceHash = 0;
    let decisionsMost = 0;
    let diverged = false;
    let preemptions = 0;
    let memoryHash: number | null = null;
    while (
      !exhausted &&
      executions < job.executions &&
      this.moduleError === null &&
      !(job.stopAtFailure && this.failures > 0) &&
      Atomics.load(hw, Control.quit) === 0 &&
      ((executions & 63) !== 0 || (performance.now() - started) / 1000 < job.seconds)
    ) {
      executions++;
      const failuresBefore = this.failures;
      this.#one(executions);
      this.judge(executions);
      const ended = this.#execution();
      decisionsMost = Math.max(decisionsMost, ended.decisions);
      diverged ||= this.#ex[Ex.diverged] !== 0;
      const failed = this.failures > failuresBefore;
      if ((failed && this.failures === 1) || this.failures === 0) traceHash = this.#ex[Ex.traceHash] as number;
      if (failed && this.failures === 1) {
        preemptions = this.#ex[Ex.preemptions] as number;
        memoryHash = this.#memoryHash();
        schedule = Array.from({ length: ended.decisions }, (_, i) => ended.decision(i).choice);
        trace = this.#ex.slice(this.#layout.steps, this.#layout.steps + ended.steps * STEP_WORDS);
        steps = ended.steps;
      }
      exhausted = !this.#strategy.end(ended);
    }
    for (let slot = 1; slot < this.k.config.threadsMax; slot++) this.#controller.dismiss(slot);
    return {
      executions,
      exhausted,
      seconds: (performance.now() - started) / 1000,
      failure: this.failure,
      schedule,
      trace,
      traceHash: traceHash >>> 0,
      steps: this.failures > 0 ? steps : (this.#ex[Ex.steps] as number),
      decisionsMost,
      handovers: this.#ex[Ex.handovers] as number,
      moduleError: this.moduleError,
      diverged,
      preemptions,
      memoryHash: memoryHash ?? this.#memoryHash(),
      history: this.#recorder?.take() ?? NO_HISTORY,
    };
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
