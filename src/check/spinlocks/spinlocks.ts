/**
 * CONFIG_DEBUG_SPINLOCK: who has each spinlock, and whether who takes it or gives it back may.
 *
 * Models lib/spinlock_debug.c, Linux 2.6.30; spec/checkers.md §3.11. Differs: magic and owner are in a table beside the machine's memory, so that locks are
 * of the size that they have without; a magic is bad where nobody has initialised the lock, nor the compiler. Locks that have both in their own words
 * (mm/lock-types.ts) say so themselves.
 */
import { Seat, Thread } from '../../cpu/hw.js';
import type { Kernel } from '../../cpu/kernel.js';
import { Space } from '../../shared/footprint.js';
import { HZ } from '../../shared/jiffies.js';
import type { SpinlockWatch } from '../../shared/kernel-base.js';
import { hex8, vaddr } from '../../shared/types.js';
import type { Places } from '../places.js';
import { SpinlockArea } from './area.js';

export const SPINLOCK_REPORTS = [
  'bad magic',
  'recursion',
  'cpu recursion',
  'already unlocked',
  'wrong owner',
  'wrong CPU',
  'trylock failure on UP',
  'lockup',
] as const;
export type SpinlockReportKind = (typeof SPINLOCK_REPORTS)[number];

export interface SpinlockReport {
  readonly kind: SpinlockReportKind;
  readonly headline: string;
  readonly lines: readonly string[];
}

/** debug_locks, which other checkers of locks look at as well: the first report of any ends all. */
export interface DebugLocks {
  readonly on: boolean;
  turnOff(): void;
}

export interface SpinlockOptions {
  readonly places: Places;
  /** Null: nobody shares it, or reports end nothing. */
  readonly debugLocks: DebugLocks | null;
  /** Not only the first of the execution. */
  readonly every: boolean;
  readonly onReport?: (report: SpinlockReport) => void;
}

const MAGIC = 0xdead4ead;
/** Ticks of a wait after which a lockup is suspected: loops_per_jiffy * HZ tries, about a second. */
const LOCKUP = HZ;

const comm = (slot: number): string => (slot < 0 ? '<none>/-1' : `thread${slot}/${slot}`);
const trace = (functions: readonly string[]): string[] =>
  functions.length === 0 ? [] : ['Call Trace:', ...functions.map((f) => ` [<????????>] ${f}`)];

export class SpinlockChecker implements SpinlockWatch {
  readonly name = 'spinlocks';
  declare readonly k: Kernel;
  declare readonly area: SpinlockArea;
  readonly #options: SpinlockOptions;
  /** Static objects: locks that are one by themselves need no initialisation. */
  readonly #symbols: ReadonlySet<number>;

  constructor(k: Kernel, options: SpinlockOptions) {
    this.k = k;
    this.area = new SpinlockArea(k.hw, k.layout.spinlocks, k.config.threadsMax);
    this.#options = options;
    this.#symbols = new Set(Object.values(k.sym as unknown as Record<string, number>).map((at) => at >>> 0));
  }

  booted(): void {
    this.area.booted();
  }

  restart(): void {
    this.area.restart();
  }

  end(): void {}

  get headline(): string {
    return this.area.headline;
  }

  // ---- what locks tell ---------------------------------------------------------------------------------------------

  init(lock: number): void {
    this.#setOwner(this.#ownerWord(lock), 0, true);
  }

  /** debug_spin_lock_before(). */
  locking(lock: number): void {
    const { k, area } = this;
    const owner = this.#owner(lock);
    if (!this.#hasMagic(lock)) this.#bug('bad magic', lock, owner);
    // A lock that is free although somebody has it was written over: nobody will wait for it.
    if (owner !== 0 && this.#isHeld(lock)) {
      if (area.slotOf(owner) === k.slot) this.#bug('recursion', lock, owner);
      else if (area.cpuOf(owner) === k.cpu) this.#bug('cpu recursion', lock, owner);
    }
    area.waits(k.slot, lock);
  }

  /** debug_spin_lock_after(). */
  locked(lock: number, tried: boolean): void {
    const { k, area } = this;
    if (!tried) area.waited(k.slot);
    this.#setOwner(this.#ownerWord(lock), area.ownerOf(k.slot, k.cpu));
  }

  /** _raw_spin_trylock() of a kernel without CONFIG_SMP, as that of a machine with one CPU is: there who has the lock keeps all others off the CPU. */
  missed(lock: number): void {
    if (!this.k.structs.smp) this.#bug('trylock failure on UP', lock, this.#owner(lock));
  }

  /** debug_spin_unlock(), which says nobody has it any more; here that comes with the step that frees the lock: see dropped(). */
  unlocking(lock: number): void {
    const { k, area } = this;
    const at = this.#ownerWord(lock);
    if (at < 0) return;
    k.footprint?.touch(Space.hw, at, false);
    const owner = area.owner(at);
    if (!this.#hasMagic(lock)) this.#bug('bad magic', lock, owner);
    else if (!this.#isHeld(lock)) this.#bug('already unlocked', lock, owner);
    // Nobody's though it is held: it was taken before anybody looked.
    else if (owner !== 0 && area.slotOf(owner) !== k.slot) this.#bug('wrong owner', lock, owner);
    else if (owner !== 0 && area.cpuOf(owner) !== k.cpu) this.#bug('wrong CPU', lock, owner);
  }

  /** A handler that comes before the step finds who has the lock. */
  dropped(word: number): void {
    this.#setOwner(this.area.ownerWord(word), 0);
  }

  /** Locks go by the word that they use. */
  #ownerWord(lock: number): number {
    return this.area.ownerWord(this.k.lockWord(vaddr(lock)));
  }

  #owner(lock: number): number {
    const at = this.#ownerWord(lock);
    return at < 0 ? 0 : this.area.owner(at);
  }

  #setOwner(at: number, owner: number, initialised = false): void {
    const { k } = this;
    if (at < 0 || !this.area.setOwner(at, owner, initialised)) return;
    k.footprint?.touch(Space.hw, at, true);
    k.footprint?.hwChanged(at, 1);
  }

  /** Has anybody initialised it, or the compiler: is it a static object? */
  #hasMagic(lock: number): boolean {
    const at = this.#ownerWord(lock);
    return at < 0 || this.#symbols.has(lock >>> 0) || this.area.isInitialised(at);
  }

  /** spin_is_locked(), without a step. */
  #isHeld(lock: number): boolean {
    const { k } = this;
    const word = k.words[k.wordIndex(k.lockWord(vaddr(lock)))] as number;
    return k.ticketLocks ? word >>> 16 !== (word & 0xffff) : word !== k.freeLock;
  }

  // ---- waits -------------------------------------------------------------------------------------------------------

  /** @ticks went by in which a thread kept its CPU and waited, and nothing else could happen. */
  stuck(slot: number, ticks: number, functions: readonly string[]): void {
    if (!this.#spins(slot) || !this.area.overdue(slot, ticks, LOCKUP)) return;
    const { headline, lines } = this.#lockup(slot, functions);
    this.area.setHeadline(headline);
    for (const line of lines) this.k.printk(line);
    this.#options.onReport?.({ kind: 'lockup', headline, lines });
  }

  #spins(slot: number): boolean {
    const lock = this.area.waitsFor(slot);
    return lock !== 0 && this.#isHeld(lock);
  }

  #lockup(slot: number, functions: readonly string[]): { headline: string; lines: string[] } {
    const cpu = this.k.hw[this.k.layout.threads + slot * Thread.words + Thread.cpu] as number;
    const lock = this.area.waitsFor(slot);
    const headline = `BUG: spinlock lockup on CPU#${cpu}, ${comm(slot)}, ${hex8(lock)}`;
    return { headline, lines: [headline, this.#lockLine(lock, this.#owner(lock)), ...trace(functions)] };
  }

  #lockLine(lock: number, owner: number): string {
    const { area } = this;
    // Where nobody has written a magic, nobody has written a CPU.
    const magic = this.#hasMagic(lock) ? MAGIC : 0;
    const cpu = magic === 0 && owner === 0 ? 0 : area.cpuOf(owner);
    return ` lock: ${hex8(lock)}, .magic: ${hex8(magic)}, .owner: ${comm(area.slotOf(owner))}, .owner_cpu: ${cpu}`;
  }

  /** Nothing can happen any more: who spins will say so in a second. */
  foreseen(): string[] {
    const { k } = this;
    const lines: string[] = [];
    for (let cpu = 0; cpu < k.config.cpus; cpu++) {
      const slot = k.hw[k.layout.seats + cpu * Seat.words + Seat.current] as number;
      if (this.#spins(slot)) lines.push(...this.#lockup(slot, []).lines);
    }
    return lines;
  }

  // ---- reports -----------------------------------------------------------------------------------------------------

  /** spin_bug(): the first, and then no lock is looked at any more. */
  #bug(kind: SpinlockReportKind, lock: number, owner: number): void {
    const { places, every, onReport, debugLocks } = this.#options;
    const { k, area } = this;
    if (debugLocks?.on === false || !area.mayReport(0, every)) return;
    debugLocks?.turnOff();
    const headline = `BUG: spinlock ${kind} on CPU#${k.cpu}, ${comm(k.slot)}`;
    const lines = [headline, this.#lockLine(lock, owner), ...trace(places.functions(places.capture()))];
    area.setHeadline(headline);
    for (const line of lines) k.printk(line);
    onReport?.({ kind, headline, lines });
  }
}
