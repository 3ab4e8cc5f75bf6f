/** Three threads add to one word, load and store apart, and then to a word of their own: some thousand schedules, some hundred classes. */
import { type Kernel, race, vaddr } from '../../../src/index.js';

const add =
  (own: number) =>
  (k: Kernel): void => {
    for (const word of [0, own]) {
      const at = vaddr(k.sym.race_data + word * 64);
      k.store(at, k.load(at) + 1);
    }
  };

export default race({
  id: 'writers',
  title: 'updates are lost, and nobody minds',
  source: 'test',
  spec: [],
  machine: { core: 'cortex-a9', cpus: 3, lowmemPages: 64, highmemPages: 0 },
  cases: [{ name: 'as it is', outcome: 'clean' }],
  threads: [add(1), add(2), add(3)],
});
