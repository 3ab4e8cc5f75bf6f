/** A search divided among jobs: each explores a shard of it in a worker of its own, with a machine of its own; together they are one. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { builtFile } from '../lab/modules.js';
import type { RaceSpec } from '../lab/race.js';
import { UsageError } from '../shared/errors.js';
import type { ExploreOptions, ExploreProgress, ExploreResult, Shard } from './explore.js';
import { raceName } from './race-name.js';
import type { ShardAnswer, ShardJob, ShardNews } from './shard-job.js';
import { chooseFound, isExpected, joinStats, joinTallies, outcomeOfNone, type Standing } from './standing.js';

/** The part that job @job of @jobs has of a shard: what is left to it modulo the number of parts is the shard's, too. */
const partOf = ({ index, count }: Shard, job: number, jobs: number): Shard => ({
  index: index + count * job,
  count: count * jobs,
});

function joinProgress(parts: readonly ExploreProgress[]): ExploreProgress {
  const sum = (of: (part: ExploreProgress) => number): number => parts.reduce((total, part) => total + of(part), 0);
  return {
    executions: sum((p) => p.executions),
    abandoned: sum((p) => p.abandoned),
    seconds: Math.max(...parts.map((p) => p.seconds)),
    failures: sum((p) => p.failures),
    depth: Math.max(...parts.map((p) => p.depth)),
    stats: joinStats(parts.map((p) => p.stats)),
  };
}

/** One result, as if one had searched: sums, distinct failures, exhausted if all parts are. */
function joinResults(results: readonly ExploreResult[], options: ExploreOptions): ExploreResult {
  const [first] = results as readonly [ExploreResult];
  const { claimed } = first;
  const tally = results
    .map((r) => ({ ...r, begun: 0 }))
    .reduce((a, b) => ({ ...b, ...joinTallies(a, b, options.shortest) }));
  const chosen = chooseFound(tally.failures, options.wanted ?? null, claimed ?? []);
  const about = results.find((r) => r.failure !== null && r.schedule === chosen?.schedule) ?? first;
  const error = results.find((r) => r.error !== null)?.error ?? null;
  const outcome = (chosen ?? tally.failures[0])?.failure.outcome ?? outcomeOfNone(error);
  const seconds = Math.max(...results.map((r) => r.seconds));
  const interrupted = options.signal?.aborted === true;
  const { executions, abandoned, exhausted, points, failures, failingExecutions, ...most } = tally;
  return {
    ...about,
    ...{ executions, abandoned, exhausted, points, failures, failingExecutions, seconds, outcome },
    ...{
      decisionsMost: most.decisionsMost,
      stepsMost: most.stepsMost,
      handovers: most.handovers,
      diverged: most.diverged,
    },
    expected: isExpected({ outcome, claimed, failure: chosen?.failure ?? null, executions, interrupted, error }),
    executionsPerSecond: Math.round(executions / Math.max(seconds, 1e-6)),
    stats: joinStats(results.map((r) => r.stats)),
    interrupted,
    error,
  };
}

/** @before: where each job stood; empty places begin. Throws UsageError for bad input. */
export async function exploreInJobs(
  race: string | RaceSpec,
  jobs: number,
  before: readonly (Standing | null)[],
  options: ExploreOptions,
): Promise<ExploreResult> {
  const { onExploring, onCheckpoint, signal, resume: _, jobs: __, onProgress: ___, ...plain } = options;
  const pool = new Piscina<ShardJob, ShardAnswer>({
    filename: builtFile('workers', 'shard.js'),
    ...{ minThreads: jobs, maxThreads: jobs, concurrentTasksPerWorker: 1, atomics: 'disabled' },
  });
  const ports: MessagePort[] = [];
  const stopAll = (): void => {
    for (const port of ports) port.postMessage('stop');
  };
  const progress = new Map<number, ExploreProgress>();
  const thrown: unknown[] = [];
  /** What the caller's functions throw ends all jobs. */
  const hear = (job: number, news: ShardNews): void => {
    try {
      if ('standing' in news) onCheckpoint?.(news.standing, job);
      else {
        progress.set(job, news.progress);
        onExploring?.(joinProgress([...progress.values()]));
      }
    } catch (error) {
      thrown.push(error);
      stopAll();
    }
  };
  const one = async (job: number): Promise<ExploreResult> => {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1);
    port1.on('message', (news: ShardNews) => hear(job, news));
    const part = partOf(plain.shard ?? { index: 1, count: 1 }, job, jobs);
    const own: ExploreOptions = { ...plain, shard: part, ...(before[job] == null ? {} : { resume: before[job] }) };
    const answer = await pool.run(
      { race: raceName(race), options: own, wantsCheckpoints: onCheckpoint !== undefined, port: port2 },
      { transferList: [port2] },
    );
    port1.close();
    if ('usage' in answer) throw new UsageError(answer.usage);
    const { result, standing } = answer;
    if (standing !== null) onCheckpoint?.(standing, job);
    if (result.error !== null || (result.failure !== null && options.keepGoing !== true)) stopAll();
    return result;
  };
  signal?.addEventListener('abort', stopAll);
  try {
    const parts = Array.from({ length: jobs }, (_, job) => one(job));
    // Nobody hears of what happened before.
    if (signal?.aborted === true) stopAll();
    const results = await Promise.all(parts);
    if (thrown.length > 0) throw thrown[0];
    return joinResults(results, options);
  } finally {
    signal?.removeEventListener('abort', stopAll);
    await pool.destroy();
  }
}
