/** A race that a test imports, as a user's tests do: not the default export. */
import { assertEqual, type Kernel, race } from '../../../src/index.js';

const shared = { counter: 0 };

export const increments = race({
  id: 'increments',
  shared,
  threads: [0, 1].map(() => (k: Kernel<typeof shared>) => {
    k.shared.counter++;
  }),
  check: (k) => assertEqual(k.shared.counter, 2, 'counter'),
});
