/**
 * Texts of the watchdogs. Source: kernel/softlockup.c, Linux 2.6.22 and 2.6.30; kernel/watchdog.c, Linux 4.10; kernel/hung_task.c, Linux 2.6.30,
 * 4.10 and 4.12; spec/checkers.md §4. Differs: code has no addresses, registers are left out.
 */
import { HZ } from '../../shared/jiffies.js';
import { hex8 } from '../../shared/types.js';
import type { Hangs } from './hangs.js';
import { type HangRules, isModern } from './limits.js';

export interface Text {
  readonly headline: string;
  readonly lines: readonly string[];
}

const seconds = (ticks: number): number => Math.floor(ticks / HZ);
const frames = (functions: readonly string[]): string[] => functions.map((f) => ` [<????????>] ${f}`);
const trace = (functions: readonly string[]): string[] =>
  functions.length === 0 ? [] : ['Call Trace:', ...frames(functions)];

/** What pr_fmt() puts before a line. */
const prefixed = (rules: HangRules, headline: string): string =>
  isModern(rules) ? `NMI watchdog: ${headline}` : headline;

export function softLockup(h: Hangs, cpu: number, slot: number, ticks: number): Text {
  const headline =
    h.rules === '2.6.22'
      ? `BUG: soft lockup detected on CPU#${cpu}!`
      : `BUG: soft lockup - CPU#${cpu} stuck for ${seconds(ticks)}s! [thread${slot}:${slot}]`;
  const first = prefixed(h.rules, headline);
  return { headline, lines: [first, ...h.waiting(slot), ...trace(h.stackOf(slot))] };
}

export function hardLockup(h: Hangs, cpu: number, slot: number): Text {
  const headline = `Watchdog detected hard LOCKUP on cpu ${cpu}`;
  const first = prefixed(h.rules, headline);
  return { headline, lines: [first, ...h.waiting(slot), ...trace(h.stackOf(slot))] };
}

/** @ticks: the limit. */
export function hungTask(h: Hangs, slot: number, ticks: number): Text {
  const headline = `INFO: task thread${slot}:${slot} blocked for more than ${seconds(ticks)} seconds.`;
  const release = isModern(h.rules) ? [`      Not tainted ${h.k.config.kernel} #1`] : [];
  return {
    headline,
    lines: [
      headline,
      ...release,
      '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
      `${`thread${slot}`.padEnd(14)}D ???????? ${String(slot).padStart(5)}`,
      ...h.waiting(slot),
      ...trace(h.stackOf(slot)),
      ...(isModern(h.rules) ? [] : h.locksOf(slot)),
    ],
  };
}

export function rcuFree(h: Hangs, object: number, cpu: number): Text {
  const headline = `RCU: object 0x${hex8(object)} is freed while CPU ${cpu} may still read it`;
  return {
    headline,
    lines: [
      headline,
      "(Murphy's own check: the kernel has none)",
      `CPU ${cpu} is in the read-side critical section that it was in when the object was handed to kfree_rcu()`,
      ...trace(h.stack()),
    ],
  };
}
