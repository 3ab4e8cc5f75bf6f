/**
 * Sleeping for a while. Source: kernel/timer.c, Linux 2.5.53.
 * Differs: the machine keeps no list of timers. A timeout may expire at any time, so the sleeper stays runnable and lets all others on its CPU
 * run first.
 */
import type { Kernel } from '../cpu/kernel.js';
import { __set_current_state, TASK_RUNNING } from '../shared/wait.js';

/** Context: process, sleeps. */
export function schedule_timeout_uninterruptible(k: Kernel, _jiffies: number): void {
  __set_current_state(k, TASK_RUNNING);
  k.schedule();
}
