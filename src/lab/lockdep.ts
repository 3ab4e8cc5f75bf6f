/** The lock validator of a machine, as its configuration asks for it. */
import { Lockdep, type LockdepMode, type LockdepReport, type LockdepRules } from '../check/lockdep/lockdep.js';
import { checksOf } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import { KERNEL_VERSION } from '../shared/version.js';
import { functionsOf } from './stack.js';

const FRAMES = 24;

/** Where code is: capturing costs about a microsecond, reading what was captured many. */
export const PLACES = {
  capture(): unknown {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = FRAMES;
    const place = new Error('here');
    Error.stackTraceLimit = stackTraceLimit;
    return place;
  },
  functions: (place: unknown): readonly string[] => functionsOf((place as Error).stack),
};

/** Rules by kernel version, where nobody asks for others: those of 5.10 are for what comes after the kernels of the catalogue. */
export const rulesOf = (k: Kernel): LockdepRules => {
  const { lockdepRules = '' } = k.config;
  if (lockdepRules !== '') return lockdepRules as LockdepRules;
  return k.LINUX_VERSION_CODE >= KERNEL_VERSION(5, 0, 0) ? '5.10' : '2.6.30';
};

/** Null when the machine has none. */
export function lockdepOf(k: Kernel, exact: boolean, onReport?: (report: LockdepReport) => void): Lockdep | null {
  if (!checksOf(k.config.check).includes('lockdep')) return null;
  return new Lockdep(k, {
    rules: rulesOf(k),
    mode: (k.config.lockdepMode || 'linux') as LockdepMode,
    places: PLACES,
    exact,
    ...(onReport !== undefined && { onReport }),
  });
}
