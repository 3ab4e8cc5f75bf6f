/**
 * What counts as a data race. `hb`: any two accesses that nothing orders. `kcsan`: of those, what KCSAN could report with its defaults;
 * `kcsan-strict`: with CONFIG_KCSAN_STRICT. Source: lib/Kconfig.kcsan, kernel/kcsan/core.c, Linux 5.10 and 5.14; spec/checkers.md §5.2, §5.5.
 */
import type { MachineConfig } from '../../cpu/config.js';

export const RACE_RULES = ['hb', 'kcsan', 'kcsan-strict'] as const;
export type RaceRules = (typeof RACE_RULES)[number];

export const raceRulesOf = ({ raceRules = '' }: Pick<MachineConfig, 'raceRules'>): RaceRules =>
  raceRules === '' ? 'hb' : (raceRules as RaceRules);

export interface Counts {
  /** KCSAN_ASSUME_PLAIN_WRITES_ATOMIC: a plain store of a word counts as marked. */
  readonly plainStoresAtomic: boolean;
  /** KCSAN_REPORT_VALUE_CHANGE_ONLY: a store of what was there before is none. */
  readonly changesOnly: boolean;
  /** KCSAN_INTERRUPT_WATCHER is off: whoever watches keeps everybody else off its CPU. */
  readonly otherCpusOnly: boolean;
  /** KCSAN sees no device: only that a value has changed. */
  readonly devicesUnknown: boolean;
}

export const COUNTS: Readonly<Record<RaceRules, Counts>> = {
  hb: { plainStoresAtomic: false, changesOnly: false, otherCpusOnly: false, devicesUnknown: false },
  kcsan: { plainStoresAtomic: true, changesOnly: true, otherCpusOnly: true, devicesUnknown: true },
  'kcsan-strict': { plainStoresAtomic: false, changesOnly: false, otherCpusOnly: false, devicesUnknown: true },
};

/** What KCSAN reports although the value is the same: functions of RCU. */
export const ALWAYS_REPORTED = /rcu_|_rcu|_srcu/;
