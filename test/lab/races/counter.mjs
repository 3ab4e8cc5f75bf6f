import { assertEqual, race } from 'murphy';

export default race({
  id: 'counter',
  shared: { counter: 0 },
  threads: [
    (k) => {
      k.shared.counter++;
    },
    (k) => {
      k.shared.counter++;
    },
  ],
  check: (k) => assertEqual(k.shared.counter, 2, 'counter'),
});
