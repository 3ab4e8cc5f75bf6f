/** Every strategy finds the defects of docs/strategies.md, from one seed each, and takes no equivalent mutant for one. */
import { describe, expect, it } from 'vitest';
import { DEFECTS, EQUIVALENT, EXECUTIONS_MAX, SEARCHERS, SLOW } from '../../bench/defects.js';
import { explore } from '../../src/index.js';

/** For mutants that are none: enough to find each of the real ones. */
const EXECUTIONS_EQUIVALENT = 100;
const MINUTES = 10 * 60_000;

describe.each(SEARCHERS.map((s) => [s.name, s] as const))('%s', (_, searcher) => {
  const findable = DEFECTS.filter((d) => !SLOW.some(([name, by]) => name === d.name && by === searcher.name));
  it.each(findable.map((d) => [d.name, d] as const))(
    'finds %s',
    async (_name, { id, options, outcome }) => {
      const found = await explore(id, { ...options, ...searcher.options, seed: 1, executions: EXECUTIONS_MAX });
      expect([found.error, found.outcome]).toEqual([null, outcome]);
    },
    MINUTES,
  );

  it.each(EQUIVALENT.map((d) => [d.name, d] as const))(
    'reports nothing for %s',
    async (_name, { id, options }) => {
      const result = await explore(id, {
        ...options,
        ...searcher.options,
        seed: 1,
        executions: EXECUTIONS_EQUIVALENT,
      });
      expect([result.error, result.failure, result.outcome]).toEqual([null, null, 'clean']);
    },
    MINUTES,
  );
});
