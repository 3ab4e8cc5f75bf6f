import { describe, expect, it } from 'vitest';
import { run, runCases } from '../../src/index.js';
import unlockedCounter from './races/unlocked-counter.js';

describe('threads of a parallel execution that last a few microseconds', () => {
  it('run at the same time, or between two steps of each other', async () => {
    // One execution in ten, and in thousands none where they do not; other work of the host comes and goes.
    let most = 0;
    for (let seed = 1; seed <= 30 && most <= 10; seed++) {
      const result = await run(unlockedCounter, { executions: 300, seed });
      most = Math.max(most, result.outcomes.report);
      if (result.failure !== null) expect(result.failure.message).toMatch(/^\d+ of 40 additions are left$/);
    }
    expect(most).toBeGreaterThan(10);
  });
});

describe('a race without cases', () => {
  it('runs once, as it is', async () => {
    const results = [];
    for await (const result of runCases(unlockedCounter, { executions: 5 })) results.push(result);
    expect(results.map((r) => [r.executions, r.claimed])).toEqual([[5, null]]);
  });
});

describe('many runs on one machine', () => {
  it('leave no listeners behind on its workers', async () => {
    const warnings: string[] = [];
    const listen = (warning: Error): number => warnings.push(`${warning.name}: ${warning.message}`);
    process.on('warning', listen);
    for (let i = 0; i < 12; i++) await run(unlockedCounter, { executions: 1 });
    process.off('warning', listen);
    expect(warnings).toEqual([]);
  });
});
