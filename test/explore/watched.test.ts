/**
 * What a checker, or an invariant, notes for itself makes no schedule equal to another: DPOR makes as many executions of a programme that is watched
 * as of one that is not, and finds the same failures, beside what the checker itself reports.
 *
 * MURPHY_LONG=1 goes through the larger programmes too.
 */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';
import { packageRoot } from '../../src/lab/modules.js';

const CHECKERS = ['spinlocks', 'lockdep', 'memory', 'dma', 'races', 'hangs', 'context', 'all'];
/** With the classes of equivalent schedules that there are. */
const PROGRAMMES: readonly (readonly [string, number])[] = [
  ['spin', 6],
  ['invariant', 6],
  ['irq', 6],
  ['twenty', 20],
  ...(process.env.MURPHY_LONG === undefined ? [] : ([['five-each', 252]] as const)),
];
const MINUTES = 10 * 60_000;

const explored = async (name: string, check: string) => {
  const file = join(packageRoot(), 'test', 'explore', 'races', `under-locks.ts#${name}`);
  const options = { strategy: 'dpor', keepGoing: true, ...(check === '' ? {} : { check }) };
  const { exhausted, error, executions, failures } = await explore(file, options);
  expect([error, exhausted]).toEqual([null, true]);
  const own = failures.filter((f) => (f.failure.checker ?? null) === null);
  return { executions, failures: own.map((f) => `${f.count} ${f.signature}`).sort() };
};

describe('dpor goes as far with a checker as without', () => {
  it.each(PROGRAMMES)(
    'where threads take a lock in turn: %s',
    async (name, classes) => {
      const plain = await explored(name, '');
      expect(plain.executions).toBe(classes);
      for (const check of CHECKERS) expect([check, await explored(name, check)]).toEqual([check, plain]);
    },
    MINUTES,
  );

  it('where readers and writers wait for each other', { timeout: MINUTES }, async () => {
    const plain = await explored('rw', '');
    expect(plain.failures).toHaveLength(1);
    for (const check of CHECKERS) expect([check, await explored('rw', check)]).toEqual([check, plain]);
  });

  // lockdep reports what the deadlock comes of, and so ends executions that would go on.
  it.each(CHECKERS.filter((c) => c !== 'lockdep' && c !== 'all'))(
    'where two locks are taken in opposite order, with %s',
    { timeout: MINUTES },
    async (check) => {
      const plain = await explored('abba', '');
      expect(plain.failures.length).toBeGreaterThan(0);
      expect(await explored('abba', check)).toEqual(plain);
    },
  );
});

describe('what the kernel looks at without a step of its own', () => {
  it.each([1, 2, 3, 4])('is seen by dpor: whether a task that might sleep has been woken (order %i)', async (seed) => {
    const file = join(packageRoot(), 'test', 'explore', 'races', 'nested-sleep.ts');
    const { exhausted, error, executions, failures } = await explore(file, {
      ...{ strategy: 'dpor', keepGoing: true, shuffle: true, seed },
    });
    expect([error, exhausted, executions]).toEqual([null, true, 2]);
    expect(failures.map((f) => [f.failure.outcome, f.count])).toEqual([['warn', 1]]);
  });
});
