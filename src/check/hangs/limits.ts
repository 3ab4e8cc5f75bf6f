/**
 * From when on the watchdogs say something. Source: kernel/softlockup.c, Linux 2.6.22 to 2.6.30; kernel/hung_task.c, Linux 2.6.30,
 * 4.10, 4.12; kernel/watchdog.c, Linux 4.10.
 */
import { HZ } from '../../shared/jiffies.js';

export type HangRules = '2.6.22' | '2.6.28' | '2.6.30' | '4.10' | '4.12';

/** kernel/watchdog.c */
export const isModern = (rules: HangRules): boolean => rules === '4.10' || rules === '4.12';

/** What sysctl sets, as it is when nobody does: seconds, and how many. */
export const HANG_DEFAULTS = {
  softlockupThresh: 60,
  watchdogThresh: 10,
  hungTaskTimeoutSecs: 120,
  hungTaskWarnings: 10,
} as const;

/** Ticks, 0 where there is no such watchdog, and how many hung tasks are told of. */
export interface HangLimits {
  readonly soft: number;
  readonly hard: number;
  readonly hung: number;
  /** How far looks for hung tasks are apart. */
  readonly look: number;
  readonly warnings: number;
}

/** 2.6.22 has a limit that nobody can set. */
const SOFT_2_6_22 = 10;

/** What hung_task_timeout_secs is where nobody sets it: 2.6.29 has more patience than all others. */
export const hungTaskTimeout = (kernel: string): number =>
  kernel === '2.6.29' ? 480 : HANG_DEFAULTS.hungTaskTimeoutSecs;

/** @set: what was set, of those that can be. */
export function hangLimits(rules: HangRules, set: Partial<Record<keyof typeof HANG_DEFAULTS, number>>): HangLimits {
  const get = (key: keyof typeof HANG_DEFAULTS): number => Math.max(0, set[key] ?? HANG_DEFAULTS[key]);
  const hung = rules === '2.6.22' ? 0 : get('hungTaskTimeoutSecs') * HZ;
  const warnings = get('hungTaskWarnings');
  if (isModern(rules)) {
    const hard = get('watchdogThresh') * HZ;
    return { soft: 2 * hard, hard, hung, look: hung, warnings };
  }
  const soft = rules === '2.6.22' ? SOFT_2_6_22 : get('softlockupThresh');
  // Its thread, which looked for hung tasks first, is woken when half of the limit is over; without a limit, never.
  const woken = soft === 0 ? 0 : Math.floor(soft / 2) + 1;
  return { soft: soft * HZ, hard: 0, hung, look: rules === '2.6.28' ? woken * HZ : hung, warnings };
}
