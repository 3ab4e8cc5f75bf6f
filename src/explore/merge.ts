/** Results of the shards of one search, joined into one: what the whole search has come to. */
import type { z } from 'zod';
import { OUTCOMES, type Outcome } from '../lab/types.js';
import { UsageError } from '../shared/errors.js';
import { differenceOf, searchSchema } from './identity.js';
import { count, schema, wrongIn, wrongInText } from './schemas.js';
import { joinStats } from './standing.js';

const failure = schema((z) =>
  z.object({
    signature: z.string(),
    count: count(),
    outcome: z.enum(OUTCOMES),
    message: z.string(),
    preemptions: count(),
    replay: z.string().nullable(),
    reproduced: z.boolean().optional(),
  }),
);

/** What `explore --json` prints; the properties that are not joined go on as they are in the first shard. */
const shardResult = schema((z) =>
  z.looseObject({
    experiment: z.string(),
    mode: z.literal('controlled'),
    outcome: z.enum(OUTCOMES),
    claimed: z.array(z.enum(OUTCOMES)).nullable(),
    executions: count(),
    abandoned: count(),
    exhausted: z.boolean(),
    seconds: z.number().nonnegative(),
    points: count(),
    failingExecutions: count(),
    decisionsMost: count(),
    stepsMost: count(),
    handovers: z.number().int(),
    diverged: z.boolean(),
    interrupted: z.boolean(),
    stats: z.record(z.string(), z.number()),
    failures: z.array(failure()),
    search: searchSchema(),
  }),
);

export type ShardResult = z.infer<ReturnType<typeof shardResult>>;
type ShownFailure = z.infer<ReturnType<typeof failure>>;

/** A result and the file it came from. */
export interface Source {
  readonly file: string;
  readonly result: ShardResult;
}

type Joined = 'experiment' | 'outcome' | 'claimed' | 'executions' | 'exhausted' | 'seconds' | 'failures' | 'stats';

/** The properties of a result, without its shard; those that are joined have a type. */
export interface Merged extends Pick<ShardResult, Joined> {
  /** As claimed; of nothing found, only when no shard is missing. */
  readonly expected: boolean;
  readonly replay: string | null;
  readonly executionsPerSecond: number;
  readonly [other: string]: unknown;
  /** Of the whole search. */
  readonly shards: { readonly count: number; readonly present: readonly number[]; readonly missing: readonly number[] };
}

/** The results in a text, one JSON object a line. Throws UsageError, one line, for anything else. */
export function parseResults(file: string, text: string): Source[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const bad = (why: string): UsageError =>
    new UsageError(`${file} has no result of "explore --json": ${why}; explore that shard again`);
  if (lines.length === 0) throw bad('it is empty');
  const kind = /^\s*\{\s*"murphy":\s*"(\w+)"/.exec(text)?.[1];
  if (kind !== undefined) throw bad(`it is a ${kind} file`);
  return lines.map((line) => {
    let data: unknown;
    try {
      data = JSON.parse(line);
    } catch {
      throw bad(wrongInText(text));
    }
    const parsed = shardResult().safeParse(data);
    if (parsed.success) return { file, result: parsed.data };
    throw bad(wrongIn(parsed.error));
  });
}

/** Throws UsageError, one line, when they are not shards of one search, or one is there twice. */
function checkShards(sources: readonly Source[]): void {
  const [first] = sources as readonly [Source];
  const seen = new Map<number, string>();
  for (const { file, result } of sources) {
    const { shard } = result.search;
    const other = differenceOf(first.result.search, {
      ...result.search,
      shard: { ...shard, index: first.result.search.shard.index },
    });
    if (other !== null) {
      const values = other.a === null ? 'is another' : `is ${other.a} in the one and ${other.b} in the other`;
      throw new UsageError(
        `${first.file} and ${file} are not of one search: ${other.what} ${values}; merge shards of one search`,
      );
    }
    const before = seen.get(shard.index);
    if (before !== undefined) {
      throw new UsageError(
        `shard ${shard.index}/${shard.count} is in ${before} and again in ${file}: its executions would count twice; leave out one`,
      );
    }
    seen.set(shard.index, file);
  }
}

/** Each distinct failure once, with the replay file of the one with the fewest preemptions. */
function joinShown(all: readonly ShownFailure[]): ShownFailure[] {
  const joined = new Map<string, ShownFailure>();
  for (const one of all) {
    const before = joined.get(one.signature);
    const kept = before !== undefined && before.preemptions <= one.preemptions ? before : one;
    joined.set(one.signature, { ...kept, count: one.count + (before?.count ?? 0) });
  }
  return [...joined.values()];
}

/** Throws UsageError, one line, for results that do not go together. */
export function mergeResults(sources: readonly Source[]): Merged {
  checkShards(sources);
  const results = sources.map((source) => source.result);
  const [first] = results as [ShardResult];
  const { search, ...rest } = first;
  const sum = (of: (r: ShardResult) => number): number => results.reduce((total, r) => total + of(r), 0);
  const most = (of: (r: ShardResult) => number): number => Math.max(...results.map(of));
  const failures = joinShown(results.flatMap((r) => r.failures));
  const claimed: readonly Outcome[] = first.claimed ?? ['clean'];
  const chosen = failures.find((f) => claimed.includes(f.outcome)) ?? failures[0];
  const about = results.find((r) => r.failures.some((f) => f.signature === chosen?.signature)) ?? first;
  const outcome = chosen?.outcome ?? 'clean';
  const present = results.map((r) => r.search.shard.index).sort((a, b) => a - b);
  const every = Array.from({ length: search.shard.count }, (_, i) => i + 1);
  const missing = every.filter((index) => !present.includes(index));
  const seconds = most((r) => r.seconds);
  const executions = sum((r) => r.executions);
  return {
    ...rest,
    ...{ failure: about.failure, culprit: about.culprit, traceHash: about.traceHash, memoryHash: about.memoryHash },
    ...{
      outcome,
      expected: claimed.includes(outcome) && (missing.length === 0 || outcome !== 'clean'),
      replay: chosen?.replay ?? null,
      failures,
    },
    ...{ executions, seconds, executionsPerSecond: Math.round(executions / Math.max(seconds, 1e-6)) },
    exhausted: missing.length === 0 && results.every((r) => r.exhausted),
    abandoned: sum((r) => r.abandoned),
    points: sum((r) => r.points),
    failingExecutions: sum((r) => r.failingExecutions),
    decisionsMost: most((r) => r.decisionsMost),
    stepsMost: most((r) => r.stepsMost),
    handovers: sum((r) => r.handovers),
    diverged: results.some((r) => r.diverged),
    interrupted: results.some((r) => r.interrupted),
    stats: joinStats(results.map((r) => r.stats)),
    shards: { count: search.shard.count, present, missing },
  };
}
