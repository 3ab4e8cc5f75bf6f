/**
 * What the lock validator knows, in the shared area of the machine: classes, edges, chains, lock instances, texts. One raw lock guards every
 * change; what is looked up on the way of each acquisition is read without it.
 */
import { lockWord, unlockWord } from '../../cpu/hostlock.js';
import { LOCKDEP_WORDS } from '../../cpu/hw.js';
import { Texts } from '../texts.js';

/** Words at the head. */
export const Head = {
  lock: 0,
  /** debug_locks: 0 when the first report has ended all checking, or a table is full. */
  debugLocks: 1,
  /** Another number: what workers remember of instances and chains is void. -1 while nothing is checked. */
  generation: 2,
  classes: 3,
  edges: 4,
  chains: 5,
  chainLocks: 6,
  textWords: 7,
  reports: 8,
  /** Headline of the first report. */
  headline: 9,
  depthMax: 10,
  /** Chains are those whose `used` is this: another execution, another number. */
  epoch: 11,
  /** Did an instance get a class since boot? */
  instancesChanged: 12,
  generations: 13,
  /** Has anything been measured since restart()? */
  statsUsed: 14,
  words: 16,
} as const;

export const CLASSES_MAX = 512;
export const EDGES_MAX = 4096;
const CHAINS_HASH = 8192;
export const CHAINS_MAX = 4096;
export const CHAIN_LOCKS_MAX = 16384;
const INSTANCES_HASH = 8192;
export const TEXT_WORDS_MAX = 32768;
const SEEN_MAX = 256;
/** CONFIG_LOCK_STAT: places that a class has rows for, of each of two kinds; numbers of a class, of 64 bits; words of all. */
export const POINTS = 4;
export const STATS_PER_CLASS = 20 + 4 * POINTS;
export const STAT_WORDS = CLASSES_MAX * STATS_PER_CLASS * 2;
export const SUBCLASSES_MAX = 8;

/** Words of a class. Class 0 is none. */
export const Class = {
  usage: 0,
  /** Address of the key: of the lock itself where it is static. */
  key: 1,
  name: 2,
  subclass: 3,
  version: 4,
  /** First edge of locks_after and of locks_before. */
  after: 5,
  before: 6,
  ops: 7,
  /** Stack at which each usage bit was set. */
  stacks: 8,
  /** Text that tells it apart from others of its name; that of the name where nobody gave one. */
  site: 21,
  /** How long its waiters wait: a WaitType. */
  wait: 22,
  words: 24,
} as const;

/** Words of an edge; edge 0 is none. */
export const Edge = { target: 0, next: 1, distance: 2, stack: 3, kinds: 4, words: 6 } as const;

/** Words of a chain of held locks. It counts in the epoch that `used` names. */
export const Chain = { low: 0, high: 1, used: 2, context: 3, depth: 4, first: 5, site: 6, words: 8 } as const;

export interface AreaLayout {
  readonly classes: number;
  readonly subclasses: number;
  readonly edges: number;
  readonly chains: number;
  readonly chainLocks: number;
  readonly instances: number;
  readonly text: number;
  readonly seen: number;
  /** CPU that had each instance last, plus 1, and where it was taken; numbers of classes, on an even word. */
  readonly last: number;
  readonly stats: number;
}

function layoutArea(base: number): AreaLayout {
  let next = base + Head.words;
  const take = (words: number): number => {
    const at = next;
    next += words;
    return at;
  };
  const layout = {
    classes: take(CLASSES_MAX * Class.words),
    subclasses: take(CLASSES_MAX * SUBCLASSES_MAX),
    edges: take(EDGES_MAX * Edge.words),
    chains: take(CHAINS_HASH * Chain.words),
    chainLocks: take(CHAIN_LOCKS_MAX),
    instances: take(INSTANCES_HASH * 2),
    text: take(TEXT_WORDS_MAX),
    seen: take(SEEN_MAX * 3),
    last: take(INSTANCES_HASH * 2),
    stats: take(STAT_WORDS + 1),
  };
  if (next - base > LOCKDEP_WORDS) throw new Error('the area of the lock validator is too small');
  return { ...layout, stats: layout.stats + (layout.stats & 1) };
}

/**
 * Key of a chain that goes on with @element. Differs: the kernel's is rotated by the 13 bits of a class. With 64 bits in halves the fifth lock would be mixed with
 * the first then, and two chains of small numbers could have one key.
 */
export function chainLow(low: number, element: number): number {
  const mixed = Math.imul(low ^ element, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

/** The other half. @low: as it was before. */
export function chainHigh(low: number, high: number, element: number): number {
  const mixed = Math.imul(high + element, 0x85ebca6b);
  return ((mixed ^ (mixed >>> 13)) + low) | 0;
}

/** The tables, and where a table is full, the word that says so. */
export class Area {
  readonly words: Int32Array;
  readonly base: number;
  readonly at: AreaLayout;
  readonly #texts: Texts;

  constructor(words: Int32Array, base: number) {
    this.words = words;
    this.base = base;
    this.at = layoutArea(base);
    this.#texts = new Texts(words, base + Head.textWords, this.at.text, TEXT_WORDS_MAX);
  }

  head(field: number): number {
    return this.words[this.base + field] as number;
  }

  setHead(field: number, value: number): void {
    this.words[this.base + field] = value;
  }

  /** Take one of a table's entries. Return: its number, or 0 when there is none left. Entry 0 is never given out. */
  take(counter: number, max: number, count = 1): number {
    const first = this.head(counter) === 0 ? 1 : this.head(counter);
    if (first + count > max) return 0;
    this.setHead(counter, first + count);
    return first;
  }

  lock(): void {
    lockWord(this.words, this.base + Head.lock);
  }

  unlock(): void {
    unlockWord(this.words, this.base + Head.lock);
  }

  /** Everything unknown. */
  clear(): void {
    this.words.fill(0, this.base, this.base + LOCKDEP_WORDS);
    this.#texts.clear();
    this.restart(null);
  }

  /** Which instance has which class: to be taken back by restart(). */
  instances(): Int32Array {
    this.setHead(Head.instancesChanged, 0);
    return this.words.slice(this.at.instances, this.at.instances + INSTANCES_HASH * 2);
  }

  /** As after boot: classes keep their numbers, names and texts; what was done with them is forgotten. @instances: those of boot. */
  restart(instances: Int32Array | null): void {
    for (let id = 1; id < this.head(Head.classes); id++) {
      for (const field of [Class.usage, Class.after, Class.before]) this.setClassWord(id, field, 0);
    }
    for (const field of [Head.edges, Head.chains, Head.chainLocks, Head.reports, Head.headline]) this.setHead(field, 0);
    this.setHead(Head.debugLocks, 1);
    this.#newGeneration();
    this.setHead(Head.epoch, this.head(Head.epoch) + 1);
    this.words.fill(0, this.at.seen, this.at.seen + SEEN_MAX * 3);
    if (this.head(Head.statsUsed) !== 0) {
      this.words.fill(0, this.at.last, this.at.last + INSTANCES_HASH * 2);
      this.words.fill(0, this.at.stats, this.at.stats + STAT_WORDS);
      this.setHead(Head.statsUsed, 0);
    }
    if (instances === null || this.head(Head.instancesChanged) === 0) return;
    this.words.set(instances, this.at.instances);
    this.setHead(Head.instancesChanged, 0);
  }

  #newGeneration(): void {
    const number = this.head(Head.generations) + 1;
    this.setHead(Head.generations, number);
    if (this.head(Head.debugLocks) !== 0) this.setHead(Head.generation, number);
  }

  /** Nothing is checked any more, until restart(). */
  turnOff(): void {
    this.setHead(Head.debugLocks, 0);
    this.setHead(Head.generation, -1);
  }

  // ---- texts -------------------------------------------------------------------------------------------------------

  /** Keep a text. Return: its place, 0 when there is no room. The lock is held. */
  keep(text: string): number {
    return this.#texts.keep(text);
  }

  text(place: number): string {
    return this.#texts.text(place);
  }

  // ---- classes and edges -------------------------------------------------------------------------------------------

  classWord(id: number, field: number): number {
    return this.words[this.at.classes + id * Class.words + field] as number;
  }

  setClassWord(id: number, field: number, value: number): void {
    this.words[this.at.classes + id * Class.words + field] = value;
  }

  edgeWord(edge: number, field: number): number {
    return this.words[this.at.edges + edge * Edge.words + field] as number;
  }

  setEdgeWord(edge: number, field: number, value: number): void {
    this.words[this.at.edges + edge * Edge.words + field] = value;
  }

  /** The class @id was never used, and nothing was taken before or after it. Every chain counts as new. */
  forgetClass(id: number): void {
    for (let other = 1; other < this.head(Head.classes); other++) {
      for (const list of [Class.after, Class.before]) this.#unlink(other, list, id);
    }
    for (const field of [Class.usage, Class.after, Class.before, Class.ops]) this.setClassWord(id, field, 0);
    for (const field of [Head.chains, Head.chainLocks]) this.setHead(field, 0);
    this.#newGeneration();
    this.setHead(Head.epoch, this.head(Head.epoch) + 1);
  }

  /** Take the edges to @target out of one of the lists of @id. */
  #unlink(id: number, list: number, target: number): void {
    let before = 0;
    for (let edge = this.classWord(id, list); edge !== 0; edge = this.edgeWord(edge, Edge.next)) {
      if (this.edgeWord(edge, Edge.target) !== target) before = edge;
      else if (before === 0) this.setClassWord(id, list, this.edgeWord(edge, Edge.next));
      else this.setEdgeWord(before, Edge.next, this.edgeWord(edge, Edge.next));
    }
  }

  // ---- instances ---------------------------------------------------------------------------------------------------

  #instanceSlot(lock: number): number {
    let slot = Math.imul(lock >>> 2, 0x9e3779b1) >>> 19;
    for (let tries = 0; tries < INSTANCES_HASH; tries++) {
      const held = this.words[this.at.instances + slot * 2] as number;
      if (held === 0 || held === (lock | 0)) return this.at.instances + slot * 2;
      slot = (slot + 1) & (INSTANCES_HASH - 1);
    }
    return -1;
  }

  /** Class of an instance, 0 when it has none. */
  classOf(lock: number): number {
    const slot = this.#instanceSlot(lock);
    return slot < 0 ? 0 : (this.words[slot + 1] as number);
  }

  /** Return: whether there was room. The lock is held. */
  setClassOf(lock: number, id: number): boolean {
    const slot = this.#instanceSlot(lock);
    if (slot < 0) return false;
    if (this.words[slot + 1] !== id) {
      this.#newGeneration();
      this.setHead(Head.instancesChanged, 1);
    }
    this.words[slot] = lock | 0;
    this.words[slot + 1] = id;
    return true;
  }

  /** Where the area keeps who had an instance last; -1 when it has no room. */
  slotOf(lock: number): number {
    const slot = this.#instanceSlot(lock);
    return slot < 0 ? -1 : this.at.last + slot - this.at.instances;
  }

  /** CPU 0 for a lock that nobody has had or initialised. */
  lastCpu(slot: number): number {
    return slot < 0 ? 0 : Math.max(0, (this.words[slot] as number) - 1);
  }

  lastPlace(slot: number): number {
    return slot < 0 ? 0 : (this.words[slot + 1] as number);
  }

  setLast(slot: number, cpu: number, place: number): void {
    if (slot < 0) return;
    this.words[slot] = cpu + 1;
    this.words[slot + 1] = place;
  }

  // ---- chains ------------------------------------------------------------------------------------------------------

  /** Where a chain is in `words`, or where it would be; -1 when the table is full. */
  chainSlot(low: number, high: number): number {
    const epoch = this.head(Head.epoch);
    let slot = (Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1) >>> 19) & (CHAINS_HASH - 1);
    for (let tries = 0; tries < CHAINS_HASH; tries++) {
      const at = this.at.chains + slot * Chain.words;
      if (this.words[at + Chain.used] !== epoch) return at;
      if (this.words[at + Chain.low] === low && this.words[at + Chain.high] === high) return at;
      slot = (slot + 1) & (CHAINS_HASH - 1);
    }
    return -1;
  }

  /** Places of all chains, in the order of the table. */
  chains(): number[] {
    const all: number[] = [];
    for (let slot = 0; slot < CHAINS_HASH; slot++) {
      const at = this.at.chains + slot * Chain.words;
      if (this.words[at + Chain.used] === this.head(Head.epoch)) all.push(at);
    }
    return all;
  }

  // ---- reports -----------------------------------------------------------------------------------------------------

  /** Was a report of this kind about these classes made before? If not, it counts as made now. The lock is held. */
  seen(kind: number, one: number, other: number): boolean {
    for (let i = 0; i < SEEN_MAX; i++) {
      const at = this.at.seen + i * 3;
      if (this.words[at] === kind && this.words[at + 1] === one && this.words[at + 2] === other) return true;
      if (this.words[at] !== 0) continue;
      this.words[at] = kind;
      this.words[at + 1] = one;
      this.words[at + 2] = other;
      return false;
    }
    return true;
  }
}
