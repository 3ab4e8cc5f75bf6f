import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';
import { minimise } from '../../src/explore/minimise.js';
import { type ReplayFile, readReplay, replay, toReplay, writeReplay } from '../../src/explore/replay-file.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-replay-'));
const E1 = '2009-03-kmap-recycle-lost-bytes';
const UNPINNED = { noPatches: ['kmap-high-get'] };

async function e1(): Promise<ReplayFile> {
  const found = await explore(E1, { ...UNPINNED, strategy: 'dfs', preemptions: 1 });
  return await toReplay(E1, found);
}

/** A race in files of its own: two threads, one of which imports how often it adds. */
function ownRace(name: string, rounds: number): string {
  const dir = join(folder, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'rounds.mjs'), `export const ROUNDS = ${rounds};\n`);
  writeFileSync(
    join(dir, 'race.mjs'),
    `import { expect, race } from 'murphy';
import { ROUNDS } from './rounds.mjs';
function add(k) {
  for (let i = 0; i < ROUNDS; i++) k.store(k.sym.race_data, k.load(k.sym.race_data) + 1);
}
export default race({
  id: 'own', threads: [add, add],
  check(k) { expect(k.load(k.sym.race_data) === 2 * ROUNDS, 'updates lost'); },
});
`,
  );
  return join(dir, 'race.mjs');
}

describe('a replay file', () => {
  it('holds the whole machine', async () => {
    const file = join(folder, 'whole.json');
    writeReplay(file, await e1());
    const { machine } = readReplay(file);
    expect(machine).toMatchObject({
      ...{ core: 'vivt-shared', cpus: 2, kernel: '2.6.31', pkmapSlots: 2, lowmemPages: 64, highmemPages: 16 },
      ...{
        bufferBytes: 128,
        preempt: true,
        ticketLocks: false,
        debugHighmem: false,
        patches: expect.not.arrayContaining(['kmap-high-get']),
      },
    });
  });

  it('boots the machine that it names, not the one that the race would have now', async () => {
    const found = await explore(E1, {
      ...UNPINNED,
      strategy: 'dfs',
      preemptions: 1,
      machine: { pkmapSlots: 4, highmemPages: 32 },
    });
    expect(found.outcome).toBe('wrong-bytes');
    const { reproduced, result } = await replay(await toReplay(E1, found));
    expect([reproduced, result.machine.pkmapSlots, result.machine.highmemPages]).toEqual([true, 4, 32]);
  });

  it('finds a race by a path relative to itself', async () => {
    const path = ownRace('moved', 1);
    const found = await explore(path, { strategy: 'dfs' });
    const file = join(folder, 'moved', 'found.json');
    writeReplay(file, await toReplay(path, found));
    expect(JSON.parse(readFileSync(file, 'utf8')).race).toBe('./race.mjs');
    expect((await replay(readReplay(file))).reproduced).toBe(true);
  });

  it('tells when a module that the race imports has changed', async () => {
    const path = ownRace('changed', 1);
    const recorded = await toReplay(path, await explore(path, { strategy: 'dfs' }));
    expect((await replay(recorded)).sourceChanged).toBe(false);
    ownRace('changed', 2);
    const { sourceChanged, modelChanged } = await replay(recorded);
    expect([sourceChanged, modelChanged]).toEqual([true, false]);
  });

  it('is refused in one line when it is of another version, foreign, or names a machine that there is not', async () => {
    const good = await e1();
    const bad: [object, RegExp][] = [
      [{ ...good, version: 1 }, /of version 1; this is version 3/],
      [{ ...good, version: '3' }, /says no version/],
      [{ ...good, machine: { ...good.machine, pkmapSlots: 'many' } }, /"machine.pkmapSlots"/],
      [{ ...good, machine: { ...good.machine, wheels: 4 } }, /wheels/],
      [{ ...good, traceHash: 'short' }, /"traceHash"/],
      [{ ...good, schedule: Array(20_001).fill(0) }, /20001 choices in at most 20000 steps/],
      [{ hello: 'world' }, /is not a replay file/],
      [[1, 2, 3], /is not a replay file/],
    ];
    bad.forEach(([data, message], i) => {
      const path = join(folder, `bad${i}.json`);
      writeFileSync(path, JSON.stringify(data));
      expect(() => readReplay(path)).toThrow(message);
      expect(() => readReplay(path)).toThrow(/^[^\n]*$/);
    });
    await expect(replay({ ...good, machine: { ...good.machine, kernel: '9.9' } })).rejects.toThrow(
      /unknown kernel "9.9"/,
    );
    await expect(replay({ ...good, stepsMax: 2 ** 31 })).rejects.toThrow(
      'stepsMax must be a whole number from 1 to 4000000, not 2147483648',
    );
  });
});

describe('minimise', () => {
  it('leaves at most two preemptions of a failure of a random walk (E1)', async () => {
    const machine = { core: 'cortex-a9', bufferBytes: 1024 };
    const found = await explore(E1, { ...UNPINNED, machine, strategy: 'random', seed: 2, executions: 2000 });
    expect(found.preemptions).toBeGreaterThan(2);
    const recorded = await toReplay(E1, found);
    const smaller = await minimise(recorded, { seconds: 300 });
    expect(smaller.preemptions).toBeLessThanOrEqual(2);
    expect(smaller.signature).toBe(recorded.signature);
    expect((await replay(smaller)).reproduced).toBe(true);
  });

  it('cuts the schedule after the last choice that matters, and answers the same each time', async () => {
    const recorded = await e1();
    const smaller = await minimise(recorded, { seconds: 300 });
    expect(await minimise(recorded, { seconds: 300 })).toEqual(smaller);
    const shorter = { ...smaller, schedule: smaller.schedule.slice(0, -1) };
    expect((await replay(shorter)).reproduced).toBe(false);
    expect(smaller.schedule.length).toBeLessThan(recorded.schedule.length);
  });
});
