/** One thread that makes 65 steps, a tenth of a second of its own between any two. */
import { type Kernel, race, vaddr } from '../../../src/index.js';

const TENTH = new Int32Array(new SharedArrayBuffer(4));

export default race({
  id: 'slow',
  machine: { core: 'cortex-a9', cpus: 1, lowmemPages: 64, highmemPages: 0 },
  threads: [
    (k: Kernel) => {
      for (let i = 0; i < 65; i++) {
        k.store(vaddr(k.sym.race_data), i);
        Atomics.wait(TENTH, 0, 0, 100);
      }
    },
  ],
});
