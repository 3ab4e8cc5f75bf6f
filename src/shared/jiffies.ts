/**
 * The kernel's clock, HZ 100. Source: include/linux/jiffies.h.
 *
 * Differs: it advances when a task waits for a time to pass (cpu/timer.ts), by as much as it waits, and not by the timer interrupt: so what
 * happens every so many seconds happens in the same step of each run.
 */
import { How } from './access.js';
import type { KernelBase, SymbolSpec } from './kernel-base.js';
import { Point } from './point.js';
import type { Vaddr } from './types.js';

export const HZ = 100;
/** Ten seconds after boot, so that nothing is held back because it has just been reported. */
export const INITIAL_JIFFIES = 10 * HZ;

declare module './kernel-base.js' {
  interface Symbols {
    jiffies: Vaddr;
    /** prev_jiffy of __might_sleep(): when it last reported; 0: never. */
    might_sleep_prev_jiffy: Vaddr;
  }
}

export const jiffiesSymbols: Record<string, SymbolSpec> = {
  jiffies: { bytes: 4, align: 4 },
  might_sleep_prev_jiffy: { bytes: 4, align: 4 },
};

/** Source: include/linux/jiffies.h: volatile. */
export const jiffies = (k: KernelBase): number => k.loadAs(k.sym.jiffies, How.marked) >>> 0;
export const jiffies_to_msecs = (ticks: number): number => ticks * (1000 / HZ);

/** @ticks go by. */
export function advance_jiffies(k: KernelBase, ticks: number): void {
  k.pointAs(Point.Atomic, k.sym.jiffies, How.marked);
  k.atomicAdd(k.sym.jiffies, ticks);
  k.hangWatch?.timePassed(ticks);
}
