/** A bounded buffer with sleeping threads, and philosophers: queues, arrays of locks, reader-writer locks. */
import {
  assertEqual,
  type Kernel,
  race,
  read_lock,
  read_unlock,
  spin_lock,
  spin_unlock,
  wait_event,
  wake_up,
  write_lock,
  write_unlock,
} from '#murphy';

export const boundedBuffer = race({
  id: 'bounded-buffer',
  shared: { slot: 0, full: 0, sum: 0 },
  queues: ['filled', 'emptied'],
  threads: [
    (k) => {
      for (let item = 1; item <= 2; item++) {
        wait_event(k, k.queues.emptied, () => k.shared.full === 0);
        k.shared.slot = item;
        k.shared.full = 1;
        wake_up(k, k.queues.filled);
      }
    },
    (k) => {
      for (let i = 0; i < 2; i++) {
        wait_event(k, k.queues.filled, () => k.shared.full === 1);
        k.shared.sum += k.shared.slot;
        k.shared.full = 0;
        wake_up(k, k.queues.emptied);
      }
    },
  ],
  check: (k) => assertEqual(k.shared.sum, 3, 'sum'),
});

const philosopher =
  (first: number, second: number) =>
  (k: Kernel<object, 'fork[2]'>): void => {
    spin_lock(k, k.locks.fork[first]!);
    spin_lock(k, k.locks.fork[second]!);
    spin_unlock(k, k.locks.fork[second]!);
    spin_unlock(k, k.locks.fork[first]!);
  };

export const philosophers = race({
  id: 'philosophers',
  locks: ['fork[2]'],
  threads: [philosopher(0, 1), philosopher(1, 0)],
});

export const readers = race({
  id: 'readers',
  shared: { a: 0, b: 0 },
  rwlocks: ['r'],
  threads: [
    (k) => {
      write_lock(k, k.rwlocks.r);
      k.shared.a += 1;
      k.shared.b += 1;
      write_unlock(k, k.rwlocks.r);
    },
    (k) => {
      read_lock(k, k.rwlocks.r);
      assertEqual(k.shared.a, k.shared.b, 'b beside a');
      read_unlock(k, k.rwlocks.r);
    },
  ],
});
