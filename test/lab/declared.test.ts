/** Races of threads, locks and shared variables that have nothing to do with memory management, in both modes. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  type ExploreResult,
  explore,
  LAST_PKMAP,
  type RaceInput,
  race,
  run,
  type SharedSpec,
  UsageError,
} from '../../src/index.js';
import { configureRace } from '../../src/lab/configure.js';
import { symbolOf } from '../../src/lab/deadlock.js';
import { layoutStatics } from '../../src/mm/boot.js';

const races = (name: string): string => join(fileURLToPath(new URL('races', import.meta.url)), name);
const search = (name: string, preemptions: number): Promise<ExploreResult> => explore(races(name), { preemptions });

describe('a shared variable', () => {
  it('is loaded and stored in two steps, between which another thread comes', async () => {
    const found = await search('counter.mjs', 1);
    expect(found.failure?.message).toBe('counter: expected 2, saw 1');
    expect(found.preemptions).toBe(1);
    expect((await search('counter.mjs', 0)).outcome).toBe('clean');
  });

  it('keeps every addition under a named lock, in every schedule and on real threads', async () => {
    const all = await explore(races('locked-counter.ts'));
    expect([all.outcome, all.exhausted]).toEqual(['clean', true]);
    expect(await run(races('locked-counter.ts'), { executions: 200 })).toMatchObject({ outcome: 'clean', error: null });
  });

  it('begins each execution with what the race says', async () => {
    const result = await run(races('declared.ts#begins-anew'), { executions: 5 });
    expect(result).toMatchObject({ outcome: 'clean', executions: 5, error: null });
  });

  it.each([
    ['misspelt', 'the race declares no shared variable "countr"; it has counter, list'],
    ['misspelt-store', 'the race declares no shared variable "countr"; it has counter, list'],
    ['out-of-range', 'the race declares no element of list "2"; it has 0 to 1'],
    ['fraction', 'counter = 0.5: a shared variable holds a whole number of 32 bits'],
    ['nothing', 'list[1] = undefined: a shared variable holds a whole number of 32 bits'],
    ['misspelt-lock', 'the race declares no lock "n"; it has m'],
    ['other-kind', 'the race declares no lock "counter"; it has m ("counter" is in k.shared)'],
    ['misspelt-address', 'the race declares no shared variable "counted"; it has counter, list'],
    ['address-out-of-range', 'list has 2 words, none at index 7'],
  ])('names the line of a wrong use: %s', async (id, message) => {
    const result = await run(races(`declared.ts#${id}`), { executions: 1 });
    expect(result.error).toContain(`thread 0 threw UsageError: ${message} (declared.ts:`);
  });
});

describe('locks and queues with names', () => {
  it('are named in a deadlock', async () => {
    const found = await search('queue.ts#philosophers', 1);
    expect(found.outcome).toBe('deadlock');
    const state = found.failure?.state?.join('\n');
    expect(state).toContain('spins on fork[1], held by thread1 on CPU1; holds fork[0]');
    expect(state).toContain('spins on fork[0], held by thread0 on CPU0; holds fork[1]');
  });

  it('hold a reader off while a writer is in, and let a consumer sleep until there is something', async () => {
    for (const name of ['readers', 'bounded-buffer']) {
      const result = await search(`queue.ts#${name}`, 1);
      expect([name, result.outcome, result.exhausted]).toEqual([name, 'clean', true]);
    }
    expect((await run(races('queue.ts#bounded-buffer'), { executions: 100 })).outcome).toBe('clean');
  });
});

describe('a loop that waits', () => {
  it('has an end of schedules: a ticket lock of cpu_relax() loops is exhausted', async () => {
    const result = await explore(races('mutual-exclusion.ts#ticket'));
    expect([result.outcome, result.exhausted]).toEqual(['clean', true]);
  });

  const SEARCHES = [{ strategy: 'dpor' }, { states: true }, { preemptions: 2 }];

  it.each(['peterson', 'peterson-loop', 'dekker'])('ends in every search, which all find %s right', async (id) => {
    for (const options of SEARCHES) {
      const result = await explore(races(`mutual-exclusion.ts#${id}`), options);
      expect([options, result.outcome, result.exhausted, result.error]).toEqual([options, 'clean', true, null]);
    }
  });

  it('lets no search miss that Peterson sets his flag after the turn', async () => {
    for (const options of SEARCHES) {
      const found = await explore(races('mutual-exclusion.ts#peterson-swapped'), options);
      expect([options, found.failure?.message]).toEqual([
        options,
        'invariant: two threads are in the critical section',
      ]);
    }
  });

  it.each([
    ['none', 0],
    ['too-many', 9],
  ])('looks at one word at least and eight at most: %s', async (id, words) => {
    const result = await explore(races(`declared.ts#waits-for-${id}`));
    const message = `waitUntil() looks at 1 to 8 words, not ${words}`;
    expect(result.error).toContain(`thread 0 threw UsageError: ${message} (declared.ts:`);
  });

  it('is a deadlock that names the words when two threads wait for each other', async () => {
    const result = await search('mutual-exclusion.ts#both-want', 1);
    expect(result.outcome).toBe('deadlock');
    expect(result.failure?.state?.join()).toMatch(/spins on flag\[1\].*spins on flag\[0\]/);
  });

  it('goes on in parallel mode', async () => {
    for (const id of ['ticket', 'peterson']) {
      const result = await run(races(`mutual-exclusion.ts#${id}`), { executions: 100 });
      expect(result).toMatchObject({ outcome: 'clean', executions: 100 });
    }
  });
});

describe('an invariant', () => {
  it('is looked at between any two steps of controlled mode', async () => {
    const found = await search('mutual-exclusion.ts#late-flag', 2);
    expect(found.failure?.message).toBe('invariant: two threads are in the critical section');
  });

  it('is looked at before and after the threads in parallel mode', async () => {
    for (const [id, threads] of Object.entries({ 'broken-from-the-start': 2, 'broken-by-a-thread': 1 })) {
      const result = await run(races(`declared.ts#${id}`), { executions: 1 });
      expect(result.failure?.message).toBe(`invariant: counter: expected 7, saw ${7 + threads}`);
    }
  });

  it('sees in which order words change that no two threads share', async () => {
    for (const options of [{ strategy: 'dpor' }, { states: true }]) {
      const result = await explore(races('declared.ts#in-order'), options);
      expect(result.failure?.message).toBe('invariant: the second came first');
    }
  });

  it('sees what a thread does last', async () => {
    const result = await search('declared.ts#broken-by-a-thread', 0);
    expect(result.failure?.message).toBe('invariant: counter: expected 7, saw 8');
  });

  it('adds no step and changes no schedule', async () => {
    const [without, beside] = [await search('declared.ts#plain', 2), await search('declared.ts#watched', 2)];
    expect(beside.executions).toBe(without.executions);
    expect(beside.traceHash).toBe(without.traceHash);
  });

  it.each(['stores', 'locks', 'reads-a-page'])('that does more than read ends the run: %s', async (id) => {
    const result = await run(races(`declared.ts#invariant-${id}`), { executions: 1 });
    expect(result.error).toMatch(/threw UsageError: an invariant may only read: .* \(declared.ts:/);
  });
});

describe('assert()', () => {
  it('names its place when it is given no words', async () => {
    const result = await run(races('declared.ts#asserts'), { executions: 1 });
    expect(result.failure?.message).toMatch(/^assertion failed at declared.ts:\d+:\d+$/);
  });
});

describe('the objects of a race', () => {
  const base = { id: 'r', threads: [() => {}] };

  it('have names and addresses of their own among the static data', () => {
    const spec = race({ ...base, shared: { zones: 1, list: [0, 0], after: 2 }, locks: ['m'] });
    const { config } = configureRace(spec, null, {});
    const { sym } = layoutStatics(config);
    const table = sym as unknown as Record<string, number>;
    const names = ['race.zones', 'list[]', 'after', 'm'].map((name) => symbolOf({ sym }, table[name]!));
    expect(names).toEqual(['race.zones', 'list[0]', 'after', 'm']);
    expect(symbolOf({ sym }, table['list[]']! + 4)).toBe('list[1]');
    expect(symbolOf({ sym }, sym.zones)).toBe('zones');
  });

  it('move nothing when there are none', () => {
    const { config } = configureRace(race(base), null, {});
    const { declared: _, ...plain } = config;
    expect(layoutStatics(config)).toEqual(layoutStatics(plain));
    expect(LAST_PKMAP({ config } as never)).toBe(4);
  });
});

describe('race() says what is wrong with', () => {
  const base = { id: 'r', threads: [() => {}] };
  const message = (input: unknown): string => {
    try {
      race(input as RaceInput<SharedSpec, string>);
    } catch (error) {
      expect(error).toBeInstanceOf(UsageError);
      expect((error as Error).message).not.toContain('\n');
      return (error as Error).message;
    }
    return 'nothing';
  };

  it.each<[string, unknown, string | RegExp]>([
    ['no argument', undefined, 'the argument of race() must be an object: race({ id, threads: [...] })'],
    ['a list', [], 'the argument of race() must be an object: race({ id, threads: [...] })'],
    ['no id', { threads: [() => {}] }, /^race \(without id\): it needs an id/],
    [
      'an id with capitals',
      { ...base, id: 'My Race' },
      'race My Race: id must be lower-case words joined by "-", not "My Race"',
    ],
    ['a number as id', { ...base, id: 7 }, 'race (without id): id must be lower-case words joined by "-", not 7'],
    ['no threads', { id: 'r' }, /^race r: threads must be a non-empty list/],
    ['an empty list of threads', { ...base, threads: [] }, /^race r: threads must be a non-empty list/],
    [
      'a thread that is none',
      { ...base, threads: [() => {}, 5] },
      /^race r: thread 1 must be a function, or \{ run, cpu \}/,
    ],
    ['a thread without CPU', { ...base, threads: [{ run() {} }] }, /^race r: thread 0 must say on which cpu it runs/],
    [
      'a thread with too much',
      { ...base, threads: [{ run() {}, cpu: 0, cpus: 1 }] },
      /^race r: thread 0 has no "cpus" \(did you mean "cpu"\?\)/,
    ],
    [
      'a key that is misspelt',
      { ...base, chek() {} },
      /^race r: a race has no "chek" \(did you mean "check"\?\); it has id, /,
    ],
    ['setup that is no function', { ...base, setup: 1 }, 'race r: setup must be a function'],
    ['an invariant that is no function', { ...base, invariant: true }, 'race r: invariant must be a function'],
    [
      'an interrupt line that is none',
      { ...base, irqs: { 16: () => {} } },
      /^race r: irqs are for the lines 0 to 15, not 16/,
    ],
    ['a handler that is none', { ...base, irqs: { 3: 'handler' } }, 'race r: irqs[3] must be a function'],
    ['devices that are none', { ...base, devices: [1] }, 'race r: devices must be a list of functions'],
    ['a machine that is none', { ...base, machine: 4 }, 'race r: machine must be an object, not 4'],
    [
      'a machine with what it has not',
      { ...base, machine: { cpu: 2 } },
      /^race r: machine has no "cpu" \(did you mean "cpus"\?\)/,
    ],
    [
      'a machine with a text for a number',
      { ...base, machine: { cpus: '2' } },
      'race r: machine.cpus must be a number, not "2"',
    ],
    [
      'patches that are no list',
      { ...base, machine: { patches: 'x' } },
      'race r: machine.patches must be a list of names',
    ],
    ['a smallest machine that is wrong', { ...base, smallest: { slots: 2 } }, /^race r: smallest has no "slots"/],
    ['cases that are no list', { ...base, cases: {} }, 'race r: cases must be a list; it may be empty'],
    [
      'a case without a name',
      { ...base, cases: [{ outcome: 'clean' }] },
      'race r: case 0 must have a name: a few words',
    ],
    ['a case that is null', { ...base, cases: [null] }, 'race r: case 0 must be an object, not null'],
    [
      'an outcome that is none',
      { ...base, cases: [{ name: 'a', outcome: 'fine' }] },
      /^race r: case "a" claims the outcome "fine"; it is one of/,
    ],
    ['too little time', { ...base, executionSeconds: 0 }, 'race r: executionSeconds must be a number above 0, not 0'],
    ['vars that are no list', { ...base, vars: { a: 1 } }, 'race r: vars must be a list of names'],
    [
      'shared variables as a list',
      { ...base, shared: ['a'] },
      /^race r: shared must be an object: names with what they hold/,
    ],
    [
      'a boolean variable',
      { ...base, shared: { flag: false } },
      'race r: shared variable "flag" must hold whole numbers of 32 bits, not false; say 0 or 1 for a flag',
    ],
    [
      'an empty array',
      { ...base, shared: { list: [] } },
      'race r: shared variable "list" must have at least one element',
    ],
    [
      'a name that is none',
      { ...base, shared: { 'a-b': 1 } },
      'race r: shared variable "a-b" must have a name of letters, digits and _',
    ],
    [
      'too many words',
      { ...base, shared: { big: new Array(5000).fill(0) } },
      'race r: it may declare 4096 words, not 5000',
    ],
    ['locks as a text', { ...base, locks: 'm' }, "race r: locks must be a list of names: locks: ['a', 'b']"],
    ['a lock with a strange name', { ...base, locks: ['m n'] }, 'race r: locks: "m n" must be a name, or name[count]'],
    ['an array of queues', { ...base, queues: ['q[2]'] }, /^race r: queues may be no arrays/],
    [
      'the same name twice',
      { ...base, shared: { m: 0 }, locks: ['m'] },
      'race r: it declares "m" twice; give one of them another name',
    ],
  ])('%s', (_, input, expected) => {
    const seen = message(input);
    if (typeof expected === 'string') expect(seen).toBe(expected);
    else expect(seen).toMatch(expected);
  });
});
