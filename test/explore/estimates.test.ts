/** What an exploration says about what it has not seen, compared with what is there: races small enough to enumerate. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ExploreOptions, explore } from '../../src/explore/explore.js';
import { TraceSample } from '../../src/explore/strategies/distinct.js';
import { packageRoot } from '../../src/lab/modules.js';
import { Prng } from '../../src/shared/prng.js';

const here = (...path: string[]): string => join(packageRoot(), 'test', 'explore', ...path);
const statistic = (name: string): string => here('statistics', `${name}.ts`);

describe('of the traces of a search by chance', () => {
  /** Traces 1 to @traces, each as likely as the others. */
  function sampleOf(traces: number, executions: number, seed: number): { sample: TraceSample; seen: number } {
    const [sample, prng, seen] = [new TraceSample(), new Prng(seed), new Set<number>()];
    for (let i = 0; i < executions; i++) {
      const trace = prng.below(traces);
      sample.add(Math.imul(trace, 0x9e3779b1));
      seen.add(trace);
    }
    return { sample, seen: seen.size };
  }

  it.each([
    [500, 400],
    [4000, 9000],
    [200_000, 100_000],
    [400_000, 1_000_000],
  ])('the unseen ones of %i are as many as is estimated, after %i executions', (traces, executions) => {
    const { sample, seen } = sampleOf(traces, executions, 7);
    const exact = seen < 8192;
    expect(Math.abs(sample.distinct() - seen)).toBeLessThanOrEqual(exact ? 0 : 0.06 * seen);
    const unseen = 1 - seen / traces;
    expect(Math.abs(sample.unseenChance() - unseen)).toBeLessThan(0.04 + (exact ? 2 / Math.sqrt(executions) : 0));
    expect(sample.atLeast()).toBeGreaterThan(0.85 * traces);
    expect(sample.atLeast()).toBeLessThan(1.15 * traces);
  });

  it('nothing is known before the first, and all of it when each has come many times', () => {
    expect([new TraceSample().unseenChance(), new TraceSample().distinct()]).toEqual([1, 0]);
    const { sample } = sampleOf(10, 1000, 3);
    expect([sample.unseenChance(), sample.distinct(), sample.atLeast()]).toEqual([0, 10, 10]);
  });

  it('the sample of a checkpoint goes on as it would have', () => {
    for (const [before, after] of [
      [100, 300],
      [30_000, 20_000],
    ] as const) {
      const [whole, first, prng] = [new TraceSample(), new TraceSample(), new Prng(5)];
      const hashes = Array.from({ length: before + after }, () => prng.below(60_000));
      for (const hash of hashes) whole.add(hash);
      for (const hash of hashes.slice(0, before)) first.add(hash);
      const second = new TraceSample(JSON.parse(JSON.stringify(first.save())));
      for (const hash of hashes.slice(before)) second.add(hash);
      const numbers = (s: TraceSample): number[] => [s.distinct(), s.unseenChance(), s.atLeast()];
      expect(numbers(second)).toEqual(numbers(whole));
    }
  });

  it.each([
    ['counted-random', 'tree', { uniform: true }],
    ['counted-random', 'tree-sparse', {}],
  ] as const)('the chance of a new one is what the tree of choices says (%s, %s)', async (walk, tree, options) => {
    const race = statistic('tiny').concat('#interrupted-twice');
    const common: ExploreOptions = { keepGoing: true };
    const all = await explore(race, { ...common, strategy: statistic(tree) });
    const probabilities = new Map(Object.entries(all.stats).filter(([name]) => name.startsWith('trace ')));
    for (const executions of [50, 200, 1000]) {
      let [estimated, unseen, atLeast] = [0, 0, 0];
      for (let seed = 1; seed <= 5; seed++) {
        const asked = { ...common, ...options, strategy: statistic(walk), executions, seed };
        const { stats } = await explore(race, asked);
        const seen = Object.keys(stats).filter((name) => probabilities.has(name));
        expect(stats.distinctTraces).toBe(seen.length);
        expect(stats.tracesAtLeast).toBeGreaterThanOrEqual(seen.length);
        atLeast += stats.tracesAtLeast as number;
        estimated += stats.unseenChance as number;
        unseen += 1 - seen.reduce((sum, name) => sum + (probabilities.get(name) as number), 0);
      }
      expect(Math.abs(estimated - unseen) / 5).toBeLessThan(2 / Math.sqrt(5 * executions));
      expect(atLeast / 5).toBeLessThan(1.3 * probabilities.size);
    }
  });
});

describe('the part that dpor believes to have explored', () => {
  it.each([
    ['orders of a lock', here('races', 'five-times.ts#remembering'), {}],
    ['updates', here('races', 'counter.ts'), { noPatches: ['kmap-high-get'] }],
    ['interrupts', `${statistic('tiny')}#interrupted-twice`, {}],
  ])('is what it has, but for a factor, on the way and all of it at the end (%s)', async (_, race, options) => {
    for (const order of [{}, { shuffle: true, seed: 2 }]) {
      const strategy = statistic('watched-dpor');
      const { stats, executions, abandoned } = await explore(race, { ...options, ...order, strategy, keepGoing: true });
      const total = executions + abandoned;
      for (const share of [0.25, 0.5, 0.75, 0.9]) {
        const believed = stats[`behind ${Math.floor(total * share)}`] as number;
        expect(believed, `at ${share}`).toBeGreaterThan(share / 8);
        expect(believed, `at ${share}`).toBeLessThan(Math.min(1, share * 3));
      }
      expect([stats[`behind ${total}`], stats.exploredPart]).toEqual([1, 1]);
    }
  });
});
