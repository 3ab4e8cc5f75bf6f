/** Two threads and two defects: an update of one word is lost, or the other word is read before it is written. */
import { expect, type Kernel, race, vaddr } from '../../../src/index.js';

const counter = (k: Kernel) => vaddr(k.sym.race_data);
const flag = (k: Kernel) => vaddr(k.sym.race_data + 64);

function add(k: Kernel): void {
  k.store(counter(k), k.load(counter(k)) + 1);
}

export default race({
  id: 'two-bugs',
  machine: { core: 'cortex-a9', cpus: 2, lowmemPages: 64, highmemPages: 0 },
  cases: [{ name: 'as it is', outcome: 'report' }],
  threads: [
    function write(k) {
      add(k);
      k.store(flag(k), 1);
    },
    function read(k) {
      add(k);
      expect(k.load(flag(k)) === 1, 'flag read before it is set');
    },
  ],
  check(k) {
    expect(k.load(counter(k)) === 2, 'updates lost', k.load(counter(k)));
  },
});
