/** Mutants of the kernel's code: those that lose a wake-up are found in the race's schedules, the two equivalent ones are not (highmem/E5c). */
import { fileURLToPath } from 'node:url';
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
    const found = await explore(id, { patches: [mutant], strategy: 'dfs', preemptions: PREEMPTIONS, seconds: 120 });
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

describe('two CPUs that reserve vmalloc addresses', () => {
  const AREAS = fileURLToPath(new URL('./races/two-vm-areas.ts', import.meta.url));
  /** Two areas of one address; or a tree that two have changed at a time leads nowhere. */
  const TWICE =
    /^report: (vmap areas overlap at|areas overlap at|the tree does not find|both have the same addresses)|^oops: Unable to handle kernel (paging request|NULL pointer)/;

  it('get the same ones where the search is made without vmap_area_lock', async () => {
    const found = await explore(AREAS, { patches: ['mutant-vmap-area-unlocked'], strategy: 'dfs', preemptions: 1 });
    expect(found.preemptions).toBe(1);
    expect(`${found.outcome}: ${found.failure?.message}`).toMatch(TWICE);
  });

  it.each(['2.6.28', '2.6.34'])(
    'get the same ones from %s, which has one variable for what it has found',
    async (kernel) => {
      const found = await explore(AREAS, { kernel, strategy: 'dfs', preemptions: 1 });
      expect(found.preemptions).toBe(1);
      expect(`${found.outcome}: ${found.failure?.message}`).toMatch(TWICE);
    },
  );

  it.each(['2.5.53', '4.12'])('get one each from %s, in all schedules of one preemption', async (kernel) => {
    const result = await explore(AREAS, { kernel, strategy: 'dfs', preemptions: 1 });
    expect([result.outcome, result.exhausted]).toEqual(['clean', true]);
  });
});
