/** A recorded failure as a file: versioned JSON, checked when it is read. It holds everything that the execution follows from. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { crc32 } from 'node:zlib';
import type { z } from 'zod';
import { exactMachine, machineSpecOf } from '../lab/configure.js';
import { loadRace } from '../lab/modules.js';
import type { RaceSpec } from '../lab/race.js';
import { isPath } from '../lab/race-path.js';
import { modelHash, sourceHash } from '../lab/source-hash.js';
import { OUTCOMES } from '../lab/types.js';
import { UsageError } from '../shared/errors.js';
import { hex8 } from '../shared/types.js';
import { type Divergence, divergenceOf, SAME_EACH_TIME, stepsText } from './divergence.js';
import type { ExploreOptions, ExploreResult } from './explore.js';
import { explore } from './explore.js';
import { raceName } from './race-name.js';
import { count, hash, machine, schema, wrongIn, wrongInText } from './schemas.js';
import { signatureOf } from './signature.js';
import type { Found } from './standing.js';

export const REPLAY_VERSION = 3;

const replayFile = schema((z) =>
  z.strictObject({
    murphy: z.literal('replay'),
    version: z.literal(REPLAY_VERSION),
    /** What finds the race again: an experiment's id, or a path; in the file relative to it. */
    race: z.string().min(1),
    experiment: z.string(),
    /** Of the race module with its imports, and of the model. */
    sourceHash: z.string(),
    modelHash: z.string(),
    machine: machine(),
    seed: count(),
    stepsMax: z.number().int().positive(),
    /** How often loops of cpu_relax() went round before they waited. */
    rounds: count().default(0),
    /** Choices, decision by decision; after the last the present context goes on. */
    schedule: z.array(z.number().int().min(0).max(1023)),
    outcome: z.enum(OUTCOMES),
    signature: z.string(),
    message: z.string(),
    preemptions: count(),
    steps: count(),
    traceHash: hash(),
    memoryHash: hash(),
    /** Of each step a byte, see divergence.ts; files of before do not have it. */
    trace: z.base64().optional(),
    checksum: hash().optional(),
  }),
);

export type ReplayFile = Omit<z.infer<ReturnType<typeof replayFile>>, 'checksum'>;

/** CRC-32 of everything but `race`, whatever the order and the layout: a path may be mended by hand. */
function checksumOf({ race: _, checksum: __, ...rest }: { race?: unknown; checksum?: unknown }): string {
  const sorted = (_key: string, value: unknown): unknown =>
    value === null || typeof value !== 'object' || Array.isArray(value)
      ? value
      : Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return hex8(crc32(JSON.stringify(rest, sorted)));
}

/** A failure of an exploration as a replay file. @race: as it was given to explore(). @found: one of its failures, else the first. */
export async function toReplay(race: string | RaceSpec, result: ExploreResult, found?: Found): Promise<ReplayFile> {
  const { url } = await loadRace(race);
  return replayOf(race, sourceHash(url), result, found);
}

/** toReplay() without a look at the module, which may be another by now. @source: hash of what was explored. */
export function replayOf(race: string | RaceSpec, source: string, result: ExploreResult, found?: Found): ReplayFile {
  const one = found ?? {
    ...{ failure: result.failure, schedule: result.schedule, preemptions: result.preemptions, steps: result.steps },
    rounds: result.rounds,
    ...{ traceHash: Number.parseInt(result.traceHash, 16), memoryHash: Number.parseInt(result.memoryHash, 16) },
    trace: result.trace,
  };
  const { failure } = one;
  if (failure === null) throw new UsageError(`"${result.experiment}" did not fail, so there is nothing to record`);
  return {
    murphy: 'replay',
    version: REPLAY_VERSION,
    race: raceName(race),
    experiment: result.experiment,
    sourceHash: source,
    modelHash: modelHash(),
    machine: machineSpecOf(result.machine),
    seed: result.machine.seed,
    stepsMax: result.stepsMax,
    rounds: one.rounds,
    schedule: [...one.schedule],
    outcome: failure.outcome,
    signature: signatureOf(failure, result.machine),
    message: failure.message,
    preemptions: one.preemptions,
    steps: one.steps,
    traceHash: hex8(one.traceHash),
    memoryHash: hex8(one.memoryHash),
    trace: stepsText(one.trace),
  };
}

/** May @file be written over: is it a replay file, or nothing yet? */
export const isReplay = (file: string): boolean =>
  !existsSync(file) || /^\s*\{\s*"murphy":\s*"replay"/.test(readFileSync(file, 'utf8'));

/** Written beside and moved into place, so that a reader never sees half of it. A path of a race is kept relative to the file. */
export function writeReplay(file: string, replay: ReplayFile): void {
  let { race } = replay;
  if (isPath(race)) {
    race = relative(dirname(resolve(file)), resolve(race))
      .split(sep)
      .join('/');
    if (!race.startsWith('.')) race = `./${race}`;
  }
  try {
    const checksum = checksumOf(replay);
    writeFileSync(`${file}.tmp`, `${JSON.stringify({ ...replay, race, checksum }, null, 1)}\n`);
    renameSync(`${file}.tmp`, file);
  } catch (error) {
    rmSync(`${file}.tmp`, { force: true });
    throw new UsageError(
      `cannot write the replay file ${file}: ${(error as Error).message}; give --output another path`,
    );
  }
}

/** The file as it stands. Throws UsageError, one line. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UsageError(
      missing
        ? `no replay file at ${file}; "explore" writes one when it finds a failure`
        : `cannot read the replay file ${file}: ${(error as Error).message}; give the path of a file`,
    );
  }
}

/** A module by path, without the `#id` of one of its races. */
const moduleFile = (race: string): string => race.replace(/#[^#/\\]*$/, '');

/**
 * Where the race of a replay file is: as its path says from the file on, or from the current directory, or beside the file. @experiment: the id of the race.
 * Throws UsageError, one line, when it is at none of these places.
 */
function placeOf(race: string, experiment: string, file: string): string {
  const folder = dirname(resolve(file));
  const places = [...new Set([resolve(folder, race), resolve(race), join(folder, basename(race))])];
  const found = places.find((place) => existsSync(moduleFile(place)));
  if (found !== undefined) return found;
  const tried = places.map(moduleFile);
  throw new UsageError(
    `${file} is of the race "${experiment}", whose module is neither ${tried.join(' nor ')}; say where it is: --race PATH`,
  );
}

/**
 * @race: path of the module of the race, where that is not the one that the file names. Throws UsageError, one line, for anything that is not a whole
 * replay file of this version, and when the module of its race is not to be found.
 */
export function readReplay(file: string, race?: string): ReplayFile {
  const text = textOf(file);
  const bad = (why: string): UsageError =>
    new UsageError(`${file} is not a replay file: ${why}; record the failure again`);
  let data: (Partial<ReplayFile> & { checksum?: unknown }) | null;
  try {
    data = JSON.parse(text) as typeof data;
  } catch {
    throw bad(wrongInText(text));
  }
  if (data?.murphy !== 'replay') {
    throw bad(typeof data?.murphy === 'string' ? `it is a ${data.murphy as string} file` : 'it is some other JSON');
  }
  if (typeof data.version !== 'number') throw bad('it says no version');
  if (data.version !== REPLAY_VERSION) {
    throw new UsageError(
      `${file} is a replay file of version ${String(data.version)}; this is version ${REPLAY_VERSION}: record it again`,
    );
  }
  const damaged = data.checksum !== checksumOf(data);
  const parsed = replayFile().safeParse(data);
  if (!parsed.success) throw bad(`${damaged ? 'it is damaged: ' : ''}${wrongIn(parsed.error)}`);
  const { checksum: _, ...recorded } = parsed.data;
  const { race: named, experiment, schedule, stepsMax } = recorded;
  if (schedule.length > stepsMax) throw bad(`${schedule.length} choices in at most ${stepsMax} steps`);
  if (damaged) throw bad('it is damaged: its checksum is not that of its content');
  if (race !== undefined) return { ...recorded, race: `${resolve(moduleFile(race))}#${experiment}` };
  return isPath(named) ? { ...recorded, race: placeOf(named, experiment, file) } : recorded;
}

export interface Replayed {
  /** Same outcome, same message, same trace, same memory. */
  readonly reproduced: boolean;
  /** What is another than recorded, in words: outcome, message, trace, memory. */
  readonly differences: readonly string[];
  /** The race module, or what it imports, is not what was recorded. */
  readonly sourceChanged: boolean;
  /** The emulated hardware or the kernel code is not what it was recorded with. */
  readonly modelChanged: boolean;
  /** Where the execution left the recorded one; null when it did not, or the file does not say what was recorded. */
  readonly divergence: Divergence | null;
  readonly result: ExploreResult;
}

/** The options under which the recorded machine boots. */
export function machineOf(replay: ReplayFile): ExploreOptions {
  return { machine: exactMachine(replay.machine), seed: replay.seed, stepsMax: replay.stepsMax, rounds: replay.rounds };
}

function differencesOf(recorded: ReplayFile, now: ExploreResult): string[] {
  const message = now.failure?.message ?? '';
  const found: string[] = [];
  if (now.outcome !== recorded.outcome) found.push(`the outcome was ${recorded.outcome}, and is ${now.outcome}`);
  else if (message !== recorded.message) {
    found.push(`the outcome is the same, and its message another: it was "${recorded.message}", and is "${message}"`);
  }
  if (now.traceHash !== recorded.traceHash) found.push(`the trace was ${recorded.traceHash}, and is ${now.traceHash}`);
  if (now.memoryHash !== recorded.memoryHash)
    found.push(`memory in the end was ${recorded.memoryHash}, and is ${now.memoryHash}`);
  return found;
}

const FICKLE = `the race does not do the same each time: ${SAME_EACH_TIME}`;

/** How and why an execution went otherwise than recorded, in a line. */
export function whyNotReproduced({ divergence, differences, ...replayed }: Replayed): string {
  const otherwise = differences[0] ?? 'a choice of the schedule was not there';
  const how = divergence === null ? otherwise : `diverged at step ${divergence.step}: ${divergence.text}`;
  if (replayed.sourceChanged) return `${how}; the race has changed since this was recorded: record the failure again`;
  if (replayed.modelChanged) {
    return `${how}; the emulated kernel or hardware has changed since this was recorded: record the failure again`;
  }
  return `${how}; ${FICKLE}`;
}

/** Run the recorded schedule again. */
export async function replay(recorded: ReplayFile, options: { readonly history?: boolean } = {}): Promise<Replayed> {
  const { url } = await loadRace(recorded.race);
  const result = await explore(recorded.race, {
    ...machineOf(recorded),
    strategy: 'replay',
    schedule: recorded.schedule,
    executions: 1,
    history: options.history ?? false,
  });
  const differences = differencesOf(recorded, result);
  const same = differences.length === 0 && !result.diverged;
  return {
    reproduced: same,
    differences,
    sourceChanged: sourceHash(url) !== recorded.sourceHash,
    modelChanged: modelHash() !== recorded.modelHash,
    divergence:
      same || recorded.trace === undefined ? null : divergenceOf(recorded.trace, recorded.steps, result.trace),
    result,
  };
}
