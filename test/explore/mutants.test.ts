/** Mutants of the kernel's code: those that lose a wake-up are found in the race's schedules, the two equivalent ones are not (highmem/E5c). */
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';

const ONE_SLOT = '2009-03-kmap-exhaustion-waiter-hangs';
const THREE_WAITERS = '2009-03-kmap-waiters-wake-one-hangs';
const PREEMPTIONS = 2;

describe('a mutant that loses a wake-up hangs in some schedule of two preemptions', () => {
  it.each([
    ['mutant-queue-after-unlock', ONE_SLOT],
    ['mutant-queue-test-before-lock', ONE_SLOT],
    ['mutant-state-after-unlock', ONE_SLOT],
    ['mutant-scan-without-wrap', ONE_SLOT],
    ['mutant-exclusive-waiters', THREE_WAITERS],
  ])('%s', async (mutant, id) => {
    const found = await explore(id, { patches: [mutant], strategy: 'dfs', preemptions: PREEMPTIONS, seconds: 10 });
    expect(found.outcome).toBe('hang');
    expect(found.preemptions).toBeLessThanOrEqual(PREEMPTIONS);
    expect(found.failure?.state?.join('\n')).toMatch(/sleeps/);
  });
});

describe('an equivalent mutant is clean in all schedules of two preemptions', () => {
  it.each(['mutant-eq-queue-test-after-unlock', 'mutant-eq-queue-test-before-decrement'])('%s', async (mutant) => {
    const result = await explore(ONE_SLOT, { patches: [mutant], strategy: 'dfs', preemptions: PREEMPTIONS });
    expect([result.outcome, result.exhausted]).toEqual(['clean', true]);
    expect(result.executions).toBeGreaterThan(10);
  });
});
