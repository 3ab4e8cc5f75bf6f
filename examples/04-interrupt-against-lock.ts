/**
 * An interrupt handler takes a lock that the code it interrupted holds: the CPU waits for itself. spin_lock_irqsave() is the mend.
 *
 *     npm run smp -- explore ./examples/04-interrupt-against-lock.ts
 */
import { type Kernel, race, spin_lock, spin_unlock } from 'murphy';

const LINE = 3;

function count(k: Kernel<{ events: number }, 'm'>): void {
  spin_lock(k, k.locks.m);
  k.shared.events++;
  spin_unlock(k, k.locks.m);
}

export default race({
  id: 'interrupt-against-lock',
  machine: { cpus: 1 },
  shared: { events: 0 },
  locks: ['m'],
  cases: [{ name: 'interrupts on', outcome: 'deadlock' }],
  threads: [
    (k) => {
      k.raise(0, LINE);
      count(k);
    },
  ],
  irqs: { [LINE]: count },
});
