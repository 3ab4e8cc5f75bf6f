import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';
import { packageRoot } from '../../src/lab/modules.js';

const race = (name: string): string => join(packageRoot(), 'test', 'explore', 'races', `${name}.ts`);

describe('an exploration that goes on after a failure', () => {
  it('lists what failed where, each once, with a schedule that leads there', async () => {
    const result = await explore(race('two-bugs'), { strategy: 'dfs', keepGoing: true });
    expect(result.exhausted).toBe(true);
    const seen = result.failures.map((f) => f.failure.message.replace(/ \(.*/, ''));
    expect(seen.sort()).toEqual(['flag read before it is set', 'updates lost']);
    expect(result.failures.every((f) => f.count > 1)).toBe(true);
    for (const found of result.failures) {
      const again = await explore(race('two-bugs'), { strategy: 'replay', schedule: found.schedule, executions: 1 });
      expect([again.failure?.message, again.steps]).toEqual([found.failure.message, found.steps]);
    }
  });

  it('ends at the first failure of the kind that is wanted', async () => {
    const all = await explore(race('two-bugs'), { strategy: 'dfs', keepGoing: true });
    for (const { signature, failure } of all.failures) {
      const one = await explore(race('two-bugs'), { strategy: 'dfs', wanted: signature });
      expect(one.failure?.message).toBe(failure.message);
      expect(one.executions).toBeLessThan(all.executions);
    }
  });

  it('keeps the shortest schedule of each kind when asked to', async () => {
    const first = await explore(race('two-bugs'), { strategy: 'random', keepGoing: true, executions: 300 });
    const least = await explore(race('two-bugs'), {
      strategy: 'random',
      keepGoing: true,
      executions: 300,
      shortest: true,
    });
    for (const found of least.failures) {
      const before = first.failures.find((f) => f.signature === found.signature);
      expect(found.preemptions).toBeLessThanOrEqual(before?.preemptions ?? -1);
    }
    expect(least.failures.some((f) => f.preemptions < 2)).toBe(true);
  });
});
