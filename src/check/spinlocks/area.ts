/** What the debugger of spinlocks knows, in the shared area of the machine: who has each lock, and what each thread spins for. */
import { SPINLOCKS_WORDS } from '../../cpu/hw.js';
import { MurphyError } from '../../shared/errors.js';
import { CheckerArea } from '../area.js';

const TEXT_WORDS = 1 << 12;
/** Locks that there is room for, a power of two: more are not looked at. */
const LOCKS_LOG = 11;
const LOCKS = 1 << LOCKS_LOG;
/** Knuth's multiplicative hash. */
const GOLDEN = 0x9e3779b1;
/** Contexts of a thread that wait at once: interrupts upon interrupts. */
const DEPTH = 8;

/** Words of a thread: how many of its contexts wait, for how many ticks the innermost has, whether that was reported, and for which locks. */
const Wait = { depth: 0, ticks: 1, said: 2, locks: 3, words: 3 + DEPTH } as const;

/** The bits of an owner's word that are its CPU plus one; above them is its slot plus one. */
const CPU_BITS = 8;
/** In the same word: the lock was initialised by the kernel's boot; since then, in this execution. */
const BOOTED = 1 << 31;
const INITIALISED = 1 << 30;
const OWNER = INITIALISED - 1;

export class SpinlockArea extends CheckerArea {
  readonly #waits: number;
  readonly #keys: number;
  readonly #owners: number;

  constructor(words: Int32Array, base: number, threads: number) {
    super(words, base, TEXT_WORDS);
    this.#waits = this.next;
    this.#keys = this.#waits + threads * Wait.words;
    this.#owners = this.#keys + LOCKS;
    if (this.#owners + LOCKS - base > SPINLOCKS_WORDS) throw new MurphyError('the area of the spinlocks is too small');
  }

  /** Nobody has a lock, nobody waits. Locks keep their places. */
  override restart(): void {
    super.restart();
    this.words.fill(0, this.#waits, this.#keys);
    for (let at = this.#owners; at < this.#owners + LOCKS; at++) this.words[at] = (this.words[at] as number) & BOOTED;
  }

  /** What has been initialised by now is so in every execution, and nothing else. */
  booted(): void {
    for (let at = this.#owners; at < this.#owners + LOCKS; at++) {
      const word = this.words[at] as number;
      this.words[at] = (word & INITIALISED) === 0 ? word & OWNER : word | BOOTED;
    }
  }

  /** Has the lock been initialised? @at: from ownerWord(). */
  isInitialised(at: number): boolean {
    return ((this.words[at] as number) & (BOOTED | INITIALISED)) !== 0;
  }

  /** What is in the word of an owner: see ownerOf(). */
  owner(at: number): number {
    return (this.words[at] as number) & OWNER;
  }

  /** Return: whether that changed the word. */
  setOwner(at: number, owner: number, initialised = false): boolean {
    const word = this.words[at] as number;
    const next = (word & ~OWNER) | owner | (initialised ? INITIALISED : 0);
    this.words[at] = next;
    return next !== word;
  }

  /** Return: index of the word that says who has the lock; -1 when there is no room. */
  ownerWord(lock: number): number {
    const first = Math.imul(lock, GOLDEN) >>> (32 - LOCKS_LOG);
    for (let i = 0; i < LOCKS; i++) {
      const at = (first + i) & (LOCKS - 1);
      const key = Atomics.compareExchange(this.words, this.#keys + at, 0, lock | 0);
      if (key === 0 || key === (lock | 0)) return this.#owners + at;
    }
    return -1;
  }

  /** What the word of an owner holds. */
  ownerOf(slot: number, cpu: number): number {
    return ((slot + 1) << CPU_BITS) | (cpu + 1);
  }

  /** -1: nobody's. */
  slotOf(owner: number): number {
    return (owner >>> CPU_BITS) - 1;
  }

  cpuOf(owner: number): number {
    return (owner & ((1 << CPU_BITS) - 1)) - 1;
  }

  #wait(slot: number): number {
    return this.#waits + slot * Wait.words;
  }

  /** A thread begins to wait for a lock; has it. */
  waits(slot: number, lock: number): void {
    const at = this.#wait(slot);
    const depth = this.words[at] as number;
    if (depth < DEPTH) this.words[at + Wait.locks + depth] = lock | 0;
    this.words[at] = depth + 1;
    this.#begin(at);
  }

  waited(slot: number): void {
    const at = this.#wait(slot);
    this.words[at] = Math.max(0, (this.words[at] as number) - 1);
    this.#begin(at);
  }

  #begin(at: number): void {
    this.words[at + Wait.ticks] = 0;
    this.words[at + Wait.said] = 0;
  }

  /** The lock in front of which a thread stands; 0: none. */
  waitsFor(slot: number): number {
    const at = this.#wait(slot);
    const depth = this.words[at] as number;
    return depth === 0 || depth > DEPTH ? 0 : (this.words[at + Wait.locks + depth - 1] as number) >>> 0;
  }

  /** @ticks more went by while the thread waited. Return: is it the first time that they are @limit? */
  overdue(slot: number, ticks: number, limit: number): boolean {
    const at = this.#wait(slot);
    const sum = (this.words[at + Wait.ticks] as number) + ticks;
    this.words[at + Wait.ticks] = sum;
    if (sum < limit || this.words[at + Wait.said] !== 0) return false;
    this.words[at + Wait.said] = 1;
    return true;
  }
}
