import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ExploreOptions, explore } from '../../src/explore/explore.js';
import { minimise } from '../../src/explore/minimise.js';
import { readReplay, replay, toReplay, writeReplay } from '../../src/explore/replay-file.js';
import { packageRoot } from '../../src/lab/modules.js';

const E1 = '2009-03-kmap-recycle-lost-bytes';
const race = (name: string): string => join(packageRoot(), 'test', 'explore', 'races', `${name}.ts`);
const UNLOCKED: ExploreOptions = { noPatches: ['kmap-high-get'] };

describe('depth-first search over two threads that add to a counter', () => {
  it('finds a schedule that loses an update without the lock', async () => {
    const found = await explore(race('counter'), { ...UNLOCKED, strategy: 'dfs' });
    expect(found.outcome).toBe('report');
    expect(found.failure?.message).toContain('updates lost');
    expect(found.expected).toBe(true);
  });

  it('exhausts the schedules with the lock and finds none', async () => {
    const result = await explore(race('counter'), { strategy: 'dfs', preemptions: 2 });
    expect(result.outcome).toBe('clean');
    expect(result.exhausted).toBe(true);
  });

  it('makes the same executions whenever it is run', async () => {
    const count = async (): Promise<number> => (await explore(race('counter'), { preemptions: 1 })).executions;
    const first = await count();
    expect(await count()).toBe(first);
    expect(first).toBeGreaterThan(10);
  });

  it('finds nothing without preemptions', async () => {
    const result = await explore(race('counter'), { ...UNLOCKED, preemptions: 0 });
    expect(result.outcome).toBe('clean');
    expect(result.exhausted).toBe(true);
  });
});

describe('random walk and PCT', () => {
  it('lose the update too, and depend on nothing but the seed', async () => {
    for (const strategy of ['random', 'pct'] as const) {
      const once = await explore(race('counter'), { ...UNLOCKED, strategy, executions: 500, seed: 5 });
      const again = await explore(race('counter'), { ...UNLOCKED, strategy, executions: 500, seed: 5 });
      expect(once.outcome, strategy).toBe('report');
      expect([again.executions, again.traceHash, again.memoryHash]).toEqual([
        once.executions,
        once.traceHash,
        once.memoryHash,
      ]);
    }
  });
});

describe('two locks taken in opposite order', () => {
  it('are reported as a deadlock that names both holders', async () => {
    const result = await explore(race('abba'), { preemptions: 1 });
    expect(result.outcome).toBe('deadlock');
    const state = result.failure?.state?.join('\n') ?? '';
    expect(state).toMatch(/CPU0: thread0 .* spins on race_data\+0x40, held by thread1/);
    expect(state).toMatch(/CPU1: thread1 .* spins on race_data, held by thread0/);
  });
});

describe('the race of seed 002 under controlled scheduling', () => {
  it('loses bytes with one preemption without the pin', async () => {
    const found = await explore(E1, { ...UNLOCKED, preemptions: 1 });
    expect(found.outcome).toBe('wrong-bytes');
    expect(found.failure).toMatchObject({ seen: 0x01 });
    expect(found.preemptions).toBe(1);
  });

  it('loses none in any schedule of one preemption with it', async () => {
    const result = await explore(E1, { preemptions: 1 });
    expect(result.outcome).toBe('clean');
    expect(result.exhausted).toBe(true);
  });

  it('loses no wake-up in any schedule of two preemptions, and one when the waiter queues itself too late', async () => {
    const id = '2009-03-kmap-exhaustion-waiter-hangs';
    const sound = await explore(id, { preemptions: 2 });
    expect([sound.outcome, sound.exhausted]).toEqual(['clean', true]);
    const late = await explore(id, { patches: ['mutant-queue-after-unlock'], preemptions: 2 });
    expect(late.outcome).toBe('hang');
  });
});

describe('a recorded failure', () => {
  const folder = mkdtempSync(join(tmpdir(), 'murphy-'));
  const file = join(folder, 'e1.replay.json');

  it('is reproduced byte for byte, every time', async () => {
    const found = await explore(E1, { ...UNLOCKED, strategy: 'pct', seed: 7, executions: 200 });
    expect(found.outcome).toBe('wrong-bytes');
    writeReplay(file, await toReplay(E1, found));
    const recorded = readReplay(file);
    for (let i = 0; i < 10; i++) {
      const { reproduced, sourceChanged } = await replay(recorded);
      expect([reproduced, sourceChanged]).toEqual([true, false]);
    }
  });

  it('is not taken for reproduced when another choice is made', async () => {
    const recorded = readReplay(file);
    const { reproduced } = await replay({ ...recorded, schedule: recorded.schedule.slice(0, 1) });
    expect(reproduced).toBe(false);
  });

  it('is minimised to a failure with no more preemptions that replays as well', async () => {
    const recorded = readReplay(file);
    const smaller = await minimise(recorded, { seconds: 300 });
    expect(smaller.outcome).toBe('wrong-bytes');
    expect(smaller.preemptions).toBe(1);
    expect((await replay(smaller)).reproduced).toBe(true);
  });

  it('says in one line what is wrong with a file that is none', () => {
    const cases: [string, RegExp][] = [
      ['', /it is empty/],
      [readFileSync(file, 'utf8').slice(0, 200), /it is cut short/],
      ['{"murphy":"replay","version":99}', /version 99; this is version 3/],
      ['{"hello":1}', /is not a replay file/],
      [readFileSync(file, 'utf8').replace('"schedule"', '"plan"'), /"schedule"/],
    ];
    cases.forEach(([text, message], i) => {
      const path = join(folder, `bad${i}.json`);
      writeFileSync(path, text);
      expect(() => readReplay(path)).toThrow(message);
    });
    expect(() => readReplay(join(folder, 'missing.json'))).toThrow(/no replay file/);
  });
});

// It takes longer than the watchdog waits: the long run has it.
describe.runIf(process.env.MURPHY_LONG !== undefined)('a context that takes its time between its steps', () => {
  it('is not taken for one in an endless loop', { timeout: 120_000 }, async () => {
    const result = await explore(join(packageRoot(), 'test', 'explore', 'races', 'slow.ts'), { executions: 1 });
    expect([result.error, result.outcome, result.executions]).toEqual([null, 'clean', 1]);
    expect(result.seconds).toBeGreaterThan(5);
  });
});
