/** Reports that a case says are rightly made, and accesses that are marked with data_race(): neither is an outcome, all others are. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { race as define, explore, run } from '../../src/index.js';

const race = (id: string): string => `${fileURLToPath(new URL('../fixtures/reports/known.ts', import.meta.url))}#${id}`;
const search = (id: string, caseName?: string) =>
  explore(race(id), { check: 'races', strategy: 'dfs', preemptions: 1, ...(caseName !== undefined && { caseName }) });

describe('a report that the case knows', () => {
  it('is no outcome', async () => {
    expect(await search('known', 'known')).toMatchObject({ outcome: 'clean', expected: true, exhausted: true });
  });

  it('is one where it is that of another checker, or nobody knows it', async () => {
    for (const name of ['of another checker', 'unknown']) {
      expect(await search('known', name)).toMatchObject({ outcome: 'report', expected: false });
    }
  });

  it('hides no other report', async () => {
    const found = await search('both', 'known');
    expect(found.failure?.message).toBe('BUG: KCSAN: data-race in spoil / spoil');
    expect(found.dmesg.join('\n')).toContain('data-race in add / add');
  });

  it('is no outcome in parallel mode', async () => {
    const options = { check: 'lockdep', executions: 5 };
    expect(await run('2003-01-vread-in-irq-reads', { ...options, caseName: 'interrupts on' })).toMatchObject({
      outcome: 'clean',
      expected: true,
    });
  });

  it('has to name a checker', () => {
    const cases = [{ name: 'known', outcome: 'clean', reports: ['data-race in a / b'] }] as const;
    expect(() => define({ id: 'unnamed', cases, threads: [() => {}] })).toThrow(
      /reports of case "known" must be a list of texts "CHECKER: TEXT"/,
    );
  });
});

describe('data_race()', () => {
  it('marks the accesses inside, and none after them', async () => {
    expect(await search('marked')).toMatchObject({ outcome: 'clean', exhausted: true });
    expect(await search('afterwards')).toMatchObject({ outcome: 'report' });
  });

  it('does not mark those of an interrupt', async () => {
    expect(await search('interrupted')).toMatchObject({ outcome: 'report' });
  });
});
