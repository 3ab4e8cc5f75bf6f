/** The order in which the choices of a decision are tried. */
import { Choice } from '../shared-state.js';
import type { Decision } from '../strategy.js';

const isDevice = (choice: number): boolean => choice >= Choice.device;

/** Could the context that ran before go on? */
export function currentEnabled(d: Pick<Decision, 'threads' | 'others' | 'current'>): boolean {
  if (d.current < 0) return false;
  const bit = isDevice(d.current) ? d.current - Choice.irq : d.current;
  return (((isDevice(d.current) ? d.others : d.threads) >>> bit) & 1) === 1;
}

/** As `Situation.choices`: the present context first if it can go on, then threads, interrupts, preemptions, devices by number. */
export function canonicalOrder(d: Pick<Decision, 'threads' | 'others' | 'current'>): number[] {
  const order: number[] = [];
  const first = currentEnabled(d) ? d.current : -1;
  if (first >= 0) order.push(first);
  for (let t = 0; t < 32; t++) if (((d.threads >>> t) & 1) === 1 && t !== first) order.push(t);
  for (let o = 0; o < 32; o++) if (((d.others >>> o) & 1) === 1 && Choice.irq + o !== first) order.push(Choice.irq + o);
  return order;
}

/** A number that orders choices otherwise, the same each time for the same seed, step and choice. */
export function shuffleKey(seed: number, step: number, choice: number): number {
  let x = Math.imul(seed ^ Math.imul(step + 1, 0x9e3779b1), 0x85ebca6b) ^ Math.imul(choice + 1, 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 15), 0x7feb352d);
  return (x ^ (x >>> 13)) >>> 0;
}
