/**
 * A worker's part in the executions of a race, whatever the mode: the kernel object, reset and setup, running the thread's function, and
 * the verdict. How the workers of an execution keep in step is for `worker-runner.ts` (parallel) and `explore/` (controlled).
 */

import { join } from 'node:path';
import type { Lockdep } from '../check/lockdep/lockdep.js';
import type { RaceWatch } from '../check/races/races.js';
import { checksOf } from '../cpu/config.js';
import type { Device } from '../cpu/device.js';
import {
  Attention,
  Control,
  DEVICE_WORDS,
  HELD_MASK,
  IOMMU_TLB_WORDS,
  IRQ_LINES,
  Seat,
  Stage,
  Thread,
  Verdict,
} from '../cpu/hw.js';
import { open_softirq } from '../cpu/irq.js';
import type { Kernel } from '../cpu/kernel.js';
import { readLog } from '../cpu/printk.js';
import { enqueue } from '../cpu/sched.js';
import { createKernel, layoutStatics, restoreFrames, start_kernel } from '../mm/boot.js';
import { ExecutionStopped, KernelBug, OracleFailure } from '../shared/errors.js';
import { type Footprint, Space } from '../shared/footprint.js';
import { Point } from '../shared/point.js';
import { hex8, ptr } from '../shared/types.js';
import { struct_task_struct } from '../shared/wait.js';
import { type Checker, checkersOf } from './checkers.js';
import { isKnown, isKnownLine } from './claims.js';
import { threadsOf } from './configure.js';
import { anyCycle, describeMachine, findCycle } from './deadlock.js';
import type { Job } from './job.js';
import { leftOver } from './left-over.js';
import { allLocksOf, lockdepOf } from './lockdep.js';
import { builtFile, packageRoot } from './modules.js';
import { Asynchronous, mustBePlain } from './plain.js';
import type { RaceSpec, ThreadFn } from './race.js';
import { racesOf } from './races.js';
import { functionsOf, named } from './stack.js';
import { type Failure, OUTCOMES, type Outcome } from './types.js';
import { clearVerdict, type ShortFailure, settle, settledFailure } from './verdict.js';

/** Frames of the stack that are ours, not the module's: by the built file, or by its source where there is a source map; and what brings us calls. */
const LIBRARY = [builtFile('src'), join(packageRoot(), 'src'), 'node_modules/comlink/', 'node:internal'];

/** What a device's function threw becomes the verdict, unless it was called off. An I/O adapter that finds no translation ends the kernel. */
export function settleDevice(d: Device, slot: number, error: unknown, printk: (text: string) => void): void {
  if (error instanceof ExecutionStopped) return;
  if (error instanceof OracleFailure) {
    const { kind, ...rest } = error.finding;
    settle(d, Verdict.report, { outcome: kind, ...rest });
  } else if (error instanceof KernelBug) {
    printk(error.message);
    printk('Kernel panic - not syncing: High Priority Machine Check (HPMC)');
    settle(d, Verdict.oops, { outcome: error.kind, message: error.message, addr: error.addr });
  } else settle(d, Verdict.error, { outcome: 'report', message: `device ${slot} ${howEnded(error)}` });
}

/** Class, message and place of an exception of the race module. */
export const nameOfError = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const frames = (error.stack ?? '').split('\n').filter((l) => !LIBRARY.some((folder) => l.includes(folder)));
  const place = frames.map((l) => /^\s*at .*?([^/\\(]+:\d+:\d+)\)?$/.exec(l)?.[1]).find((at) => at !== undefined);
  return `${error.name}: ${error.message}${place === undefined ? '' : ` (${place})`}`;
};

/** Said of who it comes from. */
const howEnded = (error: unknown): string =>
  error instanceof Asynchronous ? error.message : `threw ${nameOfError(error)}`;

const isAssertion = (error: unknown): error is Error => error instanceof Error && error.name === 'AssertionError';

const firstLine = (error: Error): string => error.message.split('\n')[0] ?? '';

/** How much of memory a reset copies back instead of making it again: 16 MB, and kernel data in any case. */
const SNAPSHOT_WORDS = 1 << 22;

export abstract class RaceWorker {
  protected readonly job: Job;
  protected readonly race: RaceSpec;
  protected readonly k: Kernel;
  protected readonly body: ThreadFn | null;
  protected snapshot: Int32Array | null = null;
  /** The execution before is made once more. */
  protected again = false;
  protected failure: Failure | null = null;
  /** The one judged last. */
  protected lastFailure: Failure | null = null;
  protected failures = 0;
  protected moduleError: string | null = null;
  protected readonly lockdep: Lockdep | null;
  protected readonly checkers: readonly Checker[];
  protected readonly races: RaceWatch | null;
  #bootInstances: Int32Array | null = null;

  constructor(job: Job, race: RaceSpec) {
    this.job = job;
    this.race = race;
    const statics = layoutStatics(job.config);
    this.k = createKernel(job.config, job.buffers, statics, job.cpu, job.slot);
    const list = threadsOf(race, job.config.cpus);
    const own = job.threads.find((t) => t.slot === job.slot);
    const entry = own === undefined ? undefined : list[own.index];
    const body = typeof entry === 'object' ? entry.run : entry;
    this.body = body === undefined ? null : named(body, `thread${job.slot}`);
    this.lockdep = lockdepOf(this.k, this.exactPlaces);
    this.k.watchLocks(this.lockdep);
    this.checkers = checkersOf(this.k);
    this.races = racesOf(this.k, this.exactPlaces, job.reports);
    this.k.watchSteps(this.races);
    this.k.vars = defineVars(this.k, this.k.layout.raceVars, race.vars ?? []);
    this.k.irqHandlers = new Map(
      Object.entries(race.irqs ?? {}).map(([line, fn]) => [
        Number(line),
        (k: Kernel) => this.#named(`interrupt handler ${line} on CPU${k.cpu}`, () => mustBePlain(fn(k))),
      ]),
    );
    this.k.invariant = race.invariant === undefined ? null : () => this.#lookAtInvariant();
    for (const [nr, action] of Object.entries(race.softirqs ?? {})) {
      open_softirq(this.k, Number(nr), (k) =>
        this.#named(`soft interrupt ${nr} on CPU${k.cpu}`, () => mustBePlain(action(k))),
      );
    }
    this.k.shrinkers = race.shrinkers ?? [];
    this.k.ctors = race.ctors ?? [];
    this.k.timestamp = () =>
      Math.max(0, Math.round((performance.timeOrigin + performance.now() - job.bootTime) * 1000));
    this.k.clock = this.k.timestamp;
    if (this.lockdep !== null) {
      this.lockdep.clock = () => (performance.timeOrigin + performance.now() - job.bootTime) * 1e6;
    }
    this.k.onStuck = (k) => this.lookForCycle(k);
    this.k.onQuiet = (k) => {
      k.printk('INFO: no task can run any more: blocked for ever');
      const state = [...describeMachine(k), ...this.reported()];
      for (const line of state) k.printk(line);
      const cycle = anyCycle(k);
      const message =
        cycle === null
          ? 'every CPU is idle and nobody can wake the threads that sleep'
          : (state.find((line) => /sleeps on .*held by/.test(line)) ?? 'threads sleep for each other');
      settle(k, cycle === null ? Verdict.hang : Verdict.deadlock, {
        outcome: cycle === null ? 'hang' : 'deadlock',
        message,
        state,
      });
    };
  }

  /** The race's invariant on memory as it is; what it throws says so. */
  #lookAtInvariant(): void {
    try {
      mustBePlain(this.race.invariant?.(this.k));
    } catch (error) {
      if (error instanceof OracleFailure) {
        throw new OracleFailure({ ...error.finding, message: `invariant: ${error.finding.message}` });
      }
      if (isAssertion(error)) throw new OracleFailure({ kind: 'report', message: `invariant: ${firstLine(error)}` });
      this.#blame(error, 'invariant');
      throw error;
    }
  }

  /** What an exception came from, where that is not the thread that it ends. */
  #blamed: { readonly error: unknown; readonly what: string } | null = null;

  #blame(error: unknown, part: string): void {
    if (this.#blamed?.error === error) return;
    const stage = this.k.hw[Control.stage];
    const where = stage === Stage.setup ? 'setup' : stage === Stage.check ? 'check' : `thread ${this.job.slot}`;
    this.#blamed = { error, what: `${part} (during ${where})` };
  }

  #named(what: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#blame(error, what);
      throw error;
    }
  }

  /** Boot the kernel: slot 0 only, before any worker runs. */
  boot(): void {
    const k = this.k;
    this.lockdep?.area.clear();
    for (const checker of this.checkers) checker.restart();
    start_kernel(k);
    for (const checker of this.checkers) checker.booted?.();
    this.#bootInstances = this.lockdep?.area.instances() ?? null;
    const words = Math.max(k.staticBytes >>> 2, Math.min(k.memory.words.length, SNAPSHOT_WORDS));
    this.snapshot = new Int32Array(k.words.subarray(0, words));
  }

  /** Run kernel code on CPU 0 while the other CPUs only take interrupts; on return none of them is inside a handler. */
  protected alone(act: () => unknown, what: 'setup' | 'check'): void {
    const { hw, layout, config } = this.k;
    Atomics.store(hw, Control.stage, what === 'setup' ? Stage.setup : Stage.check);
    Atomics.store(hw, Control.serve, 1);
    this.k.irqsOff = false;
    this.guarded(() => {
      const { invariant } = this.k;
      if (what === 'check' && invariant !== null) this.k.inspect(invariant);
      mustBePlain(act());
      if (what === 'setup' && invariant !== null) this.k.inspect(invariant);
    }, what);
    Atomics.store(hw, Control.serve, 0);
    Atomics.store(hw, Control.stage, Stage.threads);
    for (let cpu = 0; cpu < config.cpus; cpu++) {
      const serving = layout.seats + cpu * Seat.words + Seat.serving;
      while (Atomics.load(hw, serving) !== 0) Atomics.wait(hw, serving, 1, 0.1);
    }
  }

  /** A counter of all CPUs together. */
  #sum(stat: number): number {
    const { hw, layout, config } = this.k;
    let sum = 0;
    for (let cpu = 0; cpu < config.cpus; cpu++)
      sum = (sum + (hw[layout.seats + cpu * Seat.words + stat] as number)) | 0;
    return sum;
  }
  #fillsAtReset = -1;
  #missesAtReset = -1;

  /** Is this controlled mode, where a step costs microseconds anyway? Then the place of every lock acquisition is remembered. */
  protected get exactPlaces(): boolean {
    return false;
  }

  /** Attention bit of every seat while somebody watches this machine. */
  protected get watched(): number {
    return this.k.tracer === null && this.races === null ? 0 : Attention.trace;
  }

  /** Kernel data as it was after boot. */
  protected restoreStatics(): void {
    const { k, snapshot } = this;
    if (snapshot !== null) k.words.set(snapshot.subarray(0, k.staticBytes >>> 2), 0);
  }

  /** Memory, caches, TLBs, seats and threads as they were after boot. */
  protected reset(): void {
    const k = this.k;
    const { hw, layout, config } = k;
    this.restoreStatics();
    restoreFrames(k, this.snapshot);
    this.lockdep?.area.restart(this.#bootInstances);
    this.lockdep?.begin();
    k.memoryWatch?.begin();
    k.dmaWatch?.begin();
    for (const checker of this.checkers) checker.restart();
    this.races?.restart(this.again);
    // Nothing to do where no line was filled and no translation walked: most races of plain threads and locks.
    const fills = this.#sum(Seat.fills);
    const misses = this.#sum(Seat.tlbMisses);
    if (fills !== this.#fillsAtReset) {
      k.mmu.cache.reset();
      k.memory.outer?.store.reset();
    }
    if (misses !== this.#missesAtReset) for (const tlb of k.mmu.tlbs) tlb.reset();
    this.#fillsAtReset = fills;
    this.#missesAtReset = misses;
    this.#clear();
    for (let cpu = 0; cpu < config.cpus; cpu++) {
      const seat = layout.seats + cpu * Seat.words;
      for (let word = seat; word < seat + Seat.fills; word++) hw[word] = 0;
      hw[seat + Seat.attention] = this.watched;
      hw[seat + Seat.current] = cpu;
      for (let word = seat + Seat.callFn; word <= seat + Seat.irqDepth; word++) this.#put(word, 0);
    }
    hw[Control.logHead] = 0;
    hw[Control.abort] = 0;
    clearVerdict(k);
    this.#unclear = false;
    hw[Control.started] = 0;
    hw[Control.stirred] = 1;
    hw[Control.live] = this.job.threads.length + this.job.devices;
    hw[Control.devicesBusy] = this.job.devices;
    for (let slot = 0; slot < config.threadsMax; slot++) {
      const thread = layout.threads + slot * Thread.words;
      hw[thread + Thread.cpu] = slot < config.cpus ? slot : 0;
      hw[thread + Thread.onRq] = slot < config.cpus ? 1 : 0;
    }
    for (const t of this.job.threads) {
      const thread = layout.threads + t.slot * Thread.words;
      const task = ptr<'task_struct'>(k.sym.tasks + t.slot * struct_task_struct.sizeof);
      hw[thread + Thread.cpu] = t.cpu;
      hw[thread + Thread.mm] = t.mm;
      hw[thread + Thread.state] = 1;
      this.#place((task + struct_task_struct.cpu.offset - k.staticBase) >>> 2, t.cpu);
      this.#place((task + struct_task_struct.mm.offset - k.staticBase) >>> 2, t.mm);
      if (t.slot < config.cpus && t.mm !== 0) hw[layout.seats + t.cpu * Seat.words + Seat.activeMm] = t.mm;
    }
  }

  /** Where a task is. Looked at first: a line that nobody writes stays in every core's cache. */
  #place(index: number, value: number): void {
    const { words } = this.k;
    if (words[index] !== value) words[index] = value;
  }

  /** The same for the hardware area. */
  #put(index: number, value: number): void {
    const { hw } = this.k;
    if (hw[index] !== value) hw[index] = value;
  }

  /** Nothing is known of what is in the hardware area. */
  #unclear = true;

  /** What is zero when an execution begins. One that came to its end has left locks of the bus and counts of waiters so. */
  #clear(): void {
    const { hw, layout, config } = this.k;
    if (this.#unclear || hw[Control.abort] !== 0 || hw[Control.verdict] !== Verdict.none) {
      hw.fill(0, layout.threads, layout.samples + 1);
      return;
    }
    for (let slot = 0; slot < config.threadsMax; slot++) {
      const thread = layout.threads + slot * Thread.words;
      for (let word = thread; word < thread + Thread.used; word++) hw[word] = 0;
      // Locks held are entered from the first word on.
      if (hw[thread + Thread.held] !== 0) hw.fill(0, thread + Thread.held, thread + Thread.held + HELD_MASK + 1);
    }
    for (let cpu = 0; cpu < config.cpus; cpu++) {
      const buffer = layout.writeBuffers + cpu * layout.writeBufferWords;
      this.#put(buffer, 0);
      this.#put(buffer + 1, 0);
    }
    if (this.job.devices > 0 || hw[Control.registers] !== 0) {
      hw.fill(0, layout.devices, layout.devices + config.devicesMax * DEVICE_WORDS);
      hw[Control.registers] = 0;
    }
    if (hw[layout.irqCounts] !== 0) hw.fill(0, layout.irqCounts, layout.irqCounts + 1 + config.cpus * IRQ_LINES);
    if (config.iommu) hw.fill(0, layout.iommuTlb, layout.iommuTlb + IOMMU_TLB_WORDS);
    const vars = this.race.vars?.length ?? 0;
    for (let word = layout.raceVars; word < layout.raceVars + vars; word++) hw[word] = 0;
    hw[layout.samples] = 0;
  }

  /** The threads that are not the first on their CPU join its queue: not before setup is over, which they must not preempt. */
  protected queueThreads(): void {
    for (const t of this.job.threads) if (t.slot >= this.k.config.cpus) enqueue(this.k, t.cpu, t.slot);
  }

  /** All threads have ended: every CPU belongs to its boot thread again, whose worker takes interrupts at the barrier. */
  protected takeSeatsBack(): void {
    const { hw, layout, config } = this.k;
    for (let cpu = 0; cpu < config.cpus; cpu++) hw[layout.seats + cpu * Seat.words + Seat.current] = cpu;
  }

  /** Does a CPU run anything when the threads have ended? Others may take interrupts meanwhile. */
  protected get checks(): boolean {
    return true;
  }

  /** The execution has ended: what came of it? */
  protected judge(execution: number): void {
    const { hw } = this.k;
    if (Atomics.load(hw, Control.verdict) === Verdict.none && Atomics.load(hw, Control.abort) === 0) {
      hw[Control.live] = 0;
      this.takeSeatsBack();
      if (this.checks) this.alone(() => this.race.check?.(this.k), 'check');
    }
    const failed = Atomics.load(hw, Control.verdict) !== Verdict.none;
    // Called off without a verdict: not an execution that ended in any way.
    if (!failed && Atomics.load(hw, Control.abort) !== 0) return;
    if (!failed) this.#atEnd();
    const found = this.#unsaid(failed ? settledFailure(this.k) : this.warned());
    const outcome: Outcome = found === null ? 'clean' : found.outcome;
    Atomics.add(hw, Control.outcomes + OUTCOMES.indexOf(outcome), 1);
    if (found === null) return;
    if (Atomics.load(hw, Control.verdict) === Verdict.error) {
      this.moduleError = found.message;
      return;
    }
    this.failures++;
    Atomics.add(hw, Control.failures, 1);
    this.lastFailure = { ...found, execution };
    this.keep(this.lastFailure);
  }

  /** What only shows when nobody runs any more. */
  #atEnd(): void {
    for (const checker of this.checkers) checker.end();
    if (!checksOf(this.k.config.check).includes('leak')) return;
    const lines = leftOver(this.k);
    if (lines.length === 0) return;
    this.k.printk('left over at the end of the execution:');
    for (const line of lines) this.k.printk(`  ${line}`);
  }

  /**
   * Keep the first failure, and the log that belongs to it; a later one takes its place if it is of a kind that the race claims and the one
   * kept is not.
   */
  protected keep(failure: Failure): void {
    const { hw, layout } = this.k;
    const claims = (f: Failure): boolean => this.job.claimed.includes(f.outcome);
    if (this.failure !== null && (claims(this.failure) || !claims(failure))) return;
    this.failure = failure;
    const words = hw[Control.logHead] as number;
    hw.copyWithin(layout.keptLog, layout.log, layout.log + words);
    hw[Control.keptLogHead] = words;
  }

  /** An execution that does not say what the case claims is a failure of another kind than the one claimed. */
  #unsaid(found: ShortFailure | null): ShortFailure | null {
    const { says, claimed } = this.job;
    if (says.length === 0 || (found !== null && !claimed.includes(found.outcome))) return found;
    const { hw, layout } = this.k;
    const texts = readLog(hw, layout.log, Control.logHead).map((r) => r.text);
    const all = [found?.message ?? '', ...texts];
    const missing = says.find((text) => !all.some((line) => line.includes(text)));
    if (missing === undefined) return found;
    const outcome = claimed.includes('report') ? 'warn' : 'report';
    return { outcome, message: `claimed to say "${missing}", but says "${found?.message ?? 'nothing'}"` };
  }

  /** What checkers have said in this execution, and what they have to say of a machine in which nothing can happen any more. */
  protected reported(): string[] {
    return [
      ...this.#headlines().map(({ name, headline }) => `${name} has reported: ${headline}`),
      ...allLocksOf(this.k),
      ...this.checkers.flatMap((checker) => checker.foreseen?.() ?? []),
    ];
  }

  /** What each checker has reported first in this execution. */
  #headlines(): { readonly name: string; readonly headline: string }[] {
    const { lockdep, races, checkers } = this;
    const all = [
      { name: 'lockdep', headline: lockdep?.headline ?? '' },
      ...checkers.map(({ name, headline }) => ({ name, headline })),
      { name: 'races', headline: races?.headline ?? '' },
    ];
    return all.filter(({ headline }) => headline !== '');
  }

  /** A report of a checker, or a WARNING in the log of an execution that else was clean. */
  protected warned(): ShortFailure | null {
    const { hw, layout } = this.k;
    const { reports } = this.job;
    const report = this.#headlines().find(({ name, headline }) => !isKnown(reports, name, headline));
    if (report !== undefined) return { outcome: 'report', message: report.headline, checker: report.name };
    if (hw[Control.logHead] === 0) return null;
    const record = readLog(hw, layout.log, Control.logHead).find(
      (r) => /^(WARNING:|BUG:|Debug: sleeping|bad: scheduling)/.test(r.text) && !isKnownLine(reports, r.text),
    );
    return record === undefined ? null : { outcome: 'warn', message: record.text, cpu: record.cpu };
  }

  /** Run kernel or module code; whatever it throws becomes the execution's verdict. */
  protected guarded(act: () => void, what: string): void {
    const k = this.k;
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
          functions: functionsOf(error),
        });
      } else if (error instanceof OracleFailure) {
        const { kind, ...rest } = error.finding;
        settle(k, Verdict.report, { outcome: kind, cpu: k.cpu, ...rest, functions: functionsOf(error) });
      } else if (isAssertion(error)) {
        settle(k, Verdict.report, {
          outcome: 'report',
          message: firstLine(error),
          cpu: k.cpu,
          functions: functionsOf(error),
        });
      } else {
        const blamed = this.#blamed;
        const who = blamed !== null && blamed.error === error ? blamed.what : what;
        settle(k, Verdict.error, { outcome: 'report', message: `${who} ${howEnded(error)}` });
      }
    }
  }

  /** A waiter makes no progress: is it part of a cycle? Looked at twice, since the first look takes time. */
  protected lookForCycle(k: Kernel): void {
    const cycle = findCycle(k, k.slot);
    if (cycle === null) return;
    Atomics.wait(k.hw, Control.verdict, Verdict.none, 2);
    const again = findCycle(k, k.slot);
    if (again === null || again.join() !== cycle.join()) return;
    const state = [...describeMachine(k), ...this.reported()];
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

  /** Take what is pending on this CPU while CPU 0 runs setup or check. Return: whether there was anything. */
  protected serve(): boolean {
    const k = this.k;
    const seat = k.layout.seats + k.cpu * Seat.words;
    if ((Atomics.load(k.hw, seat + Seat.attention) & (Attention.irq | Attention.dump)) === 0) return false;
    Atomics.store(k.hw, seat + Seat.serving, 1);
    const served = Atomics.load(k.hw, Control.serve) !== 0 && Atomics.load(k.hw, Control.abort) === 0;
    if (served) {
      this.guarded(() => {
        k.irqsOff = false;
        k.point(Point.Wait, 0);
      }, 'interrupt handler');
    }
    Atomics.store(k.hw, seat + Seat.serving, 0);
    return served;
  }

  /** The thread's function, from its first statement to its end; then the CPU goes to others. */
  protected runBody(body: ThreadFn): void {
    const { k } = this;
    mustBePlain(
      body(
        k,
        this.job.threads.findIndex((t) => t.slot === this.job.slot),
      ),
    );
    k.checkInvariant();
    this.races?.stands();
    this.lockdep?.taskExit();
    if (k.preemptCount !== 0)
      k.printk(`thread${this.job.slot} ended with preempt_count ${k.preemptCount.toString(16)}`);
    k.preemptCount = 0;
    k.scheduler?.exit(k);
  }
}

/** Who uses the words: a CPU, or a device. */
interface VarsOwner {
  readonly hw: Int32Array;
  readonly footprint: Footprint | null;
  variableRead?(index: number, value: number): void;
  variableSet?(): void;
}

/** Named words that the functions of a race share, as properties. */
export function defineVars(owner: VarsOwner, base: number, names: readonly string[]): Record<string, number> {
  const vars: Record<string, number> = {};
  names.forEach((name, i) => {
    Object.defineProperty(vars, name, {
      enumerable: true,
      get: () => {
        const value = Atomics.load(owner.hw, base + i) >>> 0;
        owner.footprint?.touch(Space.hw, base + i, false);
        owner.footprint?.observe(value);
        owner.variableRead?.(base + i, value | 0);
        return value;
      },
      set: (value: number) => {
        owner.footprint?.touch(Space.hw, base + i, true);
        owner.footprint?.hwChanged(base + i, 1);
        Atomics.store(owner.hw, base + i, value);
        owner.variableSet?.();
      },
    });
  });
  return Object.seal(vars);
}
