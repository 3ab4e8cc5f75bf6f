/**
 * The lock validator: what one worker's thread does with locks, against what everybody has done with their classes.
 *
 * Models kernel/lockdep.c, Linux 2.6.22 and 2.6.30, and kernel/locking/lockdep.c, Linux 4.9 and 5.10 (rules.ts); spec/checkers.md §3. Classes and
 * the graph are in the shared area; the stack of held locks is the thread's own, interrupts of its CPU included, as in the kernel.
 * Left out: cross-release, the redundancy check of CONFIG_LOCKDEP_SMALL.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { HARDIRQ_MASK, SOFTIRQ_MASK, SOFTIRQ_OFFSET } from '../../shared/irqflags.js';
import type { LockWatch } from '../../shared/kernel-base.js';
import { hex8 } from '../../shared/types.js';
import { WaitType } from '../../shared/wait-type.js';
import type { Places } from '../places.js';
import {
  Area,
  CHAIN_LOCKS_MAX,
  CHAINS_MAX,
  Chain,
  CLASSES_MAX,
  Class,
  chainHigh,
  chainLow,
  Head,
  SUBCLASSES_MAX,
} from './area.js';
import { depOf, Graph, type Hop, reverseDepOf } from './graph.js';
import { LockStat } from './lockstat.js';
import { type ProcTexts, procTexts } from './proc.js';
import * as report from './report.js';
import { className, context, type Text } from './report-parts.js';
import type { RuleSet } from './rules.js';
import {
  ACQUIRE_BITS,
  ACQUIRE_MASKS,
  bitOf,
  Ctx,
  ENABLED,
  ENABLED_ALL,
  exclusiveBit,
  exclusiveMask,
  LOCK_USED,
  NO_READ,
  READ,
  State,
  USED_IN_ALL,
} from './usage.js';

export { LOCKDEP_RULES, type LockdepRules } from './rules.js';

export type LockdepMode = 'linux' | 'continue';

export const LOCKDEP_MODES: readonly LockdepMode[] = ['linux', 'continue'];

/** A report, as the kernel prints it. */
export interface LockdepReport {
  readonly kind: ReportKind;
  /** The line that names it: "possible circular locking dependency detected". */
  readonly headline: string;
  /** Classes that it is about. */
  readonly classes: readonly string[];
  readonly lines: readonly string[];
}

export const REPORT_KINDS = [
  'recursive',
  'circular',
  'inconsistent',
  'inversion',
  'safe-unsafe',
  'unlock',
  'freed',
  'exit',
  'non-static',
  'nest',
  'full',
  'user',
  'contention',
  'wait',
  'alloc',
] as const;
export type ReportKind = (typeof REPORT_KINDS)[number];

export interface LockdepOptions {
  readonly rules: RuleSet;
  readonly mode: LockdepMode;
  readonly places: Places;
  /** Is the place of every acquisition kept, rather than the first of each chain of held locks? */
  readonly exact: boolean;
  /** CONFIG_LOCK_STAT. */
  readonly stat: boolean;
  /** Hears of each report, besides the log. */
  readonly onReport?: (report: LockdepReport) => void;
}

/** The most that any rules allow. */
const HELD_MAX = 48;
const CACHE = 256;
const NO_SITE = '';
/** What takes locks for others is not where a lock is taken. */
const LOCK_API = /^_*(raw_)?(spin|read|write|mutex)_(try)?(un)?lock|^(fastLock|lockSlow\w*|unlockSlow|__wake_up)$/;
/** What tells the class of a static lock apart: its address. */
const staticKey = (lock: number): string => `static ${hex8(lock)}`;
const siteIn = (stack: readonly string[]): string => stack.find((name) => !LOCK_API.test(name)) ?? '';

/** A lock that is held. */
export interface Held {
  lock: number;
  id: number;
  read: number;
  trylock: boolean;
  /** Bit 1: hard interrupt, bit 0: soft interrupt. Locks of different contexts do not depend on each other. */
  context: number;
  /** Chain of held locks below. */
  low: number;
  high: number;
  site: unknown;
  /** When the wait for it began, 0 for none, and since when it is held: nanoseconds. */
  waits: number;
  holds: number;
}

export class Lockdep implements LockWatch {
  subclass = 0;
  nestLock = 0;
  threaded = true;
  declare readonly k: Kernel;
  declare readonly area: Area;
  declare readonly graph: Graph;
  /** Whose words and rules. */
  declare readonly does: RuleSet;
  declare readonly held: Held[];
  depth = 0;
  /** Null unless waits and holds are measured. */
  readonly lockStat: LockStat | null = null;
  /** The machine's time, nanoseconds. */
  clock: () => number = () => this.k.timestamp() * 1000;
  /** irq events, and when each was last: hard interrupts on and off, soft interrupts on and off. */
  readonly stamps = { events: 0, on: 0, off: 0, softOn: 0, softOff: 0 };
  readonly #mode: LockdepMode;
  readonly #places: Places;
  readonly #exact: boolean = false;
  readonly #onReport: ((report: LockdepReport) => void) | undefined;
  readonly #words: Int32Array;
  readonly #base: number = 0;
  readonly #classes: number = 0;
  readonly #modern: boolean = false;
  readonly #depthMax: number = HELD_MAX;
  /** Names of static memory by address. */
  readonly #symbols: ReadonlyMap<number, string>;
  /** Classes of instances as last seen, by address hash. */
  readonly #cacheLock = new Int32Array(CACHE);
  readonly #cacheId = new Int32Array(CACHE);
  /** Chains that are known, by hash. */
  readonly #cacheLow = new Int32Array(CACHE);
  readonly #cacheHigh = new Int32Array(CACHE);
  #generation = 0;
  readonly #stacks = new Map<string, number>();
  /** The chain of everything held. */
  #low = 0;
  #high = 0;
  #inSoftirq = 0;
  #inReclaim = 0;
  /** The lock that serialises the acquisition at hand. */
  #nest = 0;

  constructor(k: Kernel, options: LockdepOptions) {
    this.k = k;
    this.area = new Area(k.hw, k.layout.lockdep);
    this.#words = k.hw;
    this.#base = this.area.base;
    this.#classes = this.area.at.classes;
    this.does = options.rules;
    this.#modern = this.does.strong;
    this.#depthMax = this.does.depthMax;
    this.#mode = options.mode;
    this.#places = options.places;
    this.#exact = options.exact;
    this.#onReport = options.onReport;
    this.lockStat = options.stat ? new LockStat(this.area) : null;
    this.graph = new Graph(this.area, this.#modern);
    this.#symbols = new Map(
      Object.entries(k.sym as unknown as Record<string, number>).map(([name, at]) => [at | 0, name]),
    );
    this.held = Array.from({ length: HELD_MAX + 1 }, () => ({
      lock: 0,
      id: 0,
      read: 0,
      trylock: false,
      context: 0,
      low: 0,
      high: 0,
      site: NO_SITE,
      waits: 0,
      holds: 0,
    }));
  }

  /** A worker begins an execution: its thread holds nothing. */
  begin(): void {
    this.depth = 0;
    this.#low = 0;
    this.#high = 0;
    this.#inSoftirq = 0;
    this.#inReclaim = 0;
    this.subclass = 0;
    this.nestLock = 0;
    Object.assign(this.stamps, { events: 0, on: 0, off: 0, softOn: 0, softOff: 0 });
  }

  /** What the first report of the execution says; empty when there is none. */
  get headline(): string {
    return this.area.text(this.area.head(Head.headline));
  }

  get #on(): boolean {
    return this.#words[this.#base + Head.debugLocks] !== 0;
  }

  // ---- contexts ----------------------------------------------------------------------------------------------------

  get hardirqContext(): boolean {
    return (this.k.preemptCount & HARDIRQ_MASK) !== 0;
  }

  get softirqContext(): boolean {
    return this.#inSoftirq !== 0;
  }

  get bhDisabled(): boolean {
    return (this.k.preemptCount & SOFTIRQ_MASK) !== 0;
  }

  hardirqs(on: boolean): void {
    if (!this.#on) return;
    if (!on) {
      this.stamps.off = ++this.stamps.events;
      return;
    }
    if (!this.k.irqsOff) return;
    this.stamps.on = ++this.stamps.events;
    if (this.depth === 0) return;
    this.#markHeld(bitOf(State.hardirq, ENABLED, false));
    if (!this.bhDisabled) this.#markHeld(bitOf(State.softirq, ENABLED, false));
  }

  softirqsOn(): void {
    if (!this.#on) return;
    this.stamps.softOn = ++this.stamps.events;
    if (this.depth > 0 && !this.k.irqsOff) this.#markHeld(bitOf(State.softirq, ENABLED, false));
  }

  softirqsOff(): void {
    if (this.#on) this.stamps.softOff = ++this.stamps.events;
  }

  softirq(enter: boolean): void {
    const outermost = (this.k.preemptCount & SOFTIRQ_MASK) === SOFTIRQ_OFFSET;
    if (enter && outermost) this.softirqsOff();
    this.#inSoftirq += enter ? 1 : -1;
    if (!enter && outermost) this.softirqsOn();
  }

  reclaim(enter: boolean): void {
    if (!this.#modern) {
      if (this.does.states > State.reclaim) this.#inReclaim += enter ? 1 : -1;
    } else if (enter) this.acquire(this.#fsReclaim(), 0, false);
    else this.release(this.#fsReclaim());
  }

  alloc(mayReclaimFs: boolean): void {
    if (!mayReclaimFs || !this.#on) return;
    if (this.#modern) {
      this.acquire(this.#fsReclaim(), 0, false);
      this.release(this.#fsReclaim());
    } else if (this.does.states > State.reclaim) {
      // With interrupts off the request itself is wrong, and says nothing of the locks: __lockdep_trace_alloc(), Linux 2.6.30.
      if (this.k.irqsOff) this.#report('alloc', 0, 0, () => report.allocWithIrqsOff(this));
      else this.#markHeld(bitOf(State.reclaim, ENABLED, false));
    }
  }

  /** The pseudo lock of reclaim has an address that no lock has. */
  #fsReclaim(): number {
    const lock = 4;
    if (this.area.classOf(lock) === 0) this.init(lock, 'fs_reclaim', undefined, WaitType.inv);
    return lock;
  }

  /** Every held lock is now used with the state enabled. */
  #markHeld(bit: number): void {
    for (let i = 0; i < this.depth; i++) {
      const held = this.held[i] as Held;
      if (!this.#mark(held, bit | (held.read !== 0 ? READ : 0))) return;
    }
  }

  // ---- acquire and release -----------------------------------------------------------------------------------------

  acquire(lock: number, read: number, trylock: boolean): void {
    const words = this.#words;
    const base = this.#base;
    if (words[base + Head.generation] !== this.#generation && !this.#forget()) return;
    const slot = (lock >>> 2) & (CACHE - 1);
    const known = (this.subclass | this.nestLock) === 0 && this.#cacheLock[slot] === (lock | 0);
    const id = known ? (this.#cacheId[slot] as number) : this.#annotated(lock);
    if (id === 0) return;
    const { depth, k } = this;
    if (depth + 1 >= this.#depthMax) {
      this.#full('MAX_LOCK_DEPTH');
      return;
    }
    const count = k.preemptCount;
    const context = ((count & HARDIRQ_MASK) !== 0 ? 2 : 0) | (this.#inSoftirq !== 0 ? 1 : 0);
    const held = this.held[depth] as Held;
    held.lock = lock | 0;
    held.id = id;
    held.read = read;
    held.trylock = trylock;
    held.context = context;
    if (this.lockStat !== null) {
      held.waits = 0;
      held.holds = this.clock();
    }
    if (this.#exact) held.site = this.#places.capture();
    if (this.does.waits !== null && !trylock && !this.#mayWait(held)) return;
    let ctx = (k.irqsOff ? Ctx.hardirqsOff : 0) | ((count & SOFTIRQ_MASK) !== 0 ? Ctx.softirqsOff : 0);
    if ((context | read | this.#inReclaim) !== 0 || trylock) ctx |= this.#rare(context, read, trylock);
    const wanted = ACQUIRE_MASKS[ctx] as number;
    if ((wanted & ~(words[this.#classes + id * Class.words] as number)) !== 0 && !this.#markAll(held, ctx) && !this.#on)
      return;
    this.#chain(held, trylock);
    if (!known) this.#nest = 0;
  }

  /** May the lock be waited for where the thread is? Return: false when it may not, and all checking has ended. Source: check_wait_context(), Linux 5.10. */
  #mayWait(next: Held): boolean {
    const wanted = this.waitOf(next.id);
    if (wanted === 0) return true;
    let [least, by] = [this.taskWait(), 0];
    for (let i = this.depth - 1; i >= 0; i--) {
      const { id, context } = this.held[i] as Held;
      if (context !== next.context) break;
      const wait = this.waitOf(id);
      if (wait !== 0 && wait < least) [least, by] = [wait, id];
    }
    if (wanted <= least) return true;
    this.#report('wait', next.id, by, () => report.invalidWaitContext(this, next));
    return this.#on;
  }

  /** How long the waiters of a class wait, as the rules number it. */
  waitOf(id: number): number {
    return this.does.waits?.[this.area.classWord(id, Class.wait)] ?? 0;
  }

  /** How long a task in this context may wait. Source: task_wait_context(), Linux 5.10. */
  taskWait(): number {
    const config = this.hardirqContext ? this.threaded : this.softirqContext;
    const type = config ? WaitType.config : this.hardirqContext ? WaitType.spin : WaitType.max;
    return this.does.waits?.[type] ?? 0;
  }

  #rare(context: number, read: number, trylock: boolean): number {
    return (
      ((context & 2) !== 0 ? Ctx.hardirq : 0) |
      ((context & 1) !== 0 ? Ctx.softirq : 0) |
      (read !== 0 ? Ctx.read : 0) |
      (trylock ? Ctx.trylock : 0) |
      (this.#inReclaim > 0 ? Ctx.reclaim : 0)
    );
  }

  /** Class of a lock that the caller has said more of, or that is not remembered. Return: 0 when that was reported. */
  #annotated(lock: number): number {
    const { subclass, nestLock } = this;
    this.subclass = 0;
    this.nestLock = 0;
    const { nestLocks } = this.does;
    this.#nest = nestLocks === 'unknown' ? 0 : nestLock | 0;
    const id = this.#classOf(lock, subclass);
    if (nestLocks !== 'checked' || nestLock === 0 || this.#holds(nestLock)) return id;
    this.#report('nest', id, 0, () => report.nestedLockNotTaken(this, lock, id, nestLock));
    return this.#on ? id : 0;
  }

  #holds(lock: number): boolean {
    for (let i = 0; i < this.depth; i++) if ((this.held[i] as Held).lock === (lock | 0)) return true;
    return false;
  }

  /** The chain of held locks grows by one; one that was never seen is examined. Then the lock is held. */
  #chain(held: Held, trylock: boolean): void {
    const { depth } = this;
    let low = this.#low;
    let high = this.#high;
    held.low = low;
    held.high = high;
    const head = depth === 0 || (this.held[depth - 1] as Held).context !== held.context;
    if (head) {
      low = 0;
      high = 0;
    }
    const element = this.#modern ? held.id | (held.read << 13) : held.id;
    high = chainHigh(low, high, element);
    low = chainLow(low, element);
    if (!trylock) {
      const slot = (low ^ (low >>> 13) ^ high) & (CACHE - 1);
      if (this.#cacheLow[slot] !== low || this.#cacheHigh[slot] !== high) {
        if (!this.#knownChain(low, high) && !this.#newChain(held, low, high, head) && !this.#on) return;
        this.#cacheLow[slot] = low;
        this.#cacheHigh[slot] = high;
      }
    }
    this.#low = low;
    this.#high = high;
    this.depth = depth + 1;
  }

  // ---- waits and holds ---------------------------------------------------------------------------------------------

  get stat(): boolean {
    return this.lockStat !== null;
  }

  /** Source: __lock_contended(), __lock_acquired(), Linux 2.6.30. Differs: there a task that holds nothing at all is warned of by line. */
  contended(lock: number): void {
    const held = this.#measured(lock);
    if (held === null || held.waits !== 0) return;
    held.waits = Math.max(1, this.clock());
    this.lockStat?.contended(held.id, held.read, this.k.cpu, this.area.slotOf(lock), siteIn(this.stack()));
  }

  acquired(lock: number): void {
    const held = this.#measured(lock);
    if (held === null) return;
    const now = this.clock();
    const waited = held.waits === 0 ? 0 : now - held.waits;
    held.waits = 0;
    held.holds = now;
    const place = this.#placeOf(held);
    this.lockStat?.acquired(held.id, held.read, this.k.cpu, this.area.slotOf(lock), waited, place);
  }

  /** The held lock that is meant. Null: nothing is measured, or there is none, which is reported. */
  #measured(lock: number): Held | null {
    if (this.lockStat === null || !this.#on) return null;
    const context = this.depth === 0 ? 0 : (this.held[this.depth - 1] as Held).context;
    for (let i = this.depth - 1; i >= 0; i--) {
      const held = this.held[i] as Held;
      if (held.context !== context) break;
      if (held.lock === (lock | 0)) return held;
    }
    const id = this.area.classOf(lock);
    this.#report('contention', id, 0, () => report.badContention(this, lock, id));
    return null;
  }

  /** Text of the place where a held lock was taken first in this chain. */
  #placeOf(held: Held): number {
    const [low, high] = this.#keyOf(this.held.indexOf(held));
    const at = this.area.chainSlot(low, high);
    return at < 0 || this.#words[at + Chain.used] !== this.area.head(Head.epoch)
      ? 0
      : (this.#words[at + Chain.site] as number);
  }

  #released(held: Held): void {
    if (this.lockStat !== null) this.lockStat.released(held.id, held.read, this.clock() - held.holds);
  }

  proc(): ProcTexts {
    return procTexts(this);
  }

  #knownChain(low: number, high: number): boolean {
    const at = this.area.chainSlot(low, high);
    return at >= 0 && this.#words[at + Chain.used] === this.#words[this.#base + Head.epoch];
  }

  release(lock: number): void {
    if (!this.#on) return;
    const top = this.depth - 1;
    if (top >= 0) {
      const held = this.held[top] as Held;
      if (held.lock === (lock | 0)) {
        if (this.lockStat !== null) this.#released(held);
        this.depth = top;
        this.#low = held.low;
        this.#high = held.high;
        return;
      }
    }
    this.#releaseInner(lock | 0);
  }

  /** A lock below others: take it out, and take those above it again. Source: lock_release_non_nested(), Linux 2.6.30. */
  #releaseInner(lock: number): void {
    let at = this.depth - 1;
    const context = at >= 0 ? (this.held[at] as Held).context : 0;
    while (at >= 0 && (this.held[at] as Held).context === context && (this.held[at] as Held).lock !== lock) at--;
    if (at < 0 || (this.held[at] as Held).lock !== lock || (this.held[at] as Held).context !== context) {
      const id = this.area.classOf(lock);
      this.#report('unlock', id, 0, () => report.unlockImbalance(this, lock, id));
      return;
    }
    const above = this.held.slice(at + 1, this.depth).map((h) => ({ ...h }));
    const gone = this.held[at] as Held;
    this.#released(gone);
    this.depth = at;
    this.#low = gone.low;
    this.#high = gone.high;
    for (const held of above) {
      Object.assign(this.held[this.depth] as Held, held);
      this.#chain(this.held[this.depth] as Held, held.trylock);
      if (!this.#on) return;
    }
  }

  // ---- classes -----------------------------------------------------------------------------------------------------

  /** What is remembered of instances and chains is void. Return: whether anything is checked at all. */
  #forget(): boolean {
    if (!this.#on) return false;
    this.#generation = this.#words[this.#base + Head.generation] as number;
    this.#cacheLock.fill(0);
    this.#cacheLow.fill(0);
    this.#cacheHigh.fill(0);
    return true;
  }

  init(lock: number, name?: string, key?: string, wait: number = WaitType.config): void {
    if (!this.#on) return;
    this.freed(lock, 4);
    if (!this.#on) return;
    this.lockStat?.initialised(this.k.cpu, this.area.slotOf(lock));
    const isOwn = name === undefined && this.#symbols.has(lock | 0);
    // A static lock: its class is its own, whoever initialises it; it is there when the lock is taken.
    if (isOwn && (wait === WaitType.config || this.does.waits === null)) return;
    const text = name ?? this.#nameOf(lock);
    this.area.lock();
    const was = wait === WaitType.same ? this.area.classOf(lock) : 0;
    const type = was !== 0 ? this.area.classWord(was, Class.wait) : wait === WaitType.same ? WaitType.config : wait;
    const id = this.#named(text, lock, isOwn ? staticKey(lock) : key);
    if (id !== 0) {
      this.area.setClassOf(lock, id);
      this.#setWait(id, type);
    }
    this.area.unlock();
    if (id === 0) this.#full('MAX_LOCKDEP_KEYS');
  }

  /** A class and its subclasses are of locks whose waiters wait so long. The area's lock is held. */
  #setWait(id: number, wait: number): void {
    const { area } = this;
    if (area.classWord(id, Class.wait) === wait) return;
    area.setClassWord(id, Class.wait, wait);
    for (let subclass = 1; subclass < SUBCLASSES_MAX; subclass++) {
      const sub = this.#words[area.at.subclasses + id * SUBCLASSES_MAX + subclass] as number;
      if (sub !== 0) area.setClassWord(sub, Class.wait, wait);
    }
  }

  /** "fork[2]", "race_data+10": a place in static memory. */
  #nameOf(lock: number): string {
    let best = '';
    let from = Number.NEGATIVE_INFINITY;
    for (const [at, name] of this.#symbols) {
      const unsigned = at >>> 0;
      if (unsigned <= lock >>> 0 && unsigned > from) [best, from] = [name, unsigned];
    }
    const offset = (lock >>> 0) - from;
    if (offset === 0) return best;
    return best.endsWith('[]') ? best.replace('[]', `[${offset >>> 2}]`) : `${best}+${offset.toString(16)}`;
  }

  #isStatic(lock: number): boolean {
    const offset = (lock >>> 0) - this.k.staticBase;
    return offset >= 0 && offset < this.k.staticBytes;
  }

  /** The class of a name, and of what tells it apart from others of that name. The area's lock is held. */
  #named(text: string, key: number, apart = text): number {
    const { area } = this;
    const name = area.keep(text);
    const site = area.keep(apart);
    const classes = Math.max(1, area.head(Head.classes));
    let version = 0;
    for (let id = 1; id < classes; id++) {
      if (area.classWord(id, Class.name) !== name || area.classWord(id, Class.subclass) !== 0) continue;
      if (area.classWord(id, Class.site) === site) return id;
      version = area.classWord(id, Class.version);
    }
    return this.#register(name, key, 0, version + 1, site, WaitType.config);
  }

  /** @version: the how manieth class of its name. Source: count_matching_names(): subclasses have that of their class. */
  #register(name: number, key: number, subclass: number, version: number, site: number, wait: number): number {
    const { area } = this;
    const id = area.take(Head.classes, CLASSES_MAX);
    if (id === 0) return 0;
    area.setClassWord(id, Class.key, key | 0);
    area.setClassWord(id, Class.name, name);
    area.setClassWord(id, Class.subclass, subclass);
    area.setClassWord(id, Class.version, version);
    area.setClassWord(id, Class.site, site);
    area.setClassWord(id, Class.wait, wait);
    return id;
  }

  /** The class of the lock and its subclasses are as if they had never been used. Source: lockdep_reset_lock(), for test harnesses. */
  resetLock(lock: number): void {
    const { area } = this;
    area.lock();
    const base = area.classOf(lock);
    for (let subclass = 0; base !== 0 && subclass < SUBCLASSES_MAX; subclass++) {
      const id = subclass === 0 ? base : (this.#words[area.at.subclasses + base * SUBCLASSES_MAX + subclass] as number);
      if (id !== 0) area.forgetClass(id);
    }
    area.unlock();
  }

  /** Class of an instance at a subclass. Return: 0 when it has none, and none can be made. */
  #classOf(lock: number, subclass: number): number {
    let id = this.area.classOf(lock);
    if (id === 0) {
      if (!this.#isStatic(lock)) {
        this.#report('non-static', 0, lock, () => report.nonStaticKey(this));
        this.area.turnOff();
        return 0;
      }
      this.area.lock();
      id = this.area.classOf(lock) || this.#named(this.#nameOf(lock), lock, staticKey(lock));
      const room = id !== 0 && this.area.setClassOf(lock, id);
      this.area.unlock();
      if (!room) return this.#full('MAX_LOCKDEP_KEYS');
    }
    if (subclass !== 0) return this.#subclassOf(id, subclass);
    if (this.#words[this.#base + Head.generation] !== this.#generation) this.#forget();
    const slot = (lock >>> 2) & (CACHE - 1);
    this.#cacheLock[slot] = lock | 0;
    this.#cacheId[slot] = id;
    return id;
  }

  #subclassOf(base: number, subclass: number): number {
    if (subclass < 0 || subclass >= SUBCLASSES_MAX) return this.#full('MAX_LOCKDEP_SUBCLASSES');
    const at = this.area.at.subclasses + base * SUBCLASSES_MAX + subclass;
    if (this.#words[at] !== 0) return this.#words[at] as number;
    this.area.lock();
    if (this.#words[at] === 0) {
      const key = (this.area.classWord(base, Class.key) + subclass) | 0;
      const of = (field: number): number => this.area.classWord(base, field);
      const [name, version, site, wait] = [of(Class.name), of(Class.version), of(Class.site), of(Class.wait)];
      this.#words[at] = this.#register(name, key, subclass, version, site, wait);
    }
    this.area.unlock();
    return (this.#words[at] as number) || this.#full('MAX_LOCKDEP_KEYS');
  }

  // ---- usage -------------------------------------------------------------------------------------------------------

  #markAll(held: Held, ctx: number): boolean {
    return (ACQUIRE_BITS[ctx] as readonly number[]).every((bit) => this.#mark(held, bit));
  }

  /** Set a usage bit of the class. Return: false when that was reported. */
  #mark(held: Held, bit: number): boolean {
    const { area } = this;
    if ((area.classWord(held.id, Class.usage) & (1 << bit)) !== 0) return true;
    area.lock();
    const usage = area.classWord(held.id, Class.usage);
    if ((usage & (1 << bit)) === 0) {
      area.setClassWord(held.id, Class.usage, usage | (1 << bit));
      area.setClassWord(held.id, Class.stacks + bit, this.#stackFor(`${held.id} ${bit}`));
      this.#changed(area.at.classes + held.id * Class.words, Class.words);
    }
    area.unlock();
    return bit === LOCK_USED || (this.does.stateFirst ? this.#allowedStateFirst(held, bit) : this.#allowed(held, bit));
  }

  /** Source: mark_lock_irq(), Linux 2.6.30, with STRICT_READ_CHECKS. */
  #allowed(held: Held, bit: number): boolean {
    const other = exclusiveBit(bit);
    if (!this.#consistent(held, bit, other) || !this.#noInversion(held, bit, 1 << other, other)) return false;
    if ((bit & READ) !== 0) return true;
    return this.#consistent(held, bit, other | READ) && this.#noInversion(held, bit, 1 << (other | READ), other | READ);
  }

  /** Source: mark_lock_irq(), Linux 2.6.22, with STRICT_READ_CHECKS, and 5.10. */
  #allowedStateFirst(held: Held, bit: number): boolean {
    const other = exclusiveBit(bit);
    const reader = (bit & READ) !== 0;
    if (!this.#consistent(held, bit, other)) return false;
    if (!reader && !this.#consistent(held, bit, other | READ)) return false;
    if (this.#modern) return this.#noInversion(held, bit, (1 << other) | (1 << (other | READ)), other);
    if (!this.#noInversion(held, bit, 1 << other, other)) return false;
    return reader || this.#noInversion(held, bit, 1 << (other | READ), other | READ);
  }

  #consistent(held: Held, bit: number, other: number): boolean {
    if ((this.area.classWord(held.id, Class.usage) & (1 << other)) === 0) return true;
    this.#report('inconsistent', held.id, bit, () => report.inconsistent(this, held, other, bit));
    return false;
  }

  /** No class in the direction that matters has one of the bits of @mask. */
  #noInversion(held: Held, bit: number, mask: number, other: number): boolean {
    const forwards = (bit & ENABLED) === 0;
    const only = this.#modern && (forwards ? held.read === 2 : held.read !== 0);
    const way = this.graph.find(held.id, forwards ? Class.after : Class.before, only, (id, recursive) =>
      this.#uses(id, recursive, mask),
    );
    if (way === null) return true;
    const end = (way[way.length - 1] as Hop).id;
    const exact = (this.area.classWord(end, Class.usage) & (1 << other)) !== 0 ? other : other | READ;
    this.#report('inversion', held.id, end, () => report.inversion(this, held, way, forwards, exact));
    return false;
  }

  #uses(id: number, onlyRecursive: boolean, mask: number): boolean {
    const usage = this.area.classWord(id, Class.usage);
    return ((onlyRecursive && this.#modern ? usage & NO_READ : usage) & mask) !== 0;
  }

  // ---- chains and edges --------------------------------------------------------------------------------------------

  /** Return: false when something was reported, or a table is full. Source: validate_chain(). */
  #newChain(held: Held, low: number, high: number, head: boolean): boolean {
    const { area } = this;
    area.lock();
    const at = area.chainSlot(low, high);
    const epoch = area.head(Head.epoch);
    const count = Math.max(1, area.head(Head.chains));
    if (at < 0 || count >= CHAINS_MAX) {
      area.unlock();
      this.#full('MAX_LOCKDEP_CHAINS');
      return false;
    }
    const raced = this.#words[at + Chain.used] === epoch;
    if (!raced) {
      area.setHead(Head.chains, count + 1);
      area.setHead(Head.depthMax, Math.max(area.head(Head.depthMax), this.depth + 1));
      this.#words[at + Chain.low] = low;
      this.#words[at + Chain.high] = high;
      this.#words[at + Chain.site] = this.#stackFor(`${low} ${high}`, true);
      this.#describeChain(at, held);
      this.#words[at + Chain.used] = epoch;
      this.#changed(at, Chain.words);
    }
    area.unlock();
    if (raced) return true;
    const found = this.#recursion(held);
    if (found === 'reported') return false;
    if (found === 'nested' || found === 'recursive') {
      if (!this.#modern) held.read = 2;
      if (!this.#modern || found === 'nested') return true;
    }
    return head || this.#depend(held);
  }

  /** Which locks a chain has, for /proc/lockdep_chains. The area's lock is held. */
  #describeChain(at: number, held: Held): void {
    let first = this.depth;
    while (first > 0 && (this.held[first - 1] as Held).context === held.context) first--;
    const depth = this.depth - first + 1;
    const place = this.area.take(Head.chainLocks, CHAIN_LOCKS_MAX, depth);
    this.#words[at + Chain.context] = held.context;
    this.#words[at + Chain.depth] = place === 0 ? 0 : depth;
    this.#words[at + Chain.first] = place;
    for (let i = 0; place !== 0 && i < depth; i++) {
      this.#words[this.area.at.chainLocks + place + i] = (this.held[first + i] as Held).id;
    }
  }

  /** The class is held already. Source: check_deadlock(). */
  #recursion(next: Held): 'none' | 'recursive' | 'nested' | 'reported' {
    let nest = false;
    let recursive = false;
    for (let i = 0; i < this.depth; i++) {
      const prev = this.held[i] as Held;
      if (this.#nest !== 0 && prev.lock === this.#nest) nest = true;
      if (prev.id !== next.id) continue;
      if (next.read === 2 && prev.read !== 0) {
        recursive = true;
        if (!this.#modern) return 'recursive';
        continue;
      }
      if (nest) return 'nested';
      this.#report('recursive', next.id, next.id, () => report.recursive(this, next, prev));
      return 'reported';
    }
    return recursive ? 'recursive' : 'none';
  }

  /** Edges from the held locks down to the nearest that was not a trylock. Source: check_prevs_add(). */
  #depend(next: Held): boolean {
    for (let depth = this.depth; depth > 0; depth--) {
      const prev = this.held[depth - 1] as Held;
      if (prev.context !== next.context) return true;
      // Before 5.10 a recursive reader is passed over: what is below it depends on nothing that the reader stands for.
      if (!this.#modern && prev.read === 2) continue;
      if (!this.#addEdge(prev, next, this.depth - depth + 1)) return false;
      if (!prev.trylock) return true;
    }
    return true;
  }

  /** Source: check_prev_add(). */
  #addEdge(prev: Held, next: Held, distance: number): boolean {
    const way = this.graph.find(next.id, Class.after, this.#modern && next.read === 2, (id, recursive) =>
      this.#modern ? id === prev.id && (prev.read === 0 || !recursive) : id === prev.id,
    );
    if (way !== null) {
      this.#report('circular', next.id, prev.id, () => report.circular(this, next, prev, way));
      return false;
    }
    if (!(this.#modern ? this.#safeModern(prev, next) : this.#safe(prev, next))) return false;
    if (!this.#modern && (prev.read === 2 || next.read === 2)) return true;
    const { area } = this;
    area.lock();
    const kept = this.#stackFor(`${prev.id}>${next.id}`);
    const [kinds, reverse] = this.#modern
      ? [depOf(prev.read, next.read), reverseDepOf(prev.read, next.read)]
      : [15, 15];
    const room = this.graph.add(prev.id, next.id, distance, kept, kinds, reverse);
    this.#changed(area.at.classes + prev.id * Class.words, Class.words);
    area.unlock();
    return room || this.#full('MAX_LOCKDEP_ENTRIES') !== 0;
  }

  /** No lock used in an interrupt leads to one that is taken with it enabled. Source: check_prev_add_irq(), Linux 2.6.30. */
  #safe(prev: Held, next: Held): boolean {
    for (let state = 0; state < this.does.states; state++) {
      for (const read of [false, true]) {
        const usedIn = bitOf(state, 0, read);
        const enabled = bitOf(state, ENABLED, false);
        const safe = this.#nearest(prev.id, Class.before, 1 << usedIn);
        if (safe === null) continue;
        const unsafe = this.#nearest(next.id, Class.after, 1 << enabled);
        if (unsafe === null) continue;
        return this.#unsafe(prev, next, safe, usedIn, unsafe, enabled);
      }
    }
    return true;
  }

  #nearest(root: number, direction: typeof Class.after | typeof Class.before, mask: number): Hop[] | null {
    return this.graph.find(root, direction, false, (id) => (this.area.classWord(id, Class.usage) & mask) !== 0);
  }

  /** Return: false. */
  #unsafe(prev: Held, next: Held, safe: Hop[], used: number, unsafe: Hop[], on: number): false {
    const end = (way: Hop[]): number => (way[way.length - 1] as Hop).id;
    this.#report('safe-unsafe', end(safe), end(unsafe), () =>
      report.safeUnsafe(this, prev, next, safe, used, unsafe, on),
    );
    return false;
  }

  /** Source: check_irq_usage(), Linux 5.10. */
  #safeModern(prev: Held, next: Held): boolean {
    let used = 0;
    this.graph.find(prev.id, Class.before, prev.read !== 0, (id, recursive) => {
      const usage = this.area.classWord(id, Class.usage);
      used |= recursive ? usage & NO_READ : usage;
      return false;
    });
    used &= USED_IN_ALL;
    if (used === 0) return true;
    const bad = this.graph.find(next.id, Class.after, next.read === 2, (id, recursive) =>
      this.#uses(id, recursive, exclusiveMask(used)),
    );
    if (bad === null) return true;
    const unsafe = (bad[bad.length - 1] as Hop).id;
    const enabled = this.area.classWord(unsafe, Class.usage) & ENABLED_ALL;
    const good = this.graph.find(prev.id, Class.before, prev.read !== 0, (id, recursive) =>
      this.#uses(id, recursive, exclusiveMask(enabled)),
    );
    if (good === null) return true;
    const usedBit = this.#clash((good[good.length - 1] as Hop).id, enabled);
    const onBit = exclusiveBit(usedBit) | ((enabled & (1 << exclusiveBit(usedBit))) === 0 ? READ : 0);
    return this.#unsafe(prev, next, good, usedBit, bad, onBit);
  }

  /** The first USED_IN bit of @safe that one of the ENABLED bits contradicts. */
  #clash(safe: number, enabled: number): number {
    const usage = this.area.classWord(safe, Class.usage);
    for (let bit = 0; bit < LOCK_USED; bit++) {
      if ((usage & (1 << bit) & USED_IN_ALL & exclusiveMask(enabled)) !== 0) return bit;
    }
    return 0;
  }

  // ---- memory and tasks --------------------------------------------------------------------------------------------

  freed(from: number, bytes: number): void {
    if (!this.#on) return;
    for (let i = 0; i < this.depth; i++) {
      const held = this.held[i] as Held;
      if ((held.lock - from) >>> 0 >= bytes) continue;
      this.#report('freed', held.id, 0, () => report.heldLockFreed(this, held, from, bytes));
      return;
    }
  }

  taskExit(): void {
    if (this.#on && this.depth > 0) {
      const held = this.held[this.depth - 1] as Held;
      this.#report('exit', held.id, 0, () => report.heldAtExit(this));
    }
  }

  sysExit(): void {
    if (!this.#on || this.depth === 0 || !this.does.sysExit) return;
    const held = this.held[this.depth - 1] as Held;
    this.#report('user', held.id, 0, () => report.heldAtUserExit(this));
  }

  context(): readonly string[] {
    return this.#on ? context(this) : [];
  }

  // ---- reports -----------------------------------------------------------------------------------------------------

  /** Stacks are looked at anew: the same locks are taken elsewhere now. */
  forgetStacks(): void {
    this.#stacks.clear();
  }

  /** Functions that the thread is in, innermost first. */
  stack(): readonly string[] {
    return this.#places.functions(this.#places.capture());
  }

  /**
   * The stack as a text of the area, or only its innermost function. What this worker has looked at once under a key it does not look at
   * again: a stack costs more than everything else together. The area's lock is held.
   */
  #stackFor(key: string, innermost = false): number {
    const known = this.#stacks.get(key);
    if (known !== undefined) return known;
    const stack = this.stack();
    const place = this.area.keep(innermost ? siteIn(stack) : stack.join('\n'));
    this.#stacks.set(key, place);
    return place;
  }

  /** Function in which a held lock was taken: the one that takes it now, the one that is remembered, or that which first took it so. */
  siteOf(held: Held, index: number): string {
    if (held.site !== NO_SITE) return siteIn(this.#places.functions(held.site)) || '?';
    if (index >= this.depth) return this.siteHere();
    const [low, high] = this.#keyOf(index);
    const at = this.area.chainSlot(low, high);
    return at < 0 || this.#words[at + Chain.used] !== this.area.head(Head.epoch)
      ? '?'
      : this.area.text(this.#words[at + Chain.site] as number) || '?';
  }

  /** Function that takes a lock now. */
  siteHere(): string {
    return siteIn(this.stack()) || '?';
  }

  /** The chain that ends with a held lock. */
  #keyOf(index: number): [number, number] {
    if (index + 1 >= this.depth) return [this.#low, this.#high];
    const above = this.held[index + 1] as Held;
    return [above.low, above.high];
  }

  /** Anybody who watches the state of the machine has to know of this. */
  #changed(at: number, words: number): void {
    this.k.footprint?.hwChanged(at, words);
  }

  #report(kind: ReportKind, one: number, other: number, make: () => Text): void {
    const { area } = this;
    area.lock();
    const mute = area.head(Head.debugLocks) === 0 || area.seen(REPORT_KINDS.indexOf(kind) + 1, one, other);
    if (!mute) {
      area.setHead(Head.reports, area.head(Head.reports) + 1);
      if (this.#mode === 'linux') area.turnOff();
    }
    area.unlock();
    if (mute) return;
    const { headline, lines } = make();
    area.lock();
    if (area.head(Head.headline) === 0) area.setHead(Head.headline, area.keep(headline));
    area.unlock();
    for (const line of lines) this.k.printk(line);
    const classes = [one, ...(kind === 'inconsistent' || kind === 'non-static' ? [] : [other])];
    const names = [...new Set(classes)].filter((id) => id > 0).map((id) => className(this, id));
    this.#onReport?.({ kind, headline, classes: names, lines });
  }

  /** A table has no room: the validator can say nothing more. Return: 0. */
  #full(what: string): 0 {
    this.#report('full', 0, 0, () => report.tooLow(what));
    this.area.turnOff();
    return 0;
  }
}
