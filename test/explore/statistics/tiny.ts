/** Races small enough for the probability of each of their executions to be computed. */
import { assert, race, spin_lock, spin_unlock } from '../../../src/index.js';

const machine = { core: 'cortex-a9', cpus: 2, lowmemPages: 64, highmemPages: 0, preempt: false };

/** Both add one, load and store apart; the first stores something else before, so that the two are not alike. */
export const lostUpdate = race({
  id: 'lost-update',
  machine,
  shared: { counter: 0, other: 0 },
  threads: [
    (k) => {
      k.shared.other = 1;
      k.shared.counter++;
    },
    (k) => {
      k.shared.counter++;
    },
  ],
  check(k) {
    assert(k.shared.counter === 2, 'an update is lost');
  },
});

/** A thread and an interrupt handler, so one worker does it all: nothing is as fast. */
export const interrupted = race({
  id: 'interrupted',
  machine: { ...machine, cpus: 1 },
  shared: { counter: 0, other: 0 },
  threads: [
    (k) => {
      k.raise(0, 1);
      k.shared.other = 1;
      k.shared.counter++;
      k.shared.other = 2;
    },
  ],
  irqs: {
    1: (k) => {
      k.shared.counter++;
    },
  },
  check(k) {
    assert(k.shared.counter === 2, 'an update is lost');
  },
});

/** As above, with two interrupts whose order matters: some hundred executions. */
export const interruptedTwice = race({
  id: 'interrupted-twice',
  machine: { ...machine, cpus: 1 },
  shared: { counter: 0, other: 0 },
  threads: [
    (k) => {
      k.raise(0, 1);
      k.shared.counter++;
      k.raise(0, 2);
      for (let i = 0; i < 4; i++) k.shared.counter++;
      k.raise(0, 1);
      for (let i = 0; i < 3; i++) k.shared.other = i;
    },
  ],
  irqs: {
    1: (k) => {
      k.shared.counter++;
    },
    2: (k) => {
      k.shared.counter += 3;
    },
  },
  check(k) {
    assert(k.shared.counter === 10, 'an update is lost');
  },
});

/** While one has the lock the other cannot go: there are steps without a choice. */
export const behindLock = race({
  id: 'behind-lock',
  machine,
  shared: { first: 0, flag: 0 },
  locks: ['m'],
  threads: [
    (k) => {
      spin_lock(k, k.locks.m);
      k.shared.first = 1;
      spin_unlock(k, k.locks.m);
      k.shared.flag = 1;
    },
    (k) => {
      spin_lock(k, k.locks.m);
      const late = k.shared.first === 1;
      spin_unlock(k, k.locks.m);
      assert(!late || k.shared.flag === 1, 'behind the first, and before its flag');
    },
  ],
});

/**
 * A defect of depth three: the first thread has to be stopped after its store, the second after its own, the third goes, and then the one that was
 * stopped last has to go on before the one that was stopped first.
 */
export const nested = race({
  id: 'nested',
  machine: { ...machine, cpus: 3 },
  shared: { s: 0, m: 0, n: 0, p: 0 },
  threads: [
    (k) => {
      k.shared.s = 1;
      assert(k.shared.p === 0, 'in the middle of the others');
    },
    (k) => {
      const begun = k.shared.s === 1;
      k.shared.m = 1;
      if (k.shared.n === 1 && begun) k.shared.p = 1;
    },
    (k) => {
      if (k.shared.m === 1) k.shared.n = 1;
    },
  ],
});

export default lostUpdate;
