/** Two threads, one of which throws where the two take turns: of all the orders of their steps that is one. */
import { race } from '../../../src/index.js';

const STEPS = 3;

export default race({
  id: 'throws-once',
  title: 'a thread that throws in one order of the steps',
  machine: { core: 'cortex-a9', cpus: 2, lowmemPages: 64, highmemPages: 0 },
  shared: { made: 0 },
  cases: [{ name: 'as it is', outcome: 'clean' }],
  threads: [
    (k) => {
      for (let i = 1; i <= STEPS; i++) k.shared.made = i;
    },
    (k) => {
      const seen = Array.from({ length: STEPS }, () => k.shared.made);
      if (seen.every((made, i) => made === i + 1)) throw new Error('not in this order');
    },
  ],
});
