/** Controlled mode, as the main thread sees it. */
import type { Remote } from 'comlink';
import type { MachineConfig } from '../cpu/config.js';
import { Attention, Control, layoutHw, Seat, Stage } from '../cpu/hw.js';
import { arenaBytes } from '../cpu/memory.js';
import { formatRecord, readLog } from '../cpu/printk.js';
import { claimingCase, claimOf, configureRace, oneOf, type PlacedThread } from '../lab/configure.js';
import type { Job } from '../lab/job.js';
import { loadRace, moduleUrl } from '../lab/modules.js';
import type { RaceSpec } from '../lab/race.js';
import { type History, mergeHistories } from '../lab/recorder.js';
import type { Failure, Outcome, RunOptions } from '../lab/types.js';
import { WorkerPool } from '../lab/workers.js';
import { StuckError, UsageError } from '../shared/errors.js';
import { hex8 } from '../shared/types.js';
import type { ExploreActor, ExploreDeviceActor } from './actor.js';
import { ExecutionLog } from './execution-log.js';
import type { ExploreJob } from './explore-job.js';
import { DEVICE_CONTEXT, Ex, handoversOf, holderOf, layoutEx, type Wants } from './shared-state.js';
import {
  chooseFound,
  type Found,
  isExpected,
  joinTallies,
  outcomeOfNone,
  type Standing,
  type Tally,
  tallyFrom,
} from './standing.js';
import { makeStrategy, STRATEGIES } from './strategies/index.js';
import { StateTable, tableBytes } from './strategies/state-table.js';
import type { Strategy, StrategyOptions, StrategyStats } from './strategy.js';
import type { ExploreReport } from './worker-explorer.js';

export interface ExploreOptions extends RunOptions {
  /** dfs, dpor, pct, pos, random, or the path of a strategy module. Default: dfs. */
  readonly strategy?: string;
  /** Most preemptions of an execution (dfs and random); no bound by default. */
  readonly preemptions?: number;
  /** Most delays of an execution (dfs); no bound by default. */
  readonly delays?: number;
  /** Never go on twice from the same state (dfs). */
  readonly states?: boolean;
  /** Room for so many states; default: 4 million. */
  readonly statesMax?: number;
  /** Try choices in an order by chance (dfs, dpor). */
  readonly shuffle?: boolean;
  /** Every choice as likely as the others, at every decision (random); by default an execution draws how seldom it gives way. */
  readonly uniform?: boolean;
  /** Depth of PCT. */
  readonly depth?: number;
  /** Steps of an execution that PCT expects; learnt by default. */
  readonly stepsExpected?: number;
  /** Part @index, from 1, of @count that together explore the space; `executions` counts those of all parts. */
  readonly shard?: Shard;
  /** Go on after a failure. */
  readonly keepGoing?: boolean;
  /**
   * How often a loop of cpu_relax() goes round, with nothing changed, before it counts as waiting while others can go on. Default: 0; strategies by chance
   * draw it for one execution in four.
   */
  readonly rounds?: number;
  /** Steps after which an execution counts as a livelock. */
  readonly stepsMax?: number;
  /** Choices to repeat (strategy replay). */
  readonly schedule?: readonly number[];
  /** Only a failure of this signature ends the exploration, and the result is about it. */
  readonly wanted?: string;
  /** Of failures with the same signature keep the one with the shortest schedule, not the first. */
  readonly shortest?: boolean;
  /** Record what happens in the last execution, for an explanation. */
  readonly history?: boolean;
  /** Called about once a second. */
  readonly onExploring?: (progress: ExploreProgress) => void;
  /** So many parts at once, each with a machine of its own, as one search. Default: 1. */
  readonly jobs?: number;
  /** Called now and then, and at the end, with where the exploration stands. @part: which of the jobs it is about, from 0. */
  readonly onCheckpoint?: (at: Standing, part: number) => void;
  /** Seconds between two such calls; more when the calls themselves take long. Default: 30. */
  readonly checkpointSeconds?: number;
  /** Go on from there, for each job. The options that the search follows from must be the same: see searchOf(). */
  readonly resume?: Standing | readonly (Standing | null)[];
  /** File to which a line is added for each execution: its trace hash and its outcome. */
  readonly log?: string;
}

/** The options of one part of a search. */
interface PartOptions extends Omit<ExploreOptions, 'resume'> {
  readonly resume?: Standing | undefined;
}

export interface Shard {
  readonly index: number;
  readonly count: number;
}

export interface ExploreProgress {
  readonly executions: number;
  readonly abandoned: number;
  readonly seconds: number;
  /** Failing executions. */
  readonly failures: number;
  /** Most decisions of an execution. */
  readonly depth: number;
  readonly stats: StrategyStats;
}

export interface ExploreResult {
  readonly experiment: string;
  readonly title: string;
  readonly caseName: string | null;
  readonly spec: readonly string[];
  readonly mode: 'controlled';
  readonly core: string;
  readonly cpus: number;
  readonly kernel: string;
  readonly patches: readonly string[];
  readonly strategy: string;
  readonly outcome: Outcome;
  readonly claimed: readonly Outcome[] | null;
  /** As claimed; not when it was stopped before anything was explored. */
  readonly expected: boolean;
  /** Executions that came to their end. */
  readonly executions: number;
  /** Executions given up on the way, since they would show nothing new. */
  readonly abandoned: number;
  readonly exhausted: boolean;
  readonly seconds: number;
  readonly executionsPerSecond: number;
  readonly failure: Failure | null;
  /** Distinct failures: what failed where, how often, and how to get there. `failure` is one of them. */
  readonly failures: readonly Found[];
  readonly failingExecutions: number;
  readonly schedule: readonly number[];
  /** Decisions up to the last where another than the default was chosen: the schedule cut there leads to the same. */
  readonly prescribed: number;
  readonly stepsMax: number;
  /** As ExploreOptions.rounds has it, of this execution. */
  readonly rounds: number;
  readonly traceHash: string;
  readonly steps: number;
  /** Scheduling points of all executions together. */
  readonly points: number;
  readonly decisionsMost: number;
  readonly stepsMost: number;
  readonly handovers: number;
  /** Seconds spent on bringing the machine back to what it was after boot, between executions; from a sample. */
  readonly resetSeconds: number;
  /** A choice of the schedule was not there when it was repeated: the race is not the one that was recorded, or does not do the same each time. */
  readonly diverged: boolean;
  /** Preemptions of the failing execution. */
  readonly preemptions: number;
  readonly memoryHash: string;
  /** Numbers of the strategy: classes, states, pruned, part explored. */
  readonly stats: StrategyStats;
  /** Steps of the failing execution, or of the one that repeats a schedule: choice, kind, address. */
  readonly trace: Int32Array;
  /** What happened, if that was asked for. */
  readonly history: History;
  readonly dmesg: readonly string[];
  /** The machine, in full. */
  readonly machine: MachineConfig;
  /** Ended early: Ctrl-C. */
  readonly interrupted: boolean;
  readonly error: string | null;
}

export const STEPS_MAX = 20_000;
/** Each step has its place in memory from the beginning, for each thread. */
const STEPS_MOST = 4_000_000;
export const STATES_MAX = 4_000_000;
const WHOLE: Shard = { index: 1, count: 1 };
const POLL_MS = 100;
/** Without a step for so long, and at work for half of it, the context that has the baton is in an endless loop of its own. */
const STUCK_MS = 5000;
/** Without a step for so long, it waits for something of its own; a host that gives its time to others, or stands still, is back by then. */
const STUCK_IDLE_MS = 60_000;
/** Seconds after which slot 0 reports, and is told to go on. */
const SLICE_SECONDS = 1;
const CHECKPOINT_SECONDS = 30;
/** Of the time, the part that checkpoints may take is one in so many. */
const CHECKPOINT_SHARE = 20;

/** Pools of workers that no exploration is using. */
const idlePools: WorkerPool[] = [];

/** What the watchdog has to know. */
interface Watched {
  /** Executions are under way. */
  leading: boolean;
  over: boolean;
  /** The strategy is a user's, and could loop for ever. */
  readonly ownStrategy: boolean;
}

/** A moment: on the clock, and in time that this process has been given. */
interface Moment {
  readonly ms: number;
  readonly workMs: number;
}

function standing(): Moment {
  const { user, system } = process.cpuUsage();
  return { ms: performance.now(), workMs: (user + system) / 1000 };
}

function isStuck(since: Moment): boolean {
  const { ms, workMs } = standing();
  return ms - since.ms > STUCK_IDLE_MS || (ms - since.ms > STUCK_MS && workMs - since.workMs > STUCK_MS / 2);
}

const sumOf = (words: Int32Array): number => words.reduce((sum, word) => (sum + word) | 0, 0);

/**
 * Rejects when a worker dies or nothing moves any more; the workers are gone then. Passes Ctrl-C on.
 *
 * @steps: what is written at every step. A single context can go on for long without an execution coming to its end. @seats: of the CPUs, as indices.
 */
async function watch(
  workers: WorkerPool,
  hw: Int32Array,
  ex: Int32Array,
  steps: Int32Array,
  seats: readonly number[],
  signal: AbortSignal | undefined,
  state: Watched,
): Promise<never> {
  let last = '';
  let since = standing();
  let trails: number | null = null;
  while (!state.over) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    if (signal?.aborted === true) Atomics.store(hw, Control.quit, 1);
    const now = `${Atomics.load(hw, Control.execution)} ${handoversOf(ex)}`;
    const considers = Atomics.load(ex, Ex.considers) !== 0 && !state.ownStrategy;
    // Workers that start on a busy host, a checkpoint that is written, and dpor after a long execution are no lack of progress.
    if (now !== last || !state.leading || considers) {
      since = standing();
      trails = null;
    }
    last = now;
    if (performance.now() - since.ms > STUCK_MS / 2) {
      const before: number | null = trails;
      trails = sumOf(steps);
      if (before !== null && trails !== before) since = standing();
    }
    const all = [...workers.cpus, ...workers.devices];
    const died = all.findIndex((w) => w.death !== null);
    // Before the first execution the workers start and boot, which takes a busy host its time.
    const stuck = Atomics.load(hw, Control.execution) !== 0 && isStuck(since);
    if (state.over || (died < 0 && !stuck)) continue;
    const why = died >= 0 ? `the worker of thread ${died} died: ${all[died]?.death}` : stuckText(hw, ex, seats);
    await workers.close();
    throw new StuckError(`${why}; mend the module`);
  }
  return await new Promise<never>(() => {});
}

/** What loops for ever: the innermost of thread, interrupt handler, setup or check, and invariant. @seats: of the CPUs, as indices. */
function stuckText(hw: Int32Array, ex: Int32Array, seats: readonly number[]): string {
  const lasts = `for ${STUCK_MS / 1000} s`;
  if (ex[Ex.considers] !== 0)
    return `the strategy has not come to its end ${lasts}, between two executions: it loops for ever`;
  const [holder, stage] = [holderOf(ex), hw[Control.stage]];
  const who = holder < DEVICE_CONTEXT ? `thread ${holder}` : `device ${holder - DEVICE_CONTEXT}`;
  const part = stage === Stage.setup ? 'setup' : stage === Stage.check ? 'check' : who;
  const inspecting = seats.some((seat) => ((hw[seat + Seat.attention] as number) & Attention.inspect) !== 0);
  if (inspecting) return `the invariant (during ${part}) has not come to its end ${lasts}: it loops for ever`;
  if (part !== who) return `${part} has not come to its end ${lasts}: it loops for ever`;
  const cpu = seats.findIndex((seat) => hw[seat + Seat.irqDepth] !== 0 && hw[seat + Seat.current] === holder);
  const handler = cpu < 0 ? '' : `an interrupt handler on CPU${cpu}, in `;
  return `${handler}${who} makes no step ${lasts}: an endless loop without a scheduling point`;
}

async function strategyOf(options: PartOptions, seed: number): Promise<StrategyOptions> {
  const name = options.strategy ?? 'dfs';
  const isPath = /[/\\.]/.test(name);
  if (!isPath && name !== 'replay') oneOf('strategy', name, STRATEGIES);
  const { preemptions, delays, states = false, uniform = false, shard } = options;
  const only = (option: string, given: boolean, ...names: string[]): void => {
    if (!given || isPath || name === 'replay' || names.includes(name)) return;
    throw new UsageError(`${option} does nothing with strategy "${name}"; it is for ${names.join(' and ')}`);
  };
  only('a bound of preemptions', preemptions !== undefined, 'dfs', 'random');
  only('a bound of delays', delays !== undefined, 'dfs');
  only('states', states, 'dfs');
  only('shuffle', options.shuffle === true, 'dfs', 'dpor');
  only('uniform', uniform, 'random');
  only('depth', options.depth !== undefined, 'pct');
  only('stepsExpected', options.stepsExpected !== undefined, 'pct');
  if (preemptions !== undefined && delays !== undefined) {
    throw new UsageError('preemptions and delays are two bounds of one search; give one of them');
  }
  const table = states ? new SharedArrayBuffer(tableBytes(options.statesMax ?? STATES_MAX)) : null;
  if (table !== null && options.resume?.table != null) new StateTable(table).restore(options.resume.table);
  return {
    name,
    module: isPath ? (await moduleUrl(name, 'strategy module')).href : null,
    seed,
    depth: options.depth ?? 3,
    stepsExpected: options.stepsExpected ?? 0,
    preemptionsMax: preemptions ?? -1,
    delaysMax: delays ?? -1,
    ...{ states, uniform },
    shuffle: options.shuffle ?? false,
    shard: (shard?.index ?? 1) - 1,
    shards: shard?.count ?? 1,
    schedule: options.schedule ?? [],
    rounds: options.rounds ?? null,
    table,
    state: options.resume?.strategy ?? null,
  };
}

/** Can a user's strategy do what is asked of it? */
function checkAbilities(made: Strategy, { name, module, shards }: StrategyOptions, options: PartOptions): void {
  if (module === null) return;
  if (shards > 1 && made.sharded !== true) {
    throw new UsageError(`strategy "${name}" knows no shards and no jobs: one that does says "sharded: true"`);
  }
  if ((options.onCheckpoint !== undefined || options.resume !== undefined) && made.save === undefined) {
    throw new UsageError(`strategy "${name}" cannot go on from a checkpoint: one that can has save()`);
  }
}

/** Everything that the workers of one exploration share. */
interface Exploration {
  readonly config: MachineConfig;
  readonly threads: readonly PlacedThread[];
  readonly job: (slot: number) => Job;
  readonly exploreJob: ExploreJob;
  readonly hw: Int32Array;
  readonly ex: Int32Array;
  /** Of it, the steps of all contexts. */
  readonly steps: Int32Array;
  /** Of each CPU, its seat in `hw`. */
  readonly seats: readonly number[];
  readonly claimed: readonly Outcome[] | null;
  readonly caseName: string | null;
}

async function layOut(race: RaceSpec, module: string, options: PartOptions): Promise<Exploration> {
  const { config, threads } = configureRace(race, null, { seed: 1, ...options }, true);
  const chosen = claimingCase(race, config, options, true);
  const claimed = claimOf(chosen);
  const stepsMax = options.stepsMax ?? race.stepsMax ?? STEPS_MAX;
  if (!(Number.isInteger(stepsMax) && stepsMax > 0 && stepsMax <= STEPS_MOST)) {
    throw new UsageError(`stepsMax must be a whole number from 1 to ${STEPS_MOST}, not ${stepsMax}`);
  }
  const strategy = await strategyOf(options, config.seed);
  const made = await makeStrategy(strategy);
  checkAbilities(made, strategy, options);
  const wants: Wants = { footprints: false, states: false, everyStep: false, ...made.wants };
  const layout = layoutHw(config);
  const devices = race.devices?.length ?? 0;
  const buffers = {
    arena: new SharedArrayBuffer(arenaBytes(config.lowmemPages + config.highmemPages)),
    hw: new SharedArrayBuffer(layout.words * 4),
  };
  const exLayout = layoutEx(stepsMax, wants, config.threadsMax, devices);
  const exploreJob: ExploreJob = {
    buffer: new SharedArrayBuffer(exLayout.words * 4),
    stepsMax,
    strategy,
    wants,
    shadows: wants.states
      ? {
          words: new SharedArrayBuffer((config.lowmemPages + config.highmemPages) * 4096),
          hw: new SharedArrayBuffer(layout.words * 4),
        }
      : null,
    history: options.history === true ? new SharedArrayBuffer(4) : null,
    wanted: options.wanted ?? null,
    shortest: options.shortest ?? false,
    log: options.log ?? null,
    begun: options.resume?.begun ?? 0,
  };
  const job = (slot: number): Job => ({
    config,
    buffers,
    module,
    threads,
    slot,
    cpu: threads.find((t) => t.slot === slot)?.cpu ?? slot,
    devices,
    participants: config.threadsMax,
    seconds: 0,
    patienceSeconds: 0,
    executions: executionsLeft(options, claimed ?? []),
    stopAtFailure: options.keepGoing !== true,
    claimed: claimed ?? [],
    says: chosen?.says ?? [],
    reports: chosen?.reports ?? [],
    bootTime: 0,
    raceVars: layout.raceVars,
    events: null,
  });
  return {
    config,
    threads,
    job,
    exploreJob,
    hw: new Int32Array(buffers.hw),
    ex: new Int32Array(exploreJob.buffer),
    steps: new Int32Array(exploreJob.buffer).subarray(exLayout.trails, exLayout.details),
    seats: Array.from({ length: config.cpus }, (_, cpu) => layout.seats + cpu * Seat.words),
    claimed,
    caseName: chosen?.name ?? null,
  };
}

/** Executions of this part that are still to be made. */
function executionsLeft(options: PartOptions, claimed: readonly Outcome[]): number {
  const { executions, shard, resume, keepGoing, wanted } = options;
  const { index, count } = shard ?? WHOLE;
  const own = executions === undefined ? Number.MAX_VALUE : Math.max(0, Math.ceil((executions - index + 1) / count));
  if (resume === undefined) return own;
  const failed = chooseFound(resume.failures, wanted ?? null, claimed) !== null;
  return resume.exhausted || (failed && keepGoing !== true) ? 0 : Math.max(0, own - resume.executions);
}

/** Explore the schedules of a race under a strategy. Stops at the first failure unless `keepGoing`. */
export async function explore(name: string | RaceSpec, options: ExploreOptions = {}): Promise<ExploreResult> {
  const { jobs = 1, log } = options;
  const before = [options.resume ?? null].flat() as readonly (Standing | null)[];
  if (log !== undefined) new ExecutionLog(log).open();
  if (jobs > 1) return await (await import('./jobs.js')).exploreInJobs(name, jobs, before, options);
  return await explorePart(name, { ...options, resume: before[0] ?? undefined });
}

async function explorePart(name: string | RaceSpec, options: PartOptions): Promise<ExploreResult> {
  const loaded = await loadRace(name);
  const x = await layOut(loaded.race, loaded.url, options);
  const workers = idlePools.pop() ?? new WorkerPool();
  const ownStrategy = x.exploreJob.strategy.module !== null;
  const state: Watched = { leading: false, over: false, ownStrategy };
  try {
    workers.hold(true);
    const work = conduct(workers, x, options, state);
    const result = await Promise.race([work, watch(workers, x.hw, x.ex, x.steps, x.seats, options.signal, state)]);
    workers.hold(false);
    return resultOf(loaded.race, x, options, result.report, result.history);
  } catch (error) {
    await workers.close();
    if (error instanceof UsageError) throw error;
    // An error that comes from a worker has lost its class.
    if (error instanceof Error && error.name === 'UsageError') throw new UsageError(error.message);
    throw error;
  } finally {
    state.over = true;
    idlePools.push(workers);
  }
}

/** Prepare the workers and run the exploration in slices. */
async function conduct(
  workers: WorkerPool,
  x: Exploration,
  options: PartOptions,
  state: Watched,
): Promise<{ report: ExploreReport; history: History }> {
  const { job, exploreJob, config } = x;
  const devices = job(0).devices;
  await workers.ensure(config.threadsMax, devices);
  const cpus = workers.cpus.slice(0, config.threadsMax).map((w) => w.actor as unknown as Remote<ExploreActor>);
  const masters = workers.devices.slice(0, devices).map((w) => w.actor as unknown as Remote<ExploreDeviceActor>);
  await Promise.all([
    ...cpus.map((a, slot) => a.prepareExplore(job(slot), exploreJob)),
    ...masters.map((a, i) => a.prepareExplore(job(i), exploreJob)),
  ]);
  const leader = cpus[0] as Remote<ExploreActor>;
  const following = Promise.all([...cpus.slice(1), ...masters].map((a) => a.follow()));
  const deadline = performance.now() + (options.seconds ?? Number.POSITIVE_INFINITY) * 1000;
  const every = options.checkpointSeconds ?? CHECKPOINT_SECONDS;
  const slice = Math.min(SLICE_SECONDS, every);
  let due = performance.now() + every * 1000;
  for (;;) {
    if (options.signal?.aborted === true) Atomics.store(x.hw, Control.quit, 1);
    const left = (deadline - performance.now()) / 1000;
    state.leading = true;
    const report = await leader.lead(Math.max(0, Math.min(slice, left)));
    state.leading = false;
    const stopped = report.over || left <= slice || Atomics.load(x.hw, Control.quit) !== 0;
    options.onExploring?.(progressOf(report, options));
    const now = performance.now();
    // Nobody goes on from an error: whoever resumes begins where the search stood before, and comes to it again.
    if (options.onCheckpoint !== undefined && report.moduleError === null && (stopped || now >= due)) {
      options.onCheckpoint(standingOf(x, report, options, await leader.save()), 0);
      const took = performance.now() - now;
      due = now + Math.max(every * 1000, took * CHECKPOINT_SHARE);
    }
    if (!stopped) continue;
    const own = await leader.dismiss();
    return { report, history: mergeHistories([own, ...(await following)]) };
  }
}

function progressOf(report: ExploreReport, options: PartOptions): ExploreProgress {
  const { executions, abandoned, seconds, failingExecutions, decisionsMost } = tallyOf(report, options);
  return { executions, abandoned, seconds, failures: failingExecutions, depth: decisionsMost, stats: report.stats };
}

/** What this call and those before a checkpoint have come to. */
function tallyOf(report: ExploreReport, { resume, shortest }: PartOptions): Tally {
  const own = { ...tallyFrom(report), exhausted: report.exhausted && report.moduleError === null };
  if (resume === undefined) return own;
  return { ...joinTallies(resume, own, shortest), exhausted: own.exhausted || resume.exhausted };
}

/** The kernel's messages of the execution that the result is about. */
function dmesgOf(x: Exploration, options: PartOptions): readonly string[] {
  const { resume } = options;
  if (resume !== undefined && chooseFound(resume.failures, options.wanted ?? null, x.claimed ?? []) !== null) {
    return resume.dmesg;
  }
  return readLog(x.hw, layoutHw(x.config).keptLog, Control.keptLogHead).map(formatRecord);
}

function standingOf(x: Exploration, report: ExploreReport, options: PartOptions, strategy: unknown): Standing {
  const { table } = x.exploreJob.strategy;
  return {
    ...tallyOf(report, options),
    dmesg: dmesgOf(x, options),
    strategy,
    table: table === null ? null : new StateTable(table).entries(),
  };
}

function resultOf(
  race: RaceSpec,
  x: Exploration,
  options: PartOptions,
  report: ExploreReport,
  history: History,
): ExploreResult {
  const { config, hw, claimed } = x;
  const tally = tallyOf(report, options);
  const first = chooseFound(tally.failures, options.wanted ?? null, claimed ?? []);
  const { moduleError: error } = report;
  const outcome = (first ?? tally.failures[0])?.failure.outcome ?? outcomeOfNone(error);
  const { executions, abandoned, seconds } = tally;
  const interrupted = Atomics.load(hw, Control.quit) !== 0;
  return {
    experiment: race.id,
    title: race.title,
    caseName: x.caseName,
    spec: race.spec,
    mode: 'controlled',
    core: config.core.id,
    cpus: config.cpus,
    kernel: config.kernel,
    patches: config.patches,
    strategy: options.strategy ?? 'dfs',
    outcome,
    claimed,
    expected: isExpected({ outcome, claimed, failure: first?.failure ?? null, executions, interrupted, error }),
    executions,
    abandoned,
    exhausted: tally.exhausted,
    seconds,
    executionsPerSecond: Math.round(executions / Math.max(seconds, 1e-6)),
    failure: first?.failure ?? null,
    failures: tally.failures,
    failingExecutions: tally.failingExecutions,
    schedule: first?.schedule ?? [],
    traceHash: hex8((first ?? report).traceHash),
    steps: (first ?? report).steps,
    points: tally.points,
    prescribed: (first ?? report).prescribed,
    stepsMax: x.exploreJob.stepsMax,
    rounds: (first ?? report).rounds,
    decisionsMost: tally.decisionsMost,
    stepsMost: tally.stepsMost,
    handovers: tally.handovers,
    resetSeconds: report.resetSeconds,
    diverged: tally.diverged,
    preemptions: first?.preemptions ?? 0,
    memoryHash: hex8((first ?? report).memoryHash),
    stats: report.stats,
    trace: first?.trace ?? report.trace ?? new Int32Array(0),
    history: { ...history, threads: new Map(x.threads.map((t) => [t.slot, t.name])) },
    dmesg: dmesgOf(x, options),
    machine: config,
    interrupted,
    error,
  };
}
