/** From when on the watchdogs say something. Source: kernel/softlockup.c, kernel/hung_task.c, Linux 2.6.30; kernel/watchdog.c, Linux 5.10. */
import { HZ } from '../../shared/jiffies.js';

export type HangRules = '2.6.22' | '2.6.30' | '5.10';

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
  readonly warnings: number;
}

/** 2.6.22 has a limit that nobody can set. */
const SOFT_2_6_22 = 10;

/** @set: what was set, of those that can be. */
export function hangLimits(rules: HangRules, set: Partial<Record<keyof typeof HANG_DEFAULTS, number>>): HangLimits {
  const get = (key: keyof typeof HANG_DEFAULTS): number => Math.max(0, set[key] ?? HANG_DEFAULTS[key]);
  const hung = rules === '2.6.22' ? 0 : get('hungTaskTimeoutSecs') * HZ;
  const warnings = get('hungTaskWarnings');
  if (rules === '5.10') {
    const hard = get('watchdogThresh') * HZ;
    return { soft: 2 * hard, hard, hung, warnings };
  }
  return { soft: (rules === '2.6.22' ? SOFT_2_6_22 : get('softlockupThresh')) * HZ, hard: 0, hung, warnings };
}
