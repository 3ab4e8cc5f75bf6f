/** Two threads add to a counter under a named lock. */
import { assertEqual, type Kernel, race, spin_lock, spin_unlock } from '#murphy';

const shared = { counter: 40 };

function add(k: Kernel<typeof shared, 'm'>): void {
  spin_lock(k, k.locks.m);
  k.shared.counter += 1;
  spin_unlock(k, k.locks.m);
}

export default race({
  id: 'locked-counter',
  shared,
  locks: ['m'],
  threads: [add, add],
  check: (k) => assertEqual(k.shared.counter, 42, 'counter'),
});
