/**
 * Threads that leave a difference in the hardware alone, and forget of what it came: memory is the same, and what each thread knows. The first asks for a flag,
 * does one of two things accordingly, and goes on; the other sets the flag. Each way has an ending of its own.
 */
import * as m from '#murphy';

const LINE = 3;
const shared = { flag: 0, x: 0, hit: 0, after: 0 };
type K = m.Kernel<typeof shared, 'p' | 'q'>;
const kernel = (k: K): m.Kernel => k as unknown as m.Kernel;

/** Do @set or @clear, whatever the flag says, and know no more than before. */
const byFlag = (k: K, set: () => void, clear: () => void = () => {}): void =>
  m.forgetting(k, () => {
    if (k.shared.flag === 1) set();
    else clear();
  });
/** And look how far the first thread is: past what it does by the flag, or not. */
const setFlag = (k: K): void => {
  k.shared.flag = 1;
  k.shared.after = k.shared.x;
};
const letters = (...values: number[]): never =>
  m.report(values.map((value) => String.fromCharCode(97 + value)).join('-'));

const states = (id: string, race: Partial<m.RaceInput<typeof shared, 'p' | 'q'>> & { threads: m.ThreadFn<K>[] }) =>
  m.race<typeof shared, 'p' | 'q'>({
    ...{ id, shared, queues: ['p', 'q'], machine: { cpus: 2, preempt: false } },
    irqs: { [LINE]: (k) => k.store(k.at('hit'), 1) },
    softirqs: { [m.Softirq.NET_TX]: (k) => k.store((k as unknown as K).at('hit'), 1) },
    check: (k) => letters(k.shared.hit, k.shared.after),
    ...race,
  });

export const pending = states('pending', {
  threads: [
    (k) => {
      const flags = m.local_irq_save(k);
      byFlag(k, () => k.raise(0, LINE));
      k.shared.x = 1;
      m.local_irq_restore(k, flags);
    },
    setFlag,
  ],
});

export const softirq = states('softirq', {
  threads: [
    (k) => {
      m.local_bh_disable(kernel(k));
      byFlag(k, () => m.raise_softirq(kernel(k), m.Softirq.NET_TX));
      k.shared.x = 1;
      m.local_bh_enable(kernel(k));
    },
    setFlag,
  ],
});

/** Two stores on their way to memory, which a device looks at. */
export const buffered = m.race<typeof shared, never>({
  ...{ id: 'buffered', shared, vars: ['page', 'bus', 'seen'], machine: { core: 'arm926', cpus: 1, preempt: true } },
  setup(k) {
    k.vars.page = m.alloc_page(k as unknown as m.Kernel, m.GFP_KERNEL);
    k.vars.bus = m.page_to_phys(k as unknown as m.Kernel, k.vars.page as m.Page);
  },
  threads: [
    (k) => {
      const at = m.page_address(k as unknown as m.Kernel, k.vars.page as m.Page);
      byFlag(
        k as unknown as K,
        () => k.store32(at, 1),
        () => k.store32(at, 2),
      );
      k.shared.x = 1;
    },
    (k) => setFlag(k as unknown as K),
  ],
  check: (k) => letters(k.memory.read32(k.vars.bus as m.Paddr), k.shared.after),
});
