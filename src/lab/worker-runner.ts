/**
 * Parallel mode, inside a worker: executions one after the other, in step with the other workers.
 *
 * An execution is reset and setup on CPU 0, the threads all at once, then the oracle on CPU 0. Two barriers hold the workers together;
 * a worker that waits at one while it holds a CPU's seat takes that CPU's interrupts.
 */

import type { Device } from '../cpu/device.js';
import { Attention, Control, Seat, Verdict } from '../cpu/hw.js';
import { appendLog } from '../cpu/printk.js';
import { wakeSeats } from '../cpu/sched.js';
import { bothTracers } from '../cpu/tracer.js';
import { ExecutionStopped } from '../shared/errors.js';
import { Point } from '../shared/point.js';
import { Prng } from '../shared/prng.js';
import { deviceChecker } from './checkers.js';
import { EventRing, ringOf } from './event-ring.js';
import type { Job } from './job.js';
import { mustBePlain } from './plain.js';
import type { RaceSpec } from './race.js';
import { defineVars, RaceWorker, settleDevice } from './race-worker.js';
import { DeviceRecorder, type History, NO_HISTORY, Recorder } from './recorder.js';
import { named } from './stack.js';
import type { Failure } from './types.js';

const BARRIER_SPINS = 200;
const BARRIER_SLEEP_MS = 1;
/** How a thread waits at the start for those that still wake up: rounds of about 20 ns, then on the futex. */
const MEET_ROUNDS = 4000;
const MEET_SLEEP_MS = 1;
/** Start skew of a thread, in rounds of about 20 ns. */
const SKEW_ROUNDS = 600;
/** A thread may stand still once, at one of its first 2^n scheduling points: n evenly from 0 to this, so that short threads get their share. */
const STALL_POINTS_LOG2 = 13;
/** How long it stands still: longer than most races take. */
const STALL_MS = 0.2;

/** What a worker answers when a run is over. Only slot 0 has findings. */
export interface WorkerReport {
  readonly slot: number;
  readonly executions: number;
  readonly seconds: number;
  readonly failure: Failure | null;
  /** Text of an exception of the race module itself, or null. */
  readonly moduleError: string | null;
  /** What this worker did in the execution that failed, where that is recorded. */
  readonly history: History;
}

export class WorkerRunner extends RaceWorker {
  readonly #prng: Prng;
  /** Threads of the race that begin on their CPU's seat. */
  readonly #bootThreads: number;
  readonly #ring: EventRing | null;

  constructor(job: Job, race: RaceSpec) {
    super(job, race);
    this.#ring = this.#record();
    this.#bootThreads = job.threads.filter((t) => t.slot < job.config.cpus).length;
    this.#prng = new Prng(job.config.seed * 64 + job.slot);
  }

  /** Watch this worker, if the run asks for it. Its steps are those that it makes itself. */
  #record(): EventRing | null {
    const { k, job } = this;
    const { events } = job;
    if (events === null) return null;
    const ring = new EventRing(k.hw, (steps) => new Recorder(k, events.counter, steps, ringOf(events)));
    k.setTracer(bothTracers(k.tracer, ring));
    return ring;
  }

  run(): WorkerReport {
    const started = performance.now();
    let executions = 0;
    try {
      for (;;) {
        if (this.job.slot === 0) this.#prepare(executions, started);
        this.#barrier();
        this.#ring?.keep();
        if (Atomics.load(this.k.hw, Control.quit) !== 0) break;
        executions++;
        this.#execute();
        this.k.flushStats();
        this.#barrier();
        if (this.job.slot === 0) this.judge(executions);
      }
    } catch (error) {
      if (!(error instanceof ExecutionStopped)) throw error;
    }
    this.#ring?.keep();
    return {
      slot: this.job.slot,
      executions,
      seconds: (performance.now() - started) / 1000,
      failure: this.failure,
      moduleError: this.moduleError,
      history: this.#ring?.kept ?? NO_HISTORY,
    };
  }

  protected override keep(failure: Failure): void {
    super.keep(failure);
    if (this.failure === failure) Atomics.store(this.k.hw, Control.keptExecution, failure.execution);
  }

  // ---- CPU 0 between executions ------------------------------------------------------------------------------------

  #prepare(executions: number, started: number): void {
    const { hw } = this.k;
    const job = this.job;
    // A claimed failure that has not shown itself yet gets more time, if the user has any.
    const awaited = this.failures === 0 && job.claimed.some((o) => o !== 'clean');
    const seconds = awaited ? Math.max(job.seconds, job.patienceSeconds) : job.seconds;
    const over =
      // One execution at least, however late the host lets it begin.
      (executions > 0 && (performance.now() - started) / 1000 >= seconds) ||
      executions >= job.executions ||
      (job.stopAtFailure && this.failures > 0) ||
      this.moduleError !== null;
    if (over) Atomics.store(hw, Control.quit, 1);
    if (Atomics.load(hw, Control.quit) !== 0) return;
    this.reset();
    Atomics.store(hw, Control.execution, executions + 1);
    this.alone(() => this.race.setup?.(this.k), 'setup');
    this.queueThreads();
  }

  // ---- an execution ------------------------------------------------------------------------------------------------

  #execute(): void {
    const k = this.k;
    if (Atomics.load(k.hw, Control.verdict) !== Verdict.none) return;
    const scheduler = k.scheduler;
    if (scheduler === null) return;
    k.beginExecution();
    this.guarded(() => {
      if (this.body === null) {
        scheduler.idleUntilOver(k);
        return;
      }
      if (this.job.slot >= k.config.cpus) scheduler.waitForSeat(k);
      else this.#meet();
      k.irqsOff = false;
      this.#skew();
      this.#stall();
      this.runBody(this.body);
    }, `thread ${this.job.slot}`);
    this.#goOn();
  }

  /**
   * Wait for the other boot threads. A worker that slept at the barrier comes later than the last arrival by a wake-up of the host,
   * which is longer than most races take: without this the threads hardly ever run at the same time.
   */
  #meet(): void {
    const { hw } = this.k;
    const all = this.#bootThreads;
    if (Atomics.add(hw, Control.started, 1) + 1 === all) Atomics.notify(hw, Control.started);
    for (let round = 0; Atomics.load(hw, Control.started) < all; round++) {
      if (Atomics.load(hw, Control.abort) !== 0 || Atomics.load(hw, Control.broken) !== 0) return;
      if (round > MEET_ROUNDS) Atomics.wait(hw, Control.started, Atomics.load(hw, Control.started), MEET_SLEEP_MS);
    }
  }

  /** Threads do not all start at the same instant: sometimes together, sometimes microseconds apart. */
  #skew(): void {
    const rounds = this.#prng.below(4) === 0 ? 0 : this.#prng.below(SKEW_ROUNDS);
    for (let i = 0; i < rounds; i++) this.k.point(Point.Wait, 0);
    for (let i = 0; i < rounds; i++) Atomics.load(this.k.hw, Control.abort);
  }

  /**
   * Every other time the thread's CPU stands still once, between two steps that chance chooses, as one does whose hypervisor runs somebody
   * else. The others go on meanwhile. On a host with fewer free cores than CPUs there would be hardly any interleaving without it. A long
   * race says how often (`stallPoints`).
   */
  #stall(): void {
    const k = this.k;
    const { stallPoints = 0 } = this.race;
    if (k.config.cpus + this.job.devices === 1) return;
    const next = (): number => this.#prng.below(stallPoints * 2 || 1 << this.#prng.below(STALL_POINTS_LOG2 + 1));
    if (stallPoints === 0 && this.#prng.below(2) === 0) return;
    let left = next();
    k.controller = {
      point: () => {
        if (left-- > 0) return false;
        if (stallPoints === 0) this.#goOn();
        else left = next();
        Atomics.wait(k.hw, Control.abort, 0, STALL_MS * (stallPoints === 0 ? 1 : 1 << this.#prng.below(4)));
        return false;
      },
    };
    Atomics.or(k.hw, k.layout.seats + k.cpu * Seat.words + Seat.attention, Attention.controlled);
  }

  /** No standing still any more. */
  #goOn(): void {
    const k = this.k;
    if (k.controller === null) return;
    k.controller = null;
    Atomics.and(k.hw, k.layout.seats + k.cpu * Seat.words + Seat.attention, ~Attention.controlled);
  }

  // ---- barrier -----------------------------------------------------------------------------------------------------

  #barrier(): void {
    const k = this.k;
    const { hw, layout } = k;
    const phase = Atomics.load(hw, Control.phase);
    if (Atomics.add(hw, Control.arrived, 1) + 1 === this.job.participants) {
      Atomics.store(hw, Control.arrived, 0);
      Atomics.add(hw, Control.phase, 1);
      Atomics.notify(hw, Control.phase);
      wakeSeats(k);
      return;
    }
    const seat = layout.seats + this.job.cpu * Seat.words;
    for (let round = 0; Atomics.load(hw, Control.phase) === phase; round++) {
      if (Atomics.load(hw, Control.broken) !== 0) throw new ExecutionStopped('another worker has died');
      const mine = this.job.slot < k.config.cpus && hw[seat + Seat.current] === this.job.slot;
      if (mine && this.serve()) continue;
      if (round < BARRIER_SPINS) continue;
      if (mine) Atomics.wait(hw, seat + Seat.attention, Atomics.load(hw, seat + Seat.attention), BARRIER_SLEEP_MS);
      else Atomics.wait(hw, Control.phase, phase, BARRIER_SLEEP_MS);
    }
    const attention = seat + Seat.attention;
    if (this.job.slot < k.config.cpus) Atomics.and(hw, attention, ~Attention.wake);
  }
}

/** A bus master, in step with the workers of the CPUs. Return: what it did in the execution that failed. */
export function runDevice(job: Job, race: RaceSpec, device: Device, hw: Int32Array): History {
  const { events } = job;
  const ring =
    events === null
      ? null
      : new EventRing(hw, (steps) => new DeviceRecorder(job.slot, events.counter, steps, ringOf(events)));
  const own = race.devices?.[job.slot];
  const body = own && named(own, `device${job.slot}`);
  const clock = (): number =>
    Math.max(0, Math.round((performance.timeOrigin + performance.now() - job.bootTime) * 1000));
  const printk = (text: string): void => appendLog(device.hw, device.layout, 0, clock(), text);
  device.setTracer(bothTracers(deviceChecker(device, job.buffers.arena, printk), ring));
  device.vars = defineVars(device, job.raceVars, race.vars ?? []);
  const barrier = (): void => {
    const phase = Atomics.load(hw, Control.phase);
    if (Atomics.add(hw, Control.arrived, 1) + 1 === job.participants) {
      Atomics.store(hw, Control.arrived, 0);
      Atomics.add(hw, Control.phase, 1);
      Atomics.notify(hw, Control.phase);
      return;
    }
    while (Atomics.load(hw, Control.phase) === phase && Atomics.load(hw, Control.broken) === 0) {
      Atomics.wait(hw, Control.phase, phase, BARRIER_SLEEP_MS);
    }
  };
  for (;;) {
    barrier();
    ring?.keep();
    if (Atomics.load(hw, Control.quit) !== 0 || Atomics.load(hw, Control.broken) !== 0) break;
    try {
      if (Atomics.load(hw, Control.verdict) === Verdict.none) mustBePlain(body?.(device));
    } catch (error) {
      settleDevice(device, job.slot, error, printk);
    }
    device.ended();
    barrier();
  }
  return ring?.kept ?? NO_HISTORY;
}
