/** A recorded failure as a file: versioned JSON, checked when it is read. */
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { patchesOf } from '../lab/catalogue.js';
import { loadRace } from '../lab/modules.js';
import { OUTCOMES } from '../lab/types.js';
import { UsageError } from '../shared/errors.js';
import type { ExploreOptions, ExploreResult } from './explore.js';
import { explore } from './explore.js';

export const REPLAY_VERSION = 1;

const hash = z.string().regex(/^[0-9a-f]{8}$/);

const replayFile = z.object({
  murphy: z.literal('replay'),
  version: z.literal(REPLAY_VERSION),
  /** What finds the race again: an experiment's id, or a path. */
  race: z.string().min(1),
  sourceHash: z.string(),
  core: z.string(),
  cpus: z.number().int().positive(),
  kernel: z.string(),
  patches: z.array(z.string()),
  seed: z.number().int().nonnegative(),
  schedule: z.array(z.number().int().min(0).max(63)),
  outcome: z.enum(OUTCOMES),
  message: z.string(),
  preemptions: z.number().int().nonnegative(),
  steps: z.number().int().nonnegative(),
  traceHash: hash,
  memoryHash: hash,
});

export type ReplayFile = z.infer<typeof replayFile>;

async function sourceHash(race: string): Promise<string> {
  const { url } = await loadRace(race);
  return createHash('sha256')
    .update(readFileSync(fileURLToPath(url)))
    .digest('hex')
    .slice(0, 16);
}

/** The failure of an exploration as a replay file. @race: as it was given to explore(). */
export async function toReplay(race: string, result: ExploreResult, seed: number): Promise<ReplayFile> {
  return {
    murphy: 'replay',
    version: REPLAY_VERSION,
    race,
    sourceHash: await sourceHash(race),
    core: result.core,
    cpus: result.cpus,
    kernel: result.kernel,
    patches: [...result.patches],
    seed,
    schedule: [...result.schedule],
    outcome: result.outcome,
    message: result.failure?.message ?? '',
    preemptions: result.preemptions,
    steps: result.steps,
    traceHash: result.traceHash,
    memoryHash: result.memoryHash,
  };
}

/** Written beside and moved into place, so that a reader never sees half of it. */
export function writeReplay(file: string, replay: ReplayFile): void {
  writeFileSync(`${file}.tmp`, `${JSON.stringify(replay, null, 1)}\n`);
  renameSync(`${file}.tmp`, file);
}

/** Throws UsageError, one line, for anything that is not a replay file of this version. */
export function readReplay(file: string): ReplayFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new UsageError(`no replay file at ${file}; "explore" writes one when it finds a failure`);
  }
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    throw new UsageError(`${file} is not a replay file: no JSON, or cut short; record the failure again`);
  }
  const version = (data as { version?: unknown } | null)?.version;
  if ((data as { murphy?: unknown } | null)?.murphy === 'replay' && version !== REPLAY_VERSION) {
    throw new UsageError(
      `${file} is a replay file of version ${String(version)}; this is version ${REPLAY_VERSION}: record it again`,
    );
  }
  const parsed = replayFile.safeParse(data);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at "${issue.path.join('.')}"`;
  throw new UsageError(
    `${file} is not a replay file: ${issue?.message ?? 'wrong shape'}${where}; record the failure again`,
  );
}

export interface Replayed {
  /** Same outcome, same trace, same memory. */
  readonly reproduced: boolean;
  /** The race module is not the one that was recorded. */
  readonly sourceChanged: boolean;
  readonly result: ExploreResult;
}

/** The options under which the recorded machine boots. */
export function machineOf(replay: ReplayFile): ExploreOptions {
  const contained = patchesOf(replay.kernel);
  return {
    core: replay.core,
    cpus: replay.cpus,
    kernel: replay.kernel,
    patches: replay.patches.filter((p) => !contained.includes(p)),
    noPatches: contained.filter((p) => !replay.patches.includes(p)),
    seed: replay.seed,
  };
}

/** Run the recorded schedule again. */
export async function replay(recorded: ReplayFile, options: { readonly history?: boolean } = {}): Promise<Replayed> {
  const changed = (await sourceHash(recorded.race)) !== recorded.sourceHash;
  const result = await explore(recorded.race, {
    ...machineOf(recorded),
    strategy: 'replay',
    schedule: recorded.schedule,
    executions: 1,
    history: options.history ?? false,
  });
  const same =
    result.outcome === recorded.outcome &&
    result.traceHash === recorded.traceHash &&
    result.memoryHash === recorded.memoryHash &&
    !result.diverged;
  return { reproduced: same, sourceChanged: changed, result };
}

/**
 * The failure with the fewest preemptions: depth-first search at 0, 1, 2, ... preemptions until one ends in the same outcome. What is found is
 * minimal in preemptions; without one inside the time, the recorded schedule is the answer.
 */
export async function minimise(recorded: ReplayFile, options: { readonly seconds?: number } = {}): Promise<ReplayFile> {
  const deadline = performance.now() + (options.seconds ?? 60) * 1000;
  for (let preemptions = 0; preemptions < recorded.preemptions; preemptions++) {
    const seconds = (deadline - performance.now()) / 1000;
    if (seconds <= 0) break;
    const result = await explore(recorded.race, { ...machineOf(recorded), strategy: 'dfs', preemptions, seconds });
    if (result.outcome === recorded.outcome) return await toReplay(recorded.race, result, recorded.seed);
  }
  return recorded;
}
