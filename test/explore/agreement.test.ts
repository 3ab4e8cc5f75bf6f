/**
 * Random programmes, explored by plain depth-first search, by depth-first search that never goes on twice from a state, and by DPOR: they find the
 * same final states, dead ends and reports; DPOR makes one execution of each class of equivalent ones; and what is visited does not depend on
 * the order in which choices are tried, nor, within a bound, on whether a state is explored twice. A disagreement is a dependence between steps that nobody
 * has noted, or something missing in a state.
 *
 * MURPHY_LONG=N explores N programmes of each kind instead of a few, larger ones too, from another seed each time (MURPHY_SEED names it).
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  cleanUp,
  disagreement,
  disagreementUnder,
  findings,
  moduleOf,
  prepare,
  TOO_LARGE,
} from './programmes/agreement.js';
import { ALL_PROFILES, PROFILES, type ProfileName, programmes } from './programmes/arbitrary.js';
import { KNOWN } from './programmes/known.js';

const long = Number(process.env.MURPHY_LONG ?? 0);
const PROGRAMMES = long || 2;
const EXECUTIONS = long > 0 ? 3000 : 250;
const SEED = long > 0 ? Number(process.env.MURPHY_SEED ?? Date.now() & 0x7fffffff) : 5;
/** Programmes that only the long run compares with plain depth-first search. */
const SLOW = ['two lines are taken together', 'a thread that has been preempted in vain', 'a device raises a line'];
/** Orders of choices in which dpor once left out classes of these. */
const ORDERS = [301, 303, 305, 311];
const HOURS = 4 * 3_600_000;

beforeAll(prepare);
afterAll(cleanUp);

describe('the strategies that exhaust the schedules agree about random programmes', () => {
  it.each(Object.keys(long > 0 ? ALL_PROFILES : PROFILES) as ProfileName[])(
    'of %s',
    async (profile) => {
      let compared = 0;
      const property = fc.asyncProperty(programmes(profile), async (programme) => {
        const found = await disagreement(programme, EXECUTIONS, SEED);
        if (found === TOO_LARGE) return;
        compared++;
        expect(found).toBeNull();
      });
      await fc.assert(property, { numRuns: PROGRAMMES, seed: SEED });
      expect(compared).toBeGreaterThan(PROGRAMMES / 4);
    },
    HOURS,
  );
});

describe.runIf(long > 0)('dpor and depth-first search agree under a checker', () => {
  it.each(['spinlocks', 'lockdep', 'memory', 'races'])(
    '%s',
    async (check) => {
      for (const profile of ['watched', 'locks', 'irqs'] as const) {
        const property = fc.asyncProperty(programmes(profile), async (programme) => {
          const found = await disagreementUnder(check, programme, EXECUTIONS);
          if (found !== TOO_LARGE) expect(found).toBeNull();
        });
        await fc.assert(property, { numRuns: Math.ceil(PROGRAMMES / 5), seed: SEED });
      }
    },
    HOURS,
  );
});

describe('the strategies agree where they once did not', () => {
  it.each(Object.entries(KNOWN).filter(([what]) => long > 0 || !SLOW.some((slow) => what.startsWith(slow))))(
    '%s',
    { timeout: HOURS },
    async (_, programme) => {
      expect(await disagreement(programme, 20_000, SEED)).toBeNull();
    },
  );
});

describe('dpor finds the same classes of programmes with interrupts in whatever order choices are tried', () => {
  const programmes = Object.entries(KNOWN).filter(([what]) => /^two lines|^a device raises/.test(what));
  it.each(programmes)('%s', { timeout: HOURS }, async (_, programme) => {
    const file = moduleOf(programme);
    const classes = async (options: object): Promise<string> =>
      [...(await findings(file, 'collect-dpor', options)).classes.keys()].sort().join('\n');
    const all = await classes({});
    for (const seed of ORDERS) expect([seed, await classes({ shuffle: true, seed })]).toEqual([seed, all]);
  });
});
