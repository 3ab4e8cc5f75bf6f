/**
 * The lock that mends example 01. Parallel running cannot prove it; every schedule tried, none failing, can:
 *
 *     npm run smp -- explore ./examples/02-a-lock.ts         clean, exhausted
 */
import { assertEqual, type Kernel, race, spin_lock, spin_unlock } from 'murphy';

const shared = { counter: 0 };

function increment(k: Kernel<typeof shared, 'm'>): void {
  spin_lock(k, k.locks.m);
  k.shared.counter++;
  spin_unlock(k, k.locks.m);
}

export default race({
  id: 'a-lock',
  shared,
  locks: ['m'],
  cases: [{ name: 'with a lock', outcome: 'clean' }],
  threads: [increment, increment],
  check: (k) => assertEqual(k.shared.counter, 2, 'counter'),
});
