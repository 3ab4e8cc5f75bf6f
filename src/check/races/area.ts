/**
 * What the race detector knows of the execution under way, in the shared area of the machine. In controlled mode one context runs at a time,
 * so nothing of it needs a lock. What belongs to an execution carries its number (`Head.stamp`), so that a reset clears little.
 */
import { RACES_WORDS } from '../../cpu/hw.js';
import { Texts } from '../texts.js';

export const Head = {
  /** Number of the execution that this is about. */
  stamp: 0,
  /** Non-zero: the execution is made a second time, to see where the accesses to `suspects` are made. */
  again: 1,
  /** Words of memory on which accesses raced. */
  suspects: 2,
  reports: 3,
  /** Headline of the first report: a text. */
  headline: 4,
  vectors: 5,
  blocks: 6,
  cells: 7,
  /** A table is full: what has no room is not looked at. */
  full: 8,
  /** In parallel mode: guards reports and texts. */
  lock: 9,
  /** Assertions in use. */
  asserts: 10,
  /** In parallel mode: non-zero when loads have to look for watchpoints as well. */
  loadsMeet: 11,
  /** Words of texts in use: they are kept from execution to execution. */
  textWords: 14,
  words: 16,
} as const;

/** Contexts: an epoch is a clock with the context in its low bits. */
export const CONTEXT_BITS = 6;
export const CONTEXTS_MAX = 1 << CONTEXT_BITS;

const SYNCS = 1024;
export const VECTORS_MAX = 2048;
export const CELLS = 1 << 15;
const CELLS_MAX = CELLS - (CELLS >>> 3);
export const BLOCKS_MAX = 4096;
const FRAMES = 4096;
export const SUSPECTS_MAX = 64;
/** Reports of one execution. */
const REPORTS_MAX = 32;
const TEXT_WORDS = 1 << 16;
export const ASSERTS_MAX = 256;

/** What was the last access of each kind to a byte or word: an epoch, minus the number of a vector, or 0. */
export const Kind = { write: 0, read: 1, writeMarked: 2, readMarked: 3, count: 4 } as const;

/** Words of a cell: the state of a word of memory, or of its four bytes, one by one, in a block; the first assertion about it. */
export const Cell = { key: 0, stamp: 1, block: 2, asserts: 3, state: 4, words: 8 } as const;

/** Words of an assertion: the next about the same word; what it says (Exclusive); which bits; who is in its scope, + 1; then when each context made it. */
export const Assert = { next: 0, what: 1, mask: 2, scope: 3, clocks: 4 } as const;

/** Sites: what has one beside the kinds of access. */
export const SiteKind = { assert: Kind.count, scoped: Kind.count + 1, count: Kind.count + 2 } as const;

/** Words of an object that orders: its key, then the clock of those who had it exclusively, and of those who shared it. */
const SYNC_HEAD = 2;

/** Parallel mode: accesses that somebody watches for others to come in between. */
export const WATCHPOINTS = 64;
export const Watchpoint = {
  /** `WatchState`. */
  state: 0,
  /** Physical address, and bytes. */
  address: 1,
  bytes: 2,
  /** Of the access that came: its context, `Access` and bytes, virtual address, stack. */
  context: 3,
  what: 4,
  virtual: 5,
  stack: 6,
  /** What is watched: `Watched`. */
  kind: 7,
  words: 8,
} as const;
export const WatchState = { free: 0, setup: 1, watching: 2, consumed: 3, told: 4 } as const;

/** Who meets it: stores, or everybody. */
export const Watched = { byStores: 0, byAll: 1 } as const;

/** Words of a place where a suspect was accessed: the stack's text, what and how, the virtual address. */
export const Site = { stack: 0, what: 1, address: 2, words: 3 } as const;

export class Area {
  readonly words: Int32Array;
  readonly base: number;
  readonly contexts: number;
  readonly texts: Texts;
  readonly clocks: number;
  /** What each context had done at its last write barrier, and what its marked loads have found published. */
  readonly fences: number;
  readonly found: number;
  readonly vectors: number;
  readonly blocks: number;
  readonly watchpoints: number;
  readonly #asserts: number;
  readonly #assertWords: number;
  readonly #syncs: number;
  readonly #syncWords: number;
  readonly #cells: number;
  readonly #frames: number;
  readonly #suspects: number;
  readonly #sites: number;
  readonly #said: number;

  constructor(words: Int32Array, base: number, contexts: number) {
    let next = base + Head.words;
    const take = (count: number): number => {
      const at = next;
      next += count;
      return at;
    };
    this.words = words;
    this.base = base;
    this.contexts = contexts;
    this.clocks = take(contexts * contexts);
    this.fences = take(contexts * contexts);
    this.found = take(contexts * contexts);
    this.#frames = take(FRAMES);
    this.#syncWords = SYNC_HEAD + contexts * 2;
    this.#syncs = take(SYNCS * this.#syncWords);
    this.vectors = take(VECTORS_MAX * contexts);
    this.#cells = take(CELLS * Cell.words);
    this.blocks = take(BLOCKS_MAX * 4 * Kind.count);
    this.#suspects = take(SUSPECTS_MAX);
    this.#sites = take(SUSPECTS_MAX * contexts * SiteKind.count * Site.words);
    this.#said = take(REPORTS_MAX);
    this.watchpoints = take(WATCHPOINTS * Watchpoint.words);
    this.#assertWords = Assert.clocks + contexts;
    this.#asserts = take(ASSERTS_MAX * this.#assertWords);
    this.texts = new Texts(words, base + Head.textWords, take(TEXT_WORDS), TEXT_WORDS);
    if (next - base > RACES_WORDS || contexts > CONTEXTS_MAX)
      throw new Error('the area of the race detector is too small');
  }

  head(field: number): number {
    return this.words[this.base + field] as number;
  }

  setHead(field: number, value: number): void {
    this.words[this.base + field] = value;
  }

  /** Another execution: nobody has done anything. @again: the same one once more, to see where the suspects are accessed. */
  restart(again: boolean): void {
    const { words, base, contexts } = this;
    this.setHead(Head.stamp, this.head(Head.stamp) + 1);
    this.setHead(Head.again, again ? 1 : 0);
    if (!again) this.setHead(Head.suspects, 0);
    words.fill(0, base + Head.reports, base + Head.textWords);
    words.fill(0, this.clocks, this.#frames + FRAMES);
    for (let context = 0; context < contexts; context++) words[this.clocks + context * (contexts + 1)] = 1;
    words.fill(0, this.watchpoints, this.watchpoints + WATCHPOINTS * Watchpoint.words);
    if (!again) return;
    words.fill(0, this.#sites, this.#sites + SUSPECTS_MAX * contexts * SiteKind.count * Site.words);
  }

  // ---- what orders -------------------------------------------------------------------------------------------------

  /** Clock of an object that orders, by its key; 0 when the table is full. Behind it is the clock of those who share it. */
  sync(key: number): number {
    const { words } = this;
    const stamp = this.head(Head.stamp);
    let slot = Math.imul(key ^ (key >>> 15), 0x9e3779b1) >>> 22;
    for (let tries = 0; tries < SYNCS; tries++) {
      const at = this.#syncs + slot * this.#syncWords;
      if (words[at + 1] !== stamp) {
        words[at] = key;
        words[at + 1] = stamp;
        words.fill(0, at + SYNC_HEAD, at + this.#syncWords);
        return at + SYNC_HEAD;
      }
      if (words[at] === key) return at + SYNC_HEAD;
      slot = (slot + 1) & (SYNCS - 1);
    }
    this.setHead(Head.full, 1);
    return 0;
  }

  // ---- what was accessed -------------------------------------------------------------------------------------------

  /** Cell of a word of memory, or where it would be; -1 when the table is full. @key: physical address, by words. */
  #slot(key: number, stamp: number): number {
    const { words } = this;
    let slot = Math.imul(key, 0x9e3779b1) >>> 17;
    for (;;) {
      const at = this.#cells + slot * Cell.words;
      if (words[at + Cell.stamp] !== stamp || words[at + Cell.key] === key) return at;
      slot = (slot + 1) & (CELLS - 1);
    }
  }

  /** -1 when the table is full. */
  cell(key: number): number {
    const { words } = this;
    const stamp = this.head(Head.stamp);
    const at = this.#slot(key, stamp);
    if (words[at + Cell.stamp] === stamp) return at;
    const used = this.head(Head.cells);
    if (used >= CELLS_MAX) {
      this.setHead(Head.full, 1);
      return -1;
    }
    this.setHead(Head.cells, used + 1);
    words[at + Cell.key] = key;
    words[at + Cell.stamp] = stamp;
    words[at + Cell.block] = 0;
    words[at + Cell.asserts] = 0;
    words.fill(0, at + Cell.state, at + Cell.words);
    const frame = this.#frames + ((key >>> 10) & (FRAMES - 1));
    words[frame] = (words[frame] as number) + 1;
    return at;
  }

  /** Memory has a new owner: whoever accessed it before did not access this. @from, @bytes: physical, by words at least. */
  forget(from: number, bytes: number): void {
    const { words } = this;
    const stamp = this.head(Head.stamp);
    const end = (from + bytes + 3) >>> 2;
    for (let key = from >>> 2; key < end; key++) {
      if (words[this.#frames + ((key >>> 10) & (FRAMES - 1))] === 0) {
        key |= 1023;
        continue;
      }
      const at = this.#slot(key, stamp);
      if (words[at + Cell.stamp] === stamp) words.fill(0, at + Cell.block, at + Cell.words);
    }
  }

  // ---- suspects ----------------------------------------------------------------------------------------------------

  suspect(key: number): void {
    const count = this.head(Head.suspects);
    if (count >= SUSPECTS_MAX || this.suspectOf(key) >= 0) return;
    this.words[this.#suspects + count] = key;
    this.setHead(Head.suspects, count + 1);
  }

  /** Number of a suspect, or -1. */
  suspectOf(key: number): number {
    const count = this.head(Head.suspects);
    for (let i = 0; i < count; i++) if (this.words[this.#suspects + i] === key) return i;
    return -1;
  }

  /** Where a context has accessed a suspect last. @kind: `Kind`. */
  site(suspect: number, context: number, kind: number): number {
    return this.#sites + ((suspect * this.contexts + context) * SiteKind.count + kind) * Site.words;
  }

  // ---- assertions --------------------------------------------------------------------------------------------------

  assertion(number: number): number {
    return this.#asserts + number * this.#assertWords;
  }

  /** The assertion about the word of @cell that says just this; it is made if there is none. Return: 0 when there is no room. */
  assertionOf(cell: number, what: number, mask: number): number {
    const { words } = this;
    for (let number = words[cell + Cell.asserts] as number; number !== 0; ) {
      const at = this.assertion(number);
      if (words[at + Assert.what] === what && words[at + Assert.mask] === mask) return number;
      number = words[at + Assert.next] as number;
    }
    const number = this.head(Head.asserts) + 1;
    if (number >= ASSERTS_MAX) {
      this.setHead(Head.full, 1);
      return 0;
    }
    this.setHead(Head.asserts, number);
    const at = this.assertion(number);
    words.fill(0, at, at + this.#assertWords);
    words[at + Assert.next] = words[cell + Cell.asserts] as number;
    words[at + Assert.what] = what;
    words[at + Assert.mask] = mask;
    words[cell + Cell.asserts] = number;
    return number;
  }

  /** A report is about to be made. Return: whether it is new, and there is room for it. */
  says(text: string): boolean {
    const count = this.head(Head.reports);
    for (let i = 0; i < count; i++) if (this.texts.text(this.words[this.#said + i] as number) === text) return false;
    if (count >= REPORTS_MAX) return false;
    this.words[this.#said + count] = this.texts.keep(text);
    this.setHead(Head.reports, count + 1);
    return true;
  }
}
