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

/** A round whose statement forgets nothing, since its value goes elsewhere too. */
const round =
  (statement: (k: K) => unknown) =>
  (k: K): void => {
    for (let i = 0; i < 3; i++) {
      spin_lock(k, k.locks.m);
      statement(k);
      spin_unlock(k, k.locks.m);
    }
  };
const keeping = (k: K): void => {
  let seen = 0;
  round((k) => {
    seen = k.shared.counter++;
  })(k);
  if (seen > 100) k.shared.counter = seen;
};
const returning = round((k) => k.shared.counter++);
const elsewhere = { counter: 0 };
const storing = round((k) => {
  elsewhere.counter = k.shared.counter + 1;
  k.shared.counter = elsewhere.counter;
});
const chaining = round((k) => {
  elsewhere.counter = k.shared.counter += 1;
});

const locked = { shared, locks: ['m'] as const, check: (k: K) => assertEqual(k.shared.counter, 2 * TIMES, 'counter') };

export const rememberingRace = race({ id: 'remembering', ...locked, threads: [remembering, remembering] });
export const forgetfulRace = race({ id: 'forgetful', ...locked, threads: [forgetful, forgetful] });

const three = { ...locked, check: (k: K) => assertEqual(k.shared.counter, 6, 'counter') };
export const keptRace = race({ id: 'kept', ...three, threads: [keeping, keeping] });
export const returnedRace = race({ id: 'returned', ...three, threads: [returning, returning] });
export const elsewhereRace = race({ id: 'elsewhere', ...three, threads: [storing, storing] });
export const chainedRace = race({ id: 'chained', ...three, threads: [chaining, chaining] });

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
