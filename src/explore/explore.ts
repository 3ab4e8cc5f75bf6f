/** Controlled mode, as the main thread sees it. */
import type { Remote } from 'comlink';
import type { MachineConfig } from '../cpu/config.js';
import { Control, layoutHw } from '../cpu/hw.js';
import { arenaBytes } from '../cpu/memory.js';
import { formatRecord, readLog } from '../cpu/printk.js';
import { caseOf, claimOf, configureRace } from '../lab/configure.js';
import type { Job } from '../lab/job.js';
import { loadRace } from '../lab/modules.js';
import type { RaceSpec } from '../lab/race.js';
import type { Failure, Outcome, RunOptions } from '../lab/types.js';
import { WorkerPool } from '../lab/workers.js';
import { UsageError } from '../shared/errors.js';
import { hex8 } from '../shared/types.js';
import type { ExploreActor } from './actor.js';
import { type History, mergeHistories } from './recorder.js';
import { Ex, layoutEx } from './shared-state.js';
import type { StrategyOptions } from './strategy.js';
import type { ExploreJob, Found } from './worker-explorer.js';

export interface ExploreOptions extends RunOptions {
  readonly strategy?: StrategyOptions['name'];
  /** Most preemptions of an execution (depth-first and random); no bound by default. */
  readonly preemptions?: number;
  /** Depth of PCT. */
  readonly depth?: number;
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
}

export interface ExploreResult {
  readonly experiment: string;
  readonly title: string;
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
  readonly executions: number;
  readonly exhausted: boolean;
  readonly seconds: number;
  readonly failure: Failure | null;
  /** Distinct failures: what failed where, how often, and how to get there. `failure` is one of them. */
  readonly failures: readonly Found[];
  readonly schedule: readonly number[];
  /** Decisions up to the last where another than the default was chosen: the schedule cut there leads to the same. */
  readonly prescribed: number;
  readonly stepsMax: number;
  readonly traceHash: string;
  readonly steps: number;
  readonly decisionsMost: number;
  readonly handovers: number;
  readonly diverged: boolean;
  /** Preemptions of the failing execution. */
  readonly preemptions: number;
  readonly memoryHash: string;
  /** Steps of the failing execution: choice, kind, address. */
  readonly trace: Int32Array;
  /** What happened, if that was asked for. */
  readonly history: History;
  readonly dmesg: readonly string[];
  /** The machine, in full. */
  readonly machine: MachineConfig;
  readonly error: string | null;
}

const STEPS_MAX = 20_000;

let pool: WorkerPool | null = null;

const POLL_MS = 100;
/** Without a step for so long, the context that has the baton is in an endless loop of its own. */
const STUCK_MS = 5000;

/** Rejects when a worker dies or nothing moves any more; the workers are gone then. Passes Ctrl-C on. */
async function watch(
  workers: WorkerPool,
  hw: Int32Array,
  ex: Int32Array,
  signal: AbortSignal | undefined,
  work: Promise<unknown>,
): Promise<never> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  work.then(end, end);
  let last = '';
  let since = performance.now();
  while (!over) {
    await new Promise((done) => setTimeout(done, POLL_MS));
    if (signal?.aborted === true) Atomics.store(hw, Control.quit, 1);
    const now = `${Atomics.load(hw, Control.execution)} ${Atomics.load(ex, Ex.steps)} ${Atomics.load(ex, Ex.handovers)}`;
    if (now !== last) since = performance.now();
    last = now;
    const died = workers.cpus.findIndex((w) => w.death !== null);
    const stuck = performance.now() - since > STUCK_MS;
    if (over || (died < 0 && !stuck)) continue;
    const why = died >= 0 ? `the worker of thread ${died} died: ${workers.cpus[died]?.death}` : stuckText(ex);
    pool = null;
    await workers.close();
    throw new UsageError(`${why}; mend the module`);
  }
  return await new Promise<never>(() => {});
}

const stuckText = (ex: Int32Array): string =>
  `thread ${Math.max(0, Atomics.load(ex, Ex.current))} makes no step for ${STUCK_MS / 1000} s: an endless loop without a scheduling point`;

/**
 * Explore the schedules of a race under a strategy. Stops at the first failure unless `keepGoing`. Threads and interrupts only: a race
 * with devices is refused.
 */
export async function explore(name: string | RaceSpec, options: ExploreOptions = {}): Promise<ExploreResult> {
  const loaded = await loadRace(name);
  if ((loaded.race.devices?.length ?? 0) > 0) {
    throw new UsageError(
      `experiment "${loaded.race.id}" has devices, which controlled mode does not schedule yet; use "run"`,
    );
  }
  const { config, threads } = configureRace(loaded.race, null, { seed: 1, ...options }, true);
  const claimed = claimOf(caseOf(loaded.race, config, true));
  const stepsMax = options.stepsMax ?? STEPS_MAX;
  const layout = layoutHw(config);
  const buffers = {
    arena: new SharedArrayBuffer(arenaBytes(config.lowmemPages + config.highmemPages)),
    hw: new SharedArrayBuffer(layout.words * 4),
  };
  const strategy: StrategyOptions = {
    name: options.strategy ?? 'dfs',
    seed: config.seed,
    depth: options.depth ?? 3,
    stepsExpected: 100,
    preemptionsMax: options.preemptions ?? -1,
    schedule: options.schedule ?? [],
  };
  const exploreJob: ExploreJob = {
    buffer: new SharedArrayBuffer(layoutEx(stepsMax).words * 4),
    stepsMax,
    strategy,
    history: options.history === true ? new SharedArrayBuffer(4) : null,
    wanted: options.wanted ?? null,
    shortest: options.shortest ?? false,
  };
  const job = (slot: number): Job => ({
    config,
    buffers,
    module: loaded.url,
    threads,
    slot,
    cpu: threads.find((t) => t.slot === slot)?.cpu ?? slot,
    devices: 0,
    participants: config.threadsMax,
    seconds: options.seconds ?? Number.MAX_VALUE,
    patienceSeconds: 0,
    executions: options.executions ?? Number.MAX_VALUE,
    stopAtFailure: options.keepGoing !== true,
    claimed: claimed ?? [],
    bootTime: 0,
    raceVars: layout.raceVars,
  });
  pool ??= new WorkerPool();
  const workers = pool;
  workers.hold(true);
  await workers.ensure(config.threadsMax, 0);
  const actors = workers.cpus.slice(0, config.threadsMax).map((w) => w.actor as unknown as Remote<ExploreActor>);
  const watched = <T>(work: Promise<T>): Promise<T> =>
    Promise.race([
      work,
      watch(workers, new Int32Array(buffers.hw), new Int32Array(exploreJob.buffer), options.signal, work),
    ]);
  await watched(Promise.all(actors.map((a, slot) => a.prepareExplore(job(slot), exploreJob))));
  const lead = (actors[0] as Remote<ExploreActor>).lead();
  const [report, ...histories] = await watched(Promise.all([lead, ...actors.slice(1).map((a) => a.follow())]));
  workers.hold(false);
  const hw = new Int32Array(buffers.hw);
  const { chosen } = report;
  const outcome = (chosen ?? report.failures[0])?.failure.outcome ?? 'clean';
  return {
    experiment: loaded.race.id,
    title: loaded.race.title,
    spec: loaded.race.spec,
    mode: 'controlled',
    core: config.core.id,
    cpus: config.cpus,
    kernel: config.kernel,
    patches: config.patches,
    strategy: strategy.name,
    outcome,
    claimed,
    expected: (claimed ?? ['clean']).includes(outcome),
    executions: report.executions,
    exhausted: report.exhausted,
    seconds: report.seconds,
    failure: chosen?.failure ?? null,
    failures: report.failures,
    schedule: chosen?.schedule ?? [],
    prescribed: (chosen ?? report).prescribed,
    stepsMax,
    traceHash: hex8((chosen ?? report).traceHash),
    steps: (chosen ?? report).steps,
    decisionsMost: report.decisionsMost,
    handovers: report.handovers,
    diverged: report.diverged,
    preemptions: chosen?.preemptions ?? 0,
    memoryHash: hex8((chosen ?? report).memoryHash),
    trace: chosen?.trace ?? new Int32Array(0),
    history: mergeHistories([report.history, ...histories]),
    dmesg: readLog(hw, layout.keptLog, Control.keptLogHead).map(formatRecord),
    machine: config,
    error: report.moduleError,
  };
}
