/**
 * Race module of the explorer's measurements: threads that make many steps, each on a cache line of its own. So many that begin, end and reset of an
 * execution, which are measured elsewhere, do not count.
 */
import { type Kernel, race, type Vaddr } from '../src/index.js';

const STEPS = 1600;

function write(k: Kernel, index: number): void {
  const at = (k.sym.race_data + index * 256) as Vaddr;
  for (let i = 0; i < STEPS; i++) k.store(at, i);
}

export default race({
  id: 'steps-race',
  cases: [],
  threads: ({ cpus }) => Array.from({ length: cpus }, () => write),
});
