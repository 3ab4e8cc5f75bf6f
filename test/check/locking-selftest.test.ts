/**
 * Whole matrices as data: the families of lib/locking-selftest.c, each with every kind of lock, by the rules of every version. A family is
 * written once, with L and U for taking a lock and giving it back; nothing here knows how lockdep comes to its verdict.
 */
import { describe, expect, it } from 'vitest';
import { type LockdepRules, type LockStep, runLockMatrix, runLockProgram } from '../../src/index.js';

const RULES: readonly LockdepRules[] = ['2.6.22', '2.6.30', '4.9', '5.10'];

interface Kind {
  readonly name: string;
  readonly lock: string;
  readonly unlock: string;
  /** May it be taken again by who has it, and never waits for another reader? */
  readonly recursive: boolean;
}
const kind = (name: string, lock: string, unlock: string, recursive = false): Kind => ({
  name,
  lock,
  unlock,
  recursive,
});
/** Those that interrupts may take. */
const SPINNING = [
  kind('spin', 'spin_lock', 'spin_unlock'),
  kind('wlock', 'write_lock', 'write_unlock'),
  kind('rlock', 'read_lock', 'read_unlock', true),
];
const KINDS = [
  ...SPINNING,
  kind('mutex', 'mutex_lock', 'mutex_unlock'),
  kind('wsem', 'down_write', 'up_write'),
  kind('rsem', 'down_read', 'up_read'),
];

/** "L A; U A" with a kind of lock: steps of a programme. */
const steps = (text: string, { lock, unlock }: Kind): LockStep[] =>
  text.split('; ').map((step) => {
    const [op, name] = step.split(' ') as [string, string?];
    const full = op === 'L' ? lock : op === 'U' ? unlock : op;
    return name === undefined ? [full] : [full, name];
  });

/** Kinds of report of each programme, which is run with each kind of lock: one list for each text and kind. */
function reported(texts: readonly string[], kinds: readonly Kind[], rules: LockdepRules): Map<string, string[]> {
  const named = texts.flatMap((text) => kinds.map((of) => [`${of.name}: ${text}`, steps(text, of)] as const));
  const results = runLockMatrix({ rules, programs: Object.fromEntries(named) });
  return new Map(named.map(([name]) => [name, results[name]?.reports.map((r) => r.kind) ?? ['nothing was run']]));
}

/** "AB BA": the second of each pair is taken with the first one held. */
const orders = (pairs: string): string =>
  pairs
    .split(' ')
    .map(([a, b]) => `L ${a}; L ${b}; U ${b}; U ${a}`)
    .join('; ');

const RINGS = ['AB BA', 'AB BC CA', 'AB CA BC', 'AB BC CD DA', 'AB CD BD DA', 'AB CD BC DA'];
const LINES = ['AB AB', 'AB BC AC', 'AB BC CD AD', 'CD BC AB', 'AD BD CD'];

describe.each(RULES)('by the rules of %s', (rules) => {
  const expectEach = (text: string, expected: (of: Kind) => string[]): void => {
    const wanted = KINDS.map((of) => [`${of.name}: ${text}`, expected(of)] as const);
    expect([...reported([text], KINDS, rules)]).toEqual(wanted);
  };

  it.each(RINGS)('the orders %s make a ring, unless all of them are recursive readers', (pairs) => {
    expectEach(orders(pairs), (of) => (of.recursive ? [] : ['circular']));
  });

  it.each(LINES)('the orders %s make none', (pairs) => {
    expectEach(orders(pairs), () => []);
  });

  it('a recursive reader between two locks does not hide their order, but in 5.10, to which it is no strong path', () => {
    const between = 'spin_lock A; read_lock R; L B; U B; read_unlock R; spin_unlock A';
    const kindsOf = (text: string): (string[] | undefined)[] => [
      ...reported([text], [KINDS[0] as Kind], rules).values(),
    ];
    const circular = [['circular']];
    expect(kindsOf(`${between}; ${orders('BA')}`)).toEqual(rules === '5.10' ? [[]] : circular);
    expect(kindsOf(`${between.replace('read_lock', 'read_trylock')}; ${orders('BA')}`)).toEqual(circular);
    expect(kindsOf(`${between}; ${between}`)).toEqual([[]]);
  });

  it('a chain of four locks is not taken for one of five that is known, whatever their numbers are', () => {
    const names = ['A', 'B', 'C', 'D', 'E', 'F', 'G'];
    const programs: Record<string, LockStep[]> = {};
    for (const [first, last, again] of names.flatMap((x) =>
      names.flatMap((y) => names.map((z) => [x, y, z] as const)),
    )) {
      if (first >= last || again === first || again === last) continue;
      const [b, d] = names.filter((name) => name !== first && name !== last && name !== again) as [string, string];
      const five = [first, b, again, d, last];
      const text = `L ${five.join('; L ')}; U ${five.toReversed().join('; U ')}; L ${b}; L ${again}; L ${d}; L ${again}`;
      programs[text] = steps(text, KINDS[0] as Kind);
    }
    const results = Object.entries(runLockMatrix({ rules, programs }));
    expect(results.filter(([, { reports }]) => reports[0]?.kind !== 'recursive').map(([text]) => text)).toEqual([]);
  });

  it('a lock that its holder takes again is recursion, but for recursive readers', () => {
    expectEach('L A; L A', (of) => (of.recursive ? [] : ['recursive']));
  });

  it('readers and writers of one lock in one task are recursion, in every mixture with a writer', () => {
    const sequences = ['read_lock A; write_lock A', 'write_lock A; read_lock A', 'down_read A; down_write A'];
    const all = [...sequences, 'down_write A; down_read A', 'down_read A; down_read A'];
    for (const kinds of reported(all, [KINDS[0] as Kind], rules).values()) expect(kinds).toEqual(['recursive']);
  });

  it('a lock that is given back twice is not held, one that is initialised while it is held is', () => {
    expectEach('L A; U A; U A', () => ['unlock']);
    expectEach('L A; lock_init A', () => ['freed']);
    expectEach('L A; U A; lock_init A; L A; U A', () => []);
  });

  const permutations = <T>(list: readonly T[]): T[][] =>
    list.length < 2
      ? [[...list]]
      : list.flatMap((first, i) => permutations(list.filter((_, j) => j !== i)).map((rest) => [first, ...rest]));
  /** In every order, with every kind of lock: whether anything is reported, for those where that is not as expected. */
  const surprises = (parts: readonly string[], expected: (of: Kind) => boolean): string[] => {
    const texts = permutations(parts).map((order) => order.join('; '));
    return SPINNING.flatMap((of) => {
      const results = [...reported(texts, [of], rules)];
      return results.filter(([, kinds]) => kinds.length > 0 !== expected(of)).map(([name]) => name);
    });
  };
  const irqsOff = (text: string): string => `local_irq_disable; ${text}; local_irq_enable`;
  const exclusive = (of: Kind): boolean => !of.recursive;
  const never = (): boolean => false;

  describe.each([
    ['hardirq', irqsOff],
    ['softirq', (text: string): string => `local_bh_disable; ${text}; local_bh_enable`],
  ] as const)('with %ss', (context, off) => {
    const inside = (text: string): string => `${context}_enter; ${text}; ${context}_exit`;
    const enable = context === 'hardirq' ? 'local_irq_enable' : 'local_bh_enable';
    const disable = context === 'hardirq' ? 'local_irq_disable' : 'local_bh_disable';

    it('a lock of the handler is not taken with them on', () => {
      expect(surprises([inside('L A; U A'), 'L A; U A'], exclusive)).toEqual([]);
      expect(surprises([inside('L A; U A'), off('L A; U A')], never)).toEqual([]);
    });

    it('they are not enabled with a lock of the handler held', () => {
      expect(surprises([inside('L A; U A'), `${disable}; L A; ${enable}; U A`], exclusive)).toEqual([]);
      expect(surprises([inside('L A; U A'), `${disable}; L A; U A; ${enable}`], never)).toEqual([]);
    });

    it('a lock of the handler is not held when one is taken that is taken with them on', () => {
      expect(surprises([orders('AB'), 'L B; U B', inside('L A; U A')], exclusive)).toEqual([]);
      expect(surprises([off(orders('AB')), 'L B; U B', inside('L A; U A')], exclusive)).toEqual([]);
      expect(surprises([off(orders('BA')), 'L B; U B', inside('L A; U A')], never)).toEqual([]);
    });

    it('nor with a lock between them', () => {
      expect(surprises([off(orders('AB BC')), 'L C; U C', inside('L A; U A')], exclusive)).toEqual([]);
      expect(surprises([off(orders('AB CB')), 'L C; U C', inside('L A; U A')], never)).toEqual([]);
    });

    it('a reader of the handler may interrupt readers, not writers', () => {
      const reads = inside('read_lock A; read_unlock A');
      expect(surprises([reads, 'read_lock A; read_unlock A'], never)).toEqual([]);
      expect(surprises([reads, 'write_lock A; write_unlock A'], () => true)).toEqual([]);
      expect(surprises([reads, off('write_lock A; write_unlock A')], never)).toEqual([]);
    });
  });

  it('a lock that readers of a handler take is safe as far as its writers go', () => {
    const reads = 'hardirq_enter; read_lock A; read_unlock A; hardirq_exit; spin_lock B; spin_unlock B';
    const inner = 'spin_lock B; spin_unlock B';
    const under = (form: string): LockStep[] =>
      steps(`${reads}; ${irqsOff(`${form}_lock A; ${inner}; ${form}_unlock A`)}`, KINDS[0] as Kind);
    const { written, read } = runLockMatrix({ rules, programs: { written: under('write'), read: under('read') } });
    const state = rules === '2.6.22' ? 'hard-read' : 'HARDIRQ-READ';
    expect(written?.reports.map((r) => r.headline)).toEqual([
      expect.stringContaining(`${state}-safe -> ${state}-unsafe lock order detected`),
    ]);
    expect(read?.reports).toEqual([]);
  });

  it('forms of the operations that mask interrupts do what the bare ones do with interrupts off', () => {
    const forms = ['spin_lock', 'read_lock', 'write_lock'].flatMap((take) =>
      [
        ['_irq', '_irq', 'hardirq'],
        ['_irqsave', '_irqrestore', 'hardirq'],
        ['_bh', '_bh', 'softirq'],
      ].map(([lock, unlock, context]) => {
        return [take, `${take}${lock}`, `${take.replace('lock', 'unlock')}${unlock}`, context] as const;
      }),
    );
    for (const [take, lock, unlock, context] of forms) {
      const handler = `${context}_enter; ${take} A; ${take.replace('lock', 'unlock')} A; ${context}_exit`;
      const text = `${lock} A; ${unlock} A; ${handler}; ${lock} A; ${unlock} A`;
      expect([lock, ...reported([text], [KINDS[0] as Kind], rules).values()]).toEqual([lock, []]);
    }
  });
});

/** queued_read_lock_tests(), Linux 5.10: readers of a task wait for a writer that waits, those of handlers do not. */
describe('readers that queue', () => {
  const disabled = (text: string): string => `local_irq_disable; ${text}; local_irq_enable`;
  const handler = (text: string): string => `hardirq_enter; ${text}; hardirq_exit`;
  const spin = 'spin_lock B; spin_unlock B';
  const reader = 'read_lock A; read_unlock A';
  const inReader = `read_lock A; ${spin}; read_unlock A`;
  const inSpin = `spin_lock B; ${reader}; spin_unlock B`;
  const kinds = (text: string, more: object = { queuedRwlocks: true }): string[] =>
    runLockProgram({ rules: '5.10', steps: steps(text, KINDS[0] as Kind), ...more }).reports.map((r) => r.kind);

  it('close a ring, and invert interrupts, as they do not where readers recurse', () => {
    const ring = `${handler(inReader)}; ${disabled(inSpin)}`;
    const inversion = `${handler(spin)}; ${disabled(inSpin)}; ${reader}`;
    expect([kinds(ring), kinds(inversion)]).toEqual([['circular'], ['inversion']]);
    expect([kinds(ring, {}), kinds(inversion, {})]).toEqual([[], []]);
  });

  it('are recursive in handlers', () => {
    expect(kinds(`${handler(inSpin)}; ${disabled(inReader)}`)).toEqual([]);
  });

  it('may not be nested in a task', () => {
    expect(kinds('read_lock A; read_lock A')).toEqual(['recursive']);
    expect(kinds('read_lock A; read_trylock A')).toEqual([]);
    expect(kinds('read_lock A; read_lock A', {})).toEqual([]);
  });

  it('are those of 5.10', () => {
    expect(() => kinds('read_lock A', { rules: '4.9', queuedRwlocks: true })).toThrow(
      /queuedRwlocks is for the rules of 5\.10/,
    );
  });
});

describe.each(RULES)('forms of lock operations, by the rules of %s', (rules) => {
  const kinds = (text: string): string[] =>
    runLockProgram({ rules, steps: steps(text, KINDS[0] as Kind) }).reports.map((r) => r.kind);
  const used = (context: string): string => `${context}_enter; spin_lock A; spin_unlock A; ${context}_exit`;

  it('keep interrupts, or bottom halves, off from a trylock to its unlock', () => {
    for (const [lock, unlock, context] of [
      ['_irq', '_irq', 'hardirq'],
      ['_irqsave', '_irqrestore', 'hardirq'],
      ['_bh', '_bh', 'softirq'],
    ] as const) {
      expect(kinds(`spin_trylock${lock} A; spin_unlock${unlock} A; ${used(context)}`)).toEqual([]);
    }
    expect(kinds(`spin_trylock A; spin_unlock A; ${used('hardirq')}`)).toEqual(['inconsistent']);
  });

  it('save and restore what interrupts were, one in the other', () => {
    const locked = 'spin_lock A; spin_unlock A';
    const twice = `local_irq_save; local_irq_save; local_irq_restore; ${locked}; local_irq_restore`;
    expect(kinds(`${twice}; ${used('hardirq')}`)).toEqual([]);
    expect(kinds(`local_irq_save; local_irq_restore; ${locked}; ${used('hardirq')}`)).toEqual(['inconsistent']);
    expect(() => kinds('local_irq_restore')).toThrow(/step 1: local_irq_restore needs a local_irq_save before it/);
  });

  it('enable interrupts with an unlock of what is not held, as the unlock does', () => {
    const text = `spin_lock_irq A; spin_unlock A; spin_unlock_irq A; spin_lock B; spin_unlock B; ${used('hardirq').replaceAll(' A', ' B')}`;
    expect(kinds(text)).toEqual(['unlock', 'inconsistent']);
  });

  it('wait for a mutex in whatever way, and for an rtmutex', () => {
    for (const lock of ['mutex_lock', 'mutex_lock_interruptible', 'mutex_lock_killable', 'rt_mutex_lock']) {
      expect(kinds(`${lock} A; ${lock} A`)).toEqual(['recursive']);
    }
    expect(kinds('down_write A; down_write_killable A')).toEqual(['recursive']);
  });

  it('take many of a class under a lock that serialises them', () => {
    const locks = {
      M: { kind: 'mutex' },
      N1: { kind: 'mutex', class: 'N' },
      N2: { kind: 'mutex', class: 'N' },
    } as const;
    const nested = (text: string): string[] =>
      runLockProgram({ rules, locks, steps: steps(text, KINDS[0] as Kind) }).reports.map((r) => r.kind);
    const all = 'mutex_lock M; mutex_lock N1';
    expect(nested(`${all}; mutex_lock N2`)).toEqual(['recursive']);
    const expected = rules === '2.6.22' ? ['recursive'] : [];
    expect(
      runLockProgram({
        rules,
        locks,
        steps: [
          ['mutex_lock', 'M'],
          ['mutex_lock', 'N1'],
          ['mutex_lock_nest_lock', 'N2', 'M'],
        ],
      }).reports.map((r) => r.kind),
    ).toEqual(expected);
  });
});

it('an inversion through a reader that is not recursive is found by every version that knows the state', () => {
  const text =
    'hardirq_enter; mutex_lock B; mutex_unlock B; hardirq_exit; local_irq_disable; mutex_lock B; down_read A; up_read A; mutex_unlock B; local_irq_enable; down_read A; up_read A';
  for (const rules of RULES) {
    const { reports } = runLockProgram({ rules, steps: steps(text, KINDS[0] as Kind) });
    expect([rules, reports.map((r) => r.kind).filter((kind) => kind !== 'wait')]).toEqual([rules, ['inversion']]);
  }
});
