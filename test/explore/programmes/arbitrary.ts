/** Random programmes. */
import fc from 'fast-check';
import { LOCKS, type Op, type Programme, WORDS } from './programme.js';

type Kind = Op['do'];

const value = fc.integer({ min: 0, max: 2 });

const simple = (...kinds: Kind[]): fc.Arbitrary<Op> =>
  fc.record({ do: fc.constantFrom(...kinds), at: fc.nat(WORDS - 1), value });
const nested = (inner: fc.Arbitrary<Op>, ...kinds: Kind[]): fc.Arbitrary<Op> =>
  fc.record({
    do: fc.constantFrom(...kinds),
    at: fc.nat(LOCKS - 1),
    value,
    body: fc.array(inner, { minLength: 1, maxLength: 2 }),
  });

const WORD: Kind[] = ['load', 'store', 'add', 'inc', 'cas', 'xchg'];
const word = simple(...WORD);

/** What a profile draws from: operations of threads, of handlers and of a device, and machines. */
interface Profile {
  readonly thread: fc.Arbitrary<Op>;
  readonly irq: fc.Arbitrary<Op> | null;
  readonly device: fc.Arbitrary<Op> | null;
  readonly cores: readonly string[];
  /** Threads that begin on a CPU which has one already. */
  readonly crowded: boolean;
  readonly opsMax: number;
  /** With an invariant. */
  readonly watched: boolean;
}

const two = (p: Partial<Profile> & Pick<Profile, 'thread'>): Profile => ({
  irq: null,
  device: null,
  cores: ['cortex-a9'],
  crowded: false,
  opsMax: 3,
  watched: false,
  ...p,
});

export const PROFILES = {
  words: two({ thread: fc.oneof({ weight: 4, arbitrary: word }, simple('expect', 'var')) }),
  locks: two({
    thread: fc.oneof(
      nested(fc.oneof(word, nested(word, 'lock', 'trylock')), 'lock', 'lockIrq', 'trylock', 'read', 'write'),
      word,
      simple('await', 'spin'),
    ),
    cores: ['cortex-a9', 'pa8800'],
    opsMax: 2,
  }),
  watched: two({
    thread: fc.oneof(
      nested(word, 'lock', 'lockIrq', 'trylock', 'read', 'write'),
      simple('store', 'add', 'inc', 'xchg'),
      simple('await'),
    ),
    irq: word,
    opsMax: 2,
    watched: true,
  }),
  irqs: two({
    thread: fc.oneof(
      word,
      simple('raise', 'softirq'),
      nested(fc.oneof(word, simple('raise', 'softirq')), 'irqsOff', 'preemptOff', 'bhOff', 'lockIrq', 'lock'),
    ),
    irq: fc.oneof(word, simple('raise', 'softirq'), nested(word, 'lock', 'trylock')),
    opsMax: 2,
  }),
  sched: two({
    thread: fc.oneof(
      word,
      simple('yield', 'raise'),
      simple('sleep', 'wake'),
      nested(word, 'preemptOff', 'lock', 'irqsOff'),
    ),
    irq: fc.oneof(word, simple('wake')),
    crowded: true,
    opsMax: 2,
  }),
  caches: two({
    thread: fc.oneof(simple('pageLoad', 'pageStore'), simple('clean', 'invalidate'), word),
    device: simple('pageLoad', 'pageStore', 'raise', 'var'),
    irq: simple('pageLoad', 'pageStore', 'clean', 'invalidate'),
    cores: ['cortex-a9', 'vivt-shared', 'arm926', 'pa8800'],
  }),
  devices: two({
    thread: fc.oneof(word, simple('ring', 'var', 'pageLoad', 'pageStore')),
    device: simple('bell', 'raise', 'pageLoad', 'pageStore', 'var'),
    irq: fc.oneof(word, simple('ring', 'pageLoad')),
    cores: ['cortex-a9', 'vivt-shared', 'arm926'],
    opsMax: 2,
  }),
} as const;

/** More of the kernel, for the long run. */
const MORE_PROFILES = {
  nested: two({
    thread: fc.oneof(
      word,
      simple('raise', 'netTx', 'raise', 'leave'),
      nested(fc.oneof(word, simple('raise')), 'bhOff', 'if'),
    ),
    irq: fc.oneof(
      simple('raise', 'netTx', 'softirq'),
      nested(fc.oneof(word, simple('raise')), 'irqsOn', 'irqsOn', 'trylock'),
    ),
    crowded: true,
  }),
  sleepers: two({
    thread: fc.oneof(
      nested(fc.oneof(word, simple('timeout'), nested(word, 'mutexTry', 'lock')), 'mutex', 'mutexTry'),
      simple('complete', 'completion', 'timeout'),
      word,
    ),
    irq: fc.oneof(word, simple('complete'), nested(word, 'mutexTry')),
    crowded: true,
    opsMax: 2,
  }),
  calls: two({
    thread: fc.oneof(
      simple('call', 'raise', 'sync', 'giveUp'),
      word,
      nested(fc.oneof(word, simple('call')), 'preemptOff', 'rcu', 'irqRead', 'irqWrite'),
    ),
    irq: fc.oneof(word, nested(word, 'rcu', 'read', 'irqWrite')),
    crowded: true,
    opsMax: 2,
  }),
} as const;
export const ALL_PROFILES = { ...PROFILES, ...MORE_PROFILES };
export type ProfileName = keyof typeof ALL_PROFILES;

export function programmes(name: ProfileName): fc.Arbitrary<Programme> {
  const profile: Profile = ALL_PROFILES[name];
  const list = (op: fc.Arbitrary<Op>, maxLength: number): fc.Arbitrary<Op[]> =>
    fc.array(op, { minLength: 1, maxLength });
  const machine = fc.record({
    core: fc.constantFrom(...profile.cores),
    preempt: fc.boolean(),
    ticketLocks: fc.boolean(),
  });
  const threads = fc.array(fc.record({ cpu: fc.nat(1), ops: list(profile.thread, profile.opsMax) }), {
    minLength: 2,
    maxLength: 3,
  });
  const irqs = profile.irq === null ? fc.constant([]) : fc.array(list(profile.irq, 2), { minLength: 2, maxLength: 2 });
  const devices = profile.device === null ? fc.constant([]) : fc.array(list(profile.device, 2), { maxLength: 1 });
  const forbidden = profile.watched ? fc.array(value, { minLength: 1, maxLength: 2 }) : fc.constant(undefined);
  return fc.record({ machine, threads, irqs, devices, forbidden }).map((p) => placed(p, profile));
}

interface Drawn extends Omit<Programme, 'forbidden'> {
  readonly machine: { readonly core: string; readonly preempt: boolean; readonly ticketLocks: boolean };
  readonly forbidden: number[] | undefined;
}

/** On as many CPUs as the core has; without `crowded` one thread on each, a third one beside the first. */
function placed({ forbidden, ...p }: Drawn, profile: Profile): Programme {
  const cpus = p.machine.core === 'arm926' ? 1 : 2;
  const ticketLocks = p.machine.ticketLocks && p.machine.core !== 'pa8800';
  const threads = p.threads.map(({ cpu, ops }, i) => ({ cpu: (profile.crowded ? cpu : i) % cpus, ops }));
  const room = profile.device === null ? 3 : 2;
  const placed = { ...p, machine: { ...p.machine, cpus, ticketLocks }, threads: threads.slice(0, room) };
  return forbidden === undefined ? placed : { ...placed, forbidden };
}
