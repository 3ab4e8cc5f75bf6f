/** A thread calls what may sleep while it is not TASK_RUNNING, unless the other has woken it before; nothing else that they do has to do with each other. */
import { alloc_page, GFP_KERNEL, kmap, race } from '#murphy';

const TASK_UNINTERRUPTIBLE = 2;
const shared = { page: 0 };

export default race({
  ...{ id: 'nested-sleep', shared, machine: { kernel: '4.12', cpus: 2 } },
  cases: [{ name: 'not woken', outcome: 'warn' }],
  setup: (k) => {
    k.shared.page = alloc_page(k, GFP_KERNEL);
    k.store(k.sym.tasks, TASK_UNINTERRUPTIBLE);
  },
  threads: () => [(k) => kmap(k, k.shared.page as never), (k) => k.store(k.sym.tasks, 0)],
});
