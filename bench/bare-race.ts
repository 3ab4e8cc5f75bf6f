/** Race module of the explorer's measurements: threads that share a lock and a counter; two of them make about 45 points together. */
import { type Kernel, race, spin_lock, spin_unlock } from '../src/index.js';

const ROUNDS = 5;
const shared = { counter: 0 };

function add(k: Kernel<typeof shared, 'm'>): void {
  for (let i = 0; i < ROUNDS; i++) {
    spin_lock(k, k.locks.m);
    k.shared.counter++;
    spin_unlock(k, k.locks.m);
  }
}

export default race({
  id: 'bare-race',
  shared,
  locks: ['m'],
  cases: [],
  threads: ({ cpus }) => Array.from({ length: cpus }, () => add),
});
