/**
 * Waiting for a time to pass. Source: kernel/timer.c (`schedule_timeout`), kernel/sched.c (`yield`, `cond_resched`), Linux 2.6.22.
 *
 * Differs: there are no timers. Whoever waits for a time lets the other threads of its CPU run once and goes on when its turn comes again;
 * the time has then passed (shared/jiffies.ts).
 */
import { Space } from '../shared/footprint.js';
import { ___might_sleep } from '../shared/irqflags.js';
import { advance_jiffies } from '../shared/jiffies.js';
import { KERNEL_VERSION, LINUX_2_6 } from '../shared/version.js';
import { __set_current_state, TASK_RUNNING } from '../shared/wait.js';
import { Seat } from './hw.js';
import type { Kernel } from './kernel.js';

/** Let the others on this CPU run. Context: process, may sleep. Source: yield(), kernel/sched.c: a reserved word here. */
export function sched_yield(k: Kernel): void {
  __set_current_state(k, TASK_RUNNING);
  k.schedule();
}

/** Context: process, may sleep. The task's state has been set; it runs again afterwards. */
export function schedule_timeout(k: Kernel, ticks: number): void {
  k.hangWatch?.waitsForTime(true);
  sched_yield(k);
  advance_jiffies(k, ticks);
  k.hangWatch?.waitsForTime(false);
}

/** From here on cond_resched() asks whether it may sleep although nobody wants the CPU, before only where somebody does. */
const ASKS_ALWAYS = KERNEL_VERSION(2, 6, 32);

/**
 * Give up the CPU if somebody has asked for it.
 *
 * Context: process, may sleep.
 * Return:  whether it did.
 * Source:  include/linux/sched.h, kernel/sched.c, Linux 2.6.22, 2.6.31, 2.6.32, 4.12.
 *
 * @param where FILE:LINE of the caller
 */
export function cond_resched(k: Kernel, where?: string): boolean {
  const version = k.LINUX_VERSION_CODE;
  k.footprint?.touch(Space.seat, k.cpu, false);
  const needed = k.hw[k.layout.seats + k.cpu * Seat.words + Seat.needResched] !== 0;
  if (version >= ASKS_ALWAYS) ___might_sleep(k, where);
  else if (needed && version >= LINUX_2_6) ___might_sleep(k, 'kernel/sched.c:0');
  if (needed) sched_yield(k);
  return needed;
}

/** Wait for writes to end, but not for longer than @ticks. Source: congestion_wait(), mm/backing-dev.c, Linux 2.6.22; blk_congestion_wait(), 2.5.53. */
export function congestion_wait(k: Kernel, ticks: number): void {
  schedule_timeout(k, ticks);
}
