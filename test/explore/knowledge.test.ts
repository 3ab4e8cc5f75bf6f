/** What threads remember, and what a search of states may forget: fewer executions, and no ending lost. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type ExploreResult, explore, Prng } from '../../src/index.js';
import { packageRoot } from '../../src/lab/modules.js';

const races = (name: string): string => join(packageRoot(), 'test', 'explore', 'races', name);
const folder = mkdtempSync(join(tmpdir(), 'murphy-'));
afterAll(() => rmSync(folder, { recursive: true }));

const total = (r: ExploreResult): number => r.executions + r.abandoned;

describe('two threads of five times lock, increment, unlock', () => {
  it('have 252 orders, which dpor visits once each', async () => {
    const result = await explore(races('five-times.ts#remembering'), { strategy: 'dpor' });
    expect([result.outcome, result.exhausted, total(result)]).toEqual(['clean', true, 252]);
  });

  it.each(['remembering', 'forgetful'])('have a state for each pair of rounds (%s)', async (id) => {
    const result = await explore(races(`five-times.ts#${id}`), { states: true });
    expect([result.outcome, result.exhausted, result.error]).toEqual(['clean', true, null]);
    expect(total(result)).toBeLessThan(100);
  });

  it.each(['kept', 'returned', 'elsewhere', 'chained'])(
    'have one for each order when the value of the statement is used (%s)',
    async (id) => {
      const result = await explore(races(`five-times.ts#${id}`), { states: true });
      expect([result.outcome, result.exhausted, result.error]).toEqual(['clean', true, null]);
      expect(total(result)).toBeGreaterThanOrEqual(20);
    },
  );
});

describe('a state', () => {
  it.each([
    ['pending', 'interrupt lines', ['a-a', 'a-b', 'b-a', 'b-b']],
    ['softirq', 'soft interrupts', ['a-a', 'a-b', 'b-a', 'b-b']],
    ['buffered', 'stores that have not reached memory', ['b-a', 'b-b', 'c-a', 'c-b']],
  ])('has what only the hardware knows (%s: %s)', async (id, _, endings) => {
    const result = await explore(races(`hardware-states.ts#${id}`), { states: true, keepGoing: true });
    expect([result.error, result.exhausted]).toEqual([null, true]);
    expect(result.failures.map((f) => f.failure.message).sort()).toEqual(endings);
  });
});

/** Threads of chance steps over three variables, which end in `check` with all that memory holds. */
function program(prng: Prng): string {
  const variable = (): string => 'abc'[prng.below(3)] as string;
  const steps: (() => string)[] = [
    () => `k.shared.${variable()} = ${1 + prng.below(3)};`,
    () => `k.shared.${variable()}++;`,
    () => `{ const seen = k.shared.${variable()}; k.shared.${variable()} = seen + 1; }`,
    () => `known = k.shared.${variable()};`,
    () => `if (known > 1) k.shared.${variable()} += 2;`,
    () => `atomic_inc(k, k.at('${variable()}'));`,
    () => `if (atomic_dec_and_test(k, k.at('${variable()}'))) k.shared.${variable()} = 3;`,
    () => `spin_lock(k, k.locks.m); k.shared.${variable()}++; spin_unlock(k, k.locks.m);`,
    () => `known += k.shared.${variable()}++;`,
    () => `known = k.shared.${variable()} = k.shared.${variable()};`,
    () => `k.shared.${variable()} += k.shared.${variable()};`,
    () => 'sum(k);',
    () => `forgetting(k, () => { k.shared.${variable()}++; });`,
    () => `known = forgetting(k, () => k.shared.${variable()} + k.shared.${variable()});`,
    () => `if (forgetting(k, () => k.shared.${variable()} > 1)) k.shared.${variable()} = 0;`,
    () => `known += waitUntil(k, [k.at('started'), k.at('${variable()}')], (started) => started !== 0)[1];`,
    () => 'while (k.shared.started === 0) cpu_relax(k);',
    () => 'wait_event(k, k.queues.q, () => k.shared.started !== 0);',
  ];
  const thread = (first: string, count: number): string => {
    const body = Array.from({ length: count }, () => (steps[prng.below(steps.length)] as () => string)());
    return `(k) => { let known = 0; ${first} ${body.join(' ')} }`;
  };
  return `import { assert, atomic_dec_and_test, atomic_inc, cpu_relax, forgetting, race, spin_lock, spin_unlock, wait_event, waitUntil, wake_up } from 'murphy';
const start = (k) => { k.shared.started = 1; wake_up(k, k.queues.q); };
const sum = (k) => { k.shared.c = k.shared.a + k.shared.b - 1; };
const letters = (...values) => values.map((value) => String.fromCharCode(110 + value)).join('-');
export default race({
  id: 'chance', shared: { a: 0, b: 1, c: 2, started: 0 }, locks: ['m'], queues: ['q'], machine: { cpus: 2, ticketLocks: ${prng.below(2) === 0} },
  threads: [${thread('start(k);', 2)}, ${thread(prng.below(2) === 0 ? 'k.raise(1, 3);' : '', 2)}],
  irqs: { 3: (k) => { const before = k.shared.a; sum(k); k.shared.b = before + 1; } },
  check(k) { assert(false, letters(k.shared.a, k.shared.b, k.shared.c)); },
});
`;
}

describe('a search of states', () => {
  const endings = (r: ExploreResult): string[] => r.failures.map((f) => f.signature).sort();

  // Programs with interrupts, waits and locks of both kinds that end in up to a dozen ways.
  it.each([7, 10, 13, 15, 23, 25])(
    'reaches every ending within a bound, in fewer executions (program %i)',
    async (seed) => {
      const text = program(new Prng(seed));
      const file = join(folder, `chance-${seed}.mjs`);
      writeFileSync(file, text);
      const bound = { preemptions: 2, keepGoing: true };
      const [all, states] = [await explore(file, bound), await explore(file, { ...bound, states: true })];
      expect([all.exhausted, states.exhausted, states.error]).toEqual([true, true, null]);
      expect([text, endings(states)]).toEqual([text, endings(all)]);
      expect(states.executions).toBeLessThan(all.executions / 2);
    },
  );
});

describe('forgetting()', () => {
  it('remembers its result: an update that is lost by it is found', async () => {
    const found = await explore(races('five-times.ts#torn'), { states: true });
    expect(found.failure?.message).toMatch(/^counter: expected 4, saw [23]$/);
  });

  it('refuses a result that could hold anything', async () => {
    const { error } = await explore(races('five-times.ts#remembers-an-object'));
    expect(error).toContain(
      'forgetting(): the function must return nothing, a boolean or a whole number of 32 bits (five-times.ts:',
    );
  });
});

describe('the condition of waitUntil()', () => {
  it('may remember what it has seen in vain', async () => {
    const file = join(folder, 'looks.mjs');
    writeFileSync(
      file,
      `import { assert, race, waitUntil } from 'murphy';
export default race({
  id: 'looks',
  shared: { x: 0 },
  threads: [
    (k) => {
      let looks = 0;
      waitUntil(k, k.at('x'), (x) => { looks++; return x === 3; });
      assert(looks < 4, 'looked four times');
    },
    (k) => { for (let x = 1; x <= 3; x++) k.shared.x = x; },
  ],
});
`,
    );
    for (const options of [{}, { strategy: 'dpor' }, { states: true }]) {
      expect((await explore(file, options)).failure?.message).toContain('looked four times');
    }
  });
});
