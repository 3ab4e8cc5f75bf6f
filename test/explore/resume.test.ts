/** An exploration that is stopped wherever it can be, and goes on from a checkpoint file each time, is the one that was never stopped. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../src/explore/checkpoint-file.js';
import { type ExploreOptions, type ExploreResult, explore } from '../../src/explore/explore.js';
import { searchOf } from '../../src/explore/identity.js';
import type { Standing } from '../../src/explore/standing.js';
import { packageRoot } from '../../src/lab/modules.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-resume-'));
const race = (name: string): string => join(packageRoot(), 'test', 'explore', 'races', `${name}.ts`);
const MINUTES = 5 * 60_000;
let files = 0;
const fresh = (kind: string): string => join(folder, `${++files}.${kind}`);

/** The executions of a log: hashes of their traces, each with its outcome. */
const logged = (file: string): string[] => readFileSync(file, 'utf8').split('\n').slice(0, -1).sort();

/** What an exploration has come to, but for how long it took. */
const findings = (r: ExploreResult) => ({
  ...{ executions: r.executions, abandoned: r.abandoned, exhausted: r.exhausted, outcome: r.outcome },
  ...{ points: r.points, decisionsMost: r.decisionsMost, stepsMost: r.stepsMost, failing: r.failingExecutions },
  failures: r.failures.map((f) => `${f.signature} ${f.count} ${f.traceHash}`).sort(),
  stats: r.stats,
});

/** Stopped after every so many executions, and resumed from a file each time. Return: the last result, and in how many pieces it was made. */
async function inPieces(
  name: string,
  options: ExploreOptions,
  each: number,
): Promise<{ result: ExploreResult; pieces: number }> {
  const { jobs = 1 } = options;
  const search = await searchOf(name, options);
  const file = fresh('json');
  let resume: readonly (Standing | null)[] | undefined;
  for (let pieces = 1; ; pieces++) {
    const parts: (Standing | null)[] = Array.from({ length: jobs }, () => null);
    const onCheckpoint = (at: Standing, part: number): void => {
      parts[part] = at;
    };
    const executions = Math.min(each * pieces, options.executions ?? Number.MAX_SAFE_INTEGER);
    const result = await explore(name, {
      ...options,
      executions,
      onCheckpoint,
      ...(resume === undefined ? {} : { resume }),
    });
    if (result.error !== null) throw new Error(result.error);
    if (result.exhausted || executions === options.executions) return { result, pieces };
    writeCheckpoint(file, { search, parts });
    resume = readCheckpoint(file).parts;
  }
}

const WRITERS = race('writers');
const UNLOCKED: ExploreOptions = { noPatches: ['kmap-high-get'] };
const IRQS = join(packageRoot(), 'test', 'explore', 'statistics', 'tiny.ts#interrupted-twice');
const PIECES = 4;
const SEARCHES: readonly (readonly [what: string, name: string, options: ExploreOptions])[] = [
  ['dfs', race('two-bugs'), {}],
  ['dfs, interrupts', IRQS, {}],
  ['dfs, preemptions, shuffled', WRITERS, { preemptions: 1, shuffle: true, seed: 3 }],
  ['dfs, delays', WRITERS, { delays: 2 }],
  ['states', race('two-bugs'), { states: true }],
  ['states, interrupts', IRQS, { states: true }],
  ['states, preemptions, shuffled', WRITERS, { states: true, preemptions: 1, shuffle: true, seed: 3 }],
  ['dpor', race('counter'), { ...UNLOCKED, strategy: 'dpor' }],
  ['dpor, shuffled', WRITERS, { strategy: 'dpor', shuffle: true, seed: 3 }],
  ['dpor, interrupts', IRQS, { strategy: 'dpor' }],
  ['random', WRITERS, { strategy: 'random', executions: 100 }],
  ['random, uniform', IRQS, { strategy: 'random', uniform: true, executions: 1000 }],
  ['pct', WRITERS, { strategy: 'pct', executions: 100 }],
  ['pos', WRITERS, { strategy: 'pos', executions: 100 }],
];

const LONG = process.env.MURPHY_LONG !== undefined;

describe('an exploration that is stopped again and again', () => {
  it.each(SEARCHES)(
    'makes the executions of one that is not, each once (%s)',
    async (_, name, options) => {
      const asked = { ...options, keepGoing: true };
      const [once, often] = [fresh('log'), fresh('log')];
      const whole = await explore(name, { ...asked, log: once });
      const each = Math.floor(whole.executions / PIECES);
      const { result, pieces } = await inPieces(name, { ...asked, log: often }, each);
      expect(pieces).toBeGreaterThanOrEqual(PIECES);
      expect(logged(often)).toEqual(logged(once));
      expect(findings(result)).toEqual(findings(whole));
    },
    MINUTES,
  );

  // The short run has two jobs in long.test.ts.
  const DIVIDED = ['dfs, interrupts', 'states, interrupts', 'dpor, interrupts', 'random, uniform'];
  it.runIf(LONG).each(SEARCHES.filter(([what]) => DIVIDED.includes(what)))(
    'in two jobs finds what it finds when it is not (%s)',
    async (_, name, options) => {
      const asked = { ...options, keepGoing: true, jobs: 2 };
      const [once, often] = [fresh('log'), fresh('log')];
      const whole = await explore(name, { ...asked, log: once });
      const { result, pieces } = await inPieces(name, { ...asked, log: often }, Math.ceil(whole.executions / 2));
      expect(pieces).toBeGreaterThan(1);
      expect(logged(often)).toEqual(logged(once));
      expect(findings(result)).toEqual(findings(whole));
    },
    MINUTES,
  );
});

describe('a resumed exploration', () => {
  it.each([1, 2])('comes again to the error that ended it, and is never clean, in %i jobs', async (jobs) => {
    const asked: ExploreOptions = { strategy: 'dpor', jobs, checkpointSeconds: 0.01 };
    const parts: (Standing | null)[] = Array.from({ length: jobs }, () => null);
    const onCheckpoint = (at: Standing, part: number): void => {
      parts[part] = at;
    };
    const ended = await explore(race('throws-once'), { ...asked, onCheckpoint });
    const again = await explore(race('throws-once'), { ...asked, resume: parts });
    for (const { outcome, error, expected, exhausted } of [ended, again]) {
      expect([outcome, expected, exhausted]).toEqual(['report', false, false]);
      expect(error).toContain('thread 1 threw Error: not in this order');
    }
  });

  it('looks for changes that no step has announced as a new one does', async () => {
    const asked: ExploreOptions = { strategy: 'random', executions: 100, keepGoing: true };
    const [loud, silent] = ['loud', 'silent'].map((id) => `${race('silent')}#${id}`) as [string, string];
    const found = /has changed without a scheduling point/;
    await expect(explore(silent, asked)).rejects.toThrow(found);
    const at: Standing[] = [];
    await explore(loud, { ...asked, onCheckpoint: (standing) => at.push(standing) });
    const more = { ...asked, executions: 200, resume: at.at(-1)! };
    expect((await explore(loud, more)).executions).toBe(200);
    await expect(explore(silent, more)).rejects.toThrow(found);
  });
});
