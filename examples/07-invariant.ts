/**
 * An invariant: what holds whenever the lock is free. Controlled mode looks after every step, so a moment at which it does not hold is found although
 * no thread of the race looks at that moment.
 *
 *     npm run smp -- explore ./examples/07-invariant.ts
 */
import { assertEqual, type Kernel, race, spin_is_locked, spin_lock, spin_unlock } from 'murphy';

const shared = { mine: 60, yours: 40 };
type K = Kernel<typeof shared, 'm'>;

function add(k: K, account: 'mine' | 'yours', amount: number): void {
  spin_lock(k, k.locks.m);
  k.shared[account] += amount;
  spin_unlock(k, k.locks.m);
}

export default race({
  id: 'invariant',
  shared,
  locks: ['m'],
  cases: [{ name: 'one lock for each half', outcome: 'report' }],
  threads: [
    (k) => {
      add(k, 'mine', -10);
      add(k, 'yours', 10);
    },
  ],
  invariant(k) {
    if (spin_is_locked(k, k.locks.m)) return;
    assertEqual(k.shared.mine + k.shared.yours, 100, 'all money');
  },
});
