/** The matchers for vitest, as a test uses them, and what their failures say. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readReplay } from '../src/index.js';
import '../src/vitest.js';
import { increments } from './lab/races/increments.js';

const races = (name: string): string => join(fileURLToPath(new URL('lab/races', import.meta.url)), name);
const LOCKED = races('locked-counter.ts');
const UNLOCKED = races('counter.mjs');

const home = process.cwd();
const folder = mkdtempSync(join(tmpdir(), 'murphy-'));
beforeAll(() => process.chdir(folder));
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

/** What a matcher says that does not hold. */
async function complaint(assertion: Promise<void>): Promise<string> {
  const error = await assertion.then(
    () => null,
    (e: unknown) => e as Error,
  );
  expect(error).not.toBeNull();
  return error?.message ?? '';
}

describe('toBeCleanWithin()', () => {
  it('holds when every schedule within the bound was tried and none fails', async () => {
    await expect(LOCKED).toBeCleanWithin({ preemptions: 2 });
    await expect(UNLOCKED).toBeCleanWithin({ preemptions: 0 });
    await expect(UNLOCKED).not.toBeCleanWithin({ preemptions: 1 });
  });

  it('takes a race as well as a path', async () => {
    await expect(increments).not.toBeCleanWithin({ preemptions: 1 });
  });

  it('says what happened in which order, with the schedule and the command that replays it', async () => {
    const text = await complaint(expect(UNLOCKED).toBeCleanWithin({ preemptions: 2 }));
    expect(text).toContain('to be clean within {"preemptions":2}, but it fails');
    expect(text).toContain('report: counter: expected 2, saw 1');
    expect(text).toMatch(/CPU0 thread0 +CPU1 thread1/);
    expect(text).toMatch(/^schedule: {4}[01 ]+$/m);
    const file = /^replay with: npx murphy replay (\S+)$/m.exec(text)?.[1] ?? '';
    expect(existsSync(file)).toBe(true);
    await expect(file).toReproduce();
    await expect(readReplay(file)).toReproduce();
  });

  it('does not hold while there are schedules left, unless it was told how many to try', async () => {
    const text = await complaint(expect(races('queue.ts#bounded-buffer')).toBeCleanWithin({ seconds: 0.05 }));
    expect(text).toContain('there are schedules left');
    expect(text).toContain('give it more seconds, or a tighter bound');
    await expect(LOCKED).toBeCleanWithin({ executions: 3 });
    await expect(LOCKED).toBeCleanWithin({ strategy: 'random', executions: 20 });
  });
});

describe('toFail()', () => {
  it('holds when a schedule fails as is claimed', async () => {
    await expect(UNLOCKED).toFail();
    await expect(UNLOCKED).toFail({ outcome: ['report', 'wrong-bytes'], message: 'saw 1' }, { preemptions: 1 });
    await expect(races('queue.ts#philosophers')).toFail({ outcome: 'deadlock', message: /fork\[1\], held by/ });
    await expect(LOCKED).not.toFail();
  });

  it('says how it fails instead', async () => {
    const text = await complaint(expect(UNLOCKED).toFail({ outcome: 'deadlock' }));
    expect(text).toContain('to fail with deadlock, but it fails in another way');
    expect(text).toContain('report: counter: expected 2, saw 1');
    expect(text).toContain('npx murphy replay ');
    expect(await complaint(expect(UNLOCKED).toFail({ message: /gone/ }))).toContain('and a message like /gone/');
  });

  it('says how much was tried when nothing fails', async () => {
    const text = await complaint(expect(LOCKED).toFail());
    expect(text).toMatch(/to fail, but it is clean: \d+ executions in [\d.]+ s, exhausted$/);
  });

  it('refuses what is no failure, no race, or does not work', async () => {
    expect(await complaint(expect(UNLOCKED).toFail({ outcome: 'clean' }))).toMatch(/^a race cannot fail with "clean"/);
    expect(await complaint(expect(5 as unknown as string).toFail())).toMatch(/^expect\(\) needs a race/);
    expect(await complaint(expect(races('declared.ts#misspelt')).toFail())).toMatch(/no shared variable "countr"/);
  });
});

describe('toReproduce()', () => {
  it('says what happened instead', async () => {
    const text = await complaint(expect(UNLOCKED).toBeCleanWithin({ preemptions: 1 }));
    const recorded = readReplay(/replay (\S+)$/m.exec(text)?.[1] ?? '');
    await expect({ ...recorded, schedule: [0, 0, 0] }).not.toReproduce();
    expect(await complaint(expect({ ...recorded, schedule: [0, 0, 0] }).toReproduce())).toMatch(
      /^expected the failure "report: counter: expected 2, saw 1" of .* to happen again; it was clean$/,
    );
  });
});
