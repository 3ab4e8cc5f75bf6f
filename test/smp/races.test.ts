/** Data races in parallel mode: a thread stands still before a load, and who stores meanwhile is reported; what is ordered or marked is not. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { RunOptions } from '../../src/index.js';
import { booted } from './booted.js';

/** Seconds; each is met within two. */
const PATIENCE = 120;

const race = (id: string): string => `${fileURLToPath(new URL('../fixtures/races/races.ts', import.meta.url))}#${id}`;

const machine = booted();
const run = (id: string, options: RunOptions = {}) => machine.run(race(id), { check: 'races', ...options });

describe('watchpoints in parallel mode', () => {
  it('meet who stores while a plain load stands still, with both stacks and what became of the value', async () => {
    const result = await run('looks-often', { seconds: PATIENCE, stopAtFailure: true });
    const log = result.dmesg.map((line) => line.replace(/^\[.*?\] CPU\d: ?/, '')).join('\n');
    expect(result).toMatchObject({ outcome: 'report', error: null });
    expect(result.failure?.message).toBe('BUG: KCSAN: data-race in countsUp / looksOften');
    expect(log).toMatch(
      /write to 0xc\w+ of 4 bytes by task 1 on cpu 1:\n countsUp\n\nread to 0xc\w+ of 4 bytes by task 0/,
    );
    expect(log).toMatch(/\nvalue changed: 0x\w{8} -> 0x\w{8}\n/);
    expect(log).toContain('variable:\n counter\n');
  });

  it('meet whoever stores while somebody asserts that he is alone', async () => {
    const written = await run('asserts-often', { seconds: PATIENCE, stopAtFailure: true });
    expect(written.failure?.message).toBe('BUG: KCSAN: assert: race in assertsWriter / markedWrite');
    const read = await run('asserts-access-often', { seconds: PATIENCE, stopAtFailure: true });
    expect(read.failure?.message).toBe('BUG: KCSAN: assert: race in assertsAccess / markedRead');
  });

  it('are put at plain stores as well, whatever the value, where the rules are strict', async () => {
    const strict = { seconds: PATIENCE, stopAtFailure: true, settings: { raceRules: 'kcsan-strict' } };
    expect(await run('stores-the-same', strict)).toMatchObject({ outcome: 'report', error: null });
    expect((await run('stores-often', strict)).failure?.message).toBe('BUG: KCSAN: data-race in countsUp / countsUp');
  });

  it.each([
    ['asserts-often-read', 'an assertion that nobody else writes, and who reads'],
    ['stores-often', 'two plain stores'],
    ['looks-under-lock', 'one lock'],
    ['looks-marked', 'marked loads'],
    ['stores-the-same', 'a store that changes nothing'],
  ])('are silent about %s: %s', async (id) => {
    const result = await run(id, { executions: 60, seconds: 4 });
    expect(result).toMatchObject({ outcome: 'clean', error: null, dmesg: [] });
  });
});
