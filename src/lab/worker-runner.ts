/**
 * Parallel mode, inside a worker: executions one after the other, in step with the other workers.
 *
 * An execution is reset and setup on CPU 0, the threads all at once, then the oracle on CPU 0. Two barriers hold the workers together;
 * a worker that waits at one while it holds a CPU's seat takes that CPU's interrupts.
 */

import type { Device } from '../cpu/device.js';
import { Attention, Control, Seat, Stage, Thread, Verdict } from '../cpu/hw.js';
import { open_softirq } from '../cpu/irq.js';
import type { Kernel } from '../cpu/kernel.js';
import { readLog } from '../cpu/printk.js';
import { enqueue, wakeSeats } from '../cpu/sched.js';
import { createKernel, layoutStatics, start_kernel } from '../mm/boot.js';
import { ExecutionStopped, KernelBug, OracleFailure } from '../shared/errors.js';
import { Point } from '../shared/point.js';
import { Prng } from '../shared/prng.js';
import { hex8, ptr } from '../shared/types.js';
import { struct_task_struct } from '../shared/wait.js';
import { threadsOf } from './configure.js';
import { describeMachine, findCycle } from './deadlock.js';
import type { Job } from './job.js';
import type { RaceSpec, ThreadFn } from './race.js';
import { type Failure, OUTCOMES, type Outcome } from './types.js';
import { clearVerdict, type ShortFailure, settle, settledFailure } from './verdict.js';

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
/** Reports that a run keeps whole. */
const FAILURES_KEPT = 1;

/** What a worker answers when a run is over. Only slot 0 has findings. */
export interface WorkerReport {
  readonly slot: number;
  readonly executions: number;
  readonly seconds: number;
  readonly failure: Failure | null;
  /** Text of an exception of the race module itself, or null. */
  readonly moduleError: string | null;
}

const nameOfError = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const frame = error.stack?.split('\n').find((l) => /\((file:|\/).*\)|at (file:|\/)/.test(l) && !l.includes('/src/'));
  const place = frame?.replace(/^\s*at\s+/, '').replace(/file:\/\//, '');
  return `${error.name}: ${error.message}${place === undefined ? '' : ` at ${place}`}`;
};

const isAssertion = (error: unknown): error is Error => error instanceof Error && error.name === 'AssertionError';

export class WorkerRunner {
  readonly #job: Job;
  readonly #race: RaceSpec;
  readonly #k: Kernel;
  readonly #body: ThreadFn | null;
  readonly #prng: Prng;
  /** Threads of the race that begin on their CPU's seat. */
  readonly #bootThreads: number;
  #snapshot: Int32Array | null = null;
  #failure: Failure | null = null;
  #failures = 0;
  #moduleError: string | null = null;

  constructor(job: Job, race: RaceSpec) {
    this.#job = job;
    this.#race = race;
    const statics = layoutStatics(job.config);
    this.#k = createKernel(job.config, job.buffers, statics, job.cpu, job.slot);
    const list = threadsOf(race, job.config.cpus);
    const own = job.threads.find((t) => t.slot === job.slot);
    const entry = own === undefined ? undefined : list[own.index];
    this.#body = entry === undefined ? null : typeof entry === 'function' ? entry : entry.run;
    this.#bootThreads = job.threads.filter((t) => t.slot < job.config.cpus).length;
    this.#prng = new Prng(job.config.seed * 64 + job.slot);
    this.#k.vars = defineVars(this.#k.hw, this.#k.layout.raceVars, race.vars ?? []);
    this.#k.irqHandlers = new Map(Object.entries(race.irqs ?? {}).map(([line, fn]) => [Number(line), fn]));
    for (const [nr, action] of Object.entries(race.softirqs ?? {})) open_softirq(this.#k, Number(nr), action);
    this.#k.clock = () => Math.max(0, Math.round((performance.timeOrigin + performance.now() - job.bootTime) * 1000));
    this.#k.onStuck = (k) => this.#lookForCycle(k);
    this.#k.onQuiet = (k) => {
      k.printk('INFO: no task can run any more: blocked for ever');
      const state = describeMachine(k);
      for (const line of state) k.printk(line);
      settle(k, Verdict.hang, {
        outcome: 'hang',
        message: 'every CPU is idle and nobody can wake the threads that sleep',
        state,
      });
    };
  }

  /** Boot the kernel: slot 0 only, before any worker runs. */
  boot(): void {
    const k = this.#k;
    start_kernel(k);
    this.#snapshot = new Int32Array(k.staticBytes >>> 2);
    this.#snapshot.set(k.words.subarray(0, k.staticBytes >>> 2));
  }

  run(): WorkerReport {
    const started = performance.now();
    let executions = 0;
    try {
      for (;;) {
        if (this.#job.slot === 0) this.#prepare(executions, started);
        this.#barrier();
        if (Atomics.load(this.#k.hw, Control.quit) !== 0) break;
        executions++;
        this.#execute();
        this.#k.flushStats();
        this.#barrier();
        if (this.#job.slot === 0) this.#judge(executions);
      }
    } catch (error) {
      if (!(error instanceof ExecutionStopped)) throw error;
    }
    return {
      slot: this.#job.slot,
      executions,
      seconds: (performance.now() - started) / 1000,
      failure: this.#failure,
      moduleError: this.#moduleError,
    };
  }

  // ---- CPU 0 between executions ------------------------------------------------------------------------------------

  #prepare(executions: number, started: number): void {
    const { hw } = this.#k;
    const job = this.#job;
    const over =
      (performance.now() - started) / 1000 >= job.seconds ||
      executions >= job.executions ||
      (job.stopAtFailure && this.#failures > 0) ||
      this.#moduleError !== null;
    if (over) Atomics.store(hw, Control.quit, 1);
    if (Atomics.load(hw, Control.quit) !== 0) return;
    this.#reset();
    Atomics.store(hw, Control.execution, executions + 1);
    this.#alone(() => this.#race.setup?.(this.#k), 'setup');
    this.#queueThreads();
  }

  /** Run kernel code on CPU 0 while the other CPUs only take interrupts; on return none of them is inside a handler. */
  #alone(act: () => void, what: 'setup' | 'check'): void {
    const { hw, layout, config } = this.#k;
    Atomics.store(hw, Control.stage, what === 'setup' ? Stage.setup : Stage.check);
    Atomics.store(hw, Control.serve, 1);
    this.#k.irqsOff = false;
    this.#guarded(act, what);
    Atomics.store(hw, Control.serve, 0);
    Atomics.store(hw, Control.stage, Stage.threads);
    for (let cpu = 0; cpu < config.cpus; cpu++) {
      const serving = layout.seats + cpu * Seat.words + Seat.serving;
      while (Atomics.load(hw, serving) !== 0) Atomics.wait(hw, serving, 1, 0.1);
    }
  }

  /** Memory, caches, TLBs, seats and threads as they were after boot. Page contents stay: they are junk to the next execution. */
  #reset(): void {
    const k = this.#k;
    const { hw, layout, config } = k;
    if (this.#snapshot !== null) k.words.set(this.#snapshot, 0);
    k.mmu.cache.reset();
    k.mmu.cache.writeBuffer.drain();
    for (const tlb of k.mmu.tlbs) tlb.reset();
    k.memory.outer?.store.reset();
    hw.fill(0, layout.busLocks, layout.busLocks + 64);
    hw.fill(0, layout.lockWaiters, layout.lockWaiters + 64);
    hw.fill(0, layout.writeBuffers, layout.writeBuffers + config.cpus * layout.writeBufferWords);
    hw.fill(0, layout.raceVars, layout.raceVars + 64);
    hw.fill(0, layout.threads, layout.threads + config.threadsMax * Thread.words);
    hw.fill(0, layout.devices, layout.devices + config.devicesMax * 64);
    for (let cpu = 0; cpu < config.cpus; cpu++) {
      const seat = layout.seats + cpu * Seat.words;
      hw.fill(0, seat, seat + Seat.ops);
      hw[seat + Seat.irqDepth] = 0;
      hw[seat + Seat.current] = cpu;
    }
    hw[Control.logHead] = 0;
    hw[Control.abort] = 0;
    clearVerdict(k);
    hw[Control.started] = 0;
    hw[Control.live] = this.#job.threads.length + this.#job.devices;
    hw[Control.devicesBusy] = this.#job.devices;
    for (let slot = 0; slot < config.threadsMax; slot++) {
      const thread = layout.threads + slot * Thread.words;
      hw[thread + Thread.cpu] = slot < config.cpus ? slot : 0;
      hw[thread + Thread.onRq] = slot < config.cpus ? 1 : 0;
    }
    for (const t of this.#job.threads) {
      const thread = layout.threads + t.slot * Thread.words;
      const task = ptr<'task_struct'>(k.sym.tasks + t.slot * struct_task_struct.sizeof);
      hw[thread + Thread.cpu] = t.cpu;
      hw[thread + Thread.mm] = t.mm;
      hw[thread + Thread.state] = 1;
      k.words[(task + struct_task_struct.cpu.offset - k.staticBase) >>> 2] = t.cpu;
      k.words[(task + struct_task_struct.mm.offset - k.staticBase) >>> 2] = t.mm;
      if (t.slot < config.cpus && t.mm !== 0) hw[layout.seats + t.cpu * Seat.words + Seat.activeMm] = t.mm;
    }
  }

  /** The threads that are not the first on their CPU join its queue: not before setup is over, which they must not preempt. */
  #queueThreads(): void {
    for (const t of this.#job.threads) if (t.slot >= this.#k.config.cpus) enqueue(this.#k, t.cpu, t.slot);
  }

  /** All threads have ended: every CPU belongs to its boot thread again, whose worker takes interrupts at the barrier. */
  #takeSeatsBack(): void {
    const { hw, layout, config } = this.#k;
    for (let cpu = 0; cpu < config.cpus; cpu++) hw[layout.seats + cpu * Seat.words + Seat.current] = cpu;
  }

  /** The execution has ended: what came of it? */
  #judge(execution: number): void {
    const { hw } = this.#k;
    if (Atomics.load(hw, Control.verdict) === Verdict.none) {
      hw[Control.live] = 0;
      this.#takeSeatsBack();
      this.#alone(() => this.#race.check?.(this.#k), 'check');
    }
    const failed = Atomics.load(hw, Control.verdict) !== Verdict.none;
    const found: ShortFailure | null = failed ? settledFailure(this.#k) : this.#warned();
    const outcome: Outcome = found === null ? 'clean' : found.outcome;
    Atomics.add(hw, Control.outcomes + OUTCOMES.indexOf(outcome), 1);
    if (found === null) return;
    if (Atomics.load(hw, Control.verdict) === Verdict.error) {
      this.#moduleError = found.message;
      return;
    }
    this.#failures++;
    Atomics.add(hw, Control.failures, 1);
    if (this.#failures <= FAILURES_KEPT) this.#keep({ ...found, execution });
  }

  /** Keep the first failure, and the log that belongs to it. */
  #keep(failure: Failure): void {
    const { hw, layout } = this.#k;
    this.#failure = failure;
    const words = hw[Control.logHead] as number;
    hw.copyWithin(layout.keptLog, layout.log, layout.log + words);
    hw[Control.keptLogHead] = words;
  }

  /** A WARNING in the log of an execution that else was clean. */
  #warned(): ShortFailure | null {
    const { hw, layout } = this.#k;
    if (hw[Control.logHead] === 0) return null;
    const record = readLog(hw, layout.log, Control.logHead).find((r) => /^(WARNING|BUG):/.test(r.text));
    return record === undefined ? null : { outcome: 'warn', message: record.text, cpu: record.cpu };
  }

  // ---- an execution ------------------------------------------------------------------------------------------------

  #execute(): void {
    const k = this.#k;
    if (Atomics.load(k.hw, Control.verdict) !== Verdict.none) return;
    const scheduler = k.scheduler;
    if (scheduler === null) return;
    k.beginExecution();
    this.#guarded(() => {
      if (this.#body === null) {
        scheduler.idleUntilOver(k);
        return;
      }
      if (this.#job.slot >= k.config.cpus) scheduler.waitForSeat(k);
      else this.#meet();
      k.irqsOff = false;
      this.#skew();
      this.#stall();
      this.#body(
        k,
        this.#job.threads.findIndex((t) => t.slot === this.#job.slot),
      );
      if (k.preemptCount !== 0)
        k.printk(`thread${this.#job.slot} ended with preempt_count ${k.preemptCount.toString(16)}`);
      k.preemptCount = 0;
      scheduler.exit(k);
    }, `thread ${this.#job.slot}`);
    this.#goOn();
  }

  /**
   * Wait for the other boot threads. A worker that slept at the barrier comes later than the last arrival by a wake-up of the host,
   * which is longer than most races take: without this the threads hardly ever run at the same time.
   */
  #meet(): void {
    const { hw } = this.#k;
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
    for (let i = 0; i < rounds; i++) this.#k.point(Point.Wait, 0);
    for (let i = 0; i < rounds; i++) Atomics.load(this.#k.hw, Control.abort);
  }

  /**
   * Every other time the thread's CPU stands still once, between two steps that chance chooses, as one does whose hypervisor runs somebody
   * else. The others go on meanwhile. On a host with fewer free cores than CPUs there would be hardly any interleaving without it.
   */
  #stall(): void {
    const k = this.#k;
    if (this.#prng.below(2) === 0) return;
    let left = this.#prng.below(1 << this.#prng.below(STALL_POINTS_LOG2 + 1));
    k.controller = {
      point: () => {
        if (left-- > 0) return;
        this.#goOn();
        Atomics.wait(k.hw, Control.abort, 0, STALL_MS);
      },
    };
    Atomics.or(k.hw, k.layout.seats + k.cpu * Seat.words + Seat.attention, Attention.controlled);
  }

  /** No standing still any more. */
  #goOn(): void {
    const k = this.#k;
    if (k.controller === null) return;
    k.controller = null;
    Atomics.and(k.hw, k.layout.seats + k.cpu * Seat.words + Seat.attention, ~Attention.controlled);
  }

  /** Run kernel or module code; whatever it throws becomes the execution's verdict. */
  #guarded(act: () => void, what: string): void {
    const k = this.#k;
    try {
      act();
    } catch (error) {
      if (error instanceof ExecutionStopped) return;
      if (error instanceof KernelBug) {
        const verdict = error.kind === 'oops' ? Verdict.oops : Verdict.bug;
        settle(k, verdict, {
          outcome: error.kind,
          message: `${error.message} (${hex8(error.addr)})`,
          cpu: k.cpu,
          addr: error.addr,
        });
      } else if (error instanceof OracleFailure) {
        const { kind, ...rest } = error.finding;
        settle(k, Verdict.report, { outcome: kind, cpu: k.cpu, ...rest });
      } else if (isAssertion(error)) {
        settle(k, Verdict.report, { outcome: 'report', message: error.message.split('\n')[0] ?? '', cpu: k.cpu });
      } else settle(k, Verdict.error, { outcome: 'report', message: `${what} threw ${nameOfError(error)}` });
    }
  }

  /** A waiter makes no progress: is it part of a cycle? Looked at twice, since the first look takes time. */
  #lookForCycle(k: Kernel): void {
    const cycle = findCycle(k, k.slot);
    if (cycle === null) return;
    Atomics.wait(k.hw, Control.verdict, Verdict.none, 2);
    const again = findCycle(k, k.slot);
    if (again === null || again.join() !== cycle.join()) return;
    const state = describeMachine(k);
    k.printk('INFO: possible deadlock: these wait for each other for ever');
    for (const line of state) k.printk(line);
    const names = cycle.map((slot) => `thread${slot}`).join(' -> ');
    settle(k, Verdict.deadlock, {
      outcome: 'deadlock',
      message: `${names} -> thread${cycle[0]}: ${state[k.cpu] ?? ''}`,
      cpu: k.cpu,
      state,
    });
  }

  // ---- barrier -----------------------------------------------------------------------------------------------------

  #barrier(): void {
    const k = this.#k;
    const { hw, layout } = k;
    const phase = Atomics.load(hw, Control.phase);
    if (Atomics.add(hw, Control.arrived, 1) + 1 === this.#job.participants) {
      Atomics.store(hw, Control.arrived, 0);
      Atomics.add(hw, Control.phase, 1);
      Atomics.notify(hw, Control.phase);
      wakeSeats(k);
      return;
    }
    const seat = layout.seats + this.#job.cpu * Seat.words;
    for (let round = 0; Atomics.load(hw, Control.phase) === phase; round++) {
      if (Atomics.load(hw, Control.broken) !== 0) throw new ExecutionStopped('another worker has died');
      const mine = this.#job.slot < k.config.cpus && hw[seat + Seat.current] === this.#job.slot;
      if (mine && this.#serve()) continue;
      if (round < BARRIER_SPINS) continue;
      if (mine) Atomics.wait(hw, seat + Seat.attention, Atomics.load(hw, seat + Seat.attention), BARRIER_SLEEP_MS);
      else Atomics.wait(hw, Control.phase, phase, BARRIER_SLEEP_MS);
    }
    const attention = seat + Seat.attention;
    if (this.#job.slot < k.config.cpus) Atomics.and(hw, attention, ~Attention.wake);
  }

  /** Take what is pending on this CPU while CPU 0 runs setup or check. Return: whether there was anything. */
  #serve(): boolean {
    const k = this.#k;
    const seat = k.layout.seats + k.cpu * Seat.words;
    if ((Atomics.load(k.hw, seat + Seat.attention) & (Attention.irq | Attention.dump)) === 0) return false;
    Atomics.store(k.hw, seat + Seat.serving, 1);
    const served = Atomics.load(k.hw, Control.serve) !== 0 && Atomics.load(k.hw, Control.abort) === 0;
    if (served) {
      this.#guarded(() => {
        k.irqsOff = false;
        k.point(Point.Wait, 0);
      }, 'interrupt handler');
    }
    Atomics.store(k.hw, seat + Seat.serving, 0);
    return served;
  }
}

/** Named words that the functions of a race share, as properties. */
function defineVars(hw: Int32Array, base: number, names: readonly string[]): Record<string, number> {
  const vars: Record<string, number> = {};
  names.forEach((name, i) => {
    Object.defineProperty(vars, name, {
      enumerable: true,
      get: () => Atomics.load(hw, base + i) >>> 0,
      set: (value: number) => Atomics.store(hw, base + i, value),
    });
  });
  return Object.seal(vars);
}

/** A bus master, in step with the workers of the CPUs. */
export function runDevice(job: Job, race: RaceSpec, device: Device, hw: Int32Array): void {
  const body = race.devices?.[job.slot];
  device.vars = defineVars(hw, job.raceVars, race.vars ?? []);
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
    if (Atomics.load(hw, Control.quit) !== 0 || Atomics.load(hw, Control.broken) !== 0) return;
    try {
      if (Atomics.load(hw, Control.verdict) === Verdict.none) body?.(device);
    } catch (error) {
      if (!(error instanceof ExecutionStopped)) {
        settle(device, Verdict.error, { outcome: 'report', message: `device ${job.slot} threw ${nameOfError(error)}` });
      }
    }
    device.ended();
    barrier();
  }
}
