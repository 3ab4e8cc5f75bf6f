/** Race module of the scaling measurement: each CPU allocates and frees objects of its own slab, and meets nobody. */
import { GFP_KERNEL, type Kernel, kfree, kmalloc, race } from '../src/index.js';

const ROUNDS = 30_000;

function work(k: Kernel): void {
  for (let round = 0; round < ROUNDS; round++) kfree(k, kmalloc(k, 64, GFP_KERNEL));
}

export default race({
  id: 'private-kmalloc',
  title: 'kmalloc() and kfree() of objects of one CPU, for bench',
  source: 'bench',
  spec: [],
  machine: { core: 'cortex-a9', hz: 0 },
  cases: [],
  threads: ({ cpus }) => Array.from({ length: cpus }, () => work),
});
