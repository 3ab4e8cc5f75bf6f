/** Two threads add to a word without a lock, for a few microseconds: an update is lost if they run at the same time. */
import { expect, type Kernel, race } from '../../../src/index.js';

const ADDS = 20;

function add(k: Kernel): void {
  for (let i = 0; i < ADDS; i++) k.store(k.sym.race_data, k.load(k.sym.race_data) + 1);
}

export default race({
  id: 'unlocked-counter',
  title: 'updates of a counter without a lock are lost',
  source: 'test',
  spec: [],
  machine: { core: 'cortex-a9', cpus: 2 },
  cases: [],
  threads: [add, add],
  check(k) {
    const sum = k.load(k.sym.race_data);
    expect(sum === 2 * ADDS, `${sum} of ${2 * ADDS} additions are left`);
  },
});
