/** Threads whose results depend on the order in which they take locks, and on nothing else. */
import {
  assert,
  type Kernel,
  ptr,
  race,
  read_lock,
  read_unlock,
  spin_lock,
  spin_lock_irqsave,
  spin_unlock,
  spin_unlock_irqrestore,
  write_lock,
  write_unlock,
} from '#murphy';

const shared = { x: 0 };
type K = Kernel<typeof shared, 'a' | 'b'>;
type Act = (k: K) => void;

const under =
  (lock: 'a' | 'b', act: Act): Act =>
  (k) => {
    spin_lock(k, k.locks[lock]);
    act(k);
    spin_unlock(k, k.locks[lock]);
  };
const irqsave =
  (act: Act): Act =>
  (k) => {
    const flags = spin_lock_irqsave(k, k.locks.a);
    act(k);
    spin_unlock_irqrestore(k, k.locks.a, flags);
  };
/** Its word is free while it is 0, as that of a spinlock is. */
const rwLock = (k: K) => ptr<'rwlock'>(k.locks.a);
const writing =
  (act: Act): Act =>
  (k) => {
    write_lock(k, rwLock(k));
    act(k);
    write_unlock(k, rwLock(k));
  };
const reading: Act = (k) => {
  read_lock(k, rwLock(k));
  assert(k.shared.x !== 21, 'read after two one');
  read_unlock(k, rwLock(k));
};
/** Append a digit: x says in which order. */
const append =
  (digit: number): Act =>
  (k) => {
    k.shared.x = k.shared.x * 10 + digit;
  };

const machine = { core: 'cortex-a9', lowmemPages: 64, highmemPages: 0 };
const common = { shared, locks: ['a', 'b'] as const };
const three = { ...common, machine: { ...machine, cpus: 3 } };
const notReversed = { check: (k: K) => assert(k.shared.x !== 321, 'order three two one') };
const digits = [1, 2, 3];

export const spin = race({ id: 'spin', ...three, ...notReversed, threads: digits.map((n) => under('a', append(n))) });
export const invariant = race({
  ...{ id: 'invariant', ...three, ...notReversed, threads: digits.map((n) => under('a', append(n))) },
  invariant: (k: K) => assert(k.shared.x < 1000, 'three digits'),
});
export const irq = race({ id: 'irq', ...three, ...notReversed, threads: digits.map((n) => irqsave(append(n))) });
export const rw = race({
  ...{ id: 'rw', ...three },
  threads: [writing(append(1)), writing(append(2)), reading],
});
export const abba = race({
  ...{ id: 'abba', ...three, ...notReversed },
  threads: [under('a', under('b', append(1))), under('a', append(2)), under('b', under('a', append(3)))],
});

const rounds =
  (times: number, act: Act): Act =>
  (k) => {
    for (let i = 0; i < times; i++) act(k);
  };
const two = { ...common, machine: { ...machine, cpus: 2 } };
const threads = [1, 2].map((n) => rounds(3, under('a', append(n))));
export const twenty = race({ id: 'twenty', ...two, threads, check: (k) => assert(k.shared.x !== 121212, 'in turn') });
const more = [1, 2].map((n) => rounds(5, under('a', append(n))));
export const fiveEach = race({ id: 'five-each', ...two, threads: more });
