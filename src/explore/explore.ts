/** Controlled mode, as the main thread sees it. */
import type { Remote } from 'comlink';
import type { MachineConfig } from '../cpu/config.js';
import { Control, layoutHw } from '../cpu/hw.js';
import { arenaBytes } from '../cpu/memory.js';
import { formatRecord, readLog } from '../cpu/printk.js';
import { caseOf, claimOf, configureRace, namedCase, oneOf, type PlacedThread } from '../lab/configure.js';
import type { Job } from '../lab/job.js';
import { loadRace, moduleUrl } from '../lab/modules.js';
import type { RaceSpec } from '../lab/race.js';
import type { Failure, Outcome, RunOptions } from '../lab/types.js';
import { WorkerPool } from '../lab/workers.js';
import { UsageError } from '../shared/errors.js';
import { hex8 } from '../shared/types.js';
import type { ExploreActor, ExploreDeviceActor } from './actor.js';
import type { ExploreJob } from './explore-job.js';
import { type History, mergeHistories } from './recorder.js';
import { Ex, layoutEx, type Wants } from './shared-state.js';
import { makeStrategy, STRATEGIES } from './strategies/index.js';
import { tableBytes } from './strategies/state-table.js';
import type { StrategyOptions, StrategyStats } from './strategy.js';
import type { ExploreReport, Found } from './worker-explorer.js';

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
  /** Depth of PCT. */
  readonly depth?: number;
  /** Steps of an execution that PCT expects; learnt by default. */
  readonly stepsExpected?: number;
  /** Part @index, from 1, of @count that together explore the space. */
  readonly shard?: { readonly index: number; readonly count: number };
  /** Go on after a failure. */
  readonly keepGoing?: boolean;
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
  /** Called about once a second with what `resume` takes: where the exploration stands. */
  readonly onCheckpoint?: (at: Standing) => void;
  /** Go on from there. The other options must be the same. */
  readonly resume?: Standing;
}

/** Where an exploration stands, as data. */
export interface Standing {
  readonly begun: number;
  readonly executions: number;
  readonly abandoned: number;
  readonly seconds: number;
  readonly points: number;
  readonly exhausted: boolean;
  readonly strategy: unknown;
}

export interface ExploreProgress {
  readonly executions: number;
  readonly abandoned: number;
  readonly seconds: number;
  readonly failures: number;
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
  readonly traceHash: string;
  readonly steps: number;
  /** Scheduling points of all executions together. */
  readonly points: number;
  readonly decisionsMost: number;
  readonly stepsMost: number;
  readonly handovers: number;
  readonly diverged: boolean;
  /** Preemptions of the failing execution. */
  readonly preemptions: number;
  readonly memoryHash: string;
  /** Numbers of the strategy: classes, states, pruned, part explored. */
  readonly stats: StrategyStats;
  /** Steps of the failing execution: choice, kind, address. */
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

const STEPS_MAX = 20_000;
const STATES_MAX = 4_000_000;
const POLL_MS = 100;
/** Without a step for so long, the context that has the baton is in an endless loop of its own. */
const STUCK_MS = 5000;
/** Seconds after which slot 0 reports, and is told to go on. */
const SLICE_SECONDS = 1;

/** Pools of workers that no exploration is using. */
const idlePools: WorkerPool[] = [];

/** Rejects when a worker dies or nothing moves any more; the workers are gone then. Passes Ctrl-C on. */
async function watch(
  workers: WorkerPool,
  hw: Int32Array,
  ex: Int32Array,
  signal: AbortSignal | undefined,
  isOver: () => boolean,
): Promise<never> {
  let last = '';
  let since = performance.now();
  while (!isOver()) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    if (signal?.aborted === true) Atomics.store(hw, Control.quit, 1);
    const now = `${Atomics.load(hw, Control.execution)} ${Atomics.load(ex, Ex.steps)} ${Atomics.load(ex, Ex.handovers)}`;
    if (now !== last) since = performance.now();
    last = now;
    const all = [...workers.cpus, ...workers.devices];
    const died = all.findIndex((w) => w.death !== null);
    const stuck = performance.now() - since > STUCK_MS;
    if (isOver() || (died < 0 && !stuck)) continue;
    const why = died >= 0 ? `the worker of thread ${died} died: ${all[died]?.death}` : stuckText(ex);
    await workers.close();
    throw new UsageError(`${why}; mend the module`);
  }
  return await new Promise<never>(() => {});
}

const stuckText = (ex: Int32Array): string =>
  `thread ${Math.max(0, Atomics.load(ex, Ex.current))} makes no step for ${STUCK_MS / 1000} s: an endless loop without a scheduling point`;

async function strategyOf(options: ExploreOptions, seed: number): Promise<StrategyOptions> {
  const name = options.strategy ?? 'dfs';
  const isPath = /[/\\.]/.test(name);
  if (!isPath && name !== 'replay') oneOf('strategy', name, STRATEGIES);
  const { preemptions, delays, states = false, shard } = options;
  const only = (option: string, given: boolean, ...names: string[]): void => {
    if (given && !isPath && !names.includes(name)) {
      throw new UsageError(`strategy "${name}" takes no ${option}; ${names.join(' and ')} do`);
    }
  };
  only('bound of preemptions', preemptions !== undefined, 'dfs', 'random', 'replay');
  only('bound of delays', delays !== undefined, 'dfs', 'replay');
  only('visited states', states, 'dfs', 'replay');
  if (preemptions !== undefined && delays !== undefined) {
    throw new UsageError('preemptions and delays are two bounds of one search; give one of them');
  }
  return {
    name,
    module: isPath ? (await moduleUrl(name, 'strategy module')).href : null,
    seed,
    depth: options.depth ?? 3,
    stepsExpected: options.stepsExpected ?? 0,
    preemptionsMax: preemptions ?? -1,
    delaysMax: delays ?? -1,
    states,
    shuffle: options.shuffle ?? false,
    shard: (shard?.index ?? 1) - 1,
    shards: shard?.count ?? 1,
    schedule: options.schedule ?? [],
    table: states ? new SharedArrayBuffer(tableBytes(options.statesMax ?? STATES_MAX)) : null,
    state: options.resume?.strategy ?? null,
  };
}

/** Everything that the workers of one exploration share. */
interface Exploration {
  readonly config: MachineConfig;
  readonly threads: readonly PlacedThread[];
  readonly job: (slot: number) => Job;
  readonly exploreJob: ExploreJob;
  readonly hw: Int32Array;
  readonly ex: Int32Array;
  readonly claimed: readonly Outcome[] | null;
  readonly caseName: string | null;
}

async function layOut(race: RaceSpec, module: string, options: ExploreOptions): Promise<Exploration> {
  const { config, threads } = configureRace(race, null, { seed: 1, ...options }, true);
  const chosen = namedCase(race, options) ?? caseOf(race, config, true);
  const claimed = claimOf(chosen);
  const stepsMax = options.stepsMax ?? STEPS_MAX;
  const strategy = await strategyOf(options, config.seed);
  const wanted = (await makeStrategy(strategy)).wants ?? {};
  const wants: Wants = { footprints: false, states: false, everyStep: false, ...wanted };
  const layout = layoutHw(config);
  const buffers = {
    arena: new SharedArrayBuffer(arenaBytes(config.lowmemPages + config.highmemPages)),
    hw: new SharedArrayBuffer(layout.words * 4),
  };
  const exploreJob: ExploreJob = {
    buffer: new SharedArrayBuffer(layoutEx(stepsMax, wants).words * 4),
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
    wantsState: options.onCheckpoint !== undefined,
    begun: options.resume?.begun ?? 0,
  };
  const job = (slot: number): Job => ({
    config,
    buffers,
    module,
    threads,
    slot,
    cpu: threads.find((t) => t.slot === slot)?.cpu ?? slot,
    devices: race.devices?.length ?? 0,
    participants: config.threadsMax,
    seconds: 0,
    patienceSeconds: 0,
    executions: Math.max(0, (options.executions ?? Number.MAX_VALUE) - (options.resume?.executions ?? 0)),
    stopAtFailure: options.keepGoing !== true,
    claimed: claimed ?? [],
    bootTime: 0,
    raceVars: layout.raceVars,
  });
  return {
    config,
    threads,
    job,
    exploreJob,
    hw: new Int32Array(buffers.hw),
    ex: new Int32Array(exploreJob.buffer),
    claimed,
    caseName: chosen?.name ?? null,
  };
}

/** Explore the schedules of a race under a strategy. Stops at the first failure unless `keepGoing`. */
export async function explore(name: string | RaceSpec, options: ExploreOptions = {}): Promise<ExploreResult> {
  const loaded = await loadRace(name);
  const x = await layOut(loaded.race, loaded.url, options);
  const workers = idlePools.pop() ?? new WorkerPool();
  let over = false;
  try {
    workers.hold(true);
    const work = conduct(workers, x, options);
    const result = await Promise.race([work, watch(workers, x.hw, x.ex, options.signal, () => over)]);
    workers.hold(false);
    return resultOf(loaded.race, x, options, result.report, result.history);
  } catch (error) {
    await workers.close();
    throw error;
  } finally {
    over = true;
    idlePools.push(workers);
  }
}

/** Prepare the workers and run the exploration in slices. */
async function conduct(
  workers: WorkerPool,
  x: Exploration,
  options: ExploreOptions,
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
  for (;;) {
    const left = (deadline - performance.now()) / 1000;
    const report = await leader.lead(Math.max(0, Math.min(SLICE_SECONDS, left)));
    const stopped = report.over || left <= SLICE_SECONDS || Atomics.load(x.hw, Control.quit) !== 0;
    options.onExploring?.(progressOf(report, options));
    options.onCheckpoint?.(standingOf(report, options));
    if (!stopped) continue;
    const own = await leader.dismiss();
    return { report, history: mergeHistories([own, ...(await following)]) };
  }
}

function progressOf(report: ExploreReport, { resume }: ExploreOptions): ExploreProgress {
  return {
    executions: report.executions + (resume?.executions ?? 0),
    abandoned: report.abandoned + (resume?.abandoned ?? 0),
    seconds: report.seconds + (resume?.seconds ?? 0),
    failures: report.failingExecutions,
    stats: report.stats,
  };
}

function standingOf(report: ExploreReport, options: ExploreOptions): Standing {
  const { executions, abandoned, seconds } = progressOf(report, options);
  return {
    begun: report.executions + report.abandoned + (options.resume?.begun ?? 0),
    executions,
    abandoned,
    seconds,
    points: report.points + (options.resume?.points ?? 0),
    exhausted: report.exhausted,
    strategy: report.state,
  };
}

function resultOf(
  race: RaceSpec,
  x: Exploration,
  options: ExploreOptions,
  report: ExploreReport,
  history: History,
): ExploreResult {
  const { config, hw, claimed } = x;
  const layout = layoutHw(config);
  const first = report.chosen;
  const outcome = (first ?? report.failures[0])?.failure.outcome ?? 'clean';
  const { executions, abandoned, seconds } = progressOf(report, options);
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
    expected: (claimed ?? ['clean']).includes(outcome),
    executions,
    abandoned,
    exhausted: report.exhausted,
    seconds,
    executionsPerSecond: Math.round(report.executions / Math.max(report.seconds, 1e-6)),
    failure: first?.failure ?? null,
    failures: report.failures,
    failingExecutions: report.failingExecutions,
    schedule: first?.schedule ?? [],
    traceHash: hex8((first ?? report).traceHash),
    steps: (first ?? report).steps,
    points: report.points,
    prescribed: (first ?? report).prescribed,
    stepsMax: x.exploreJob.stepsMax,
    decisionsMost: report.decisionsMost,
    stepsMost: report.stepsMost,
    handovers: report.handovers,
    diverged: report.diverged,
    preemptions: first?.preemptions ?? 0,
    memoryHash: hex8((first ?? report).memoryHash),
    stats: report.stats,
    trace: first?.trace ?? new Int32Array(0),
    history,
    dmesg: readLog(hw, layout.keptLog, Control.keptLogHead).map(formatRecord),
    machine: config,
    interrupted: Atomics.load(hw, Control.quit) !== 0,
    error: report.moduleError,
  };
}
