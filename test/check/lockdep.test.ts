/**
 * The lock validator on programmes of one CPU: each kind of report is provoked, and what comes near it stays silent. Situations and verdicts
 * follow Documentation/lockdep-design.txt and lib/locking-selftest.c of the kernels whose rules are claimed.
 */
import { describe, expect, it } from 'vitest';
import {
  LOCK_OPS,
  type LockdepReport,
  type LockdepRules,
  type LockProgram,
  type LockStep,
  runLockMatrix,
  runLockProgram,
  UsageError,
} from '../../src/index.js';

const steps = (text: string): LockStep[] =>
  text
    .split(';')
    .map((step) => step.trim().split(' '))
    .map(([op, lock, argument]) => [op, lock, argument] as unknown as LockStep);

const reports = (text: string, more: Partial<LockProgram> = {}): readonly LockdepReport[] =>
  runLockProgram({ steps: steps(text), ...more }).reports;
const kinds = (text: string, more: Partial<LockProgram> = {}): string[] => reports(text, more).map((r) => r.kind);
const RULES: readonly LockdepRules[] = ['2.6.22', '2.6.30', '4.9', '5.10'];
const TWO_OF_X = { X1: { class: 'X' }, X2: { class: 'X' } } as const;

describe.each(RULES)('rules of %s: deadlocks', (rules) => {
  it.each([
    ['one lock twice', 'spin_lock A; spin_lock A'],
    ['write after read of one lock', 'read_lock A; write_lock A'],
    ['read after write of one lock', 'write_lock A; read_lock A'],
    ['a semaphore read twice', 'down_read A; down_read A'],
    ['a mutex twice', 'mutex_lock A; mutex_lock A'],
  ])('is recursive: %s', (_, text) => {
    expect(kinds(text, { rules })).toEqual(['recursive']);
  });

  it('is recursive: two locks of a class, unless the second says its level, or an outer lock serialises them', () => {
    expect(kinds('spin_lock X1; spin_lock X2', { rules, locks: TWO_OF_X })).toEqual(['recursive']);
    expect(kinds('spin_lock X1; spin_lock_nested X2 1', { rules, locks: TWO_OF_X })).toEqual([]);
    const locks = { ...TWO_OF_X, O: {} };
    const nest = 'spin_lock O; spin_lock_nest_lock X1 O; spin_lock_nest_lock X2 O';
    expect(kinds(nest, { rules, locks })).toEqual(rules === '2.6.22' ? ['recursive'] : []);
    expect(kinds('spin_lock X1; spin_trylock X2', { rules, locks: TWO_OF_X })).toEqual([]);
  });

  it('is no recursion: a reader in a reader, one lock after the other', () => {
    expect(kinds('read_lock A; read_lock A; read_unlock A; read_unlock A', { rules })).toEqual([]);
    expect(kinds('spin_lock A; spin_unlock A; spin_lock A; spin_unlock A', { rules })).toEqual([]);
  });

  const pair = (a: string, b: string): string => `spin_lock ${a}; spin_lock ${b}; spin_unlock ${b}; spin_unlock ${a}`;

  it.each([
    ['two locks in both orders', [pair('A', 'B'), pair('B', 'A')]],
    ['three in a ring', [pair('A', 'B'), pair('B', 'C'), pair('C', 'A')]],
    ['four in a ring', [pair('A', 'B'), pair('C', 'D'), pair('B', 'C'), pair('D', 'A')]],
  ])('is circular: %s', (_, parts) => {
    expect(kinds(parts.join('; '), { rules })).toEqual(['circular']);
  });

  it('is not circular: one order, from both ends; a trylock against the order; a new start', () => {
    expect(kinds([pair('A', 'B'), pair('B', 'C'), pair('A', 'C')].join('; '), { rules })).toEqual([]);
    const tried = `${pair('A', 'B')}; spin_lock B; spin_trylock A; spin_unlock A; spin_unlock B`;
    expect(kinds(tried, { rules })).toEqual([]);
    expect(kinds(`${pair('A', 'B')}; lockdep_reset; ${pair('B', 'A')}`, { rules })).toEqual([]);
  });

  it('is circular: a lock that is taken with a trylocked one held', () => {
    const text = 'spin_trylock A; spin_lock B; spin_unlock B; spin_unlock A; spin_lock B; spin_lock A';
    expect(kinds(text, { rules })).toEqual(['circular']);
  });

  it('learns from an unlock out of order', () => {
    const text = 'spin_lock A; spin_lock B; spin_lock C';
    const graph = (rest: string): string => runLockProgram({ rules, steps: steps(`${text}; ${rest}`) }).proc.lockdep;
    expect(graph('spin_unlock C; spin_unlock B')).not.toMatch(/A\n -> \S+ B\n -> \S+ C/);
    expect(graph('spin_unlock B; spin_unlock C')).toMatch(/A\n -> \S+ B\n -> \S+ C/);
  });
});

describe.each(RULES)('rules of %s: interrupts', (rules) => {
  const inIrq = (text: string): string => `hardirq_enter; ${text}; hardirq_exit`;
  const inSoftirq = (text: string): string => `softirq_enter; ${text}; softirq_exit`;
  const taken = (lock: string): string => `spin_lock ${lock}; spin_unlock ${lock}`;
  const off = (text: string): string => `local_irq_disable; ${text}; local_irq_enable`;

  it.each([
    ['a lock of a handler taken with interrupts on', `${taken('A')}; ${inIrq(taken('A'))}`],
    ['the same the other way round', `${inIrq(taken('A'))}; ${taken('A')}`],
    ['a lock of a soft interrupt taken with bottom halves on', `${taken('A')}; ${inSoftirq(taken('A'))}`],
    ['interrupts enabled with the lock held', `${inIrq(taken('A'))}; spin_lock_irq A; local_irq_enable; spin_unlock A`],
    [
      'a reader in the handler, a writer outside',
      `${inIrq('read_lock R; read_unlock R')}; write_lock R; write_unlock R`,
    ],
  ])('is inconsistent: %s', (_, text) => {
    expect(kinds(text, { rules })).toContain('inconsistent');
  });

  it.each([
    ['interrupts off around the lock', `spin_lock_irqsave A; spin_unlock_irqrestore A; ${inIrq(taken('A'))}`],
    ['bottom halves off around the lock', `spin_lock_bh A; spin_unlock_bh A; ${inSoftirq(off(taken('A')))}`],
    ['only trylocks in the handler', `${taken('A')}; ${inIrq('spin_trylock A; spin_unlock A')}`],
    ['readers in the handler and outside', `${inIrq('read_lock R; read_unlock R')}; read_lock R; read_unlock R`],
  ])('is consistent: %s', (_, text) => {
    expect(kinds(text, { rules })).toEqual([]);
  });

  it('is a safe lock before an unsafe one', () => {
    const learnt = `${inIrq(taken('A'))}; ${taken('B')}`;
    const order = (a: string, b: string): string => off(`spin_lock ${a}; ${taken(b)}; spin_unlock ${a}`);
    const [report] = reports(`${learnt}; ${order('A', 'B')}`, { rules });
    expect(report).toMatchObject({ kind: 'safe-unsafe', classes: ['A', 'B'] });
    const state = rules === '2.6.22' ? 'hard' : 'HARDIRQ';
    expect(report?.headline).toContain(`${state}-safe -> ${state}-unsafe lock order detected`);
    expect(kinds(`${learnt}; ${order('B', 'A')}`, { rules })).toEqual([]);
    // With a lock between them.
    expect(kinds(`${learnt}; ${order('C', 'B')}; ${order('A', 'C')}`, { rules })).toEqual(['safe-unsafe']);
  });

  it('is an inversion when a class becomes safe, or unsafe, and the order is there already', () => {
    const order = off(`spin_lock A; ${taken('B')}; spin_unlock A`);
    expect(kinds(`${order}; ${taken('B')}; ${inIrq(taken('A'))}`, { rules })).toEqual(['inversion']);
    expect(kinds(`${order}; ${inIrq(taken('A'))}; ${taken('B')}`, { rules })).toEqual(['inversion']);
    expect(kinds(`${order}; ${inIrq(taken('B'))}; ${taken('A')}`, { rules })).toEqual([]);
  });

  it('draws no edge from what was interrupted to the handler', () => {
    const text = `spin_lock A; ${inIrq(taken('B'))}; spin_unlock A; ${off(`spin_lock B; ${taken('C')}; spin_unlock B`)}`;
    expect(runLockProgram({ rules, steps: steps(text) }).proc.lockdep).not.toMatch(/A\n -> /);
  });
});

describe('recursive readers', () => {
  const readThenSpin = 'read_lock R; spin_lock B; spin_unlock B; read_unlock R';

  it('make a cycle with a writer by the rules of 5.10, none by older ones', () => {
    const text = `${readThenSpin}; spin_lock B; write_lock R; write_unlock R; spin_unlock B`;
    for (const rules of RULES) expect(kinds(text, { rules })).toEqual(rules === '5.10' ? ['circular'] : []);
  });

  it('make no cycle among themselves', () => {
    const text = `${readThenSpin}; spin_lock B; read_lock R; read_unlock R; spin_unlock B`;
    for (const rules of RULES) expect(kinds(text, { rules })).toEqual([]);
  });

  it('that are not recursive make one', () => {
    const text = 'down_read R; mutex_lock B; mutex_unlock B; up_read R; mutex_lock B; down_read R';
    for (const rules of RULES) expect(kinds(text, { rules })).toEqual(['circular']);
  });
});

describe('reclaim', () => {
  const reclaim = 'reclaim_enter; mutex_lock F; mutex_unlock F; reclaim_exit';

  it('that takes a lock which is held over an allocation is inconsistent by 2.6.30 and 4.9, circular by 5.10', () => {
    const text = `${reclaim}; mutex_lock F; alloc_gfp_kernel; mutex_unlock F`;
    for (const rules of ['2.6.30', '4.9'] as const) {
      const [old] = reports(text, { rules });
      expect(old?.kind).toBe('inconsistent');
      expect(old?.lines).toContain('inconsistent {IN-RECLAIM_FS-W} -> {RECLAIM_FS-ON-W} usage.');
    }
    expect(reports(text, { rules: '5.10' })[0]).toMatchObject({ kind: 'circular', classes: ['fs_reclaim', 'F'] });
  });

  it('is nothing that 2.6.22 knows of', () => {
    const rules = '2.6.22';
    expect(kinds(`${reclaim}; mutex_lock F; alloc_gfp_kernel; mutex_unlock F`, { rules })).toEqual([]);
    expect(kinds(`mutex_lock F; alloc_gfp_kernel; mutex_unlock F; ${reclaim}`, { rules })).toEqual([]);
  });

  it('says nothing of an allocation that calls no filesystem, or of other locks', () => {
    for (const rules of RULES) {
      expect(kinds(`${reclaim}; mutex_lock F; alloc_gfp_nofs; mutex_unlock F`, { rules })).toEqual([]);
      expect(kinds(`${reclaim}; mutex_lock G; alloc_gfp_kernel; mutex_unlock G`, { rules })).toEqual([]);
    }
  });
});

describe('an allocation', () => {
  const reclaim = 'reclaim_enter; spin_lock A; spin_unlock A; reclaim_exit';
  const held = 'local_irq_disable; spin_lock A; alloc_gfp_kernel; spin_unlock A; local_irq_enable';

  it('with interrupts off marks no lock that is held', () => {
    for (const rules of ['2.6.30', '4.9'] as const) {
      expect(kinds(`${held}; ${reclaim}`, { rules })).toEqual(['alloc']);
      const on = 'spin_lock A; alloc_gfp_kernel; spin_unlock A';
      expect(kinds(`${held}; ${on}; ${reclaim}`, { rules })).toEqual(['alloc', 'inconsistent']);
    }
  });

  it('that may call filesystems is warned of with interrupts off, by the rules of 2.6.30 and 4.9', () => {
    const off = 'local_irq_disable; alloc_gfp_kernel; local_irq_enable';
    const found = (rules: LockdepRules): readonly string[] => reports(off, { rules })[0]?.lines ?? [];
    expect(found('2.6.30').slice(0, 4)).toEqual([
      '------------[ cut here ]------------',
      'WARNING: at kernel/lockdep.c lockdep_trace_alloc()',
      'Pid: 0, comm: thread0 Not tainted 2.6.31 #1',
      'Call Trace:',
    ]);
    expect(found('4.9').slice(0, 4)).toEqual([
      '------------[ cut here ]------------',
      'WARNING: CPU: 0 PID: 0 at kernel/locking/lockdep.c lockdep_trace_alloc()',
      'DEBUG_LOCKS_WARN_ON(irqs_disabled_flags(flags))',
      'CPU: 0 PID: 0 Comm: thread0 Not tainted 4.10 #1',
    ]);
    for (const rules of ['2.6.22', '5.10'] as const) expect(found(rules)).toEqual([]);
    expect(kinds(`${off}; spin_unlock A`, { locks: { A: {} }, mode: 'linux' })).toEqual(['alloc']);
  });

  it.each([
    ['of a mask without __GFP_FS', 'local_irq_disable; alloc_gfp_nofs'],
    ['with interrupts on, in a spinlock', 'spin_lock A; alloc_gfp_kernel'],
    ['with bottom halves off', 'local_bh_disable; alloc_gfp_kernel'],
    ['within reclaim', 'reclaim_enter; local_irq_disable; alloc_gfp_kernel'],
  ])('is not warned of: %s', (_, text) => {
    for (const rules of RULES) expect(kinds(text, { rules })).toEqual([]);
  });

  it('within reclaim reclaims nothing, after it it does', () => {
    const within = 'reclaim_enter; spin_lock A; alloc_gfp_kernel; spin_unlock A; reclaim_exit';
    const twice = `reclaim_enter; ${reclaim}; spin_lock A; alloc_gfp_kernel; spin_unlock A; reclaim_exit`;
    for (const rules of RULES) {
      expect(kinds(within, { rules })).toEqual([]);
      if (rules !== '5.10') expect(kinds(twice, { rules })).toEqual([]);
      const after = { '2.6.22': [], '2.6.30': ['inconsistent'], '4.9': ['inconsistent'], '5.10': ['circular'] }[rules];
      expect(kinds(`${within}; spin_lock A; alloc_gfp_kernel`, { rules })).toEqual(after);
      expect(
        kinds(`${reclaim}; reclaim_enter; lockdep_reset; spin_lock A; alloc_gfp_kernel; spin_unlock A; ${reclaim}`, {
          rules,
        }),
      ).toEqual(after);
    }
  });
});

describe('what is done with a lock', () => {
  it.each([
    ['unlock', 'spin_unlock A', 'spin_lock A; spin_unlock A'],
    ['unlock', 'spin_lock A; spin_unlock B; spin_unlock A', 'spin_lock A; spin_lock B; spin_unlock A; spin_unlock B'],
    ['freed', 'spin_lock A; free A', 'spin_lock A; spin_unlock A; free A'],
    ['freed', 'spin_lock A; lock_init A', 'spin_lock A; spin_unlock A; lock_init A'],
    ['exit', 'spin_lock A; task_exit', 'spin_lock A; spin_unlock A; task_exit'],
  ])('is reported as %s: %s', (kind, bad, good) => {
    const locks = { A: {}, B: {} };
    expect(kinds(bad, { locks })).toEqual([kind]);
    expect(kinds(good, { locks })).toEqual([]);
  });

  it('is reported when the task returns to user space with it, from 2.6.30 on', () => {
    for (const rules of RULES) {
      const [report] = reports('spin_lock A; return_to_user', { rules });
      if (rules === '2.6.22') expect(report).toBeUndefined();
      else expect(report).toMatchObject({ kind: 'user', classes: ['A'] });
      expect(kinds('spin_lock A; spin_unlock A; return_to_user', { rules })).toEqual([]);
    }
    const [report] = reports('spin_lock A; return_to_user');
    expect(report?.headline).toBe('[ BUG: lock held when returning to user space! ]');
    expect(report?.lines).toContain('thread0/0 is leaving the kernel with locks still held!');
  });

  it('is reported as non-static when nobody has initialised it and it is no static object, and ends all checking', () => {
    const locks = { D: { kind: 'mutex', place: 'heap' }, S: {} } as const;
    for (const rules of RULES) {
      const [report, ...more] = reports('mutex_lock D; mutex_unlock D; spin_unlock S', { rules, locks });
      expect(report).toMatchObject({ kind: 'non-static', headline: 'INFO: trying to register non-static key.' });
      expect(report?.lines).toContain('turning off the locking correctness validator.');
      expect(more).toEqual([]);
      const initialised = 'lock_init D; mutex_lock D; mutex_unlock D; spin_lock S; spin_unlock S';
      expect(kinds(initialised, { rules, locks })).toEqual([]);
    }
  });

  it('is full when it is taken at a ninth level', () => {
    for (const rules of RULES) {
      expect(kinds('spin_lock_nested A 7; spin_unlock A', { rules })).toEqual([]);
      const [report] = reports('spin_lock_nested A 8', { rules });
      expect(report?.headline).toBe('BUG: MAX_LOCKDEP_SUBCLASSES too low!');
    }
  });

  it('is reported by 4.9 and 5.10 when the outer lock of a nest is not held', () => {
    const locks = { ...TWO_OF_X, O: {} };
    const headlines = (text: string, rules: LockdepRules): string[] =>
      reports(text, { rules, locks }).map((r) => r.headline);
    const alone = 'spin_lock_nest_lock X1 O';
    expect(headlines(alone, '4.9')).toEqual(['[ BUG: Nested lock was not taken ]']);
    expect(headlines(alone, '5.10')).toEqual(['WARNING: Nested lock was not taken']);
    for (const rules of ['2.6.22', '2.6.30'] as const) expect(headlines(alone, rules)).toEqual([]);
    for (const rules of RULES) expect(headlines(`spin_lock O; ${alone}`, rules)).toEqual([]);
  });

  it.each([
    ['2.6.22', 30],
    ['2.6.30', 48],
    ['4.9', 48],
    ['5.10', 48],
  ] as const)('has no room by the rules of %s for %i held locks', (rules, max) => {
    const names = Array.from({ length: max }, (_, i) => `spin_lock L${i}`);
    expect(kinds(names.slice(1).join('; '), { rules })).toEqual([]);
    const [report] = reports(names.join('; '), { rules });
    expect(report).toMatchObject({ kind: 'full', headline: 'BUG: MAX_LOCK_DEPTH too low!' });
  });
});

describe('classes of one name', () => {
  const locks = {
    A1: { class: 'a', name: '&a->lock' },
    A2: { class: 'a', name: '&a->lock' },
    B: { class: 'b', name: '&a->lock' },
    C: { class: 'c', name: '&a->lock' },
  };

  it('are told apart by a number, their subclasses with them', () => {
    const { proc } = runLockProgram({ locks, steps: steps('spin_lock A1; spin_lock_nested B 1; spin_lock C') });
    const names = proc.lockdep.split('\n').filter((line) => line.includes('FD:'));
    expect(names.map((line) => line.replace(/^.*: /, ''))).toEqual(['&a->lock', '&a->lock#3', '&a->lock#2/1']);
  });

  it('do not recurse into each other, as two locks of a class do', () => {
    expect(kinds('spin_lock A1; spin_lock B', { locks })).toEqual([]);
    expect(kinds('spin_lock A1; spin_lock A2', { locks })).toEqual(['recursive']);
    const [report] = reports('spin_lock A1; spin_lock B; spin_unlock B; spin_unlock A1; spin_lock B; spin_lock A2', {
      locks,
    });
    expect(report).toMatchObject({ kind: 'circular', classes: ['&a->lock', '&a->lock#2'] });
    expect(report?.lines).toContain('-> #1 (&a->lock#2){+.+...}:');
  });

  it('have the name alone where a lock is given back that is not held', () => {
    expect(reports('spin_unlock B', { locks })[0]?.lines).toContain(
      'thread0/0 is trying to release lock (&a->lock) at:',
    );
  });
});

describe('the block of irq events', () => {
  it('counts when hard and soft interrupts were last on and off', () => {
    const used = 'hardirq_enter; spin_lock A; spin_unlock A; hardirq_exit';
    const text = `${used}; local_bh_disable; local_bh_disable; local_bh_enable; local_bh_enable; spin_lock A`;
    const lines = reports(text)[0]?.lines ?? [];
    const first = lines.findIndex((line) => line.startsWith('irq event stamp'));
    expect(lines.slice(first, first + 5)).toEqual([
      'irq event stamp: 4',
      expect.stringMatching(/^hardirqs last {2}enabled at \(2\): \[<\?+>\] /),
      expect.stringMatching(/^hardirqs last disabled at \(1\): /),
      expect.stringMatching(/^softirqs last {2}enabled at \(4\): /),
      expect.stringMatching(/^softirqs last disabled at \(3\): /),
    ]);
  });

  it('counts what serves soft interrupts, and spin_lock_bh()', () => {
    const stamp = (text: string): string | undefined =>
      reports(`${text}; hardirq_enter; spin_lock Z; hardirq_exit; spin_lock Z`)
        .find((r) => r.kind === 'inconsistent')
        ?.lines.find((line) => line.startsWith('softirqs last disabled'));
    expect(stamp('softirq_enter; softirq_exit')).toContain('at (1)');
    expect(stamp('spin_lock_bh A; spin_unlock_bh A; spin_lock_bh A; spin_unlock_bh A')).toContain('at (3)');
    expect(stamp('local_bh_disable; softirq_enter; softirq_exit; local_bh_enable')).toContain('at (1)');
  });
});

describe('a reset', () => {
  const abba = 'spin_lock A; spin_lock B; spin_unlock B; spin_unlock A; RESET; spin_lock B; spin_lock A';

  it('of a lock forgets what was taken before and after it, and no other order', () => {
    expect(kinds(abba.replace('RESET', 'lockdep_reset_lock A'))).toEqual([]);
    expect(kinds(abba.replace('RESET', 'lockdep_reset_lock B'))).toEqual([]);
    expect(
      kinds(abba.replace('RESET', 'lockdep_reset_lock C').replace('RESET', ''), { locks: { A: {}, B: {}, C: {} } }),
    ).toEqual(['circular']);
    const learnt = 'spin_lock A; spin_unlock A; lockdep_reset_lock A; hardirq_enter; spin_lock A';
    expect(kinds(learnt)).toEqual([]);
  });

  it('of a lock lets the same order be found wrong again', () => {
    const wrong =
      'spin_lock A; spin_lock B; spin_unlock B; spin_unlock A; spin_lock B; spin_lock A; spin_unlock A; spin_unlock B';
    const again = `${wrong}; lockdep_reset_lock A; spin_lock B; spin_lock A; spin_unlock A; spin_unlock B`;
    const graph = runLockProgram({ steps: steps(again) }).proc.lockdep;
    expect(graph).toMatch(/: B\n -> \S+ A\n/);
    expect(graph).not.toMatch(/: A\n -> /);
  });

  it('of everything leaves nothing held, and interrupts on', () => {
    const text =
      'local_irq_disable; local_bh_disable; spin_lock A; spin_lock B; lockdep_reset; spin_lock B; spin_lock A';
    const { reports: found, proc } = runLockProgram({ steps: steps(text) });
    expect(found).toEqual([]);
    expect(proc.lockdep).toContain('+.+...: B');
  });
});

describe('a report', () => {
  const abba = 'spin_lock A; spin_lock B; spin_unlock B; spin_unlock A; spin_lock B; spin_lock A';

  it('has the lines of 2.6.30', () => {
    const [report] = reports(abba);
    expect(report?.lines.slice(0, 12)).toEqual([
      '',
      '=======================================================',
      '[ INFO: possible circular locking dependency detected ]',
      '2.6.31 #1',
      '-------------------------------------------------------',
      'thread0/0 is trying to acquire lock:',
      expect.stringMatching(/^ \(A\)\{\+\.\+\.\.\.\}, at: \[<\?+>\] step 6: spin_lock A$/),
      '',
      'but task is already holding lock:',
      expect.stringMatching(/^ \(B\)\{\+\.\+\.\.\.\}, at: \[<\?+>\] /),
      '',
      'which lock already depends on the new lock.',
    ]);
    const chain = report?.lines.indexOf('-> #1 (B){+.+...}:') ?? -1;
    expect(report?.lines[chain + 1]).toBe('       [<????????>] step 2: spin_lock B');
    expect(report?.lines).toContain('1 lock held by thread0/0:');
    expect(report?.lines).toContain(' #0:  (B){+.+...}, at: [<????????>] step 5: spin_lock B');
  });

  it('has the signs and words of 2.6.22', () => {
    const rules = '2.6.22';
    const [circular] = reports(abba, { rules });
    expect(circular?.lines).toContainEqual(expect.stringMatching(/^ \(A\)\{--\.\.\}, at: /));
    expect(circular?.lines).toContain('-> #1 (B){--..}:');
    const used = 'hardirq_enter; spin_lock A; spin_unlock A; hardirq_exit; spin_lock A';
    const [state] = reports(used, { rules });
    expect(state?.lines).toContain('inconsistent {in-hardirq-W} -> {hardirq-on-W} usage.');
    expect(state?.lines).toContainEqual(expect.stringMatching(/^ \(A\)\{\+\.\.\.\}, at: /));
    // Order: hard, soft, then both for readers.
    const readers = 'softirq_enter; read_lock R; read_unlock R; softirq_exit; read_lock R; read_unlock R';
    expect(runLockProgram({ rules, steps: steps(readers) }).proc.lockdep).toContain(' ..-?: R');
    const order = 'local_irq_disable; spin_lock B; spin_lock C; spin_unlock C; spin_unlock B; local_irq_enable';
    const inIrq = 'hardirq_enter; spin_lock B; spin_unlock B; hardirq_exit';
    const [inversion] = reports(`${order}; spin_lock C; spin_unlock C; ${inIrq}`, { rules });
    expect(inversion?.lines).toContain('but this lock took another, hard-irq-unsafe lock in the past:');
    expect(inversion?.lines).toContain("the first lock's dependencies:");
  });

  it('draws how it would go wrong from 4.9 on', () => {
    const scenario = (text: string, rules: LockdepRules): readonly string[] => {
      const lines = reports(text, { rules })[0]?.lines ?? [];
      const first = lines.findIndex((line) => /^( Possible .* scenario:|Chain exists of:)$/.test(line));
      return first < 0 ? [] : lines.slice(first, lines.indexOf(' *** DEADLOCK ***') + 1);
    };
    const order = 'local_irq_disable; spin_lock B; spin_lock C; spin_unlock C; spin_unlock B; local_irq_enable';
    const inIrq = 'hardirq_enter; spin_lock B; spin_unlock B; hardirq_exit';
    const safeUnsafe = `${inIrq}; spin_lock C; spin_unlock C; ${order}`;
    const inversion = `${order}; spin_lock C; spin_unlock C; ${inIrq}`;
    const aa = 'spin_lock A; spin_lock A';
    const state = 'spin_lock A; spin_unlock A; hardirq_enter; spin_lock A';
    const columns = ['       CPU0                    CPU1', '       ----                    ----'];
    for (const rules of ['4.9', '5.10'] as const) {
      expect(scenario(aa, rules)).toContain('  lock(A);');
      expect(scenario(abba, rules)).toEqual(expect.arrayContaining([...columns, '  lock(B);']));
      expect(scenario(state, rules)).toContain('  <Interrupt>');
      for (const text of [safeUnsafe, inversion]) {
        expect(scenario(text, rules)).toEqual([
          ' Possible interrupt unsafe locking scenario:',
          '',
          ...columns,
          '  lock(C);',
          '                               local_irq_disable();',
          '                               lock(B);',
          '                               lock(C);',
          '  <Interrupt>',
          '    lock(B);',
          '',
          ' *** DEADLOCK ***',
        ]);
      }
    }
    for (const rules of ['2.6.22', '2.6.30'] as const) {
      for (const text of [aa, abba, state, safeUnsafe, inversion]) expect(scenario(text, rules)).toEqual([]);
    }
  });

  /** Locks that the two columns take, from above. */
  const drawn = (text: string, rules: LockdepRules): string[] => {
    const lines = reports(text, { rules })[0]?.lines ?? [];
    const part = lines.slice(
      lines.indexOf('       ----                    ----') + 1,
      lines.indexOf(' *** DEADLOCK ***'),
    );
    return part
      .filter((line) => line.includes('lock('))
      .map((l) => `${l.startsWith('     ') ? 'CPU1' : 'CPU0'} ${l.trim()}`);
  };
  const taken = (a: string, b: string): string => `spin_lock ${a}; spin_lock ${b}; spin_unlock ${b}; spin_unlock ${a}`;
  const chainOf = (text: string, rules: LockdepRules): string | undefined => {
    const lines = reports(text, { rules })[0]?.lines ?? [];
    const at = lines.indexOf('Chain exists of:');
    return at < 0 ? undefined : lines[at + 1];
  };

  it('draws a cycle with the other CPU taking the lock before the target, which of two is the source', () => {
    const three = `${taken('A', 'B')}; ${taken('B', 'C')}; spin_lock C; spin_lock A`;
    const four = `${taken('A', 'B')}; ${taken('B', 'C')}; ${taken('C', 'D')}; spin_lock D; spin_lock A`;
    const reclaim = 'reclaim_enter; spin_lock F; spin_unlock F; reclaim_exit; spin_lock F; alloc_gfp_kernel';
    const columns = (target: string, parent: string, source: string): string[] => [
      `CPU0 lock(${target});`,
      `CPU1 lock(${parent});`,
      `CPU1 lock(${target});`,
      `CPU0 lock(${source});`,
    ];
    for (const rules of ['4.9', '5.10'] as const) {
      expect(drawn(abba, rules)).toEqual(columns('B', 'A', 'A'));
      expect(chainOf(abba, rules)).toBeUndefined();
      expect(drawn(three, rules)).toEqual(columns('C', 'B', 'A'));
      expect(chainOf(three, rules)).toBe('  A --> B --> C');
      expect(drawn(four, rules)).toEqual(columns('D', 'C', 'A'));
      expect(chainOf(four, rules)).toBe('  A --> C --> D');
    }
    expect(drawn(reclaim, '5.10')).toEqual(columns('F', 'fs_reclaim', 'fs_reclaim'));
  });

  it('draws an inversion that is found backwards like one that is found forwards', () => {
    const inIrq = 'hardirq_enter; spin_lock A; spin_unlock A; hardirq_exit';
    const order = (...names: string[]): string =>
      ['local_irq_disable', ...names.map((n) => `spin_lock ${n}`), ...names.map((n) => `spin_unlock ${n}`)].join('; ');
    const after = 'local_irq_enable; spin_lock B';
    for (const rules of ['4.9', '5.10'] as const) {
      const direct = `${inIrq}; ${order('A', 'B')}; ${after}`;
      expect(kinds(direct, { rules })).toEqual(['inversion']);
      expect(chainOf(direct, rules)).toBeUndefined();
      expect(drawn(direct, rules)).toEqual(['CPU0 lock(B);', 'CPU1 lock(A);', 'CPU1 lock(B);', 'CPU0 lock(A);']);
      const between = `${inIrq}; ${order('A', 'C')}; ${order('C', 'B')}; ${after}`;
      expect(chainOf(between, rules)).toBe('  A --> C --> B');
    }
  });

  it('names the lock between the two where there is one', () => {
    const order = (a: string, b: string): string =>
      `local_irq_disable; spin_lock ${a}; spin_lock ${b}; spin_unlock ${b}; spin_unlock ${a}; local_irq_enable`;
    const text = `${order('A', 'B')}; ${order('B', 'C')}; spin_lock C; spin_unlock C; hardirq_enter; spin_lock A`;
    const [report] = reports(text, { rules: '4.9' });
    expect(report?.kind).toBe('inversion');
    expect(report?.lines).toContain('  A --> B --> C');
  });

  it('of a lock held at exit has the words of the version', () => {
    const headline = (rules: LockdepRules): string | undefined =>
      reports('spin_lock A; task_exit', { rules })[0]?.headline;
    expect(headline('2.6.30')).toBe('[ BUG: lock held at task exit time! ]');
    expect(headline('4.9')).toBe('[ BUG: thread0/0 still has locks held! ]');
    expect(headline('5.10')).toBe('WARNING: thread0/0 still has locks held!');
  });

  it('has those of 5.10', () => {
    const [report] = reports(abba, { rules: '5.10' });
    expect(report?.headline).toBe('WARNING: possible circular locking dependency detected');
    expect(report?.lines).toContain(' *** DEADLOCK ***');
    expect(report?.lines).toContain('  lock(B);');
  });

  it('ends all checking in mode linux, and only itself in mode continue', () => {
    const text = 'spin_unlock A; spin_unlock B; spin_unlock A';
    const locks = { A: {}, B: {} };
    expect(kinds(text, { locks, mode: 'linux' })).toEqual(['unlock']);
    expect(kinds(text, { locks })).toEqual(['unlock', 'unlock']);
  });
});

describe('/proc', () => {
  it('shows classes, edges of distance 1, chains and counts', () => {
    const text = 'spin_lock A; spin_lock B; spin_lock C; spin_unlock C; spin_unlock B; spin_unlock A';
    const { proc } = runLockProgram({ steps: steps(text) });
    expect(proc.lockdep).toMatch(/^all lock classes:\n\w{8} FD: {4}3 BD: {4}1 \+\.\+\.\.\.: A\n -> \[\w{8}\] B\n\n/);
    expect(proc.lockdep_chains).toMatch(/irq_context: 0\n\[\w{8}\] A\n\[\w{8}\] B\n\[\w{8}\] C\n/);
    expect(proc.lockdep_stats).toMatch(/^ lock-classes: {28}3 \[max: \d+\]\n direct dependencies: {21}2 \[max/);
    expect(proc.lockdep_stats).toContain(' max locking depth:                       3\n');
  });

  it('counts no class as unused that nobody has taken yet: the kernel has no such class', () => {
    const { proc } = runLockProgram({ locks: { A: {}, B: {}, C: {} }, steps: steps('spin_lock A; spin_unlock A') });
    expect(proc.lockdep_stats).toMatch(/^ lock-classes: {28}1 /);
    expect(proc.lockdep_stats).toContain(' unused locks:                            0\n');
    expect(proc.lockdep_stats).toContain(' uncategorized locks:                     0\n');
  });
});

describe('a matrix of programmes', () => {
  const programs = {
    abba: steps('spin_lock A; spin_lock B; spin_unlock B; spin_unlock A; spin_lock B; spin_lock A'),
    'the same elsewhere': steps(
      'local_bh_disable; local_bh_enable; spin_lock A; spin_lock B; spin_unlock B; spin_unlock A; spin_lock B; spin_lock A',
    ),
    ab: steps('spin_lock A; spin_lock B'),
    ba: steps('spin_lock B; spin_lock A'),
    'a in a handler': steps('hardirq_enter; local_bh_disable; spin_lock A'),
    'a as a mutex': steps('mutex_lock A; mutex_lock A'),
    'a outside': steps('spin_lock A; spin_lock_irqsave B; local_irq_enable'),
    initialised: steps('lock_init D; mutex_lock D; mutex_unlock D'),
    'non-static': steps('mutex_lock D'),
    'after it': steps('spin_unlock A'),
  };
  const locks = { A: {}, B: {}, D: { kind: 'mutex', place: 'heap' } } as const;

  it('says of each what it says of it alone, under every set of rules', () => {
    const { 'a as a mutex': mutex, ...rest } = programs;
    for (const rules of RULES) {
      const all = runLockMatrix({ rules, locks, programs: rest });
      expect(Object.keys(all)).toEqual(Object.keys(rest));
      for (const [name, list] of Object.entries(rest)) {
        const alone = runLockProgram({ rules, locks, steps: list });
        expect([name, all[name]?.reports]).toEqual([name, alone.reports]);
        expect([name, all[name]?.proc.lockdep_chains]).toEqual([name, alone.proc.lockdep_chains]);
      }
      const kindsOf = (name: string): string[] => all[name]?.reports.map((r) => r.kind) ?? [];
      expect(['abba', 'ba', 'non-static', 'after it'].map(kindsOf)).toEqual([
        ['circular'],
        [],
        ['non-static'],
        ['unlock'],
      ]);
    }
    const { abba } = programs;
    const both = runLockMatrix({ programs: { abba, mutex } });
    expect([both.abba, both.mutex].map((r) => r?.reports.map((x) => x.kind))).toEqual([['circular'], ['recursive']]);
  });
});

describe('/proc/lock_stat', () => {
  const text = (program: string, more: Partial<LockProgram> = {}): string =>
    runLockProgram({ steps: steps(program), ...more }).proc.lock_stat;
  const rows = (program: string, more: Partial<LockProgram> = {}): string[] =>
    text(program, more)
      .split('\n')
      .slice(5)
      .filter((line) => line !== '');
  const columns = (row: string | undefined): string[] => (row ?? '').trim().split(/:?\s+/);

  it('has a header and a row for each class, a step being a microsecond', () => {
    const all = text('spin_lock A; spin_lock B; spin_unlock B; spin_unlock A').split('\n');
    expect(all.slice(0, 5)).toEqual([
      'lock_stat version 0.3',
      '-'.repeat(191),
      `${'class name'.padStart(40)} ${[
        ...['con-bounces', 'contentions', 'waittime-min', 'waittime-max', 'waittime-total'],
        ...['acq-bounces', 'acquisitions', 'holdtime-min', 'holdtime-max', 'holdtime-total'],
      ]
        .map((name) => name.padStart(14))
        .join(' ')}`,
      '-'.repeat(191),
      '',
    ]);
    expect(all[5]).toMatch(/^ {39}A: {13}0 {14}0 {11}0\.00 {11}0\.00 {11}0\.00 {14}0 {14}1 {11}3\.00 /);
    expect(columns(all[6])).toEqual(['B', '0', '0', '0.00', '0.00', '0.00', '0', '1', '1.00', '1.00', '1.00']);
  });

  it('adds up holds, also of locks that are given back out of order', () => {
    const program = 'spin_lock A; spin_unlock A; spin_lock A; spin_lock B; spin_unlock A; spin_unlock B';
    expect(columns(rows(program)[0]).slice(7)).toEqual(['2', '1.00', '2.00', '3.00']);
  });

  it('measures a wait from the contention to the acquisition, where the hold begins, and names the places', () => {
    const program =
      'spin_lock Z; spin_unlock Z; spin_lock A; lock_contended A; local_irq_disable; lock_acquired A; spin_unlock A';
    const [a, ...more] = rows(program);
    expect(columns(a)).toEqual(['A', '0', '1', '2.00', '2.00', '2.00', '0', '1', '1.00', '1.00', '1.00']);
    expect(more.slice(0, 4)).toEqual([
      `${' '.repeat(39)}-`,
      expect.stringMatching(/^ {39}A {14}1 {18}\[<\?+>\] step 4: lock_contended A$/),
      `${' '.repeat(39)}-`,
      expect.stringMatching(/^ {39}A {14}1 {18}\[<\?+>\] step 3: spin_lock A$/),
    ]);
    expect(more[4]).toBe('.'.repeat(191));
    // Z comes first by its age, A by its contentions.
    expect(columns(more[5])[0]).toBe('Z');
  });

  it('has two rows where readers and writers have held the lock', () => {
    const program = 'write_lock R; write_unlock R; read_lock R; local_irq_disable; read_unlock R';
    const [writers, readers] = rows(program);
    expect(writers).toMatch(/^ {37}R-W: /);
    expect(columns(writers).slice(7)).toEqual(['1', '1.00', '1.00', '1.00']);
    expect(readers).toMatch(/^ {37}R-R: /);
    expect(columns(readers).slice(7)).toEqual(['1', '2.00', '2.00', '2.00']);
  });

  it('says so when checking has ended', () => {
    expect(text('spin_unlock A', { locks: { A: {} }, mode: 'linux' }).split('\n')[1]).toMatch(
      /^\*WARNING\* lock debugging/,
    );
    expect(text('spin_unlock A', { locks: { A: {} } })).not.toContain('WARNING');
  });

  it('counts nothing of the programme before', () => {
    const list = steps('spin_lock A; spin_unlock A');
    const all = runLockMatrix({ programs: { one: list, two: list } });
    expect(all.two?.proc.lock_stat).toBe(all.one?.proc.lock_stat);
  });

  it('is what a contention for a lock that is not held is reported from', () => {
    const locks = { A: {}, B: {} };
    for (const rules of RULES) {
      for (const op of ['lock_contended', 'lock_acquired']) {
        const [report, ...more] = reports(`spin_lock A; ${op} B`, { rules, locks });
        expect(report).toMatchObject({ kind: 'contention', classes: ['B'] });
        expect(report?.headline).toContain('bad contention detected!');
        expect(report?.lines).toContain('thread0/0 is trying to contend lock (B) at:');
        expect(more).toEqual([]);
        expect(kinds(`spin_lock B; spin_lock A; ${op} B; spin_unlock A; spin_unlock B`, { rules, locks })).toEqual([]);
      }
    }
    // A handler contends for what its own context has taken.
    expect(kinds('spin_lock_irqsave B; hardirq_enter; spin_lock A; lock_contended B', { locks })).toEqual([
      'contention',
    ]);
  });
});

describe('a programme that is none', () => {
  it.each<[string, LockProgram, RegExp]>([
    [
      'an unknown operation',
      { steps: [['spin_look', 'A']] },
      /unknown lock operation "spin_look" \(did you mean "spin_lock"/,
    ],
    ['no lock', { steps: [['spin_lock']] }, /step 1: spin_lock needs a lock/],
    ['a lock that there is not', { locks: { A: {} }, steps: [['spin_lock', 'B']] }, /step 1: there is no lock "B"/],
    [
      'the wrong kind',
      { locks: { A: { kind: 'mutex' } }, steps: [['spin_lock', 'A']] },
      /spin_lock is for a spinlock, A is a/,
    ],
    [
      'a spinlock in the heap',
      { locks: { A: { place: 'heap' } }, steps: [] },
      /lock A .* in the heap: make it a mutex/,
    ],
    ['unknown rules', { rules: '2.4' as LockdepRules, steps: [] }, /unknown set of lockdep rules "2.4"/],
    [
      'where operations are documented',
      { steps: [['constructor', 'A']] },
      /step 1: unknown lock operation "constructor"; docs\/checkers\.md has a table/,
    ],
    ['no programme', undefined as never, /^a lock programme is an object with steps, not undefined$/],
    ['no steps', {} as never, /^lock programme has no list of steps, .* but undefined$/],
    ['steps that are a text', { steps: 'spin_lock A' as never }, /has no list of steps/],
    ['a step that is a text', { steps: ['spin_lock A'] as never }, /step 1: a step is a list, .*, not "spin_lock A"/],
    ['a step that is null', { steps: [null] as never }, /step 1: a step is a list/],
    [
      'a lock that is a number',
      { steps: [['spin_lock', 5 as never]] },
      /step 1: the lock of spin_lock is a name, not 5/,
    ],
    [
      'an unknown option',
      { rule: '5.10', steps: [] } as never,
      /unknown property "rule" of a lock programme \(did you mean/,
    ],
    [
      'an option that is no flag',
      { rawLockNesting: 'yes' as never, steps: [] },
      /rawLockNesting of .* is true or false/,
    ],
    ['locks that are a list', { locks: ['A'] as never, steps: [] }, /locks of a lock programme is an object/],
    ['a lock that is none', { locks: { A: 'mutex' as never }, steps: [] }, /lock A of .* is an object, .* not "mutex"/],
    ['an unknown field', { locks: { A: { clas: 'X' } as never }, steps: [] }, /unknown property "clas" of lock A/],
    ['a class that is a number', { locks: { A: { class: 3 as never } }, steps: [] }, /its class is a name, not 3/],
    [
      'an unknown kind',
      { locks: { A: { kind: 'semaphore' as never } }, steps: [] },
      /there is no kind "semaphore"; there is spinlock, raw_spinlock, rwlock, mutex, rtmutex, rwsem/,
    ],
    [
      'an unknown place',
      { locks: { A: { kind: 'mutex', place: 'stack' as never } }, steps: [] },
      /its place is "static" or "heap", not "stack"/,
    ],
    ['a lock too many', { steps: [['hardirq_enter', 'A']] }, /step 1: hardirq_enter takes no lock: not "A"/],
    ['an argument too many', { steps: [['spin_lock', 'A', 1]] }, /step 1: spin_lock takes a lock only: not 1/],
    ['an outer lock that nobody takes', { steps: [['spin_lock_nest_lock', 'A', 'M']] }, /step 1: .* not "M"/],
    [
      'an event of a lock that nobody takes',
      { steps: [['lock_init', 'A']] },
      /step 1: lock_init needs a lock that another/,
    ],
    ...[-1, 1.5, 'x', '', undefined].map((subclass): [string, LockProgram, RegExp] => [
      `the subclass ${subclass}`,
      { steps: [['spin_lock_nested', 'A', subclass as number]] },
      /step 1: the subclass of spin_lock_nested is a whole number, 0 to 7, not /,
    ]),
    ...['hardirq_exit', 'softirq_exit', 'reclaim_exit', 'local_bh_enable'].map((op): [string, LockProgram, RegExp] => [
      `${op} alone`,
      { steps: steps(`spin_lock A; ${op}`) },
      new RegExp(`^lock programme, step 2: ${op} with`),
    ]),
    ...[
      'hardirq_enter; hardirq_exit; hardirq_exit',
      'softirq_enter; hardirq_enter; softirq_exit',
      'spin_lock_bh A; spin_unlock_bh A; local_bh_enable',
      'read_lock_bh A; local_bh_enable; read_unlock_bh A',
      'softirq_enter; lockdep_reset; softirq_exit',
    ].map((text): [string, LockProgram, RegExp] => [text, { steps: steps(text) }, /^lock programme, step 3: \w+ with/]),
  ])('is refused: %s', (_, program, message) => {
    expect(() => runLockProgram(program)).toThrow(UsageError);
    expect(() => runLockProgram(program)).toThrow(message);
  });

  it('is named in a matrix', () => {
    const programs = { good: steps('spin_lock A'), bad: steps('spin_lock A; softirq_exit') };
    expect(() => runLockMatrix({ programs })).toThrow(
      /^lock programme "bad", step 2: softirq_exit without softirq_enter/,
    );
    expect(() => runLockMatrix({} as never)).toThrow(/^programs of a lock matrix is an object/);
    expect(() => runLockMatrix({ programs, rule: '4.9' } as never)).toThrow(/unknown property "rule" of a lock matrix/);
  });

  it('may be written as text, end anywhere, and disable bottom halves by a lock and enable them by themselves', () => {
    expect(kinds('spin_lock A; spin_lock_nested A 1')).toEqual([]);
    expect(kinds('hardirq_enter; softirq_enter; reclaim_enter; local_bh_disable')).toEqual([]);
    expect(kinds('spin_lock_bh A; spin_unlock A; local_bh_enable')).toEqual([]);
    expect(kinds('spin_unlock_bh A')).toEqual(['unlock']);
  });

  it('can name each operation that there is', () => {
    expect(LOCK_OPS).toContain('spin_lock_irqsave');
    expect(new Set(LOCK_OPS).size).toBe(LOCK_OPS.length);
  });
});
