/** Bounds on preemptions and delays: as many schedules as there are, and none too few where states are not explored twice. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';
import { minimise } from '../../src/explore/minimise.js';
import { toReplay } from '../../src/explore/replay-file.js';
import { packageRoot } from '../../src/lab/modules.js';
import { cleanUp, endsOf, findings, moduleOf, prepare } from './programmes/agreement.js';
import type { Op } from './programmes/programme.js';

const LOADS = join(packageRoot(), 'test', 'explore', 'races', 'loads.ts');

beforeAll(prepare);
afterAll(cleanUp);

const choose = (n: number, k: number): number => (k < 0 || k > n ? 0 : k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k);

/** Interleavings of two threads of @n steps each, the first one named beginning, with exactly @k preemptions: k + 2 stretches in turn. */
const interleavings = (n: number, k: number): number =>
  choose(n - 1, Math.ceil((k + 2) / 2) - 1) * choose(n - 1, Math.floor((k + 2) / 2) - 1);
const atMost = (n: number, k: number): number =>
  Array.from({ length: Math.max(0, k + 1) }, (_, i) => interleavings(n, i)).reduce((a, b) => a + b, 0);

describe('depth-first search of two threads that never wait makes all executions', () => {
  it.each([0, 1, 2, 3])('with at most %i preemptions, whoever begins', async (preemptions) => {
    const { executions, points, exhausted } = await explore(LOADS, { strategy: 'dfs', preemptions });
    const steps = points / executions / 2;
    expect([exhausted, executions]).toEqual([true, 2 * atMost(steps, preemptions)]);
  });

  it.each([0, 1, 2, 3])('with at most %i delays, of which it takes one to begin with the second', async (delays) => {
    const { executions, points, exhausted } = await explore(LOADS, { strategy: 'dfs', delays });
    const steps = points / executions / 2;
    expect([exhausted, executions]).toEqual([true, atMost(steps, delays) + atMost(steps, delays - 1)]);
  });
});

describe('with a bound and --states', () => {
  const op = (what: Op['do'], at: number): Op => ({ do: what, at, value: 1 });
  const ops = (own: number): Op[] => [op('inc', own), op('inc', 0), op('load', 0), op('inc', 0)];

  it.each([{ preemptions: 2 }, { delays: 3 }])(
    'a state is explored again when it is reached with less of it: %o',
    async (bound) => {
      const threads = [1, 2].map((own, cpu) => ({ cpu, ops: ops(own) }));
      const machine = { core: 'cortex-a9', cpus: 2, preempt: false };
      const file = moduleOf({ machine, threads, irqs: [], devices: [] });
      const all = endsOf(await findings(file, 'collect-dfs', bound));
      for (const seed of [1, 2]) {
        const shuffled = { ...bound, states: true, statesMax: 1 << 12, shuffle: true, seed };
        expect(endsOf(await findings(file, 'collect-dfs', shuffled))).toEqual(all);
      }
    },
  );
});

describe('minimise', () => {
  it('comes down to no preemption where none is needed', async () => {
    const race = `${LOADS}#early`;
    const found = await explore(race, { strategy: 'replay', schedule: [0, 1, 1, 0], executions: 1 });
    expect([found.outcome, found.preemptions]).toEqual(['report', 1]);
    const smallest = await minimise(await toReplay(race, found), { seconds: 300 });
    expect([smallest.preemptions, smallest.schedule]).toEqual([0, [1]]);
  });

  it('takes the shortest schedule of those with as few preemptions', async () => {
    const race = `${LOADS}#during`;
    const found = await explore(race, { strategy: 'dfs', preemptions: 1 });
    expect([found.outcome, found.preemptions]).toEqual(['report', 1]);
    const recorded = await toReplay(race, found);
    expect(recorded.schedule.length).toBeGreaterThan(4);
    const smallest = await minimise(recorded, { seconds: 300 });
    // The first thread begins and stores; then the second begins.
    expect([smallest.preemptions, smallest.schedule]).toEqual([1, [0, 0, 1]]);
  });
});
