/**
 * Loops of cpu_relax() that give up after so many rounds. Whoever waits for others goes round in vain, which no search has the time for; so such a loop counts
 * as waiting, unless nobody else can go on, or `rounds` says otherwise.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explain } from '../../src/explore/explain/explain.js';
import { type ExploreOptions, type ExploreResult, explore } from '../../src/explore/explore.js';
import { minimise } from '../../src/explore/minimise.js';
import { replay, toReplay } from '../../src/explore/replay-file.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-rounds-'));

/** Two threads: the one waits with up to @rounds rounds, the other does what @other says. */
function race(name: string, rounds: number, other: string, more = ''): string {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(
    file,
    `import { assert, cpu_relax, race } from 'murphy';
const comes = (k) => {
  for (let i = 0; i < ${rounds}; i++) {
    if (k.shared.ready !== 0) return true;
    cpu_relax(k);
  }
  return false;
};
export default race({
  id: 'rounds', shared: { ready: 0, gave: 0 }, vars: ['word', 'flag'], ${more}
  threads: [{ cpu: 0, run: (k) => { if (!comes(k)) k.shared.gave = 1; } }, { cpu: ${more.includes('cpus: 1') ? 0 : 1}, run: (k) => { ${other} } }],
});
`,
  );
  return file;
}

const SEARCHES: ExploreOptions[] = [
  { strategy: 'dfs' },
  { strategy: 'dfs', states: true },
  { strategy: 'dpor' },
  { strategy: 'dfs', rounds: 2, preemptions: 1 },
  { strategy: 'dpor', rounds: 2 },
];
const summary = (r: ExploreResult) => [r.outcome, r.exhausted, r.error];

describe('a loop of cpu_relax() that gives up', () => {
  it.each([3, 700])('is no deadlock where nobody else can go on, after %i rounds', async (rounds) => {
    const file = race(`alone-${rounds}`, rounds, '', "check: (k) => assert(k.shared.gave === 1, 'has not'),");
    for (const options of SEARCHES) {
      expect([options, ...summary(await explore(file, options))]).toEqual([options, 'clean', true, null]);
    }
    for (const strategy of ['random', 'pct', 'pos']) {
      expect(summary(await explore(file, { strategy, executions: 40 }))).toEqual(['clean', false, null]);
    }
  });

  it('wakes others that wait in such a loop, too', async () => {
    const file = race('wakes', 3, 'while (k.shared.gave === 0) cpu_relax(k);');
    for (const options of SEARCHES) {
      expect([options, ...summary(await explore(file, options))]).toEqual([options, 'clean', true, null]);
    }
  });

  const late = (name: string, rounds: number): string =>
    race(name, rounds, 'k.shared.ready = 1;', "check: (k) => assert(k.shared.gave === 0, 'gave up'),");

  it.each<[ExploreOptions]>([
    [{ strategy: 'random', executions: 500 }],
    [{ strategy: 'pct', executions: 500 }],
    [{ strategy: 'pos', executions: 500 }],
    [{ strategy: 'dfs', rounds: 5 }],
    [{ strategy: 'dpor', rounds: 5 }],
    [{ strategy: 'dfs', states: true, rounds: 5 }],
  ])('is seen to give up before it had to: %o', async (options) => {
    const file = late('late', 5);
    const found = await explore(file, options);
    expect([found.outcome, found.failure?.message]).toEqual(['report', 'gave up']);
    const recorded = await toReplay(file, found);
    expect((await replay(recorded)).reproduced).toBe(true);
  });

  it('is not seen to before it had to within fewer rounds, or none', async () => {
    for (const rounds of [undefined, 2]) {
      const options = rounds === undefined ? {} : { rounds };
      expect(summary(await explore(late('within', 5), options))).toEqual(['clean', true, null]);
    }
  });

  it('is minimised to no more rounds than it takes', async () => {
    const file = late('least', 5);
    const recorded = await toReplay(file, await explore(file, { strategy: 'pct', rounds: 64 }));
    const least = await minimise(recorded, { seconds: 300 });
    expect([recorded.rounds, least.rounds, least.preemptions]).toEqual([64, 4, 0]);
    expect((await replay(least)).reproduced).toBe(true);
  });
});

describe('a loop of cpu_relax() without an end', () => {
  const never = race('never', Number.MAX_SAFE_INTEGER, 'k.shared.gave = 2;');

  it('is a deadlock, of which the rounds made in vain are no part', async () => {
    for (const options of SEARCHES.slice(0, 3)) {
      const found = await explore(never, options);
      expect([options, found.outcome, found.steps < 20]).toEqual([options, 'deadlock', true]);
      expect(found.failure?.message).toBe('CPU0: thread0 (interrupts on) spins on ready; holds no lock');
      const again = await explore(never, {
        ...{ strategy: 'replay', schedule: found.schedule, executions: 1, history: true },
      });
      expect(explain(again).report).toContainEqual(
        expect.stringMatching(/^CPU0 thread0, .*: waits for ready, and nobody will change it$/),
      );
    }
  });

  it('ends in every search when it waits for a variable outside memory', async () => {
    const file = race(
      'vars',
      0,
      'while (k.vars.flag === 0) cpu_relax(k);',
      'irqs: { 3: (k) => { k.vars.flag = 1; } },',
    );
    const raising = race(
      'vars-raised',
      0,
      'k.raise(0, 3); while (k.vars.flag === 0) cpu_relax(k);',
      'irqs: { 3: (k) => { k.vars.flag = 1; } },',
    );
    for (const options of SEARCHES) {
      expect([options, ...summary(await explore(raising, options))]).toEqual([options, 'clean', true, null]);
    }
    expect((await explore(file)).failure?.message).toBe(
      'CPU1: thread1 (interrupts on) spins on k.vars, word 1; holds no lock',
    );
  });

  it.each([
    ['reads', 'k.shared.ready; k.shared.ready; k.shared.ready;', 46],
    ['an interrupt', 'k.raise(0, 3); k.shared.ready; k.shared.ready;', 292],
  ])('is let go round for a preempted thread, which then goes on: %s', async (name, other, all) => {
    const one = 'machine: { cpus: 1 }, irqs: { 3: (k) => { k.shared.gave++; } },';
    const file = race(`preempted-${name.length}`, Number.MAX_SAFE_INTEGER, other, one);
    for (const options of SEARCHES.slice(0, 3)) {
      const found = await explore(file, { ...options, keepGoing: true });
      expect([options, ...summary(found)]).toEqual([options, 'deadlock', true, null]);
      if (options.states !== true) expect(found.executions).toBe(all);
    }
  });
});
