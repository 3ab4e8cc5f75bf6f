/**
 * What one step of a controlled execution has touched: for the strategies that ask which steps commute, and for the hash of a state.
 *
 * A step announces its kernel word at the scheduling point; everything else that it reads or changes on the way (cache lines, TLB entries,
 * memory behind the caches, interrupt lines, run queues) is noted here by whoever does it. Nobody notes anything unless a strategy asks.
 */

/** What an index counts in. */
export const Space = {
  /** Words of kernel static data. */
  word: 1,
  /** Lines of 32 bytes of the other memory. */
  line: 2,
  /** Words of the hardware area: cache ways, replacement pointers, registers, seat words. */
  hw: 3,
  /** Lines of a cache by their address: present or absent. */
  key: 4,
  /** Pages of a TLB. */
  tlb: 5,
  /** A TLB as a whole. */
  tlbAll: 6,
  /** Interrupt lines and run queue of a CPU. */
  seat: 7,
  /** The stack of a CPU: what runs there reads it, an interrupt or a change of threads writes it. */
  stack: 8,
  /** What the race's invariant sees: there is one. */
  invariant: 9,
} as const;
export type Space = (typeof Space)[keyof typeof Space];

const CAPACITY = 1 << 14;

export class Footprint {
  /** What was touched: a hash of space and index, shifted by one; bit 0 is set for a change. */
  readonly touched = new Int32Array(CAPACITY);
  count = 0;
  /** Changed stretches: first index, number of words, negative for the hardware area. Only while `stretches` is wanted. */
  readonly changed = new Int32Array(CAPACITY);
  changedCount = 0;
  /** Hash of what was read on the way and not announced. */
  observed = 0;
  /** More was touched than there is room for. */
  overflow = false;
  readonly #staticWords: number;
  readonly #wantChanged: boolean;

  constructor(staticWords: number, wantChanged: boolean) {
    this.#staticWords = staticWords;
    this.#wantChanged = wantChanged;
  }

  clear(): void {
    this.count = 0;
    this.changedCount = 0;
    this.observed = 0;
    this.overflow = false;
  }

  touch(space: Space, at: number, write: boolean): void {
    if (this.count === CAPACITY) {
      this.overflow = true;
      return;
    }
    this.touched[this.count++] = (resource(space, at) << 1) | (write ? 1 : 0);
  }

  /** Words of physical memory, by index. */
  memory(index: number, words: number, write: boolean): void {
    const end = index + words;
    if (index < this.#staticWords) for (let i = index; i < end; i++) this.touch(Space.word, i, write);
    else for (let line = index >>> 3; line <= (end - 1) >>> 3; line++) this.touch(Space.line, line, write);
    if (write) this.#stretch(index, words);
  }

  /** The kernel word that the step announced has changed. */
  wordChanged(index: number): void {
    this.#stretch(index, 1);
  }

  /** Words of the hardware area have changed. */
  hwChanged(index: number, words: number): void {
    this.#stretch(index, -words);
  }

  #stretch(index: number, words: number): void {
    if (!this.#wantChanged) return;
    if (this.changedCount + 2 > CAPACITY) {
      this.overflow = true;
      return;
    }
    this.changed[this.changedCount++] = index;
    this.changed[this.changedCount++] = words;
  }

  /** The thread has learnt a value. */
  observe(value: number): void {
    this.observed = Math.imul(this.observed ^ value, 0x9e3779b1) ^ (this.observed >>> 15);
  }
}

/** 32 bits that stand for a place. Two places with the same number cost a strategy precision, never correctness. */
function resource(space: Space, at: number): number {
  let x = Math.imul(at, 0x85ebca6b) ^ Math.imul(space, 0x9e3779b1);
  x ^= x >>> 15;
  x = Math.imul(x, 0x2c1b3c6d);
  return x ^ (x >>> 13);
}

/** As `touch()` writes it: does it stand for @space and @at? */
export const touchedId = (space: Space, at: number): number => resource(space, at) << 1;
