/** Defects that every strategy is to find, and mutants that are none: for docs/strategies.md and its test. */
import type { ExploreOptions, Outcome } from '../src/index.js';

export interface Defect {
  readonly name: string;
  readonly id: string;
  readonly options: ExploreOptions;
  readonly outcome: Outcome;
}

const ONE_SLOT = '2009-03-kmap-exhaustion-waiter-hangs';
const THREE_WAITERS = '2009-03-kmap-waiters-wake-one-hangs';

const mutant = (name: string, id: string, outcome: Outcome): Defect => ({
  name: `E5c, ${name}`,
  id,
  options: { patches: [`mutant-${name}`] },
  outcome,
});

export const DEFECTS: readonly Defect[] = [
  {
    name: 'E1, bytes lost at a recycled address',
    id: '2009-03-kmap-recycle-lost-bytes',
    options: { caseName: 'unpinned' },
    outcome: 'wrong-bytes',
  },
  {
    name: 'E2, the same by preemption',
    id: '2009-03-kmap-recycle-preempted-lost-bytes',
    options: { caseName: 'unpinned' },
    outcome: 'wrong-bytes',
  },
  {
    name: 'E4, kmap_lock in an interrupt',
    id: '2009-03-kmap-high-get-irq-deadlock',
    options: { caseName: 'kmap_lock with interrupts on' },
    outcome: 'deadlock',
  },
  {
    name: 'E6, a stale TLB entry',
    id: '2009-03-kmap-stale-tlb-wrong-bytes',
    options: { caseName: 'only the flushing CPU' },
    outcome: 'wrong-bytes',
  },
  mutant('queue-after-unlock', ONE_SLOT, 'hang'),
  mutant('queue-test-before-lock', ONE_SLOT, 'hang'),
  mutant('state-after-unlock', ONE_SLOT, 'hang'),
  mutant('scan-without-wrap', ONE_SLOT, 'hang'),
  mutant('exclusive-waiters', THREE_WAITERS, 'hang'),
];

/** Mutants that change nothing that matters. */
export const EQUIVALENT: readonly Defect[] = [
  mutant('eq-queue-test-after-unlock', ONE_SLOT, 'clean'),
  mutant('eq-queue-test-before-decrement', ONE_SLOT, 'clean'),
];

export interface Searcher {
  readonly name: string;
  readonly options: ExploreOptions;
}

/** The strategies as one would use them; those without chance try their choices in an order that the seed gives. */
export const SEARCHERS: readonly Searcher[] = [
  { name: 'dfs, 2 preemptions', options: { strategy: 'dfs', preemptions: 2, shuffle: true } },
  { name: 'dfs, 2 preemptions, states', options: { strategy: 'dfs', preemptions: 2, states: true, shuffle: true } },
  { name: 'dpor', options: { strategy: 'dpor', shuffle: true } },
  { name: 'random', options: { strategy: 'random' } },
  { name: 'random, uniform', options: { strategy: 'random', uniform: true } },
  { name: 'pct, depth 3', options: { strategy: 'pct', depth: 3 } },
  { name: 'pos', options: { strategy: 'pos' } },
];

/** A strategy finds a defect within so many executions, from half of its seeds at least. */
export const EXECUTIONS_MAX = 2000;

/** What it does not: a walk that is uniform at each step, where one context has to make many of them while another makes few. */
export const SLOW: readonly (readonly [defect: string, searcher: string])[] = [
  ['E1, bytes lost at a recycled address', 'random, uniform'],
  ['E5c, state-after-unlock', 'random, uniform'],
];
