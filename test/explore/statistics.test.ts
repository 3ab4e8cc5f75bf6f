/**
 * Strategies by chance do what their papers say: over many executions of a tiny race each execution comes as often as computed, and a defect is hit as
 * often. The seed is fixed, so a test passes always or never; the bounds are such that a right strategy would fail with one seed in a million.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ExploreOptions, explore } from '../../src/explore/explore.js';
import { packageRoot } from '../../src/lab/modules.js';
import { type PosStep, posProbabilities } from './statistics/pos-exact.js';

const here = (name: string): string => join(packageRoot(), 'test', 'explore', 'statistics', `${name}.ts`);
const race = (id: string): string => `${here('tiny')}#${id}`;

/** With one worker; races of two or three take longer, for the hand-overs. */
const EXECUTIONS = 100_000;
const LONG = process.env.MURPHY_LONG !== undefined;
const EXECUTIONS_OF_SEVERAL = LONG ? EXECUTIONS : 10_000;
const SEED = 20_090_304;
/** One-sided normal quantile of 1e-6. */
const Z = 4.753;
const MINUTES = 10 * 60_000;

interface Counts {
  readonly executions: number;
  readonly failing: number;
  readonly traces: ReadonlyMap<string, number>;
}

async function counts(id: string, strategy: string, options: ExploreOptions): Promise<Counts> {
  const result = await explore(race(id), { strategy: here(strategy), keepGoing: true, seed: SEED, ...options });
  expect(result.error).toBeNull();
  const traces = Object.entries(result.stats).filter(([name]) => name.startsWith('trace '));
  return { executions: result.executions, failing: result.stats.failing!, traces: new Map(traces) };
}

const sampled = (id: string, strategy: string, options: ExploreOptions = {}): Promise<Counts> =>
  counts(id, strategy, { executions: id === 'interrupted' ? EXECUTIONS : EXECUTIONS_OF_SEVERAL, ...options });

/** Divide by the number of executions: what came of all of them, each once. */
const shares = ({ executions, traces }: Counts): Map<string, number> =>
  new Map([...traces].map(([trace, count]) => [trace, count / executions]));

/** Pearson's test, executions that are expected less than five times taken together; the quantile by Wilson and Hilferty. */
function expectDistribution(seen: Counts, expected: ReadonlyMap<string, number>): void {
  for (const trace of seen.traces.keys())
    expect(expected.get(trace) ?? 0, `probability of ${trace}`).toBeGreaterThan(0);
  let statistic = 0;
  let classes = 0;
  let rare = { seen: 0, expected: 0 };
  const add = (count: number, mean: number): void => {
    statistic += (count - mean) ** 2 / mean;
    classes++;
  };
  for (const [trace, p] of expected) {
    const [count, mean] = [seen.traces.get(trace) ?? 0, p * seen.executions];
    if (mean >= 5) add(count, mean);
    else rare = { seen: rare.seen + count, expected: rare.expected + mean };
  }
  if (rare.expected >= 5) add(rare.seen, rare.expected);
  const freedom = classes - 1;
  const part = 2 / (9 * freedom);
  expect(statistic).toBeLessThan(freedom * (1 - part + Z * Math.sqrt(part)) ** 3);
}

function expectHits(hits: number, executions: number, p: number): void {
  const width = (Z + 0.2) * Math.sqrt(executions * p * (1 - p));
  expect(hits).toBeGreaterThan(executions * p - width);
  expect(hits).toBeLessThan(executions * p + width);
}

const sum = (values: Iterable<number>): number => [...values].reduce((a, b) => a + b, 0);

describe.each([
  [
    'a uniform random walk',
    'tree',
    { uniform: true },
    ['interrupted', 'lost-update', ...(LONG ? ['behind-lock'] : [])],
  ],
  ['a random walk', 'tree-sparse', {}, ['interrupted', 'lost-update']],
] as const)('%s', (_, enumerated, options, races) => {
  it.each(races)(
    '%s: makes each execution as often as its choices say, and hits the defect as often',
    async (id) => {
      const tree = await counts(id, enumerated, {});
      expect(sum(tree.traces.values())).toBeCloseTo(1, 12);
      const seen = await sampled(id, 'counted-random', options);
      expectDistribution(seen, tree.traces);
      expectHits(seen.failing, seen.executions, tree.failing);
    },
    MINUTES,
  );
});

describe('PCT', () => {
  it.each([
    ['interrupted', 2, 8, 32],
    ['interrupted', 3, 8, 32],
    ['lost-update', 3, 7, 2],
    ...(LONG ? ([['behind-lock', 3, 9, 2]] as const) : []),
  ] as const)(
    '%s at depth %i: makes each execution as often as its definition says',
    async (id, depth, steps, contexts) => {
      const all = await counts(id, 'pct-all', { depth, stepsExpected: steps, seed: contexts });
      expect(all.executions).toBe(2 * steps ** (depth - 1));
      const seen = await sampled(id, 'counted-pct', { depth, stepsExpected: steps });
      expectDistribution(seen, shares(all));
      expectHits(seen.failing, seen.executions, all.failing / all.executions);
    },
    MINUTES,
  );

  it.runIf(LONG)(
    'hits a defect of depth three that wants the thread stopped last to go on first, as often as is guaranteed',
    async () => {
      const [depth, steps, threads] = [3, 11, 3];
      const all = await counts('nested', 'pct-all', { depth, stepsExpected: steps, seed: threads });
      expect(all.failing / all.executions).toBeGreaterThanOrEqual(1 / (6 * steps ** (depth - 1)));
      const seen = await sampled('nested', 'counted-pct', { depth, stepsExpected: steps, executions: 20_000 });
      expectHits(seen.failing, seen.executions, all.failing / all.executions);
    },
    MINUTES,
  );
});

describe('POS', () => {
  it(
    'makes each execution as often as its definition says',
    async () => {
      const add = [
        { at: 'counter', write: false },
        { at: 'counter', write: true },
      ];
      const start = (thread: number): PosStep => ({ at: `start ${thread}`, write: true });
      const exact = posProbabilities([
        [start(0), { at: 'other', write: true }, ...add],
        [start(1), ...add],
      ]);
      expect(sum(exact.values())).toBeCloseTo(1, 12);
      expectDistribution(await sampled('lost-update', 'counted-pos'), exact);
    },
    MINUTES,
  );
});
