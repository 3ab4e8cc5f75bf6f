/**
 * How long a lock lets its waiters wait, by the rules of 5.10: what may not be waited for where the task is, is reported, with and without
 * CONFIG_PROVE_RAW_LOCK_NESTING. Verdicts: check_wait_context(), kernel/locking/lockdep.c, Linux 5.10; its cases are those of
 * wait_context_tests(), lib/locking-selftest.c, Linux 5.12.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  explore,
  type LockdepReport,
  type LockProgram,
  type LockStep,
  runLockMatrix,
  runLockProgram,
  UsageError,
} from '../../src/index.js';

const steps = (text: string): LockStep[] =>
  text.split('; ').map((step) => {
    const [op, lock, argument] = step.split(' ') as [string, string?, string?];
    return [op, lock, argument] as unknown as LockStep;
  });
const reports = (text: string, more: Partial<LockProgram> = {}): readonly LockdepReport[] =>
  runLockProgram({ rules: '5.10', rawLockNesting: true, steps: steps(text), ...more }).reports;
const kinds = (text: string, more: Partial<LockProgram> = {}): string[] => reports(text, more).map((r) => r.kind);

/** Where a lock is taken, and which locks may not be: with raw locks told from others, and without. */
const ALL = ['raw', 'spin', 'read', 'write', 'mutex', 'sem'];
const NOT_RAW = ['spin', 'read', 'write', 'mutex', 'sem'];
const SLEEPING = ['mutex', 'sem'];
const CONTEXTS: readonly (readonly [
  context: string,
  before: string,
  told: readonly string[],
  blind: readonly string[],
])[] = [
  ['a task that holds nothing', 'local_irq_disable', [], []],
  ['bottom halves off', 'local_bh_disable', [], []],
  ['a handler', 'hardirq_enter', SLEEPING, SLEEPING],
  ['a handler that stays one', 'hardirq_enter_no_thread', NOT_RAW, SLEEPING],
  ['a soft interrupt', 'softirq_enter', SLEEPING, SLEEPING],
  ['a raw spinlock', 'raw_spin_lock O', NOT_RAW, SLEEPING],
  ['a raw spinlock that was tried', 'raw_spin_trylock O', NOT_RAW, SLEEPING],
  ['a spinlock', 'spin_lock O', SLEEPING, SLEEPING],
  ['a reader', 'read_lock O', SLEEPING, SLEEPING],
  ['a writer', 'write_lock O', SLEEPING, SLEEPING],
  ['a mutex', 'mutex_lock O', [], []],
  ['a semaphore', 'down_read O', [], []],
  ['a spinlock in a raw one, in a mutex', 'mutex_lock M; spin_lock O; raw_spin_lock P', NOT_RAW, SLEEPING],
  ['a level of a raw spinlock', 'raw_spin_lock_nested O 1', NOT_RAW, SLEEPING],
  ['a handler, which interrupts a raw spinlock', 'raw_spin_lock_irqsave O; hardirq_enter', SLEEPING, SLEEPING],
];
const TAKES: Readonly<Record<string, string>> = {
  raw: 'raw_spin_lock A',
  spin: 'spin_lock A',
  read: 'read_lock A',
  write: 'write_lock A',
  mutex: 'mutex_lock A',
  sem: 'down_read A',
};

describe.each([
  ['with raw locks told from others', true],
  ['without', false],
] as const)('%s', (_, rawLockNesting) => {
  /** Which locks are reported after each start. */
  const reported = (rules: '4.9' | '5.10'): Record<string, readonly string[]> => {
    const cases = CONTEXTS.flatMap(([context, before]) =>
      ALL.map((lock) => [`${context}: ${lock}`, steps(`${before}; ${TAKES[lock]}`)] as const),
    );
    const results = runLockMatrix({
      rules,
      ...(rules === '5.10' && { rawLockNesting }),
      programs: Object.fromEntries(cases),
    });
    const said = (name: string): boolean => {
      const kinds = results[name]?.reports.map((r) => r.kind) ?? ['nothing was run'];
      expect(['', 'wait']).toContain(kinds.join());
      return kinds.length > 0;
    };
    return Object.fromEntries(
      CONTEXTS.map(([context]) => [context, ALL.filter((lock) => said(`${context}: ${lock}`))]),
    );
  };

  it('a lock that sleeps is reported in what spins, a spinlock in what is raw, and nothing else', () => {
    const wanted = CONTEXTS.map(([context, , told, blind]) => [context, rawLockNesting ? told : blind]);
    expect(reported('5.10')).toEqual(Object.fromEntries(wanted));
  });

  it('no older rules ask', () => {
    expect(reported('4.9')).toEqual(Object.fromEntries(CONTEXTS.map(([context]) => [context, []])));
  });
});

describe('a wait that is none', () => {
  it.each([
    ['a trylock', 'raw_spin_lock R; spin_trylock A; mutex_trylock M'],
    ['a raw spinlock in anything', 'hardirq_enter_no_thread; raw_spin_lock R; raw_spin_lock S'],
    ['reclaim, whose lock nobody waits for', 'raw_spin_lock R; alloc_gfp_kernel'],
    [
      'after the raw lock was given back',
      'raw_spin_lock R; raw_spin_unlock R; spin_lock A; spin_unlock A; mutex_lock M',
    ],
    ['after the handler', 'hardirq_enter_no_thread; hardirq_exit; spin_lock A; hardirq_enter; spin_lock B'],
  ])('is silent: %s', (_, text) => {
    expect(kinds(text)).toEqual([]);
  });
});

describe('the report', () => {
  it('has the lines of 5.10', () => {
    const [report] = reports('mutex_lock M; raw_spin_lock R; spin_lock A');
    expect(report).toMatchObject({ kind: 'wait', headline: '[ BUG: Invalid wait context ]', classes: ['A', 'R'] });
    expect(report?.lines.map((line) => line.replace(/\b[0-9a-f]{8}\b/, 'ADDR'))).toEqual([
      '',
      '=============================',
      '[ BUG: Invalid wait context ]',
      '4.12 #1 Not tainted',
      '-----------------------------',
      'thread0/0 is trying to lock:',
      'ADDR (A){....}-{3:3}, at: [<????????>] step 3: spin_lock A',
      'other info that might help us debug this:',
      'context-{5:5}',
      '2 locks held by thread0/0:',
      ' #0: ADDR (M){+.+.}-{4:4}, at: [<????????>] step 1: mutex_lock M',
      ' #1: ADDR (R){+.+.}-{2:2}, at: [<????????>] step 2: raw_spin_lock R',
      'stack backtrace:',
      'CPU: 0 PID: 0 Comm: thread0 Not tainted 4.12 #1',
      'Call Trace:',
      ' [<????????>] step 3: spin_lock A',
    ]);
  });

  it('numbers what spins alike unless raw locks are told from others', () => {
    const text = 'hardirq_enter; raw_spin_lock R; mutex_lock M';
    const lines = (rawLockNesting: boolean): string =>
      (reports(text, { rawLockNesting })[0]?.lines ?? []).join('\n').replace(/\b[0-9a-f]{8}\b/g, 'ADDR');
    expect(lines(true)).toMatch(/lock:\nADDR \(M\)\{\.\.\.\.\}-\{4:4\}.*\n.*\ncontext-\{3:3\}\n.*\n.*\(R\).*-\{2:2\}/);
    expect(lines(false)).toMatch(/lock:\nADDR \(M\)\{\.\.\.\.\}-\{3:3\}.*\n.*\ncontext-\{2:2\}\n.*\n.*\(R\).*-\{2:2\}/);
    expect(reports('alloc_gfp_kernel; spin_lock A; spin_lock A')[0]?.lines.join('\n')).toContain('-{3:3}');
  });

  it('ends all checking in mode linux, and comes once for two classes in mode continue', () => {
    const text =
      'spin_lock A; mutex_lock M; mutex_unlock M; mutex_lock M; mutex_unlock M; spin_unlock A; spin_unlock A';
    expect(kinds(text)).toEqual(['wait', 'unlock']);
    expect(kinds(text, { mode: 'linux' })).toEqual(['wait']);
  });
});

describe('on a machine', () => {
  const race = (id: string): string =>
    `${fileURLToPath(new URL('../fixtures/lockdep/waits.ts', import.meta.url))}#${id}`;
  const search = (id: string, rawLockNesting: boolean) =>
    explore(race(id), { check: 'lockdep', lockdepRules: '5.10', settings: { rawLockNesting }, preemptions: 0 });
  const REPORT = { outcome: 'report', failure: { checker: 'lockdep', message: '[ BUG: Invalid wait context ]' } };

  it('a lock that was initialised as raw has no spinlock inside, in a thread or in a handler', async () => {
    for (const id of ['raw-outside', 'handler-in-raw']) {
      expect(await search(id, true)).toMatchObject(REPORT);
      expect(await search(id, false)).toMatchObject({ outcome: 'clean' });
    }
  });

  it('a raw spinlock may be inside, and a handler may interrupt it', async () => {
    expect(await search('raw-inside', true)).toMatchObject({ outcome: 'clean' });
  });

  it('a mutex has no place in a spinlock, static or given a class', async () => {
    const found = await search('mutex-inside', false);
    expect(found).toMatchObject(REPORT);
    expect(found.dmesg.join('\n')).toMatch(/\(vmap_purge_lock\)\{\.\.\.\.\}-\{3:3\}, at/);
    expect((await search('mutex-with-class', false)).dmesg.join('\n')).toMatch(
      /\(&vm->purge\)\{\.\.\.\.\}-\{3:3\}, at/,
    );
    expect(await search('mutex-outside', false)).toMatchObject({ outcome: 'clean' });
  });
});

describe('rawLockNesting', () => {
  it('is for the rules of 5.10', () => {
    expect(() => runLockProgram({ rules: '4.9', rawLockNesting: true, steps: [] })).toThrow(UsageError);
    expect(() => runLockProgram({ rules: '4.9', rawLockNesting: true, steps: [] })).toThrow(/lockdepRules: "5.10"/);
  });

  it('does not make a raw lock of a spinlock, nor the other way round', () => {
    expect(() => reports('raw_spin_lock A; spin_unlock A')).toThrow(
      /spin_unlock is for a spinlock, A is a raw_spinlock/,
    );
  });
});
