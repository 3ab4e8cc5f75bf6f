/**
 * Every experiment of spec/highmem.md §12 under the controlled scheduler, on its smallest machine: what is claimed to go wrong is found in a
 * schedule of at most two preemptions, and where nothing is claimed to, no schedule of one preemption is left in which it could. (`smp matrix`
 * searches two.)
 */
import { describe, expect, it } from 'vitest';
import { type Case, explore, listExperiments } from '../../src/index.js';

const PREEMPTIONS_FOUND = 2;
const PREEMPTIONS_CLEAN = 1;
/** Without a claim of a fix: the defect is there in every kernel. */
const isClean = (c: Case): boolean => [c.outcome].flat().includes('clean');
/** Fixes with so many schedules that only the long run goes through all of them; another case of each is always gone through. */
const MANY_SCHEDULES = [
  '2009-09-kmap-atomic-alias-lost-store (2.6.31, cortex-a9)',
  '2009-09-kmap-atomic-alias-lost-store (2.6.32, vivt-shared)',
  '2010-03-dma-speculative-fill-stale-bytes (2.6.34, outer cache)',
  '2010-03-dma-speculative-fill-stale-bytes (2.6.33, arm11mpcore)',
];
const LONG = process.env.MURPHY_LONG !== undefined;
const ofHighmem = (await listExperiments()).filter((race) => race.spec.some((row) => row.startsWith('highmem/')));

describe.each(ofHighmem.map((race) => [race.title, race] as const))('%s', (_, race) => {
  for (const one of race.cases.filter((c) => !isClean(c))) {
    it(`is found in a schedule of two preemptions: ${one.name}`, async () => {
      let found = await explore(race.id, { caseName: one.name, preemptions: 0 });
      for (let n = 1; found.failure === null && n <= PREEMPTIONS_FOUND; n++) {
        found = await explore(race.id, { caseName: one.name, preemptions: n });
      }
      expect([found.error, found.expected]).toEqual([null, true]);
      expect([one.outcome].flat()).toContain(found.outcome);
      expect(found.preemptions).toBeLessThanOrEqual(PREEMPTIONS_FOUND);
    });
  }

  const goneThrough = (c: Case): boolean => isClean(c) && (LONG || !MANY_SCHEDULES.includes(`${race.id} (${c.name})`));
  for (const one of race.cases.filter(goneThrough)) {
    it(`is in no schedule of one preemption: ${one.name}`, async () => {
      const result = await explore(race.id, { caseName: one.name, preemptions: PREEMPTIONS_CLEAN });
      expect([result.error, result.failure, result.outcome]).toEqual([null, null, 'clean']);
      expect(result.exhausted).toBe(true);
    });
  }
});
