/** Two threads that make as many steps as each other and never wait; one that looks before the other has stored. */
import { type Kernel, race, report } from '../../../src/index.js';

const shared = { x: 0, y: 0 };

function loads(k: Kernel<typeof shared>): void {
  for (let i = 0; i < 4; i++) k.load(k.at('x'));
}

export default race({ id: 'loads', shared, threads: [loads, loads] });

export const early = race({
  id: 'early',
  shared,
  threads: [
    (k) => {
      k.load(k.at('y'));
      k.store(k.at('x'), 1);
    },
    (k) => {
      if (k.shared.x === 0) report('nothing is there yet');
      k.load(k.at('y'));
    },
  ],
});

/** It fails while x is 1, which is at four places between steps of the first thread. */
export const during = race({
  id: 'during',
  shared,
  threads: [
    (k) => {
      k.store(k.at('x'), 1);
      for (let i = 0; i < 3; i++) k.load(k.at('y'));
      k.store(k.at('x'), 2);
    },
    (k) => {
      if (k.shared.x === 1) report('in between');
    },
  ],
});
