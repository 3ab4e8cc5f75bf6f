/**
 * Programmes of the lock API as data: any sequence of lock, unlock, interrupt entry and exit, enable and disable over named locks, run on one
 * CPU and answered with what lockdep reports. Whole matrices in the manner of lib/locking-selftest.c can be run so, on one machine.
 *
 * Spinlocks and rwlocks are taken through the kernel's functions; a lock that is held already is given all the same, since what matters is what
 * lockdep says, not the deadlock. Mutexes and semaphores are nothing but what they tell lockdep.
 */
import {
  LOCKDEP_MODES,
  LOCKDEP_RULES,
  type Lockdep,
  type LockdepMode,
  type LockdepReport,
  type LockdepRules,
} from '../check/lockdep/lockdep.js';
import { type ProcTexts, procTexts } from '../check/lockdep/proc.js';
import type { MachineConfig } from '../cpu/config.js';
import { layoutHw } from '../cpu/hw.js';
import { local_bh_disable, local_bh_enable } from '../cpu/irq.js';
import type { Kernel } from '../cpu/kernel.js';
import { arenaBytes } from '../cpu/memory.js';
import { createKernel, layoutStatics, start_kernel } from '../mm/boot.js';
import { gfp } from '../mm/gfp.js';
import { kmalloc } from '../mm/kmalloc.js';
import {
  lockdep_clear_current_reclaim_state,
  lockdep_set_current_reclaim_state,
  lockdep_trace_alloc,
} from '../mm/lockdep.js';
import { UsageError } from '../shared/errors.js';
import {
  HARDIRQ_OFFSET,
  in_interrupt,
  local_irq_disable,
  local_irq_enable,
  local_irq_restore,
  local_irq_save,
  SOFTIRQ_OFFSET,
} from '../shared/irqflags.js';
import type { LockWatch } from '../shared/kernel-base.js';
import * as locks from '../shared/spinlock.js';
import { clear_task_flags, memalloc_noreclaim_restore, memalloc_noreclaim_save, PF_MEMALLOC } from '../shared/task.js';
import { ptr } from '../shared/types.js';
import { WaitType } from '../shared/wait-type.js';
import { closest } from './closest.js';
import { configure, oneOf } from './configure.js';
import { lockdepOf } from './lockdep.js';
import type { MachineSpec } from './race.js';

/** A raw_spinlock lets nobody wait inside for a spinlock, by the rules of 5.10 with rawLockNesting. */
export type LockKind = 'spinlock' | 'raw_spinlock' | 'rwlock' | 'mutex' | 'rtmutex' | 'rwsem';

const WAITS: Readonly<Record<LockKind, number>> = {
  spinlock: WaitType.config,
  raw_spinlock: WaitType.spin,
  rwlock: WaitType.config,
  mutex: WaitType.sleep,
  rtmutex: WaitType.sleep,
  rwsem: WaitType.sleep,
};

/** A lock of a programme. */
export interface ProgramLock {
  readonly kind?: LockKind;
  /** Its class: that of the lock itself, unless several are to share one. */
  readonly class?: string;
  /** What reports call the class, if not as above. Classes that share a name have numbers behind it. */
  readonly name?: string;
  /** `heap`: in an object of kmalloc(), and nobody has initialised it. For mutexes and semaphores: the words of other locks are static. */
  readonly place?: 'static' | 'heap';
}

/** Operation, lock, and what else it needs: the subclass of spin_lock_nested and its like, the outer lock of spin_lock_nest_lock. */
export type LockStep = readonly [op: string, lock?: string, argument?: number | string];

export interface LockProgram {
  /** Without: every lock that a step names is there, of the kind that the step needs, in a class of its own. */
  readonly locks?: Readonly<Record<string, ProgramLock>>;
  readonly steps: readonly LockStep[];
  readonly rules?: LockdepRules;
  /** Default: continue. */
  readonly mode?: LockdepMode;
  /** CONFIG_PROVE_RAW_LOCK_NESTING, which the rules of 5.10 know. Default: false. */
  readonly rawLockNesting?: boolean;
  /** CONFIG_QUEUED_RWLOCKS, by the rules of 5.10: who waits for a rwlock queues, so a reader outside of interrupts is no recursive one. Default: false. */
  readonly queuedRwlocks?: boolean;
}

/** Programmes that have nothing to do with each other, as the cases of a selftest. */
export interface LockMatrix extends Omit<LockProgram, 'steps'> {
  readonly programs: Readonly<Record<string, readonly LockStep[]>>;
}

export interface LockProgramResult {
  readonly reports: readonly LockdepReport[];
  /** /proc/lockdep and its neighbours after the last step. */
  readonly proc: ProcTexts;
}

interface Lock {
  readonly name: string;
  readonly kind: LockKind;
  /** Initialise it, as the C source would. */
  init(): void;
  readonly addr: number;
  /** How often it is held. */
  held: number;
  flags: number;
  /** Readers queue behind writers: queuedRwlocks. */
  readonly queued: boolean;
}

type Act = (k: Kernel, lock: Lock, other: Lock | null, argument: number) => void;

/** Nothing but what they tell lockdep: they have no word. */
const SLEEPING: readonly LockKind[] = ['mutex', 'rtmutex', 'rwsem'];

interface Op {
  /** Kind of lock that it is for; null when it needs none. */
  readonly kind: LockKind | null;
  readonly takes?: boolean;
  readonly gives?: boolean;
  /** What the lock word is before: free, or held as the release expects it. */
  readonly word?: number;
  readonly act: Act;
}

const watchOf = (k: Kernel): LockWatch => k.lockWatch as LockWatch;
const spin = (lock: Lock): locks.SpinLock => ptr<'spinlock'>(lock.addr);
const rw = (lock: Lock): locks.RwLock => ptr<'rwlock'>(lock.addr);

const takes = (kind: LockKind, act: Act): Op => ({ kind, takes: true, word: 0, act });
const gives = (kind: LockKind, word: number, act: Act): Op => ({ kind, gives: true, word, act });
const event = (kind: LockKind, read: number, trylock: boolean): Op =>
  takes(kind, (k, lock) => {
    watchOf(k).acquire(lock.addr, read, trylock);
    watchOf(k).acquired(lock.addr);
  });
const nestLocked = (kind: LockKind): Op =>
  takes(kind, (k, lock, outer) => {
    watchOf(k).nestLock = (outer as Lock).addr;
    watchOf(k).acquire(lock.addr, 0, false);
    watchOf(k).acquired(lock.addr);
  });
const nested = (kind: LockKind, read: number): Op =>
  takes(kind, (k, lock, _, subclass) => {
    watchOf(k).subclass = subclass;
    watchOf(k).acquire(lock.addr, read, false);
    watchOf(k).acquired(lock.addr);
  });
const released = (kind: LockKind): Op => gives(kind, 0, (k, lock) => watchOf(k).release(lock.addr));
const context = (act: (k: Kernel) => void): Op => ({ kind: null, act });
const WRITER = 0x80000000 | 0;
/** The time that a step takes. */
const STEP_NS = 1000;
/** Room for a lock of any kind. */
const HEAP_BYTES = 32;

type Take = (k: Kernel, lock: locks.RwLock) => void;

/** What lockdep is told of readers. Source: read_lock_is_recursive(), Linux 5.10. */
const readOf = (k: Kernel, lock: Lock): number => (lock.queued && !in_interrupt(k) ? 1 : 2);

/** read_lock(); where readers queue lockdep only is told, as it is of a trylock. */
function readLock(k: Kernel, lock: Lock): void {
  if (lock.queued) readEvent(k, lock, false);
  else locks.read_lock(k, rw(lock));
}

function readEvent(k: Kernel, lock: Lock, trylock: boolean): void {
  const read = readOf(k, lock);
  k.preemptCount += 1;
  watchOf(k).acquire(lock.addr, read, trylock);
  watchOf(k).acquired(lock.addr);
}

/** The forms of taking a spinlock, and of giving it back. */
function spinOps(name: 'spin' | 'raw_spin', kind: 'spinlock' | 'raw_spinlock'): Record<string, Op> {
  const take = (act: (k: Kernel, lock: locks.SpinLock) => unknown): Op => takes(kind, (k, lock) => act(k, spin(lock)));
  const give = (act: (k: Kernel, lock: locks.SpinLock) => void): Op => gives(kind, 1, (k, lock) => act(k, spin(lock)));
  return {
    [`${name}_lock`]: take(locks.spin_lock),
    [`${name}_lock_nested`]: takes(kind, (k, lock, _, subclass) => locks.spin_lock_nested(k, spin(lock), subclass)),
    [`${name}_lock_nest_lock`]: takes(kind, (k, lock, outer) =>
      locks.spin_lock_nest_lock(k, spin(lock), spin(outer as Lock)),
    ),
    [`${name}_lock_irqsave_nested`]: takes(kind, (k, lock, _, subclass) => {
      watchOf(k).subclass = subclass;
      lock.flags = locks.spin_lock_irqsave(k, spin(lock));
    }),
    [`${name}_trylock`]: take(locks.spin_trylock),
    [`${name}_trylock_irq`]: take((k, lock) => {
      local_irq_disable(k);
      locks.spin_trylock(k, lock);
    }),
    [`${name}_trylock_irqsave`]: takes(kind, (k, lock) => {
      lock.flags = local_irq_save(k);
      locks.spin_trylock(k, spin(lock));
    }),
    [`${name}_trylock_bh`]: take((k, lock) => {
      local_bh_disable(k);
      locks.spin_trylock(k, lock);
    }),
    [`${name}_lock_irq`]: take(locks.spin_lock_irq),
    [`${name}_lock_irqsave`]: takes(kind, (k, lock) => {
      lock.flags = locks.spin_lock_irqsave(k, spin(lock));
    }),
    [`${name}_lock_bh`]: take(locks.spin_lock_bh),
    [`${name}_unlock`]: give(locks.spin_unlock),
    [`${name}_unlock_irq`]: give(locks.spin_unlock_irq),
    [`${name}_unlock_irqrestore`]: gives(kind, 1, (k, lock) => locks.spin_unlock_irqrestore(k, spin(lock), lock.flags)),
    [`${name}_unlock_bh`]: give(locks.spin_unlock_bh),
  };
}

/** The forms of taking a rwlock, and of giving it back. @word: what the lock word is while it is held. */
function rwOps(
  name: 'read' | 'write',
  lock: (k: Kernel, l: Lock) => void,
  unlock: Take,
  word: number,
): Record<string, Op> {
  const around = (before: (k: Kernel) => void): Op =>
    takes('rwlock', (k, l) => {
      before(k);
      lock(k, l);
    });
  const after = (then: (k: Kernel, l: Lock) => void): Op =>
    gives('rwlock', word, (k, l) => {
      unlock(k, rw(l));
      then(k, l);
    });
  return {
    [`${name}_lock`]: around(() => {}),
    [`${name}_lock_irq`]: around(local_irq_disable),
    [`${name}_lock_irqsave`]: takes('rwlock', (k, l) => {
      l.flags = local_irq_save(k);
      lock(k, l);
    }),
    [`${name}_lock_bh`]: around(local_bh_disable),
    [`${name}_trylock`]: takes('rwlock', (k, l) => {
      if (name === 'read') readEvent(k, l, true);
      else {
        k.preemptCount += 1;
        watchOf(k).acquire(l.addr, 0, true);
        watchOf(k).acquired(l.addr);
      }
    }),
    [`${name}_unlock`]: after(() => {}),
    [`${name}_unlock_irq`]: after(local_irq_enable),
    [`${name}_unlock_irqrestore`]: after((k, l) => local_irq_restore(k, l.flags)),
    [`${name}_unlock_bh`]: after(local_bh_enable),
  };
}

/** @threaded: as a handler without IRQF_NO_THREAD. */
function enterHardirq(k: Kernel, threaded: boolean): void {
  k.irqsOff = true;
  k.preemptCount += HARDIRQ_OFFSET;
  watchOf(k).threaded = threaded;
}

const OPS: Readonly<Record<string, Op>> = {
  ...spinOps('spin', 'spinlock'),
  ...spinOps('raw_spin', 'raw_spinlock'),
  ...rwOps('read', readLock, locks.read_unlock, 1),
  ...rwOps('write', (k, lock) => locks.write_lock(k, rw(lock)), locks.write_unlock, WRITER),
  mutex_lock: event('mutex', 0, false),
  mutex_lock_nested: nested('mutex', 0),
  mutex_lock_nest_lock: nestLocked('mutex'),
  mutex_lock_interruptible: event('mutex', 0, false),
  mutex_lock_killable: event('mutex', 0, false),
  mutex_trylock: event('mutex', 0, true),
  mutex_unlock: released('mutex'),
  rt_mutex_lock: event('rtmutex', 0, false),
  rt_mutex_trylock: event('rtmutex', 0, true),
  rt_mutex_unlock: released('rtmutex'),
  down_read: event('rwsem', 1, false),
  down_read_trylock: event('rwsem', 1, true),
  down_read_nested: nested('rwsem', 1),
  up_read: released('rwsem'),
  down_write_nested: nested('rwsem', 0),
  down_write_nest_lock: nestLocked('rwsem'),
  down_write_killable: event('rwsem', 0, false),
  down_write: event('rwsem', 0, false),
  down_write_trylock: event('rwsem', 0, true),
  up_write: released('rwsem'),
  local_irq_disable: context(local_irq_disable),
  local_irq_enable: context(local_irq_enable),
  // What they keep and bring back is the run's: see runStep().
  local_irq_save: context(() => {}),
  local_irq_restore: context(() => {}),
  local_bh_disable: context(local_bh_disable),
  local_bh_enable: context(local_bh_enable),
  softirq_enter: context((k) => {
    k.preemptCount += SOFTIRQ_OFFSET;
    watchOf(k).softirq(true);
  }),
  softirq_exit: context((k) => {
    watchOf(k).softirq(false);
    k.preemptCount -= SOFTIRQ_OFFSET;
  }),
  hardirq_enter: context((k) => enterHardirq(k, true)),
  hardirq_enter_no_thread: context((k) => enterHardirq(k, false)),
  hardirq_exit: context((k) => {
    k.preemptCount -= HARDIRQ_OFFSET;
  }),
  alloc_gfp_kernel: context((k) => lockdep_trace_alloc(k, gfp(k).GFP_KERNEL)),
  alloc_gfp_nofs: context((k) => lockdep_trace_alloc(k, gfp(k).GFP_NOFS)),
  reclaim_enter: context((k) => lockdep_set_current_reclaim_state(k, gfp(k).GFP_KERNEL)),
  reclaim_exit: context((k) => lockdep_clear_current_reclaim_state(k, true)),
  task_exit: context((k) => watchOf(k).taskExit()),
  return_to_user: context((k) => watchOf(k).sysExit()),
};
/** For a lock of any kind. */
const OTHER_OPS = [
  'lock_init',
  'free',
  'lock_contended',
  'lock_acquired',
  'lockdep_reset_lock',
  'lockdep_reset',
] as const;

/** Every operation that a step can name. */
export const LOCK_OPS: readonly string[] = [...Object.keys(OPS), ...OTHER_OPS];

/** Those that are given a subclass, and those that are given another lock. */
const isNested = (op: string): boolean => op.endsWith('_nested');
const isNestLock = (op: string): boolean => op.endsWith('_nest_lock');
const needsLock = (op: string): boolean => (OPS[op] === undefined ? op !== 'lockdep_reset' : OPS[op].kind !== null);

const SETTINGS = ['locks', 'rules', 'mode', 'rawLockNesting', 'queuedRwlocks'];
const LOCK_FIELDS = ['kind', 'class', 'name', 'place'];
const DOCUMENTED = 'docs/checkers.md has a table of all, and LOCK_OPS is a list of them';

/** A programme, and what messages call it. */
interface Titled {
  readonly name: string;
  readonly title: string;
  readonly steps: readonly LockStep[];
}

type Wrong = (at: number, what: string) => never;
const wrongIn =
  (title: string): Wrong =>
  (at, what) => {
    throw new UsageError(`${title}, step ${at + 1}: ${what}`);
  };

const quoted = (value: unknown): string => JSON.stringify(value) ?? String(value);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @what: whose the names are. */
function onlyKnown(what: string, given: Record<string, unknown>, known: readonly string[]): void {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue;
    throw new UsageError(`unknown property "${name}" of ${what}${closest(name, known)}; there is ${known.join(', ')}`);
  }
}

/** The options of a programme or a matrix. @has: the one that must be there. */
function checkOptions(options: unknown, what: string, has: 'steps' | 'programs'): void {
  if (!isRecord(options)) throw new UsageError(`${what} is an object with ${has}, not ${quoted(options)}`);
  onlyKnown(what, options, [has, ...SETTINGS]);
  for (const name of ['rawLockNesting', 'queuedRwlocks']) {
    const given = options[name];
    if (given === undefined || typeof given === 'boolean') continue;
    throw new UsageError(`${name} of ${what} is true or false, not ${quoted(given)}`);
  }
  if (options.locks === undefined) return;
  if (!isRecord(options.locks)) throw new UsageError(`locks of ${what} is an object, not ${quoted(options.locks)}`);
  for (const [name, lock] of Object.entries(options.locks)) checkLock(name, lock);
}

function checkLock(name: string, lock: unknown): void {
  const what = `lock ${name} of a lock programme`;
  if (!isRecord(lock)) throw new UsageError(`${what} is an object, {} or with ${LOCK_FIELDS}, not ${quoted(lock)}`);
  onlyKnown(what, lock, LOCK_FIELDS);
  const { kind = 'spinlock', place = 'static' } = lock;
  if (!Object.hasOwn(WAITS, String(kind))) {
    throw new UsageError(`${what}: there is no kind ${quoted(kind)}; there is ${Object.keys(WAITS).join(', ')}`);
  }
  if (place !== 'static' && place !== 'heap') {
    throw new UsageError(`${what}: its place is "static" or "heap", not ${quoted(place)}`);
  }
  for (const field of ['class', 'name']) {
    const text = lock[field];
    if (text !== undefined && typeof text !== 'string') {
      throw new UsageError(`${what}: its ${field} is a name, not ${quoted(text)}`);
    }
  }
  if (place === 'heap' && !(SLEEPING as readonly unknown[]).includes(kind)) {
    throw new UsageError(`${what} is in the heap: make it a mutex, an rtmutex or an rwsem`);
  }
}

/** Each step by itself. */
function checkSteps({ title, steps }: Titled): void {
  if (!Array.isArray(steps)) {
    throw new UsageError(`${title} has no list of steps, [["spin_lock", "A"], ...], but ${quoted(steps)}`);
  }
  const wrong = wrongIn(title);
  steps.forEach((step: unknown, at) => {
    if (!Array.isArray(step)) wrong(at, `a step is a list, ["spin_lock", "A"], not ${quoted(step)}`);
    checkStep(step as unknown[], (what) => wrong(at, what));
  });
}

function checkOp(op: unknown, wrong: (what: string) => never): string {
  if (typeof op === 'string' && LOCK_OPS.includes(op)) return op;
  const near = typeof op === 'string' ? closest(op, LOCK_OPS) : '';
  return wrong(`unknown lock operation ${quoted(op)}${near}; ${DOCUMENTED}`);
}

function checkStep([first, lock, argument, ...more]: readonly unknown[], wrong: (what: string) => never): void {
  const op = checkOp(first, wrong);
  const takes = needsLock(op) ? (isNested(op) || isNestLock(op) ? 2 : 1) : 0;
  const extra = [lock, argument, ...more].slice(takes).find((part) => part !== undefined);
  if (extra !== undefined)
    wrong(`${op} takes ${['no lock', 'a lock only', 'two arguments'][takes]}: not ${quoted(extra)}`);
  if (takes > 0 && lock === undefined) wrong(`${op} needs a lock: ["${op}", "A"]`);
  if (takes > 0 && typeof lock !== 'string') wrong(`the lock of ${op} is a name, not ${quoted(lock)}`);
  if (isNested(op) && !isSubclass(argument)) {
    wrong(`the subclass of ${op} is a whole number, 0 to 7, not ${quoted(argument)}`);
  }
}

/** In digits too: a programme may have been written as text. Of one above 7 lockdep has something to say itself. */
const isSubclass = (given: unknown): boolean =>
  (typeof given === 'number' || (typeof given === 'string' && given !== '')) &&
  Number.isInteger(Number(given)) &&
  Number(given) >= 0;

/** What each operation that ends something needs to have begun. */
const BEGUN: Readonly<Record<string, readonly string[]>> = {
  hardirq_exit: ['hardirq_enter', 'hardirq_enter_no_thread'],
  softirq_exit: ['softirq_enter'],
  reclaim_exit: ['reclaim_enter'],
};

/**
 * Whatever ends has begun: contexts one inside the other, bottom halves as often as they were disabled. What ends without that would leave counts that no
 * kernel has, and reports that are none.
 */
function checkBalance({ title, steps }: Titled): void {
  const wrong = wrongIn(title);
  const held = new Map<string, number>();
  const inside: string[] = [];
  let disabled = 0;
  let saved = 0;
  steps.forEach(([op, lock = ''], at) => {
    const before = held.get(lock) ?? 0;
    if (op === 'lockdep_reset') {
      held.clear();
      inside.length = 0;
      disabled = 0;
      saved = 0;
    }
    if (OPS[op]?.takes === true) held.set(lock, before + 1);
    if (OPS[op]?.gives === true) held.set(lock, Math.max(before - 1, 0));
    if (op === 'local_bh_disable' || (OPS[op]?.takes === true && op.endsWith('_bh'))) disabled++;
    if (op === 'local_bh_enable' || (OPS[op]?.gives === true && op.endsWith('_bh') && before > 0)) {
      if (disabled === 0) wrong(at, `${op} with bottom halves enabled: local_bh_disable has to be before it`);
      disabled--;
    }
    if (op === 'local_irq_save') saved++;
    if (op === 'local_irq_restore' && --saved < 0) wrong(at, 'local_irq_restore needs a local_irq_save before it');
    if (op.includes('_enter')) inside.push(op);
    const begins = BEGUN[op];
    if (begins !== undefined && !begins.includes(inside.pop() ?? '')) {
      wrong(at, `${op} without ${begins[0]} before it, or with another context begun in between`);
    }
  });
}

/** Locks that the programme declares, and those that its steps name. */
function locksOf({ title, steps }: Titled, declared: LockProgram['locks']): Map<string, Spec> {
  const wrong = wrongIn(title);
  const all = new Map<string, Spec>();
  for (const [name, lock] of Object.entries(declared ?? {})) {
    const of = lock.class ?? name;
    all.set(name, { kind: lock.kind ?? 'spinlock', class: of, name: lock.name ?? of, place: lock.place ?? 'static' });
  }
  steps.forEach(([op, lock], at) => {
    const kind = OPS[op]?.kind ?? null;
    if (kind === null) return;
    const name = lock as string;
    const known = all.get(name);
    if (known === undefined && declared !== undefined) {
      wrong(at, `there is no lock "${name}" in locks${closest(name, Object.keys(declared))}`);
    }
    if (known === undefined) all.set(name, { kind, class: name, name, place: 'static' });
    else if (known.kind !== kind) wrong(at, `${op} is for a ${kind}, ${name} is a ${known.kind}`);
  });
  steps.forEach(([op, lock, other], at) => {
    const named = isNestLock(op) ? other : needsLock(op) ? lock : undefined;
    if ((isNestLock(op) || needsLock(op)) && !all.has(String(named))) {
      wrong(at, `${op} needs a lock that another step takes, not ${quoted(named)}`);
    }
  });
  return all;
}

/** A kernel of the catalogue to whose rules each set is the nearest. */
const KERNEL: Readonly<Record<LockdepRules, string>> = {
  '2.6.22': '2.6.22',
  '2.6.30': '2.6.31',
  '4.9': '4.10',
  '5.10': '4.12',
};

function bootOneCpu(names: readonly string[], rules: LockdepRules, more: MachineSpec): { k: Kernel; at: number[] } {
  const machine = { core: 'arm926', cpus: 1, lowmemPages: 64, highmemPages: 0, kernel: KERNEL[rules], hz: 0 };
  const check = { check: 'lockdep', lockdepRules: rules, lockStat: true };
  const config: MachineConfig = {
    ...configure([{ ...machine, ...check, ...more }], 1, 1, 1),
    declared: names.map((name) => ({ name: `lock ${name}`, kind: 'word', count: null, initial: [0] })),
  };
  const statics = layoutStatics(config);
  const arena = new SharedArrayBuffer(arenaBytes(config.lowmemPages + config.highmemPages));
  const hw = new SharedArrayBuffer(layoutHw(config).words * 4);
  const k = createKernel(config, { arena, hw }, statics, 0, 0);
  const symbols = statics.sym as unknown as Record<string, number>;
  return { k, at: names.map((name) => symbols[`lock ${name}`] as number) };
}

/**
 * Run @program on one CPU.
 *
 * Return: what lockdep reports, in order.
 * Errors: UsageError for an option, an operation or a lock that there is not, for a step that lacks what it needs, and for one that ends what has not begun.
 */
export function runLockProgram(program: LockProgram): LockProgramResult {
  const title = 'lock programme';
  checkOptions(program, `a ${title}`, 'steps');
  return runAll(program, [{ name: 'it', title, steps: program.steps }]).it as LockProgramResult;
}

/**
 * Run programmes one after the other on one machine, each as if it were alone.
 *
 * Return: what lockdep reports of each, by the names of the programmes.
 * Errors: as runLockProgram(), with the name of the programme.
 */
export function runLockMatrix(matrix: LockMatrix): Record<string, LockProgramResult> {
  checkOptions(matrix, 'a lock matrix', 'programs');
  if (!isRecord(matrix.programs)) {
    throw new UsageError(
      `programs of a lock matrix is an object, { name: steps, ... }, not ${quoted(matrix.programs)}`,
    );
  }
  const titled = Object.entries(matrix.programs);
  return runAll(
    matrix,
    titled.map(([name, steps]) => ({ name, title: `lock programme "${name}"`, steps })),
  );
}

function runAll(settings: Omit<LockProgram, 'steps'>, programs: readonly Titled[]): Record<string, LockProgramResult> {
  const { rules = '2.6.30', mode = 'continue', rawLockNesting = false, locks: declared } = settings;
  const queued = settings.queuedRwlocks === true;
  oneOf('set of lockdep rules', rules, LOCKDEP_RULES);
  oneOf('lockdep mode', mode, LOCKDEP_MODES);
  if (queued && rules !== '5.10') throw new UsageError('queuedRwlocks is for the rules of 5.10: rules: "5.10"');
  const list = programs.map((program) => {
    checkSteps(program);
    checkBalance(program);
    return { name: program.name, steps: program.steps, specs: locksOf(program, declared) };
  });
  const specs = new Map(list.flatMap((p) => [...p.specs].map(([name, spec]) => [wordOf(name, spec), { name, spec }])));
  const words = [...specs.keys()];
  const { k, at } = bootOneCpu(words, rules, { lockdepMode: mode, rawLockNesting });
  let reports: LockdepReport[] = [];
  let place = 'start';
  const places = { capture: () => place, functions: (at: unknown) => [String(at)] };
  const lockdep = lockdepOf(k, true, (report) => reports.push(report), places);
  if (lockdep === null) throw new UsageError('a machine for lock programmes has no lockdep');
  let clock = 0;
  lockdep.clock = () => clock;
  lockdep.area.clear();
  start_kernel(k);
  k.watchLocks(lockdep);
  lockdep.begin();
  k.irqsOff = false;
  const locks = new Map(
    [...specs].map(([word, { name, spec }], i) => [word, lockOf(k, name, spec, at[i] as number, queued)]),
  );
  const instances = lockdep.area.instances();
  const results: Record<string, LockProgramResult> = {};
  for (const p of list) {
    const table = new Map([...p.specs].map(([name, spec]) => [name, locks.get(wordOf(name, spec)) as Lock]));
    const run: Run = { k, lockdep, table, irqs: [], saved: [], reclaims: [] };
    resetAll(run, instances);
    // A class that programmes share may be of another kind of lock in each. What there was no room for is told of when it is taken.
    for (const [name, spec] of p.specs) if (spec.place === 'static') table.get(name)?.init();
    resetAll(run, instances);
    reports = [];
    p.steps.forEach((step, number) => {
      clock += STEP_NS;
      place = `step ${number + 1}: ${step.filter((part) => part !== undefined).join(' ')}`;
      runStep(run, step);
    });
    results[p.name] = { reports, proc: procTexts(lockdep) };
  }
  return results;
}

type Spec = Required<ProgramLock>;

/** A lock's name is taken anew for each kind. */
const wordOf = (name: string, { kind }: Spec): string => `${kind} ${name}`;

function lockOf(k: Kernel, name: string, spec: Spec, at: number, queued: boolean): Lock {
  const heap = spec.place === 'heap';
  const addr = heap ? kmalloc(k, HEAP_BYTES, gfp(k).GFP_KERNEL) : at;
  const init = (): void => watchOf(k).init(addr, spec.name, spec.class, WAITS[spec.kind]);
  if (!heap) init();
  return { name, kind: spec.kind, addr, held: 0, flags: 0, queued, init };
}

interface Run {
  readonly k: Kernel;
  readonly lockdep: Lockdep;
  readonly table: ReadonlyMap<string, Lock>;
  /** What interrupts were when each of the handlers began. */
  readonly irqs: boolean[];
  /** What local_irq_save() has kept. */
  readonly saved: number[];
  /** What PF_MEMALLOC was when each reclaim began. */
  readonly reclaims: number[];
}

/** Nothing is known any more, nothing held, and the task is where it began. */
function resetAll({ k, lockdep, table, irqs, saved, reclaims }: Run, instances: Int32Array | null = null): void {
  lockdep.begin();
  k.preemptCount = 0;
  k.irqsOff = false;
  // That was an event of its own, perhaps.
  lockdep.begin();
  lockdep.forgetStacks();
  irqs.length = 0;
  saved.length = 0;
  reclaims.length = 0;
  clear_task_flags(k, PF_MEMALLOC);
  for (const lock of table.values()) lock.held = 0;
  lockdep.area.restart(instances);
}

function runStep(run: Run, [name, lockName, argument]: LockStep): void {
  const { k, lockdep, table, irqs, saved, reclaims } = run;
  const find = (which: unknown): Lock => table.get(String(which)) as Lock;
  if (name === 'lockdep_reset') resetAll(run);
  else if (name === 'lock_contended') lockdep.contended(find(lockName).addr);
  else if (name === 'lock_acquired') lockdep.acquired(find(lockName).addr);
  else if (name === 'lockdep_reset_lock') lockdep.resetLock(find(lockName).addr);
  else if (name === 'lock_init') find(lockName).init();
  else if (name === 'free') watchOf(k).freed(find(lockName).addr, 4);
  const op = OPS[name];
  if (op === undefined) return;
  if (name.startsWith('hardirq_enter')) irqs.push(k.irqsOff);
  if (name === 'local_irq_save') saved.push(local_irq_save(k));
  if (name === 'local_irq_restore') local_irq_restore(k, saved.pop() ?? 0);
  if (name === 'reclaim_enter') reclaims.push(memalloc_noreclaim_save(k));
  if (op.kind === null) op.act(k, null as never, null, 0);
  else operate(k, op, name, find(lockName), isNestLock(name) ? find(argument) : null, Number(argument ?? 0));
  // The interrupt returns to what was interrupted.
  if (name === 'hardirq_exit' && irqs.pop() === false) k.irqsOff = false;
  if (name === 'reclaim_exit') memalloc_noreclaim_restore(k, reclaims.pop() ?? 0);
}

/** The lock's word is made what the operation expects of it. One that nobody holds is given back to lockdep only. */
function operate(k: Kernel, op: Op, name: string, lock: Lock, other: Lock | null, argument: number): void {
  if (op.gives === true && lock.held === 0) {
    watchOf(k).release(lock.addr);
    if (name.endsWith('_irq')) local_irq_enable(k);
    else if (name.endsWith('_irqrestore')) local_irq_restore(k, lock.flags);
    return;
  }
  if (!SLEEPING.includes(lock.kind)) k.words[k.wordIndex(lock.addr)] = op.word ?? 0;
  op.act(k, lock, other, argument);
  lock.held += op.takes === true ? 1 : -1;
}
