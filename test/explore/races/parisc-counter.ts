/** Two threads add to counters: under a spinlock, by atomic operations, or, with the mutant, load and store apart. */
import { atomic_inc, expect, type Kernel, race, spin_lock, spin_unlock, vaddr } from '../../../src/index.js';

const ROUNDS = 2;
const counter = (k: Kernel) => vaddr(k.sym.race_data + 64);
const atomic = (k: Kernel) => vaddr(k.sym.race_data + 128);

function add(k: Kernel): void {
  const lock = k.sym.race_data as never;
  const locked = !k.has('mutant-kunmap-no-flush');
  for (let i = 0; i < ROUNDS; i++) {
    if (locked) spin_lock(k, lock);
    k.store(counter(k), k.load(counter(k)) + 1);
    if (locked) spin_unlock(k, lock);
    atomic_inc(k, atomic(k));
  }
}

export default race({
  id: 'parisc-counter',
  title: 'updates are lost without the lock, atomic ones never',
  source: 'test',
  spec: [],
  machine: { core: 'pa8800', cpus: 2, lowmemPages: 64 },
  cases: [
    { name: 'locked', outcome: 'clean' },
    { name: 'unlocked', machine: { patches: ['mutant-kunmap-no-flush'] }, outcome: 'report' },
  ],
  threads: [add, add],
  check(k) {
    expect(k.load(atomic(k)) === 2 * ROUNDS, 'atomic updates lost', k.load(atomic(k)));
    expect(k.load(counter(k)) === 2 * ROUNDS, 'updates lost', k.load(counter(k)));
  },
});
