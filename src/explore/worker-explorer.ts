/**
 * Controlled mode, inside a worker. Slot 0 also drives: reset, setup, the strategy between executions, the oracle. The others sleep until
 * the baton comes; a worker that is never chosen in an execution is never woken.
 */
import { crc32 } from 'node:zlib';
import { Attention, Control, Seat, THREAD_ENDED, Thread, Verdict } from '../cpu/hw.js';
import { bothTracers, Ev } from '../cpu/tracer.js';
import type { Job } from '../lab/job.js';
import type { RaceSpec } from '../lab/race.js';
import { RaceWorker } from '../lab/race-worker.js';
import { type History, NO_HISTORY, Recorder } from '../lab/recorder.js';
import type { Failure } from '../lab/types.js';
import { struct_thread_info } from '../mm/boot.js';
import { MurphyError, UsageError } from '../shared/errors.js';
import { Point } from '../shared/point.js';
import { hex8 } from '../shared/types.js';
import { struct_task_struct } from '../shared/wait.js';
import { Baton, type BatonHost } from './baton.js';
import { SAME_EACH_TIME } from './divergence.js';
import { ExecutionLog } from './execution-log.js';
import { type ControlledPart, controlledPart, type ExploreJob, preemptCounts } from './explore-job.js';
import {
  Choice,
  choiceOf,
  choiceOfContext,
  DEVICE_CONTEXT,
  Detail,
  Ex,
  Head,
  handoversOf,
  kindOfStep,
  maskedOf,
  STEP_WORDS,
  Step,
  Turn,
  trailOf,
} from './shared-state.js';
import { signatureOf } from './signature.js';
import { chooseFound, FAILURES_MAX, type Found, isShorter } from './standing.js';
import type { Statements } from './statements.js';
import { canonicalOrder } from './strategies/order.js';
import type { Decision, Execution, Strategy, StrategyStats } from './strategy.js';
import { Trails } from './trails.js';

/** What slot 0 answers. */
export interface ExploreReport {
  /** Nothing is left to do: exhausted, failed, or as many executions as asked for. */
  readonly over: boolean;
  /** Executions that came to their end. */
  readonly executions: number;
  /** Executions that the strategy gave up on the way. */
  readonly abandoned: number;
  readonly exhausted: boolean;
  readonly seconds: number;
  /** Of these, spent on bringing the machine back to what it was after boot; from a sample. */
  readonly resetSeconds: number;
  /** Distinct failures, in the order in which they were found. */
  readonly failures: readonly Found[];
  /** The one that the result is about: the wanted one, else the first that the race claims, else the first. */
  readonly chosen: Found | null;
  readonly failingExecutions: number;
  /** Of the last execution. */
  readonly prescribed: number;
  readonly traceHash: number;
  readonly steps: number;
  readonly rounds: number;
  /** Its steps, when it repeats a schedule. */
  readonly trace: Int32Array | null;
  readonly memoryHash: number;
  /** Steps of all executions together. */
  readonly points: number;
  readonly decisionsMost: number;
  readonly stepsMost: number;
  readonly handovers: number;
  readonly moduleError: string | null;
  readonly diverged: boolean;
  readonly stats: StrategyStats;
}

const NOT_THE_SAME = `it does not do the same each time: the same choices lead to other steps; ${SAME_EACH_TIME}`;
/** The first executions, and then one in so many, make sure that what has changed was announced. */
const AUDITS = 4;
const AUDIT_EVERY = 4096;
/**
 * Executions after which a reset forgets which blocks have been written, and before each audit. Executions write much the same blocks: one that is
 * restored needlessly costs less than the marks, which would travel between the workers in each execution.
 */
const FORGET_EVERY = 64;

/** What is known of an execution only when it has come to its end. */
type Ended = 'number' | 'failed' | 'cut';
type Ending = Omit<Execution, Ended> & { -readonly [P in Ended]: Execution[P] };

/** Executions between two looks at the clock, and how many steps at the most. */
const CLOCK_EVERY = 64;
const POINTS_UNWATCHED = 20_000;

/** Decisions up to the last that did not take the first choice. */
function prescribedDecisions(ended: Execution): number {
  for (let i = ended.decisions - 1; i >= 0; i--) {
    const d = ended.decision(i);
    if (d.choice !== canonicalOrder(d)[0]) return i + 1;
  }
  return 0;
}

export class WorkerExplorer extends RaceWorker {
  readonly #part: ControlledPart;
  readonly #strategy: Strategy;
  readonly #baton: Baton;
  readonly #threads: readonly number[];
  readonly #trails: Trails;
  readonly #strategyWords: Int32Array;
  readonly #prefix: Int32Array;
  readonly #recorder: Recorder | null;
  readonly #wanted: string | null;
  readonly #shortest: boolean;
  /** What the user has said of loops of cpu_relax(), and what holds for this execution. */
  readonly #roundsGiven: number | null;
  #rounds = 0;
  /** Failure of the execution that has just been judged. */
  #latest: Failure | null = null;
  readonly #execution: Ending;
  readonly #found = new Map<string, Found>();
  /** Words of kernel data that change without a scheduling point: each preempt_count; and those of tasks that each reset writes. */
  readonly #preemptCounts: readonly number[];
  readonly #placements: readonly number[];
  readonly #log: ExecutionLog | null;
  #begun = 0;
  /** Executions before a checkpoint: of a machine that was another one. */
  readonly #begunBefore: number;
  #executions = 0;
  #abandoned = 0;
  #exhausted = false;
  #over = false;
  #seconds = 0;
  #resetSeconds = 0;
  #decisionsMost = 0;
  #stepsMost = 0;
  #points = 0;
  #diverged = false;

  /** A step costs microseconds anyway. */
  protected override get exactPlaces(): boolean {
    return true;
  }

  constructor(job: Job, race: RaceSpec, explore: ExploreJob, strategy: Strategy) {
    super(job, race);
    const { k } = this;
    const staticWords = k.staticBytes >>> 2;
    const part = controlledPart(explore, k, staticWords, job.devices);
    this.#part = part;
    this.#strategyWords = part.ex.subarray(part.layout.strategy, part.layout.footprints);
    this.#prefix = part.ex.subarray(part.layout.prefix, part.layout.trails);
    this.#trails = new Trails(part.ex, part.layout);
    this.#strategy = strategy;
    this.#threads = job.threads.map((t) => t.slot);
    this.#wanted = explore.wanted;
    this.#shortest = explore.shortest;
    this.#roundsGiven = explore.strategy.rounds;
    this.#log = explore.log === null || job.slot !== 0 ? null : new ExecutionLog(explore.log);
    this.#begun = explore.begun;
    this.#begunBefore = explore.begun;
    if (part.footprint !== null) k.traceFootprints(part.footprint);
    const { thread_infos, tasks } = k.sym;
    this.#preemptCounts = this.#ofThreads(
      thread_infos + struct_thread_info.preempt_count.offset,
      struct_thread_info.sizeof,
    );
    const { cpu, mm, sizeof } = struct_task_struct;
    this.#placements = [cpu, mm].flatMap((field) => this.#ofThreads(tasks + field.offset, sizeof));
    const host: BatonHost = {
      hw: k.hw,
      words: k.words,
      layout: k.layout,
      config: k.config,
      sym: k.sym,
      context: k.slot,
      contexts: job.threads.length + job.devices,
      devices: job.devices,
      cpu: k.cpu,
      task: k.current,
      staticWords,
      footprint: part.footprint,
      memory: k.memory,
      preemptCountOf: preemptCounts(k),
      takeInterrupts: () => k.takeInterrupts(),
      preempt: () => k.scheduler?.preemptSchedule(k),
      printk: (text) => k.printk(text),
      reported: () => this.reported(),
    };
    this.#baton = new Baton(host, part.ex, part.layout, strategy, explore.wants, part.stateHash);
    const { history } = explore;
    this.#recorder = history === null ? null : new Recorder(k, history, () => this.#baton.clock);
    k.setTracer(bothTracers(k.tracer, this.#recorder));
    k.controller = this.#baton;
    k.timestamp = () => this.#baton.clock;
    if (this.lockdep !== null) this.lockdep.clock = () => this.#baton.clock * 1000;
    k.clock = () => this.#clock();
    k.onStuck = null;
    k.onQuiet = null;
    this.#execution = this.#view();
  }

  /** Indices of a word of each thread. */
  #ofThreads(first: number, bytes: number): number[] {
    const { staticBase, config } = this.k;
    return Array.from({ length: config.threadsMax }, (_, slot) => (first + slot * bytes - staticBase) >>> 2);
  }

  /** States are compared: statements that forget what they read are told apart. */
  watchStatements(Watch: typeof Statements): void {
    this.k.uses = new Watch(this.k, () => this.#baton.nested);
  }

  /** The steps of everybody: dpor and searches of states, to whom steps of others that touch nothing in common are none, must not be asked. */
  #clock(): number {
    if (this.k.footprint !== null && this.#baton.waits !== null) {
      throw new UsageError(
        'k.clock() counts the steps of everybody, which dpor and --states leave out of account; take dfs without --states, pct, pos or random',
      );
    }
    return this.#baton.clock;
  }

  /** A worker other than slot 0: executions as the baton brings them, until the exploration ends. */
  follow(): History {
    const serve = (): boolean => this.serve();
    for (;;) {
      const turn = this.#baton.waitTurn(serve);
      if (turn === Turn.over) return this.#taken();
      this.#take(turn);
    }
  }

  #taken(): History {
    return this.#recorder?.take() ?? NO_HISTORY;
  }

  /**
   * Slot 0: one execution after the other, until the exploration is over or @seconds have passed; call it again to go on.
   */
  lead(seconds: number): ExploreReport {
    const { job } = this;
    const { hw } = this.k;
    const started = performance.now();
    const deadline = started + seconds * 1000;
    let looked = this.#points;
    while (!this.#over && this.#executions < job.executions && Atomics.load(hw, Control.quit) === 0) {
      this.#next();
      if (this.#begun % CLOCK_EVERY !== 0 && this.#points - looked < POINTS_UNWATCHED) continue;
      if (performance.now() >= deadline) break;
      looked = this.#points;
    }
    if (this.#executions >= job.executions) this.#over = true;
    this.#log?.flush();
    this.#seconds += (performance.now() - started) / 1000;
    return this.#report();
  }

  /** Slot 0: where the strategy stands, as data for a checkpoint. */
  save(): unknown {
    return this.#strategy.save?.() ?? null;
  }

  /** Slot 0: no further execution. The other workers' loops end. */
  dismiss(): History {
    for (let slot = 1; slot < this.k.config.threadsMax; slot++) this.#baton.dismiss(slot);
    for (let i = 0; i < this.job.devices; i++) this.#baton.dismiss(DEVICE_CONTEXT + i);
    return this.#taken();
  }

  #next(): void {
    const { ex } = this.#part;
    const run = this.#execution;
    this.#begun++;
    run.number = this.#begun;
    run.failed = false;
    if (!this.#one(this.#begun)) {
      this.#exhausted = this.#strategy.exhausts === true;
      this.#over = true;
      return;
    }
    run.cut = !run.abandoned && Atomics.load(this.k.hw, Control.abort) !== 0;
    if (!run.abandoned && this.races?.suspects === true) this.#lookAgain(run);
    if (!run.abandoned && (this.#strategy.counts?.(run) ?? true)) {
      this.#executions++;
      this.#latest = null;
      this.judge(this.#begun);
      run.failed = this.#latest !== null;
      if (this.#latest !== null) this.#remember(this.#latest, run);
      this.#log?.add(run.traceHash, (this.#latest as Failure | null)?.outcome ?? 'clean');
    } else this.#abandoned++;
    this.#tally(run);
    if (ex[Ex.footprintsLost] !== 0) {
      this.moduleError = 'a step touches more than this strategy can note; take another strategy, or a smaller machine';
    } else if (this.#diverged && this.#strategy.name !== 'replay') this.moduleError = NOT_THE_SAME;
    else this.#over = !this.#consider(() => this.#strategy.end(run, this.#strategyWords));
    this.#exhausted = this.#over && this.#strategy.exhausts === true;
    this.#over ||= this.moduleError !== null || (this.job.stopAtFailure && this.#chosen() !== null);
  }

  /** The strategy at work between executions, which the watchdog is told: after long ones it takes seconds. */
  #consider<T>(ask: () => T): T {
    const { ex } = this.#part;
    ex[Ex.considers] = 1;
    const answer = ask();
    ex[Ex.considers] = 0;
    return answer;
  }

  /**
   * Accesses have raced. Where each of them is made nobody has noted, which would cost more than everything else: the execution is made
   * once more, by its schedule, with an eye on those words.
   */
  #lookAgain(run: Execution): void {
    const { decisions } = run;
    for (let i = 0; i < decisions; i++) this.#prefix[i] = run.decision(i).choice;
    this.again = true;
    // One more than there are, so that the strategy is not asked at a last step without a choice either.
    this.#perform(run.number, () => decisions + 1);
    this.again = false;
  }

  /** A reset; one in so many is timed, since looking at the clock costs as much as a small one. Those with an audit are timed each. */
  #timedReset(): void {
    const audited = this.#audited;
    if (!audited && this.#begun % CLOCK_EVERY !== CLOCK_EVERY >> 1) {
      this.reset();
      return;
    }
    const before = performance.now();
    const started = performance.now();
    this.reset();
    // What a look at the clock takes by itself, here and now, is not of the reset.
    const took = performance.now() - started - (started - before);
    this.#resetSeconds += (took / 1000) * (audited ? 1 : CLOCK_EVERY);
  }

  get #audited(): boolean {
    const begun = this.#begun - this.#begunBefore;
    return begun < AUDITS || begun % AUDIT_EVERY === 0;
  }

  /** Setup and check announce their steps too, so that the next reset knows what they changed. */
  protected override get watched(): number {
    return super.watched | Attention.controlled;
  }

  /** Interrupts have been dealt with when an execution ends. */
  protected override get checks(): boolean {
    return this.race.check !== undefined || this.k.invariant !== null;
  }

  /** Kernel data as it was after boot: what a step announced to change, and what changes without one. */
  protected override restoreStatics(): void {
    const { snapshot } = this;
    const { words, memory, staticBytes } = this.k;
    if (snapshot === null) return;
    if (this.#audited) {
      if (this.#begun - this.#begunBefore > 1) this.#audit(snapshot);
      memory.written.fill(0, 0, staticBytes >>> 12);
      super.restoreStatics();
      return;
    }
    const begun = this.#begun - this.#begunBefore;
    const forget = begun < AUDITS || (begun + 1) % FORGET_EVERY === 0;
    const { written } = memory;
    const statics = staticBytes >>> 12;
    for (let frame = 0; frame < statics; frame++) {
      if (written[frame] === 0) continue;
      this.#restoreBlocks(frame, written[frame] as number, snapshot);
      if (forget) written[frame] = 0;
    }
    const counts = this.#preemptCounts;
    for (let i = 0; i < counts.length; i++) words[counts[i] as number] = snapshot[counts[i] as number] as number;
  }

  #restoreBlocks(frame: number, blocks: number, snapshot: Int32Array): void {
    const { words } = this.k;
    for (let left = blocks; left !== 0; left &= left - 1) {
      const from = (frame << 10) | ((31 - Math.clz32(left & -left)) << 5);
      for (let i = from; i < from + 32; i++) words[i] = snapshot[i] as number;
    }
  }

  /** A word that has changed although no step announced it makes executions depend on each other: a defect of ours. */
  #audit(snapshot: Int32Array): void {
    const { words, memory, staticBytes } = this.k;
    const announced = (i: number): boolean => (((memory.written[i >>> 10] as number) >>> (i >>> 5)) & 1) !== 0;
    const silent = [...this.#preemptCounts, ...this.#placements];
    for (let i = 0; i < staticBytes >>> 2; i++) {
      if (words[i] === snapshot[i] || announced(i) || silent.includes(i)) continue;
      throw new MurphyError(`kernel data at ${hex8(this.k.staticBase + i * 4)} has changed without a scheduling point`);
    }
  }

  #tally(run: Execution): void {
    if (run.decisions > this.#decisionsMost) this.#decisionsMost = run.decisions;
    if (run.steps > this.#stepsMost) this.#stepsMost = run.steps;
    this.#points += run.steps;
    if (this.#part.ex[Ex.diverged] !== 0) this.#diverged = true;
  }

  #report(): ExploreReport {
    return {
      over: this.#over,
      executions: this.#executions,
      abandoned: this.#abandoned,
      exhausted: this.#exhausted,
      seconds: this.#seconds,
      resetSeconds: this.#resetSeconds,
      failures: [...this.#found.values()],
      chosen: this.#chosen(),
      prescribed: prescribedDecisions(this.#execution),
      failingExecutions: this.failures,
      traceHash: this.#execution.traceHash >>> 0,
      steps: this.#execution.steps,
      rounds: this.#rounds,
      trace: this.#strategy.name === 'replay' ? this.#trace(this.#execution.steps) : null,
      memoryHash: crc32(this.k.memory.bytes),
      points: this.#points,
      decisionsMost: this.#decisionsMost,
      stepsMost: this.#stepsMost,
      handovers: handoversOf(this.#part.ex),
      moduleError: this.moduleError,
      diverged: this.#diverged,
      stats: this.#strategy.stats?.() ?? {},
    };
  }

  protected override keep(failure: Failure): void {
    this.#latest = failure;
    // The log that is kept belongs to the failure that the result is about.
    const wanted = this.#wanted;
    if (wanted !== null && signatureOf(failure, this.k.config) === wanted && !this.#found.has(wanted)) {
      this.failure = null;
    }
    super.keep(failure);
  }

  /** Enter a failing execution among the distinct ones. */
  #remember(failure: Failure, ended: Execution): void {
    const signature = signatureOf(failure, this.k.config);
    const before = this.#found.get(signature);
    if (before === undefined && this.#found.size >= FAILURES_MAX) return;
    const { preemptions, steps } = ended;
    const prescribed = prescribedDecisions(ended);
    if (before !== undefined && !(this.#shortest && isShorter({ preemptions, prescribed, steps }, before))) {
      this.#found.set(signature, { ...before, count: before.count + 1 });
      return;
    }
    this.#found.set(signature, {
      ...{ signature, failure, count: (before?.count ?? 0) + 1, prescribed, preemptions, steps },
      rounds: this.#rounds,
      schedule: Array.from({ length: ended.decisions }, (_, i) => ended.decision(i).choice),
      trace: this.#trace(steps),
      traceHash: ended.traceHash >>> 0,
      memoryHash: crc32(this.k.memory.bytes),
    });
  }

  #trace(steps: number): Int32Array {
    const all = this.#trails.steps();
    const trace = new Int32Array(steps * STEP_WORDS);
    for (let i = 0; i < steps; i++) {
      const at = i * Step.words;
      const what = all[at + Step.what] as number;
      trace[i * STEP_WORDS] = choiceOf(what);
      trace[i * STEP_WORDS + 1] = kindOfStep(what);
      trace[i * STEP_WORDS + 2] = all[at + Step.addr] as number;
    }
    return trace;
  }

  #chosen(): Found | null {
    return chooseFound([...this.#found.values()], this.#wanted, this.job.claimed);
  }

  /** Return: false when the strategy has nothing left. */
  #one(execution: number): boolean {
    this.#rounds = this.#roundsGiven ?? this.#strategy.rounds?.(execution) ?? 0;
    return this.#perform(execution, () =>
      this.#consider(() => this.#strategy.begin(this.#strategyWords, execution, this.#prefix)),
    );
  }

  /** @prescribe: how many decisions are in `prefix`; none is made when that is negative. */
  #perform(execution: number, prescribe: () => number): boolean {
    const { k } = this;
    const { hw } = k;
    const { ex, stateHash } = this.#part;
    this.#timedReset();
    this.#recorder?.begin(this.races?.run ?? 0);
    this.#trails.renew();
    this.#baton.clear(this.#rounds);
    Atomics.store(hw, Control.execution, execution);
    if (this.race.setup !== undefined) this.alone(() => this.race.setup?.(k), 'setup');
    stateHash?.begin();
    this.#baton.reset(this.#threads, this.job.devices);
    if (Atomics.load(hw, Control.verdict) !== Verdict.none) return true;
    this.queueThreads();
    const prescribed = prescribe();
    if (prescribed < 0) return false;
    ex[Ex.prefixLength] = prescribed;
    const mine = this.#baton.start();
    if (mine !== null) {
      if (mine) this.#take(this.#baton.first());
      for (let turn = this.#baton.waitTurn(null); turn !== Turn.over; turn = this.#baton.waitTurn(null))
        this.#take(turn);
    }
    return true;
  }

  /** This worker has the baton for the first time in this execution, or again as an idle CPU: run its thread, or idle for its CPU. */
  #take(turn: Turn): void {
    const { k } = this;
    k.beginExecution();
    this.#recorder?.begin(this.races?.run ?? 0);
    this.#baton.begin(turn);
    this.guarded(() => this.#run(), this.#what);
    this.#recorder?.flush();
    const idle = k.hw[k.layout.seats + k.cpu * Seat.words + Seat.idle] !== 0;
    this.#baton.end(idle && k.hw[k.layout.seats + k.cpu * Seat.words + Seat.current] === k.slot);
  }

  readonly #what = `thread ${this.job.slot}`;

  #run(): void {
    const { k } = this;
    const ended = k.hw[k.layout.threads + k.slot * Thread.words + Thread.state] === THREAD_ENDED;
    if (this.body === null || ended) {
      k.scheduler?.idleUntilOver(k);
      return;
    }
    if (this.job.slot >= k.config.cpus) k.scheduler?.waitForSeat(k);
    else this.#baton.firstStep();
    k.trace(Ev.step, Point.Sched, k.current);
    k.irqsOff = false;
    this.runBody(this.body);
  }

  /** The execution as a strategy sees it: one object for all of them. */
  #view(): Ending {
    const { ex, layout } = this.#part;
    const { hw, layout: machine } = this.k;
    const baton = this.#baton;
    const trails = this.#trails;
    return {
      number: 0,
      failed: false,
      cut: false,
      preemptible: this.k.config.preempt,
      get decisions() {
        return ex[Ex.ended + Head.decisions] as number;
      },
      get steps() {
        return ex[Ex.ended + Head.steps] as number;
      },
      get preemptions() {
        return ex[Ex.ended + Head.preemptions] as number;
      },
      get traceHash() {
        return ex[Ex.ended + Head.traceHash] as number;
      },
      get abandoned() {
        return ex[Ex.abandoned] !== 0;
      },
      decision(i): Decision {
        const step = trails.decisions()[i] as number;
        const all = trails.steps();
        const at = step * Step.words;
        const what = all[at + Step.what] as number;
        const cost = all[at + Step.cost] as number;
        return {
          step,
          threads: all[at + Step.threads] as number,
          others: all[at + Step.others] as number,
          current: choiceOfContext(trailOf(what) - 1),
          choice: choiceOf(what),
          preemptions: cost & 0xffff,
          delays: cost >>> 16,
        };
      },
      step(i) {
        const all = trails.steps();
        const at = i * Step.words;
        const what = all[at + Step.what] as number;
        const details = layout.details === layout.strategy ? -1 : layout.details + i * Detail.words;
        const within = details < 0 ? 0 : (ex[details + Detail.within] as number);
        return {
          choice: choiceOf(what),
          kind: kindOfStep(what),
          addr: all[at + Step.addr] as number,
          masked: maskedOf(what),
          within: within & 0xff,
          depth: within >>> 8,
          before: details < 0 ? 0 : (ex[details + Detail.before] as number),
        };
      },
      touched: (i) => baton.touched(i),
      cpuOf(choice) {
        if (choice >= Choice.device) return -1;
        if (choice >= Choice.irq) return (choice - Choice.irq) & 7;
        return hw[machine.threads + choice * Thread.words + Thread.cpu] as number;
      },
    };
  }
}
