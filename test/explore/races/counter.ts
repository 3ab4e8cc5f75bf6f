/** Two threads add to a counter, load and store apart: with the lock nothing is lost, without it an update is. */
import { expect, type Kernel, race, spin_lock, spin_unlock, vaddr } from '../../../src/index.js';

const ROUNDS = 3;

function add(k: Kernel): void {
  const lock = k.sym.race_data as never;
  const counter = vaddr(k.sym.race_data + 64);
  for (let i = 0; i < ROUNDS; i++) {
    if (k.has('kmap-high-get')) spin_lock(k, lock);
    k.store(counter, k.load(counter) + 1);
    if (k.has('kmap-high-get')) spin_unlock(k, lock);
  }
}

export default race({
  id: 'counter',
  title: 'an update is lost without the lock',
  source: 'test',
  spec: [],
  machine: { core: 'cortex-a9', cpus: 2, lowmemPages: 64, highmemPages: 0 },
  cases: [
    { name: 'locked', outcome: 'clean' },
    { name: 'unlocked', machine: { patches: ['-kmap-high-get'] }, outcome: 'report' },
  ],
  threads: [add, add],
  check(k) {
    const seen = k.load(vaddr(k.sym.race_data + 64));
    expect(seen === 2 * ROUNDS, 'updates lost', seen);
  },
});
