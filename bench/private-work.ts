/** Race module of the scaling measurement: each CPU works on a page of its own, in its own cache, and meets nobody. */
import { alloc_page, GFP_KERNEL, type Kernel, type Ptr, page_address, race, type Vaddr } from '../src/index.js';

/** About 100 ms: long beside what goes before and after an execution, short beside the time of a measurement. */
const ROUNDS = 2500;

function work(k: Kernel): void {
  const page = (k.vars.first! + k.cpu * 32) as Ptr<'page'>;
  const base = page_address(k, page);
  for (let round = 0; round < ROUNDS; round++) {
    for (let offset = 0; offset < 4096; offset += 4) {
      const at = (base + offset) as Vaddr;
      k.store32(at, k.load32(at) + 1);
    }
  }
}

export default race({
  id: 'private-work',
  title: 'private cached work, for bench',
  source: 'bench',
  spec: [],
  machine: { core: 'cortex-a9', hz: 0 },
  cases: [],
  vars: ['first'],
  setup(k) {
    k.vars.first = alloc_page(k, GFP_KERNEL);
    for (let cpu = 1; cpu < k.config.cpus; cpu++) alloc_page(k, GFP_KERNEL);
  },
  threads: ({ cpus }) => Array.from({ length: cpus }, () => work),
});
