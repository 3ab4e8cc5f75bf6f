/** Two threads, each five times: lock, increment, unlock. */
import { assertEqual, forgetting, type Kernel, race, spin_lock, spin_unlock } from '#murphy';

const TIMES = 5;
const shared = { counter: 0 };
type K = Kernel<typeof shared, 'm'>;

function increment(k: K): void {
  spin_lock(k, k.locks.m);
  k.shared.counter++;
  spin_unlock(k, k.locks.m);
}

const remembering = (k: K): void => {
  for (let i = 0; i < TIMES; i++) increment(k);
};

/** What one round has read is of no use to the next. */
const forgetful = (k: K): void => {
  for (let i = 0; i < TIMES; i++) forgetting(k, () => increment(k));
};

const locked = { shared, locks: ['m'] as const, check: (k: K) => assertEqual(k.shared.counter, 2 * TIMES, 'counter') };

export const rememberingRace = race({ id: 'remembering', ...locked, threads: [remembering, remembering] });
export const forgetfulRace = race({ id: 'forgetful', ...locked, threads: [forgetful, forgetful] });

const torn = (k: K): void => {
  for (let i = 0; i < 2; i++) {
    const seen = forgetting(k, () => k.shared.counter);
    k.shared.counter = seen + 1;
  }
};

export const tornRace = race({
  id: 'torn',
  shared,
  threads: [torn, torn],
  check: (k) => assertEqual(k.shared.counter, 4, 'counter'),
});
export const remembersAnObject = race({
  id: 'remembers-an-object',
  threads: [(k) => forgetting(k, () => ({ counter: 1 }))],
});
