/** Two threads, one of which changes kernel data behind the back of the scheduler: what one execution leaves there the next one finds. */
import { type Kernel, race, vaddr } from '../../../src/index.js';

const at = (k: Kernel) => vaddr(k.sym.race_data);
const add = (k: Kernel): void => k.store(at(k), k.load(at(k)) + 1);
const machine = { core: 'cortex-a9', cpus: 2, lowmemPages: 64, highmemPages: 0 };

export const loud = race({ id: 'loud', machine, threads: [add, add] });

export const silent = race({
  id: 'silent',
  machine,
  threads: [
    add,
    (k) => {
      add(k);
      const { words, staticBase } = k as unknown as { words: Int32Array; staticBase: number };
      const page = (at(k) - staticBase + 8192) >>> 2;
      words[page] = (words[page] as number) + 1;
    },
  ],
});
