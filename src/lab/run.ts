/**
 * Parallel mode, as the main thread sees it: boot the machine on the worker pool, watch it, collect.
 */
import { crc32 } from 'node:zlib';
import { checksOf, type MachineConfig } from '../cpu/config.js';
import { Attention, Control, type HwLayout, layoutHw, Seat, Stage, Verdict } from '../cpu/hw.js';
import { stopAll } from '../cpu/kernel.js';
import { arenaBytes } from '../cpu/memory.js';
import { formatRecord, readLog } from '../cpu/printk.js';
import { layoutStatics } from '../mm/boot.js';
import { UsageError } from '../shared/errors.js';
import { foretells } from './claims.js';
import { claimingCase, claimOf, configureRace, type PlacedThread, settingsOf } from './configure.js';
import { describeMachine, findCycle, type MachineView } from './deadlock.js';
import type { EventRings } from './event-ring.js';
import type { Job } from './job.js';
import { allLocksOf } from './lockdep.js';
import { loadClock } from './module-probe.js';
import { type LoadedRace, loadExperiments, loadRace } from './modules.js';
import type { Case, RaceSpec } from './race.js';
import { type History, mergeHistories } from './recorder.js';
import { readSamples } from './samples.js';
import {
  type CpuStats,
  type Failure,
  OUTCOMES,
  type Outcome,
  type Progress,
  type RunOptions,
  type RunResult,
  type Traced,
} from './types.js';
import { settle } from './verdict.js';
import type { WorkerReport } from './worker-runner.js';
import { type PoolWorker, WorkerPool } from './workers.js';

const POLL_MS = 100;
/** More time than this between two polls, and the host was elsewhere. */
const POLL_GAP_MS = 500;
const WATCHDOG_SECONDS = 5;
/** Looks at whether all CPUs have answered the watchdog: most do at the first, and who is on a busy host needs some. */
const ANSWER_POLLS = 20;
/** How long those that are let go have before they are ended, and a stopped worker to return. */
const LET_GO_MS = 500;
const RETURN_MS = 2000;
/** How long an execution may still take after Ctrl-C before it is called off. */
const CALL_OFF_MS = 300;
const SECONDS = 3;
/** Events that a worker can keep. */
const EVENTS_MAX = 1_000_000;

const firstLine = (text: string): string => text.split('\n')[0] as string;

/** One machine: its workers stay booted between runs. */
export class Machine {
  readonly #pool = new WorkerPool();
  #busy = false;

  /** Start the workers of @cpus CPUs. Runs that need more start more. */
  static async boot(options: { cpus?: number } = {}): Promise<Machine> {
    const machine = new Machine();
    await machine.#pool.ensure(options.cpus ?? 2, 0);
    machine.#pool.hold(false);
    return machine;
  }

  /** Run one configuration of a race. Throws UsageError for what cannot be run at all. */
  async run(name: string | RaceSpec, options: RunOptions = {}): Promise<RunResult> {
    return await this.runLoaded(await loadRace(name), null, options);
  }

  /** Every case of the race, one after the other; a race without cases as it is. */
  async *runCases(name: string | RaceSpec, options: RunOptions = {}): AsyncGenerator<RunResult> {
    const loaded = await loadRace(name);
    const cases = loaded.race.cases.length === 0 ? [null] : loaded.race.cases;
    for (const c of cases) {
      yield await this.runLoaded(loaded, c, options);
      if (options.signal?.aborted === true) return;
    }
  }

  async runLoaded(loaded: LoadedRace, chosen: Case | null, options: RunOptions): Promise<RunResult> {
    checkOptions(options);
    const { config, threads } = configureRace(loaded.race, chosen, options);
    const claiming = chosen ?? claimingCase(loaded.race, config, options);
    if (this.#busy) throw new UsageError('this machine is running already; boot another one for runs at the same time');
    this.#busy = true;
    this.#pool.hold(true);
    try {
      return await new Run(this.#pool, loaded, config, threads, claiming, options).go();
    } finally {
      this.#busy = false;
      this.#pool.hold(false);
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }
}

let shared: Machine | null = null;

/** The machine that run(), runCases() and stress() share: a process boots once. */
export function sharedMachine(): Machine {
  shared ??= new Machine();
  return shared;
}

/** Run a race in parallel mode. @name: an experiment's id, a row of the specification, a path, or the race itself. */
export async function run(name: string | RaceSpec, options: RunOptions = {}): Promise<RunResult> {
  return await sharedMachine().run(name, options);
}

/** Run every case of a race in parallel mode. */
export function runCases(name: string | RaceSpec, options: RunOptions = {}): AsyncGenerator<RunResult> {
  return sharedMachine().runCases(name, options);
}

/** The experiments that come with the package, by id. */
export async function listExperiments(): Promise<RaceSpec[]> {
  return (await loadExperiments()).map((l) => l.race);
}

function checkOptions(options: RunOptions): void {
  const positive = (name: string, value: number | undefined): void => {
    if (value === undefined || (Number.isFinite(value) && value > 0)) return;
    throw new UsageError(`${name} must be a positive number, not ${value}`);
  };
  positive('seconds', options.seconds);
  positive('executions', options.executions);
  positive('patienceSeconds', options.patienceSeconds);
  positive('watchdogSeconds', options.watchdogSeconds);
  const { events } = options;
  if (events !== undefined && !(Number.isInteger(events) && events > 0 && events <= EVENTS_MAX)) {
    throw new UsageError(`events must be a whole number from 1 to ${EVENTS_MAX}, not ${events}`);
  }
  const { seed } = options;
  if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff)) {
    throw new UsageError(`seed must be a whole number from 0 to 4294967295, not ${seed}`);
  }
}

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

type AnyWorker = Pick<PoolWorker<unknown>, 'worker' | 'death'>;

interface Call {
  readonly worker: AnyWorker;
  done: boolean;
}

/** One run of one configuration. */
class Run {
  readonly #view: MachineView;
  readonly #hw: Int32Array;
  readonly #layout: HwLayout;
  readonly #arena: SharedArrayBuffer;
  readonly #hwBuffer: SharedArrayBuffer;
  readonly #deviceCount: number;
  readonly #events: EventRings | null;
  readonly #histories: History[] = [];
  #started = performance.now();
  #error: string | null = null;
  #workers: readonly { readonly worker: AnyWorker; readonly name: string }[] = [];
  #totals: Record<string, number>[] = [];
  #lastWords: Int32Array[] = [];

  readonly pool: WorkerPool;
  readonly loaded: LoadedRace;
  readonly config: MachineConfig;
  readonly threads: readonly PlacedThread[];
  readonly chosen: Case | null;
  readonly options: RunOptions;

  constructor(
    pool: WorkerPool,
    loaded: LoadedRace,
    config: MachineConfig,
    threads: readonly PlacedThread[],
    chosen: Case | null,
    options: RunOptions,
  ) {
    this.pool = pool;
    this.loaded = loaded;
    this.config = config;
    this.threads = threads;
    this.chosen = chosen;
    this.options = options;
    this.#events =
      options.events === undefined
        ? null
        : { size: options.events, counter: new SharedArrayBuffer(4), since: process.hrtime.bigint() };
    this.#layout = layoutHw(config);
    this.#arena = new SharedArrayBuffer(arenaBytes(config.lowmemPages + config.highmemPages));
    this.#hwBuffer = new SharedArrayBuffer(this.#layout.words * 4);
    this.#hw = new Int32Array(this.#hwBuffer);
    const words = new Int32Array(this.#arena);
    this.#view = { hw: this.#hw, words, layout: this.#layout, config, sym: layoutStatics(config).sym };
    this.#deviceCount = loaded.race.devices?.length ?? 0;
  }

  #job(slot: number, cpu: number): Job {
    const { options } = this;
    return {
      config: this.config,
      buffers: { arena: this.#arena, hw: this.#hwBuffer },
      module: this.loaded.url,
      threads: this.threads,
      slot,
      cpu,
      devices: this.#deviceCount,
      participants: this.config.threadsMax + this.#deviceCount,
      seconds: options.seconds ?? (options.executions === undefined ? SECONDS : Number.MAX_VALUE),
      patienceSeconds: options.patienceSeconds ?? 0,
      executions: options.executions ?? Number.MAX_VALUE,
      stopAtFailure: options.stopAtFailure ?? false,
      claimed: claimOf(this.chosen) ?? [],
      says: this.chosen?.says ?? [],
      reports: this.chosen?.reports ?? [],
      bootTime: performance.timeOrigin + performance.now(),
      raceVars: this.#layout.raceVars,
      events: this.#events,
    };
  }

  async go(): Promise<RunResult> {
    const { config } = this;
    const slots = config.threadsMax;
    const timer = config.hz > 0 ? 1 : 0;
    await this.pool.ensure(slots, this.#deviceCount + timer);
    const cpuOf = (slot: number): number => this.threads.find((t) => t.slot === slot)?.cpu ?? slot;
    const cpus = this.pool.cpus.slice(0, slots);
    const devices = this.pool.devices.slice(0, this.#deviceCount);
    const clock = this.pool.devices.slice(this.#deviceCount, this.#deviceCount + timer);
    this.#workers = [
      ...cpus.map((worker, slot) => ({ worker, name: `the worker of CPU ${cpuOf(slot)} (thread ${slot})` })),
      ...devices.map((worker, i) => ({ worker, name: `the worker of device ${i}` })),
      ...clock.map((worker) => ({ worker, name: 'the worker of the timer' })),
    ];
    await this.#alive([
      ...cpus.map((w, slot) => w.actor.prepare(this.#job(slot, cpuOf(slot)))),
      ...devices.map((w, i) => w.actor.prepare(this.#job(i, 0))),
    ]);
    this.#started = performance.now();
    const reports: WorkerReport[] = [];
    await this.#watch([
      ...cpus.map((w) => this.#call(w, w.actor.run(), (report) => reports.push(report))),
      ...devices.map((w) => this.#call(w, w.actor.run(), (history) => this.#histories.push(history))),
      ...clock.map((w) => this.#call(w, w.actor.runTimer(this.#job(0, 0)))),
    ]);
    return this.#result(reports);
  }

  /** A call that lasts as long as the run. */
  #call<T>(worker: AnyWorker, answer: Promise<T>, collect: (answer: T) => void = () => {}): Call {
    const call: Call = { worker, done: false };
    answer
      .then(collect, (error) => this.#fail(String(error)))
      .finally(() => {
        call.done = true;
      });
    return call;
  }

  /**
   * Wait for the workers to load the race. One that dies, that does not answer, or that cannot load it ends the run before it began, and the
   * pool with it.
   */
  async #alive(calls: Promise<unknown>[]): Promise<void> {
    const late = loadClock();
    let done = false;
    const all = Promise.all(calls).finally(() => {
      done = true;
    });
    all.catch(() => {});
    const giveUp = async (why: string): Promise<never> => {
      await this.pool.close();
      throw new UsageError(why);
    };
    while (!done) {
      await Promise.race([all.catch(() => {}), sleep(POLL_MS)]);
      const dead = this.#dead();
      if (dead !== null) await giveUp(`${dead} while it loaded experiment "${this.loaded.race.id}"; mend the module`);
      if (this.options.signal?.aborted === true) {
        await this.pool.close();
        throw new DOMException('interrupted while the workers loaded the race', 'AbortError');
      }
      const seconds = done ? null : late();
      if (seconds !== null) {
        await giveUp(
          `experiment "${this.loaded.race.id}" does not load in its workers within ${Math.round(seconds)} s: an endless loop at the top of the module?`,
        );
      }
    }
    await all.catch((error: unknown) => {
      const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      throw new UsageError(
        `experiment "${this.loaded.race.id}" does not load in its workers: ${firstLine(text)}; mend the module`,
      );
    });
  }

  #dead(): string | null {
    const found = this.#workers.find(({ worker }) => worker.death !== null);
    return found === undefined ? null : `${found.name} died: ${found.worker.death}`;
  }

  /** Poll until all have returned: progress, Ctrl-C, the watchdog, dead workers. */
  async #watch(calls: readonly Call[]): Promise<void> {
    const left = (): Call[] => calls.filter((call) => !call.done && call.worker.death === null);
    let execution = 0;
    // Time that the execution has had: a host that stands still as a whole, a laptop that sleeps, gives it none.
    let given = 0;
    let polled = performance.now();
    // The same, of the whole run.
    let clock = 0;
    let aborted = Number.POSITIVE_INFINITY;
    let stopping = Number.POSITIVE_INFINITY;
    while (left().length > 0) {
      await sleep(POLL_MS);
      this.#sample();
      this.#progress();
      const dead = this.#dead();
      if (dead !== null) this.#fail(dead);
      const now = performance.now();
      given += Math.min(now - polled, POLL_GAP_MS);
      clock += Math.min(now - polled, POLL_GAP_MS);
      polled = now;
      if (this.options.signal?.aborted === true) {
        aborted = Math.min(aborted, clock);
        Atomics.store(this.#hw, Control.quit, 1);
      }
      const current = Atomics.load(this.#hw, Control.execution);
      if (current !== execution) {
        execution = current;
        given = 0;
      }
      if (this.#error !== null) stopping = Math.min(stopping, clock);
      // Nobody who asks for an end waits for a long execution.
      if (clock - aborted > CALL_OFF_MS && stopping > clock) {
        stopping = clock;
        stopAll(this.#hw, this.#layout, this.config);
      }
      const limit = this.options.watchdogSeconds ?? (this.loaded.race.executionSeconds ?? 0) + WATCHDOG_SECONDS;
      if (stopping > clock && left().length > 0 && given > limit * 1000) {
        await this.#bark(given / 1000);
        stopping = clock;
        polled = performance.now();
      }
      if (clock - stopping > RETURN_MS) {
        await this.#end(left);
        break;
      }
    }
    this.#sample();
  }

  /** Some have been told to stop and do not: let go those who wait for them, and end those. */
  async #end(left: () => Call[]): Promise<void> {
    Atomics.store(this.#hw, Control.broken, 1);
    await sleep(LET_GO_MS);
    await Promise.all(
      left().map(async ({ worker }) => {
        worker.death ??= 'it did not stop and was ended';
        await worker.worker.terminate();
      }),
    );
  }

  /** The run cannot go on: everybody out. */
  #fail(why: string): void {
    this.#error ??= firstLine(why);
    Atomics.store(this.#hw, Control.quit, 1);
    Atomics.store(this.#hw, Control.broken, 1);
    stopAll(this.#hw, this.#layout, this.config);
  }

  /** An execution takes too long: ask every CPU where it is, record the hang, stop the run. */
  async #bark(seconds: number): Promise<void> {
    const { config } = this;
    const seats = Array.from({ length: config.cpus }, (_, cpu) => this.#layout.seats + cpu * Seat.words);
    const before = seats.map((seat) => Atomics.load(this.#hw, seat + Seat.pong));
    for (const seat of seats) {
      Atomics.or(this.#hw, seat + Seat.attention, Attention.dump);
      Atomics.notify(this.#hw, seat + Seat.attention);
    }
    const answers = (): boolean[] => seats.map((seat, cpu) => Atomics.load(this.#hw, seat + Seat.pong) !== before[cpu]);
    for (let poll = 0; poll < ANSWER_POLLS && answers().includes(false); poll++) await sleep(POLL_MS);
    const answered = answers();
    const state = [...describeMachine(this.#view), ...allLocksOf(this.#view)];
    seats.forEach((seat, cpu) => {
      const trace = answered[cpu] ? this.#backtrace(Atomics.load(this.#hw, seat + Seat.current)) : '';
      if (trace !== '') state.push(`CPU${cpu}: ${trace}`);
      if (!answered[cpu])
        state.push(`CPU${cpu}: does not reach a scheduling point: an endless loop in the race's own code?`);
    });
    const cycle = Array.from({ length: config.threadsMax }, (_, slot) => findCycle(this.#view, slot)).find(
      (c) => c !== null,
    );
    const outcome: Outcome = cycle === undefined ? 'hang' : 'deadlock';
    const stuck = answered.indexOf(false);
    const stage = Atomics.load(this.#hw, Control.stage);
    const part = stage === Stage.setup ? 'setup' : stage === Stage.check ? 'check' : 'the execution';
    const inspecting = seats.some((seat) => (Atomics.load(this.#hw, seat + Seat.attention) & Attention.inspect) !== 0);
    const what = inspecting ? `the invariant, during ${part},` : part;
    const who = stage === Stage.threads && stuck >= 0 ? `CPU${stuck} is stuck` : `${what} does not end`;
    const message = `BUG: soft lockup: ${who} for ${seconds.toFixed(1)} s`;
    settle(this.#view, outcome === 'hang' ? Verdict.hang : Verdict.deadlock, { outcome, message, state });
    Atomics.store(this.#hw, Control.quit, 1);
    this.#hang = { outcome, message, state, execution: Atomics.load(this.#hw, Control.execution) };
    Atomics.store(this.#hw, Control.keptExecution, this.#hang.execution);
  }
  #hang: Failure | null = null;

  /** Functions on the stack of a thread that answered, innermost first. */
  #backtrace(slot: number): string {
    const at = this.#layout.dump + slot * this.#layout.dumpWords;
    const length = Atomics.load(this.#hw, at);
    const text = new TextDecoder().decode(new Uint8Array(this.#hwBuffer, (at + 1) * 4, length).slice());
    const names = text
      .split('\n')
      .filter((l) => !/worker-runner|src\/lab|src\/cpu\/kernel\.|comlink|node:/.test(l))
      .map((l) => /at (?:Object\.)?([\w.#]+) /.exec(l)?.[1] ?? '')
      .filter((n) => n !== '' && !/^(MessagePort|Error)\b/.test(n));
    return names.length === 0 ? '' : `backtrace: ${names.join(' < ')}`;
  }

  // ---- collecting --------------------------------------------------------------------------------------------------

  /** Counters in shared memory are 32 bits wide and may wrap: add up the differences. */
  #sample(): void {
    for (let cpu = 0; cpu < this.config.cpus; cpu++) {
      const seat = this.#layout.seats + cpu * Seat.words;
      const now = this.#hw.slice(seat, seat + Seat.words);
      const last = this.#lastWords[cpu] ?? new Int32Array(Seat.words);
      const totals = this.#totals[cpu] ?? {};
      for (const name of STAT_NAMES) {
        const at = Seat[name];
        totals[name] = (totals[name] ?? 0) + (((now[at] as number) - (last[at] as number)) >>> 0);
      }
      this.#totals[cpu] = totals;
      this.#lastWords[cpu] = now;
    }
  }

  #stats(): CpuStats[] {
    return this.#totals.map((t, cpu) => ({ cpu, ...t }) as unknown as CpuStats);
  }

  #progress(): void {
    const progress: Progress = {
      experiment: this.loaded.race.id,
      caseName: this.chosen?.name ?? '',
      seconds: (performance.now() - this.#started) / 1000,
      secondsMax: this.options.seconds ?? SECONDS,
      executions: Atomics.load(this.#hw, Control.execution),
      failures: Atomics.load(this.#hw, Control.failures),
      cpus: this.#stats(),
    };
    this.options.onProgress?.(progress);
  }

  /** Every execution ended as the experiment claims; where it claims nothing, anything but clean is unexpected. */
  #asClaimed(outcomes: Readonly<Record<Outcome, number>>, claimed: readonly Outcome[] | null): boolean {
    const claims = claimed ?? ['clean'];
    const seen = OUTCOMES.filter((o) => o !== 'clean' && outcomes[o] > 0);
    const foretold = checksOf(this.config.check).some((checker) => foretells(checker, claims));
    if (seen.some((o) => !claims.includes(o) && !(o === 'report' && foretold))) return false;
    return seen.length > 0 || claims.includes('clean');
  }

  #traced(reports: readonly WorkerReport[]): Traced {
    const history = mergeHistories([...reports.map((r) => r.history), ...this.#histories]);
    const threads = new Map(this.threads.map((t) => [t.slot, t.name]));
    return { machine: this.config, threads, history };
  }

  #result(reports: readonly WorkerReport[]): RunResult {
    const { race } = this.loaded;
    const main = reports.find((r) => r.slot === 0);
    if (main?.moduleError != null)
      this.#error ??= `experiment "${race.id}": ${firstLine(main.moduleError)}; mend the module`;
    const outcomes = Object.fromEntries(
      OUTCOMES.map((o, i) => [o, Atomics.load(this.#hw, Control.outcomes + i)]),
    ) as Record<Outcome, number>;
    const failure = main?.failure ?? this.#hang;
    // The execution that hangs is judged by nobody unless all its threads have returned after all.
    const judged = OUTCOMES.reduce((sum, o) => sum + outcomes[o], 0);
    if (this.#hang !== null && judged < this.#hang.execution) outcomes[this.#hang.outcome]++;
    const claimed = claimOf(this.chosen);
    const worst = [...OUTCOMES].reverse().find((o) => outcomes[o] > 0) ?? 'clean';
    const outcome = failure?.outcome ?? worst;
    const dmesg = readLog(this.#hw, this.#layout.keptLog, Control.keptLogHead);
    const live = dmesg.length > 0 ? dmesg : readLog(this.#hw, this.#layout.log, Control.logHead);
    const settings = settingsOf(race, this.options);
    const measured = readSamples(this.#hw, this.#layout, race.measures);
    return {
      experiment: race.id,
      title: race.title,
      caseName: this.chosen?.name ?? null,
      spec: race.spec,
      mode: 'parallel',
      core: this.config.core.id,
      cpus: this.config.cpus,
      kernel: this.config.kernel,
      patches: this.config.patches,
      outcome,
      claimed,
      expected: this.#error === null && this.#asClaimed(outcomes, claimed),
      executions: OUTCOMES.reduce((sum, o) => sum + outcomes[o], 0),
      outcomes,
      exhausted: false,
      seconds: main?.seconds ?? (performance.now() - this.#started) / 1000,
      seed: this.config.seed,
      replay: null,
      memoryHash: crc32(new Uint8Array(this.#arena, 0, (this.config.lowmemPages + this.config.highmemPages) * 4096))
        .toString(16)
        .padStart(8, '0'),
      failure: failure === null || failure === undefined ? null : failure,
      dmesg: live.map(formatRecord),
      cpuStats: this.#stats(),
      ...(measured !== undefined && { measured }),
      ...(this.#events !== null && failure != null && { traced: this.#traced(reports) }),
      ...(settings !== undefined && { settings }),
      interrupted: this.options.signal?.aborted === true || this.#error !== null,
      error: this.#error,
    };
  }
}

const STAT_NAMES = [
  'ops',
  'interrupts',
  'ipis',
  'lockAcquired',
  'lockContended',
  'writeBacks',
  'fills',
  'evictions',
  'switches',
  'invalidatedDirty',
  'tlbMisses',
] as const;
