/**
 * Where an exploration stands, as a file: versioned JSON with a checksum, checked when it is read. A search that is divided among jobs has
 * one file with a part for each.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { z } from 'zod';
import { OUTCOMES } from '../lab/types.js';
import { UsageError } from '../shared/errors.js';
import { hex8 } from '../shared/types.js';
import { differenceOf, type Search, searchSchema } from './identity.js';
import { count, hash, schema, wrongIn, wrongInText } from './schemas.js';
import type { Standing } from './standing.js';

export const CHECKPOINT_VERSION = 2;

const words = schema((z) => z.array(z.number().int()));

const failure = schema((z) => z.looseObject({ outcome: z.enum(OUTCOMES), message: z.string(), execution: count() }));

const found = schema((z) =>
  z.strictObject({
    signature: z.string(),
    failure: failure(),
    count: count(),
    schedule: words(),
    prescribed: count(),
    preemptions: count(),
    steps: count(),
    rounds: count().default(0),
    traceHash: z.number().int(),
    memoryHash: z.number().int(),
    trace: words(),
  }),
);

const standing = schema((z) =>
  z.strictObject({
    begun: count(),
    executions: count(),
    abandoned: count(),
    seconds: z.number().nonnegative(),
    points: count(),
    exhausted: z.boolean(),
    failingExecutions: count(),
    decisionsMost: count(),
    stepsMost: count(),
    handovers: z.number().int(),
    diverged: z.boolean(),
    failures: z.array(found()),
    dmesg: z.array(z.string()),
    strategy: z.unknown(),
    /** Visited states: the words of their hashes, and what each has cost of the bound, both in base 64. */
    table: z.strictObject({ hashes: z.base64(), costs: z.base64() }).nullable(),
  }),
);

const checkpointFile = schema((z) =>
  z.strictObject({
    murphy: z.literal('checkpoint'),
    version: z.literal(CHECKPOINT_VERSION),
    /** CRC-32 of `content` as it stands in the file. */
    checksum: hash(),
    content: z.strictObject({
      search: searchSchema(),
      /** A part for each job; null where none has come to its first checkpoint. */
      parts: z.array(standing().nullable()).min(1),
    }),
  }),
);

export interface Checkpoint {
  readonly search: Search;
  readonly parts: readonly (Standing | null)[];
}

type StandingText = z.infer<ReturnType<typeof standing>>;

const WORDS = 3;

/** Hashes do not compress, costs do. */
function tableText(table: Int32Array): StandingText['table'] {
  const entries = table.length / WORDS;
  const hashes = new Int32Array(2 * entries);
  const costs = new Int32Array(entries);
  for (let i = 0; i < entries; i++) {
    hashes[2 * i] = table[WORDS * i] as number;
    hashes[2 * i + 1] = table[WORDS * i + 1] as number;
    costs[i] = table[WORDS * i + 2] as number;
  }
  const bytes = (of: Int32Array): Buffer => Buffer.from(of.buffer, of.byteOffset, of.byteLength);
  return { hashes: bytes(hashes).toString('base64'), costs: deflateRawSync(bytes(costs)).toString('base64') };
}

function tableOf(text: NonNullable<StandingText['table']>): Int32Array {
  const hashes = Buffer.from(text.hashes, 'base64');
  const costs = inflateRawSync(Buffer.from(text.costs, 'base64'));
  const entries = Math.min(hashes.length >>> 3, costs.length >>> 2);
  const table = new Int32Array(entries * WORDS);
  for (let i = 0; i < entries; i++) {
    table[WORDS * i] = hashes.readInt32LE(8 * i);
    table[WORDS * i + 1] = hashes.readInt32LE(8 * i + 4);
    table[WORDS * i + 2] = costs.readInt32LE(4 * i);
  }
  return table;
}

const textOf = (s: Standing): unknown => ({
  ...s,
  failures: s.failures.map((f) => ({ ...f, trace: [...f.trace] })),
  table: s.table === null ? null : tableText(s.table),
});

const standingOf = (text: StandingText): Standing => ({
  ...text,
  failures: text.failures.map((f) => ({ ...f, trace: Int32Array.from(f.trace) })) as unknown as Standing['failures'],
  table: text.table === null ? null : tableOf(text.table),
});

/** Written beside, forced to the disk and moved into place: whenever the power goes, the file is the old one or the new one. */
export function writeCheckpoint(file: string, { search, parts }: Checkpoint): void {
  const content = JSON.stringify({ search, parts: parts.map((part) => (part === null ? null : textOf(part))) });
  const head = `{"murphy":"checkpoint","version":${CHECKPOINT_VERSION},"checksum":"${hex8(crc32(content))}","content":`;
  const beside = `${file}.tmp`;
  try {
    const descriptor = openSync(beside, 'w');
    try {
      writeFileSync(descriptor, `${head}${content}}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw new UsageError(
      `cannot write the checkpoint ${file}: ${(error as Error).message}; give --checkpoint another path`,
    );
  }
}

/** Throws UsageError, one line, for anything that is not a whole checkpoint of this version. */
export function readCheckpoint(file: string): Checkpoint {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UsageError(
      missing
        ? `no checkpoint at ${file}; "explore --checkpoint FILE" writes one`
        : `cannot read the checkpoint ${file}: ${(error as Error).message}`,
    );
  }
  const bad = (why: string): UsageError =>
    new UsageError(`${file} is not a checkpoint: ${why}; begin again without --resume`);
  let data: { murphy?: unknown; version?: unknown; checksum?: unknown } | null;
  try {
    data = JSON.parse(text) as typeof data;
  } catch {
    throw bad(wrongInText(text));
  }
  if (data?.murphy !== 'checkpoint') {
    throw bad(typeof data?.murphy === 'string' ? `it is a ${data.murphy} file` : 'it is some other JSON');
  }
  if (typeof data.version !== 'number') throw bad('it says no version');
  if (data.version !== CHECKPOINT_VERSION) {
    throw new UsageError(
      `${file} is a checkpoint of version ${String(data.version)}; this is version ${CHECKPOINT_VERSION}: begin again without --resume`,
    );
  }
  const from = text.indexOf('"content":') + '"content":'.length;
  const damaged = hex8(crc32(text.slice(from, text.lastIndexOf('}')))) !== data.checksum;
  const parsed = checkpointFile().safeParse(data);
  if (!parsed.success) throw bad(`${damaged ? 'it is damaged: ' : ''}${wrongIn(parsed.error)}`);
  if (damaged) throw bad('it is damaged: its checksum is not that of its content');
  const { content } = parsed.data;
  return { search: content.search, parts: content.parts.map((part) => (part === null ? null : standingOf(part))) };
}

/** The options of explore() under which a search keeps where it stands. */
export interface Keeping {
  readonly file: string | null;
  readonly resume?: readonly (Standing | null)[];
  readonly onCheckpoint?: (at: Standing, part: number) => void;
}

/**
 * Keep the checkpoint @file up to date, and go on from the checkpoint @from; null for none. @search: what is asked for, see searchOf().
 * Throws UsageError, one line, when @from is not a checkpoint of the same search, or @file is another file that is there.
 */
export function keeping(file: string | null, from: string | null, search: Search, jobs: number): Keeping {
  const before = from === null ? null : resumable(from, search, jobs);
  if (file === null) return { file };
  if (file !== from) checkPlace(file);
  const parts: (Standing | null)[] = before === null ? new Array<null>(jobs).fill(null) : [...before];
  const onCheckpoint = (at: Standing, part: number): void => {
    parts[part] = at;
    writeCheckpoint(file, { search, parts });
  };
  return { file, onCheckpoint, ...(before === null ? {} : { resume: before }) };
}

/** What is there already may have taken days; and a file that cannot be written is said before the search, not after it. */
function checkPlace(file: string): void {
  if (existsSync(file)) {
    throw new UsageError(`${file} is there already; go on with --resume ${file}, or give --checkpoint another path`);
  }
  try {
    closeSync(openSync(`${file}.tmp`, 'w'));
    rmSync(`${file}.tmp`);
  } catch (error) {
    throw new UsageError(`cannot write the checkpoint ${file}: ${(error as Error).message}; give another path`);
  }
}

function resumable(from: string, search: Search, jobs: number): readonly (Standing | null)[] {
  const { search: recorded, parts } = readCheckpoint(from);
  const other = differenceOf(recorded, search);
  if (other === null && parts.length === jobs) return parts;
  const what = other?.what ?? 'the number of jobs';
  const [was, is] = other === null ? [parts.length, jobs] : [other.a, other.b];
  const difference = was === null ? `${what} has changed since` : `${what} was ${was}, and is ${is} now`;
  throw new UsageError(
    `${from} cannot be resumed: ${difference}; give the options it was made with, or begin again without --resume`,
  );
}
