/**
 * Happens-before, exactly: vector clocks for contexts and for what orders them, epochs for what was accessed. Source: FastTrack (Flanagan and
 * Freund, PLDI 2009), with plain and marked accesses told apart, since two marked ones never race; spec/checkers.md §5.1, §5.3.
 *
 * One object per worker. It looks at the step that its worker is about to make, while nobody else makes any.
 */
import { Exclusive } from '../../shared/access.js';
import type { Footprint } from '../../shared/footprint.js';
import {
  type Area,
  Assert,
  BLOCKS_MAX,
  Cell,
  CONTEXT_BITS,
  CONTEXTS_MAX,
  Head,
  Kind,
  Site,
  SiteKind,
  VECTORS_MAX,
} from './area.js';
import { COUNTS, type Counts, type RaceRules } from './rules.js';

/** How an access looks in a report. */
export const Access = {
  read: 0,
  readMarked: 1,
  write: 2,
  writeMarked: 3,
  readWriteMarked: 4,
  assertNoWrites: 5,
  assertNoAccesses: 6,
  assertNoWritesScoped: 7,
  assertNoAccessesScoped: 8,
} as const;
export type Access = (typeof Access)[keyof typeof Access];

/** Which of the last accesses to a place an access takes the place of. */
const KIND_OF: readonly number[] = [
  ...[Kind.read, Kind.readMarked, Kind.write, Kind.writeMarked, Kind.writeMarked],
  ...[SiteKind.assert, SiteKind.assert, SiteKind.scoped, SiteKind.scoped],
];
/** Where a plain store of a word counts as marked. */
const KIND_OF_ATOMIC = KIND_OF.map((kind, access) => (access === Access.write ? Kind.writeMarked : kind));

export const isAssertion = (access: Access): boolean => access >= Access.assertNoWrites;
const isStore = (access: Access): boolean => access >= Access.write && !isAssertion(access);

/** One of two accesses that raced. */
export interface Side {
  readonly context: number;
  readonly access: Access;
  readonly address: number;
  readonly bytes: number;
  /** Functions, innermost first. */
  readonly stack: readonly string[];
}

export interface Race {
  /** Physical address of the word, in words. */
  readonly key: number;
  /** The access that came first, and the one at hand. */
  readonly before: Side;
  readonly now: Side;
}

export interface DetectorHost {
  readonly hw: Int32Array;
  readonly rules: RaceRules;
  /** CPU of a context. */
  cpuOf(context: number): number;
  readonly footprint: Footprint | null;
  /** Functions that the worker is in, innermost first. */
  stack(): readonly string[];
  /** Hears of each pair of accesses that raced, in the execution that is made again to see where they are. */
  report(race: Race): void;
}

const CONTEXT_MASK = CONTEXTS_MAX - 1;

/** What an Exclusive is as an access. */
export function assertionOf(what: number): Access {
  const isScoped = (what & Exclusive.scoped) !== 0;
  if ((what & Exclusive.access) !== 0) return isScoped ? Access.assertNoAccessesScoped : Access.assertNoAccesses;
  return isScoped ? Access.assertNoWritesScoped : Access.assertNoWrites;
}

export class Detector {
  readonly area: Area;
  readonly #host: DetectorHost;
  readonly #words: Int32Array;
  readonly #contexts: number;
  readonly #clocks: number;
  readonly counts: Counts;
  readonly #kinds: readonly number[];
  /** The context that acts, and where its clock is. */
  me = 0;
  #clock = 0;

  constructor(area: Area, host: DetectorHost) {
    this.area = area;
    this.#host = host;
    this.#words = area.words;
    this.#contexts = area.contexts;
    this.#clocks = area.clocks;
    this.counts = COUNTS[host.rules];
    this.#kinds = this.counts.plainStoresAtomic ? KIND_OF_ATOMIC : KIND_OF;
  }

  /** From here on another context acts on this worker. */
  become(context: number): void {
    this.me = context;
    this.#clock = this.#clocks + context * this.#contexts;
  }

  // ---- what orders -------------------------------------------------------------------------------------------------

  #join(to: number, from: number): void {
    const words = this.#words;
    for (let i = 0; i < this.#contexts; i++) {
      const clock = words[from + i] as number;
      if (clock > (words[to + i] as number)) words[to + i] = clock;
    }
  }

  /** What comes next happens after all that was released with this key; @all: by those who shared it as well. */
  acquire(key: number, all = true): void {
    const at = this.area.sync(key);
    if (at === 0) return;
    this.#join(this.#clock, at);
    if (all) this.#join(this.#clock, at + this.#contexts);
    this.#changed(this.#clock, this.#contexts);
  }

  /** What came so far happens before all that will acquire the key. @shared: but not before those who only share it. */
  release(key: number, shared = false): void {
    const at = this.area.sync(key);
    if (at === 0) return;
    const to = shared ? at + this.#contexts : at;
    this.#join(to, this.#clock);
    this.#changed(to, this.#contexts);
    this.#tick();
  }

  #tick(): void {
    const own = this.#clock + this.me;
    this.#words[own] = (this.#words[own] as number) + 1;
    this.#changed(own, 1);
  }

  /** A barrier: what marked accesses have to do with order. @writes: later ones publish; @reads: earlier ones have found. */
  barrier(writes: boolean, reads: boolean): void {
    const { fences, found } = this.area;
    const row = this.me * this.#contexts;
    if (reads) this.#join(this.#clock, found + row);
    if (!writes) return;
    this.#words.copyWithin(fences + row, this.#clock, this.#clock + this.#contexts);
    this.#changed(fences + row, this.#contexts);
    this.#tick();
  }

  /** A marked load: a read barrier after it orders behind what was published through @key. */
  finds(key: number): void {
    const at = this.area.sync(key);
    if (at !== 0) this.#join(this.area.found + this.me * this.#contexts, at);
  }

  /** A marked store: it publishes what came before the last write barrier. */
  publishes(key: number): void {
    const fence = this.area.fences + this.me * this.#contexts;
    if (this.#words[fence + this.me] === 0) return;
    const at = this.area.sync(key);
    if (at !== 0) this.#join(at, fence);
  }

  // ---- accesses ----------------------------------------------------------------------------------------------------

  /**
   * An access to some bytes of a word. @key: physical address, by words; @offset, @bytes: within the word; @address: virtual, for reports; @changes: bits
   * that a store changes, -1 where that is not known.
   */
  access(key: number, offset: number, bytes: number, access: Access, address: number, changes = -1): void {
    const cell = this.area.cell(key);
    if (cell < 0) return;
    const words = this.#words;
    const suspect = this.#suspectOf(key);
    const asserted = words[cell + Cell.asserts] === 0 ? -1 : this.#asserted(cell, access, changes);
    if (asserted >= 0) this.#found(key, suspect, asserted, access, bytes, address);
    if (changes === 0 && this.counts.changesOnly) return;
    let block = words[cell + Cell.block] as number;
    let raced = -1;
    if (block === 0 && bytes < 4) block = this.#split(cell);
    if (block === 0) raced = this.#look(cell + Cell.state, access);
    else {
      const first = this.area.blocks + block * 4 * Kind.count;
      for (let byte = offset; byte < offset + bytes; byte++) {
        const found = this.#look(first + byte * Kind.count, access);
        if (raced < 0) raced = found;
      }
    }
    if (raced >= 0) this.#found(key, suspect, raced, access, bytes, address);
    else if (suspect >= 0) this.#note(suspect, access, bytes, address);
  }

  #suspectOf(key: number): number {
    return this.#words[this.area.base + Head.again] === 0 ? -1 : this.area.suspectOf(key);
  }

  // ---- assertions --------------------------------------------------------------------------------------------------

  /** Nobody else is to access a word. @what: Exclusive; @mask: bits that it is about. */
  exclusive(key: number, what: number, mask: number, address: number): void {
    const cell = this.area.cell(key);
    const number = cell < 0 ? 0 : this.area.assertionOf(cell, what & ~Exclusive.end, mask);
    if (number === 0) return;
    const words = this.#words;
    const at = this.area.assertion(number);
    const suspect = this.#suspectOf(key);
    const access = assertionOf(what);
    const raced = mask === -1 ? this.#accessed(cell, (what & Exclusive.access) !== 0) : -1;
    if (raced >= 0) this.#found(key, suspect, raced, access, 4, address);
    else if (suspect >= 0) this.#note(suspect, access, 4, address);
    words[at + Assert.clocks + this.me] = words[this.#clock + this.me] as number;
    if ((what & Exclusive.scoped) !== 0) words[at + Assert.scope] = (what & Exclusive.end) === 0 ? this.me + 1 : 0;
    this.#changed(at, Assert.clocks + this.#contexts);
    this.#changed(cell + Cell.asserts, 1);
  }

  /** Has anybody written a word of late, or with @read read it, that is not ordered before now? Return: as #look(). */
  #accessed(cell: number, read: boolean): number {
    const block = this.#words[cell + Cell.block] as number;
    const first = block === 0 ? cell + Cell.state : this.area.blocks + block * 4 * Kind.count;
    const kinds = read ? [Kind.write, Kind.writeMarked, Kind.read, Kind.readMarked] : [Kind.write, Kind.writeMarked];
    for (let byte = 0; byte < (block === 0 ? 1 : 4); byte++) {
      for (const kind of kinds) {
        const raced = this.#unordered(first + byte * Kind.count, kind);
        if (raced >= 0) return raced;
      }
    }
    return -1;
  }

  /** Whose assertion about the word an access breaks; -1: nobody's. Return: as #look(). */
  #asserted(cell: number, access: Access, changes: number): number {
    const words = this.#words;
    for (let number = words[cell + Cell.asserts] as number; number !== 0; ) {
      const at = this.area.assertion(number);
      const what = words[at + Assert.what] as number;
      const mask = words[at + Assert.mask] as number;
      number = words[at + Assert.next] as number;
      if (!isStore(access) && (what & Exclusive.access) === 0) continue;
      // What an atomic operation changes is looked at when it is done: see changed().
      if (mask !== -1 && (access === Access.readWriteMarked || (changes & mask) === 0)) continue;
      const context = this.#breaks(at);
      if (context >= 0)
        return context | (((what & Exclusive.scoped) === 0 ? SiteKind.assert : SiteKind.scoped) << CONTEXT_BITS);
    }
    return -1;
  }

  /** Context whose assertion is in force or not ordered before now, or -1. */
  #breaks(at: number): number {
    const words = this.#words;
    const scope = (words[at + Assert.scope] as number) - 1;
    if (scope >= 0 && scope !== this.me && this.#meets(scope)) return scope;
    for (let context = 0; context < this.#contexts; context++) {
      const clock = words[at + Assert.clocks + context] as number;
      if (context !== this.me && clock > (words[this.#clock + context] as number) && this.#meets(context))
        return context;
    }
    return -1;
  }

  /** Is there an assertion about bits of the word? */
  assertsBits(key: number): boolean {
    const words = this.#words;
    if (words[this.area.base + Head.asserts] === 0) return false;
    const cell = this.area.cell(key);
    for (let number = cell < 0 ? 0 : (words[cell + Cell.asserts] as number); number !== 0; ) {
      const at = this.area.assertion(number);
      if (words[at + Assert.mask] !== -1) return true;
      number = words[at + Assert.next] as number;
    }
    return false;
  }

  /** An atomic operation has changed bits of a word that somebody asserts something about. @functions: where it was. */
  changed(key: number, changes: number, address: number, functions: readonly string[]): void {
    const cell = this.area.cell(key);
    if (cell < 0) return;
    const asserted = this.#asserted(cell, Access.writeMarked, changes);
    if (asserted >= 0) this.#found(key, this.#suspectOf(key), asserted, Access.readWriteMarked, 4, address, functions);
  }

  // ---- bytes -------------------------------------------------------------------------------------------------------

  /** From here on the bytes of the word are looked at one by one. Return: 0 when there is no room. */
  #split(cell: number): number {
    const { area } = this;
    const block = area.head(Head.blocks) + 1;
    if (block >= BLOCKS_MAX) {
      area.setHead(Head.full, 1);
      return 0;
    }
    area.setHead(Head.blocks, block);
    const at = area.blocks + block * 4 * Kind.count;
    for (let byte = 0; byte < 4; byte++) {
      this.#words.copyWithin(at + byte * Kind.count, cell + Cell.state, cell + Cell.state + Kind.count);
    }
    this.#words[cell + Cell.block] = block;
    return block;
  }

  /**
   * Compare with the last accesses to the same bytes, and take note. Return: -1, or the one that raced: its context, and its kind above that.
   * After a race nothing is left but the access at hand.
   */
  #look(state: number, access: Access): number {
    const words = this.#words;
    const clock = words[this.#clock + this.me] as number;
    const epoch = (clock << CONTEXT_BITS) | this.me;
    const kind = this.#kinds[access] as number;
    if (words[state + kind] === epoch) return -1;
    // A plain write races with everything, a marked read only with a plain write.
    let raced = this.#unordered(state, Kind.write);
    if (raced < 0 && kind !== Kind.readMarked) {
      if (kind !== Kind.writeMarked) raced = this.#unordered(state, Kind.writeMarked);
      if (raced < 0 && kind !== Kind.read) raced = this.#unordered(state, Kind.read);
      if (raced < 0 && kind === Kind.write) raced = this.#unordered(state, Kind.readMarked);
    }
    if (raced >= 0 || kind === Kind.write) words.fill(0, state, state + Kind.count);
    if (raced >= 0 || kind === Kind.write) words[state + kind] = epoch;
    else this.#put(state + kind, epoch, clock);
    this.#changed(state, Kind.count);
    return raced;
  }

  /** Return: -1 when all accesses of that kind happened before, else one that did not. */
  #unordered(state: number, kind: number): number {
    const words = this.#words;
    const last = words[state + kind] as number;
    if (last === 0) return -1;
    if (last > 0) {
      const context = last & CONTEXT_MASK;
      const ordered = last >>> CONTEXT_BITS <= (words[this.#clock + context] as number);
      return ordered || !this.#meets(context) ? -1 : context | (kind << CONTEXT_BITS);
    }
    const vector = this.area.vectors - last * this.#contexts;
    for (let context = 0; context < this.#contexts; context++) {
      if ((words[vector + context] as number) <= (words[this.#clock + context] as number)) continue;
      if (this.#meets(context)) return context | (kind << CONTEXT_BITS);
    }
    return -1;
  }

  /** Can the rules see the two at once, one of whom would stand still with its CPU? */
  #meets(context: number): boolean {
    return !this.counts.otherCpusOnly || this.#host.cpuOf(context) !== this.#host.cpuOf(this.me);
  }

  /** One epoch is enough as long as each access happened after the one before; else there is a vector of them. */
  #put(at: number, epoch: number, clock: number): void {
    const words = this.#words;
    const last = words[at] as number;
    if (last < 0) {
      words[this.area.vectors - last * this.#contexts + this.me] = clock;
      return;
    }
    const context = last & CONTEXT_MASK;
    if (last === 0 || last >>> CONTEXT_BITS <= (words[this.#clock + context] as number)) {
      words[at] = epoch;
      return;
    }
    const number = this.area.head(Head.vectors) + 1;
    if (number >= VECTORS_MAX) {
      this.area.setHead(Head.full, 1);
      words[at] = epoch;
      return;
    }
    this.area.setHead(Head.vectors, number);
    const vector = this.area.vectors + number * this.#contexts;
    words.fill(0, vector, vector + this.#contexts);
    words[vector + context] = last >>> CONTEXT_BITS;
    words[vector + this.me] = clock;
    words[at] = -number;
  }

  // ---- reports -----------------------------------------------------------------------------------------------------

  /** Where a suspect is accessed. */
  #note(
    suspect: number,
    access: Access,
    bytes: number,
    address: number,
    stack: readonly string[] = this.#host.stack(),
  ): readonly string[] {
    const words = this.#words;
    const at = this.area.site(suspect, this.me, this.#kinds[access] as number);
    words[at + Site.stack] = this.area.texts.keep(stack.join('\n'));
    words[at + Site.what] = access | (bytes << 8);
    words[at + Site.address] = address;
    return stack;
  }

  #found(
    key: number,
    suspect: number,
    raced: number,
    access: Access,
    bytes: number,
    address: number,
    functions?: readonly string[],
  ): void {
    const { area } = this;
    if (suspect < 0) {
      area.suspect(key);
      return;
    }
    const words = this.#words;
    const context = raced & CONTEXT_MASK;
    const at = area.site(suspect, context, raced >>> CONTEXT_BITS);
    const what = words[at + Site.what] as number;
    const text = area.texts.text(words[at + Site.stack] as number);
    const before: Side = {
      context,
      access: (what & 0xff) as Access,
      address: (words[at + Site.address] as number) >>> 0,
      bytes: what >>> 8,
      stack: text === '' ? [] : text.split('\n'),
    };
    const stack = this.#note(suspect, access, bytes, address, functions);
    const now = { context: this.me, access, address, bytes, stack };
    this.#host.report({ key, before, now });
  }

  /** Anybody who watches the state of the machine has to know of this. */
  #changed(at: number, words: number): void {
    const { footprint } = this.#host;
    if (footprint !== null) footprint.hwChanged(at, words);
  }
}
