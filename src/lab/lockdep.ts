/** The lock validator of a machine, as its configuration asks for it. */
import { Area } from '../check/lockdep/area.js';
import { allHeldLocks } from '../check/lockdep/held.js';
import { Lockdep, type LockdepMode, type LockdepReport } from '../check/lockdep/lockdep.js';
import { type LockdepRules, type RuleSet, ruleSet } from '../check/lockdep/rules.js';
import type { Places } from '../check/places.js';
import { checksOf, type MachineConfig } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import { KERNEL_VERSION, LINUX_2_6, versionCode } from '../shared/version.js';
import { heldBy, type MachineView } from './deadlock.js';
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
  functions: (place: unknown): readonly string[] => functionsOf(place as Error),
};

/**
 * Rules by kernel version, where nobody asks for others: those of the nearest kernel whose rules there are. Nest locks and room for 48 held
 * locks came with 2.6.27. 2.5.53 had no lockdep: it gets the oldest rules that know of reclaim, since its defects lie there.
 */
export const rulesOf = ({ lockdepRules = '', kernel }: MachineConfig): LockdepRules => {
  if (lockdepRules !== '') return lockdepRules as LockdepRules;
  const version = versionCode(kernel);
  if (version >= KERNEL_VERSION(5, 0, 0)) return '5.10';
  if (version >= KERNEL_VERSION(4, 0, 0)) return '4.9';
  return version >= LINUX_2_6 && version < KERNEL_VERSION(2, 6, 27) ? '2.6.22' : '2.6.30';
};

const setOf = (config: MachineConfig): RuleSet => ruleSet(rulesOf(config), config.rawLockNesting === true);

const watches = (config: MachineConfig): boolean => checksOf(config.check).includes('lockdep');

/** The locks that all tasks hold, as lockdep knows them: a line each, none where nobody watches locks. */
export function allLocksOf(m: MachineView): string[] {
  if (!watches(m.config)) return [];
  const slots = Array.from({ length: m.config.threadsMax }, (_, slot) => slot);
  return locksOf(m, slots);
}

/** Those of one task, as debug_show_held_locks() has them. */
export function locksOfTask(m: MachineView, slot: number): string[] {
  if (!watches(m.config)) return [];
  const [, ...lines] = locksOf(m, [slot]);
  return lines.length > 0 ? lines : [`no locks held by thread${slot}/${slot}.`];
}

function locksOf(m: MachineView, slots: readonly number[]): string[] {
  const tasks = slots.map((slot) => ({ slot, locks: heldBy(m, slot) }));
  return allHeldLocks(new Area(m.hw, m.layout.lockdep), setOf(m.config), tasks);
}

/** Null when the machine has none. */
export function lockdepOf(
  k: Kernel,
  exact: boolean,
  onReport?: (report: LockdepReport) => void,
  places: Places = PLACES,
): Lockdep | null {
  if (!watches(k.config)) return null;
  return new Lockdep(k, {
    rules: setOf(k.config),
    mode: (k.config.lockdepMode || 'linux') as LockdepMode,
    places,
    exact,
    stat: k.config.lockStat === true,
    ...(onReport !== undefined && { onReport }),
  });
}
