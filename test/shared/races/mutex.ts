/** Races about mutexes: each export is one. */
import {
  expect,
  type Kernel,
  type Mutex,
  mutex_init,
  mutex_lock,
  mutex_unlock,
  race,
  vaddr,
} from '../../../src/index.js';

const machine = { core: 'cortex-a9', cpus: 2, lowmemPages: 128, highmemPages: 0 };
const counter = (k: Kernel) => vaddr(k.sym.race_data);
const lock = (k: Kernel, nr: number): Mutex => vaddr(k.sym.race_data + 64 + nr * 16) as never;
const setup = (k: Kernel): void => {
  for (const nr of [0, 1]) mutex_init(k, lock(k, nr));
};

/** Sleeps with the lock held, so that others on its CPU run and find it held. */
function count(k: Kernel): void {
  mutex_lock(k, lock(k, 0));
  const seen = k.load(counter(k));
  k.schedule();
  k.store(counter(k), seen + 1);
  mutex_unlock(k, lock(k, 0));
}

const both = (first: number) => (k: Kernel) => {
  mutex_lock(k, lock(k, first));
  mutex_lock(k, lock(k, 1 - first));
  mutex_unlock(k, lock(k, 1 - first));
  mutex_unlock(k, lock(k, first));
};

export const counted = race({
  id: 'mutex-counted',
  machine,
  setup,
  threads: [
    { cpu: 0, run: count },
    { cpu: 0, run: count },
    { cpu: 1, run: count },
  ],
  check: (k) => expect(k.load(counter(k)) === 3, 'an addition is lost', k.load(counter(k))),
});

export const abba = race({
  id: 'mutex-abba',
  machine,
  setup,
  threads: [both(0), both(1)],
});

export const again = race({
  id: 'mutex-again',
  machine,
  setup,
  threads: [
    (k) => {
      mutex_lock(k, lock(k, 0));
      mutex_lock(k, lock(k, 0));
    },
  ],
});
