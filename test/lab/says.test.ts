/** Claims of a case beyond its outcome. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { explore, race, run } from '../../src/index.js';

const SAYS = join(fileURLToPath(new URL('races', import.meta.url)), 'says.ts');

describe('what a case claims to be said', () => {
  it.each([
    ['said', true, 'report'],
    ['not said', false, 'warn'],
    ['nothing to say', false, 'report'],
  ])('decides whether an outcome counts as claimed: %s', async (caseName, expected, outcome) => {
    const parallel = await run(SAYS, { caseName, executions: 1 });
    expect([parallel.expected, parallel.outcome, parallel.error]).toEqual([expected, outcome, null]);
    const controlled = await explore(SAYS, { caseName, executions: 1 });
    expect([controlled.expected, controlled.outcome, controlled.error]).toEqual([expected, outcome, null]);
  });

  it('is a list of texts, and parameters are whole numbers', () => {
    const threads = [() => {}];
    const one = { name: 'one', outcome: 'clean' as const };
    expect(() => race({ id: 'a', threads, cases: [{ ...one, says: 'x' as never }] })).toThrow(/list of texts/);
    expect(() => race({ id: 'a', threads, machine: { parameters: { n: 0.5 } } })).toThrow(/whole numbers/);
  });
});
