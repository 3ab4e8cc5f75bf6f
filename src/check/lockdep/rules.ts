/**
 * Whose lock validator it is: what kernels do differently. Source: kernel/lockdep.c, Linux 2.6.22 and 2.6.30; kernel/locking/lockdep.c, Linux
 * 4.9 and 5.10; spec/checkers.md §3.
 */
export type LockdepRules = '2.6.22' | '2.6.30' | '4.9' | '5.10';

export const LOCKDEP_RULES: readonly LockdepRules[] = ['2.6.22', '2.6.30', '4.9', '5.10'];

/** Numbers of wait types, by WaitType: without CONFIG_PROVE_RAW_LOCK_NESTING spinlocks are as raw ones. */
const WAITS = [0, 1, 2, 2, 3, 4] as const;
const WAITS_RAW = [0, 1, 2, 3, 4, 5] as const;

/** What one of them does. */
export interface RuleSet {
  /** States that have usage bits: hard and soft interrupts, and reclaim. */
  readonly states: 2 | 3;
  /** A table is full with so many locks held. */
  readonly depthMax: number;
  /** Does a lock that is said to serialise others do so, and is it reported when it is not held? */
  readonly nestLocks: 'unknown' | 'trusted' | 'checked';
  /** Do paths have to be strong, with recursive readers in them; is reclaim a lock? */
  readonly strong: boolean;
  /** Is a contradiction of a class with itself looked for, in both forms, before any path is? */
  readonly stateFirst: boolean;
  /** Is the return to user space looked at? */
  readonly sysExit: boolean;
  /** Signs, names and words of before 2.6.30. */
  readonly oldWords: boolean;
  /** Drawings of how it would go wrong, and whether the kernel is tainted. */
  readonly scenarios: boolean;
  /** "WARNING: ..." for headlines; locks with their address and wait types. */
  readonly warnings: boolean;
  /** What each wait type counts; null: nobody asks how long a lock lets its waiters wait. */
  readonly waits: readonly number[] | null;
}

const OLD = {
  states: 3,
  depthMax: 48,
  strong: false,
  sysExit: true,
  oldWords: false,
  warnings: false,
  waits: null,
} as const;

const SETS: Readonly<Record<LockdepRules, RuleSet>> = {
  '2.6.22': {
    ...OLD,
    states: 2,
    depthMax: 30,
    sysExit: false,
    nestLocks: 'unknown',
    stateFirst: true,
    oldWords: true,
    scenarios: false,
  },
  '2.6.30': { ...OLD, nestLocks: 'trusted', stateFirst: false, scenarios: false },
  '4.9': { ...OLD, nestLocks: 'checked', stateFirst: false, scenarios: true },
  '5.10': {
    states: 2,
    depthMax: 48,
    nestLocks: 'checked',
    strong: true,
    sysExit: true,
    stateFirst: true,
    oldWords: false,
    scenarios: true,
    warnings: true,
    waits: WAITS,
  },
};

/** @rawLockNesting: CONFIG_PROVE_RAW_LOCK_NESTING, of those that have it. */
export function ruleSet(rules: LockdepRules, rawLockNesting = false): RuleSet {
  const set = SETS[rules];
  return rawLockNesting && set.waits !== null ? { ...set, waits: WAITS_RAW } : set;
}
