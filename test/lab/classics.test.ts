/** Classic concurrency tests, ported with the public API: what is right is exhausted, and each classic mistake is found. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { explore, run } from '../../src/index.js';

const races = (id: string): string => join(fileURLToPath(new URL('races', import.meta.url)), `classics.ts#${id}`);

const RIGHT = ['bounded-buffer', 'readers-writers', 'philosophers', 'treiber-stack', 'double-checked'];

describe('what is right', () => {
  it.each(RIGHT)('is exhausted without a bound, and runs on real threads: %s', async (id) => {
    const result = await explore(races(id), { strategy: 'dpor' });
    expect([result.outcome, result.exhausted, result.error]).toEqual(['clean', true, null]);
    expect(await run(races(id), { executions: 50 })).toMatchObject({ outcome: 'clean', executions: 50, error: null });
  });
});

describe('the mistake that each is known for is found by dpor and by visited states', () => {
  it.each([
    ['bounded-buffer-if', 'report', 'an item is taken that nobody has put'],
    ['readers-uncounted', 'report', 'readers: expected 0, saw 1'],
    ['philosophers-alike', 'deadlock', /thread\d .* spins on fork\[\d\], held by thread\d on CPU\d; holds fork\[\d\]/],
    ['treiber-stack-aba', 'report', 'owners of node 2: expected 1, saw 2'],
    ['double-checked-early', 'report', 'value: expected 42, saw 0'],
    ['checked-once', 'report', 'initialised so often: expected 1, saw 2'],
  ])('%s', async (id, outcome, message) => {
    for (const options of [{ strategy: 'dpor' }, { states: true }]) {
      const { failure } = await explore(races(id), options);
      expect([options, failure?.outcome]).toEqual([options, outcome]);
      expect(failure?.message).toMatch(message);
    }
  });
});

describe('a race with three threads', () => {
  it('gets a CPU for each of them, unless somebody says how many', async () => {
    expect((await explore(races('philosophers'), { executions: 1 })).cpus).toBe(3);
    expect((await explore(races('philosophers'), { executions: 1, cpus: 2 })).cpus).toBe(2);
    expect((await explore(races('treiber-stack'), { executions: 1 })).cpus).toBe(2);
  });
});
