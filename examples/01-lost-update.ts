/**
 * A lost update: `counter++` is a load and a store, and another thread comes in between.
 *
 *     npm run smp -- run ./examples/01-lost-update.ts        two real threads: now and then
 *     npm run smp -- explore ./examples/01-lost-update.ts    the schedule that does it
 */
import { assertEqual, type Kernel, race } from 'murphy';

const shared = { counter: 0 };

function increment(k: Kernel<typeof shared>): void {
  k.shared.counter++;
}

export default race({
  id: 'lost-update',
  shared,
  cases: [{ name: 'without a lock', outcome: 'report' }],
  threads: [increment, increment],
  check: (k) => assertEqual(k.shared.counter, 2, 'counter'),
});
