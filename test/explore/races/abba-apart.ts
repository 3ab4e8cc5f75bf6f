/** Two threads take two locks in opposite order, on the first and the third of three CPUs. */
import { type Kernel, ptr, race, spin_lock, spin_unlock } from '../../../src/index.js';

const both = (first: number, second: number) => (k: Kernel) => {
  const lock = (n: number) => ptr<'spinlock'>(k.sym.race_data + n * 64);
  spin_lock(k, lock(first));
  spin_lock(k, lock(second));
  spin_unlock(k, lock(second));
  spin_unlock(k, lock(first));
};

export default race({
  id: 'abba-apart',
  title: 'two locks in opposite order',
  source: 'test',
  spec: [],
  machine: { core: 'cortex-a9', cpus: 3, lowmemPages: 64, highmemPages: 0 },
  cases: [{ name: 'as it is', outcome: 'deadlock' }],
  threads: [
    { run: both(0, 1), cpu: 0 },
    { run: both(1, 0), cpu: 2 },
  ],
});
