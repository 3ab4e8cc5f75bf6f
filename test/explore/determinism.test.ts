/**
 * An execution follows from race, machine and schedule alone: recorded failures come again, in this process and in a new one, and two explorations at
 * a time do not see each other.
 *
 * MURPHY_REPLAYS=N makes N replays over all experiments instead of a few, and each in a process of its own too.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type ExploreOptions, type ExploreResult, explore } from '../../src/explore/explore.js';
import { readReplay, replay, toReplay, writeReplay } from '../../src/explore/replay-file.js';
import { listExperiments } from '../../src/index.js';
import { packageRoot } from '../../src/lab/modules.js';

const long = Number(process.env.MURPHY_REPLAYS ?? 0);
const REPLAYS_EACH = long === 0 ? 2 : 20;
const HOURS = 4 * 3_600_000;
const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'murphy-determinism-'));
/** Every sixth in a short run: each needs a machine of its own. */
const experiments = (await listExperiments()).filter((_, i) => long > 0 || i % 6 === 0);

/** What an execution has come to, as far as anybody can tell. */
const fingerprint = (r: ExploreResult) => [r.outcome, r.steps, r.traceHash, r.memoryHash, r.failure?.message ?? null];

/** Of each experiment one failure that is found soon, if there is one: by the first of these in a short run. */
const SOON: readonly ExploreOptions[] = [
  { strategy: 'pct', seed: 3, executions: 60, seconds: 120 },
  { strategy: 'random', seed: 3, executions: 60, seconds: 120 },
  { strategy: 'pos', seed: 3, executions: 60, seconds: 120 },
  { strategy: 'dpor', executions: 60, seconds: 120 },
];

async function foundSoon(id: string, caseName: string): Promise<{ found: ExploreResult; options: ExploreOptions }> {
  const tried = [];
  for (const soon of long > 0 ? SOON : SOON.slice(0, 1)) {
    const options = { ...soon, caseName };
    const found = await explore(id, options);
    // Steps of some touch more than dpor can note: it says so, and the others have been tried.
    if (found.error === null || tried.length === 0) tried.push({ found, options });
    if (found.failure !== null) break;
  }
  return tried.at(-1)!;
}

const recorded: string[] = [];
let replays = 0;

describe('of experiments on their smallest machines', () => {
  it.each(experiments.map((race) => [race.id, race] as const))(
    '%s: the same schedule leads to the same trace and the same memory',
    async (id, race) => {
      const failing = race.cases.find((c) => ![c.outcome].flat().includes('clean')) ?? race.cases[0]!;
      const { found, options } = await foundSoon(id, failing.name);
      expect(found.error).toBeNull();
      if (found.failure === null) {
        const { seconds: _, ...untimed } = options;
        const again = await explore(id, { ...untimed, executions: found.executions });
        expect(fingerprint(again)).toEqual(fingerprint(found));
        return;
      }
      const file = join(folder, `${id}.json`);
      writeReplay(file, await toReplay(id, found));
      recorded.push(file);
      const wanted = readReplay(file);
      for (let i = 0; i < REPLAYS_EACH; i++, replays++) {
        const { reproduced, result } = await replay(wanted);
        expect([reproduced, ...fingerprint(result)]).toEqual([true, ...fingerprint(found)]);
      }
    },
    HOURS,
  );

  it(
    'a recorded failure is reproduced by a process that has done nothing else',
    async () => {
      const cli = join(packageRoot(), 'scripts', 'murphy.mjs');
      const sample = long === 0 ? recorded.filter((_, i) => i % 8 === 0) : recorded;
      expect(sample.length).toBeGreaterThan(0);
      for (const file of sample) {
        const { stdout } = await run(process.execPath, [cli, 'replay', file, '--json']);
        expect(JSON.parse(stdout.trim().split('\n').at(-1)!).memoryHash).toBe(readReplay(file).memoryHash);
      }
    },
    HOURS,
  );

  it('as many replays as were asked for are all the same', { timeout: HOURS, skip: long === 0 }, async () => {
    const files = recorded.map((file) => readReplay(file));
    for (let i = 0; replays < long; i++, replays++) {
      const { reproduced } = await replay(files[i % files.length]!);
      expect(reproduced, files[i % files.length]!.experiment).toBe(true);
    }
  });
});

describe('two explorations in one process at a time', () => {
  it('find what each finds alone', { timeout: HOURS }, async () => {
    const searches: [string, ExploreOptions][] = [
      ['2009-03-kmap-recycle-lost-bytes', { caseName: 'unpinned', strategy: 'pct', seed: 7, executions: 200 }],
      ['2009-03-kmap-high-get-irq-deadlock', { strategy: 'dfs', preemptions: 1, executions: 60 }],
    ];
    const alone: ExploreResult[] = [];
    for (const [id, options] of searches) alone.push(await explore(id, options));
    const together = await Promise.all(searches.map(([id, options]) => explore(id, options)));
    together.forEach((result, i) => {
      expect(fingerprint(result)).toEqual(fingerprint(alone[i]!));
      expect([result.executions, result.points]).toEqual([alone[i]!.executions, alone[i]!.points]);
    });
  });
});
