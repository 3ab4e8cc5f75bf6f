/**
 * The storage of one data cache: tags, state and real bytes in shared memory, with the steps that act on a single line.
 *
 * Everything here is one atomic step or part of one; who may call it when, and which locks make it atomic between host
 * threads, is the business of `cpu-cache.ts`. Model: spec/hardware.md §4.
 */
import { type Footprint, Space } from '../shared/footprint.js';
import type { Paddr } from '../shared/types.js';
import type { CacheGeometry } from './core.js';
import type { CacheLayout } from './hw.js';
import type { PhysicalMemory } from './memory.js';

/** Bits of a line's flags above the dirty bits [7:0]. */
export const LineFlag = {
  dirtyMask: 0xff,
  writeThrough: 1 << 8,
  shared: 1 << 9,
  exclusive: 1 << 10,
  modified: 1 << 11,
} as const;
/** MESI bits; a line in none of them belongs to a cache without coherence. */
export const MESI_MASK = LineFlag.shared | LineFlag.exclusive | LineFlag.modified;

const HINTS = 256;

export class DCache {
  readonly hw: Int32Array;
  readonly geometry: CacheGeometry;
  readonly tags: number;
  readonly flags: number;
  readonly data: number;
  readonly locks: number;
  readonly seqs: number;
  readonly lines: number;
  readonly lineShift: number;
  readonly lineMask: number;
  readonly lineWords: number;
  readonly granuleShift: number;
  readonly #pas: number;
  readonly #stamps: number;
  readonly #pointers: number;
  readonly #setMask: number;
  readonly #ways: number;
  readonly #granuleWords: number;
  /** Where a line was last found, by address hash: this worker's guess, checked against the tag on every use. */
  readonly hints = new Int32Array(HINTS);
  footprint: Footprint | null = null;

  constructor(hw: Int32Array, layout: CacheLayout, geometry: CacheGeometry) {
    this.hw = hw;
    this.geometry = geometry;
    this.tags = layout.tags;
    this.flags = layout.flags;
    this.data = layout.data;
    this.locks = layout.locks;
    this.seqs = layout.seqs;
    this.#pas = layout.pas;
    this.#stamps = layout.stamps;
    this.#pointers = layout.pointers;
    this.#ways = geometry.ways;
    this.#setMask = geometry.sets - 1;
    this.lines = geometry.sets * geometry.ways;
    this.lineShift = 31 - Math.clz32(geometry.lineBytes);
    this.lineMask = -geometry.lineBytes;
    this.lineWords = geometry.lineBytes >>> 2;
    this.granuleShift = 31 - Math.clz32(geometry.granuleBytes);
    this.#granuleWords = geometry.granuleBytes >>> 2;
  }

  setOf(key: number): number {
    return (key >>> this.lineShift) & this.#setMask;
  }

  setOfLine(line: number): number {
    return (line / this.#ways) | 0;
  }

  /** The line that holds address @key (virtual or physical, as the tags are), or -1. */
  find(key: number): number {
    if (this.footprint !== null) this.touchKey(key, false);
    const tag = (key & this.lineMask) | 1;
    const slot = (key >>> this.lineShift) & (HINTS - 1);
    const hint = this.hints[slot] as number;
    if (this.hw[this.tags + hint] === tag) return hint;
    const first = this.setOf(key) * this.#ways;
    for (let line = first; line < first + this.#ways; line++) {
      if (this.hw[this.tags + line] === tag) {
        this.hints[slot] = line;
        return line;
      }
    }
    return -1;
  }

  /** The line of an address: whether it is here, its bytes and its state. */
  protected touchKey(key: number, write: boolean): void {
    this.footprint?.touch(Space.key, (key >>> this.lineShift) ^ Math.imul(this.tags, 0x9e3779b1), write);
  }

  /** What a way holds, valid or not. */
  touchWay(line: number, write: boolean): void {
    this.footprint?.touch(Space.hw, this.tags + line, write);
  }

  /** State or bytes of a line that stays where it is change. */
  lineChanged(line: number): void {
    if (this.footprint === null) return;
    this.touchKey(this.keyOf(line), true);
    this.#wordsChanged(line);
  }

  #wordsChanged(line: number): void {
    const { footprint } = this;
    footprint?.hwChanged(this.tags + line, 1);
    footprint?.hwChanged(this.flags + line, 1);
    footprint?.hwChanged(this.#pas + line, 1);
    footprint?.hwChanged(this.data + line * this.lineWords, this.lineWords);
  }

  /** The replacement pointer of a set, or of all. */
  #touchPointer(set: number, write: boolean): void {
    if (this.footprint === null) return;
    const at = this.geometry.replacement === 'rr-per-set' ? this.#pointers + 1 + set : this.#pointers;
    this.footprint.touch(Space.hw, at, write);
    if (write) this.footprint.hwChanged(at, 1);
  }

  holds(line: number, key: number): boolean {
    return this.hw[this.tags + line] === ((key & this.lineMask) | 1);
  }

  isValid(line: number): boolean {
    return this.hw[this.tags + line] !== 0;
  }

  /** Address that the tag stands for. */
  keyOf(line: number): number {
    return ((this.hw[this.tags + line] as number) & this.lineMask) >>> 0;
  }

  /** Physical address of the line, as it was at the fill: a later change of the page tables does not redirect it. */
  paOf(line: number): Paddr {
    return ((this.hw[this.#pas + line] as number) >>> 0) as Paddr;
  }

  flagsOf(line: number): number {
    return this.hw[this.flags + line] as number;
  }

  isDirty(line: number): boolean {
    return (this.flagsOf(line) & LineFlag.dirtyMask) !== 0;
  }

  wordIndex(line: number, key: number): number {
    return this.data + line * this.lineWords + ((key & ~this.lineMask) >>> 2);
  }

  dirtyBit(key: number): number {
    return 1 << ((key & ~this.lineMask) >>> this.granuleShift);
  }

  /** Write the bytes of one aligned word that @mask selects. */
  put(line: number, key: number, value: number, mask: number): void {
    const index = this.wordIndex(line, key);
    this.hw[index] = mask === -1 ? value : ((this.hw[index] as number) & ~mask) | (value & mask);
    if (this.footprint !== null) this.lineChanged(line);
  }

  touch(line: number): void {
    if (this.geometry.replacement !== 'lru') return;
    this.#touchPointer(0, true);
    this.footprint?.hwChanged(this.#stamps + line, 1);
    const clock = (this.hw[this.#pointers] as number) + 1;
    this.hw[this.#pointers] = clock;
    this.hw[this.#stamps + line] = clock;
  }

  /** The way that the next fill of the set takes (step S5); nothing is advanced yet. */
  victim(set: number): number {
    const first = set * this.#ways;
    const kind = this.geometry.replacement;
    if (this.footprint !== null) this.#touchSet(set);
    if (kind === 'rr-shared-unconditional') return first + (this.hw[this.#pointers] as number);
    for (let line = first; line < first + this.#ways; line++) if (!this.isValid(line)) return line;
    if (kind === 'rr-per-set') return first + (this.hw[this.#pointers + 1 + set] as number);
    if (kind === 'random') return first + ((this.#lfsr() >>> 0) % this.#ways);
    if (kind === 'lru') return this.#oldest(first);
    return first + (this.hw[this.#pointers] as number);
  }

  /** The choice of a victim looks at every way and at the pointer. */
  #touchSet(set: number): void {
    for (let way = 0; way < this.#ways; way++) this.touchWay(set * this.#ways + way, false);
    this.#touchPointer(set, false);
  }

  #oldest(first: number): number {
    let best = first;
    for (let line = first + 1; line < first + this.#ways; line++) {
      if ((this.hw[this.#stamps + line] as number) < (this.hw[this.#stamps + best] as number)) best = line;
    }
    return best;
  }

  /** The LFSR's present state; zero, its state after reset, stands for its seed. */
  #lfsr(): number {
    return (this.hw[this.#pointers] as number) || 0x2545f491;
  }

  /** The fill has used the victim's way: move the pointer as the replacement rule says. @wasFree: the way held nothing. */
  #advance(set: number, wasFree: boolean): void {
    const kind = this.geometry.replacement;
    if (kind === 'lru') return;
    if (wasFree && kind !== 'rr-shared-unconditional') return;
    this.#touchPointer(set, true);
    if (kind === 'random') {
      let x = this.#lfsr();
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      this.hw[this.#pointers] = x;
      return;
    }
    const at = kind === 'rr-per-set' ? this.#pointers + 1 + set : this.#pointers;
    this.hw[at] = ((this.hw[at] as number) + 1) % this.#ways;
  }

  /**
   * Fill (step S7): the victim's way @line, which must be clean or free, gets the line from memory. The caller has found it by victim():
   * asked again, a pointer that all sets share might name another, which a fill of another set has moved it to.
   */
  install(line: number, key: number, pa: Paddr, flags: number, memory: PhysicalMemory): void {
    const set = this.setOf(key);
    const wasFree = !this.isValid(line);
    if (this.footprint !== null) {
      this.touchWay(line, true);
      if (!wasFree) this.touchKey(this.keyOf(line), true);
      this.touchKey(key, true);
      this.#wordsChanged(line);
    }
    this.hw[this.seqs + set] = ((this.hw[this.seqs + set] as number) + 1) | 0;
    this.hw[this.tags + line] = 0;
    const base = (pa & this.lineMask) >>> 0;
    memory.readLine(base as Paddr, this.hw, this.data + line * this.lineWords, this.lineWords);
    this.hw[this.#pas + line] = base;
    this.hw[this.flags + line] = flags;
    this.hw[this.tags + line] = (key & this.lineMask) | 1;
    this.#advance(set, wasFree);
    this.touch(line);
  }

  /** Write the dirty granules to memory at the line's own physical address (steps S6, S8). Return: granules written. */
  writeBack(line: number, memory: PhysicalMemory): number {
    const flags = this.flagsOf(line);
    let left = flags & LineFlag.dirtyMask;
    if (left === 0) return 0;
    this.lineChanged(line);
    let written = 0;
    const words = this.#granuleWords;
    for (let granule = 0; left !== 0; granule++, left >>>= 1) {
      if ((left & 1) === 0) continue;
      const at = granule * words;
      memory.writeLine((this.paOf(line) + at * 4) as Paddr, this.hw, this.data + line * this.lineWords + at, words);
      written++;
    }
    let kept = flags & ~LineFlag.dirtyMask;
    if ((kept & LineFlag.modified) !== 0) kept = (kept & ~LineFlag.modified) | LineFlag.exclusive;
    this.hw[this.flags + line] = kept;
    return written;
  }

  /** Throw the line away (step S9). Dirty bytes are lost: memory keeps what it had. */
  invalidate(line: number): void {
    if (this.footprint !== null) {
      this.touchWay(line, true);
      this.lineChanged(line);
    }
    this.hw[this.tags + line] = 0;
    this.hw[this.flags + line] = 0;
  }

  /** Nothing valid, pointers at zero: the state after reset. */
  reset(): void {
    this.hw.fill(0, this.tags, this.tags + this.lines);
    this.hw.fill(0, this.flags, this.flags + this.lines);
    this.hw.fill(0, this.#pointers, this.#pointers + this.geometry.sets + 1);
    this.hw.fill(0, this.locks, this.locks + this.geometry.sets);
    if (this.geometry.replacement === 'lru') this.hw.fill(0, this.#stamps, this.#stamps + this.lines);
  }
}

/**
 * A cache that is indexed by virtual and tagged by physical address. Its keys are physical addresses; one under a virtual address that belongs
 * in another set (an inequivalent alias) has the difference of the two above bit 32, where the arithmetic on tags does not see it. So the
 * same physical line can be here twice, in two sets, with different bytes.
 */
export class ViptCache extends DCache {
  readonly #indexMask: number;
  readonly #setMask: number;

  constructor(hw: Int32Array, layout: CacheLayout, geometry: CacheGeometry) {
    super(hw, layout, geometry);
    this.#setMask = geometry.sets - 1;
    this.#indexMask = geometry.sets * geometry.lineBytes - 1;
  }

  /** Key of the physical address @pa under the virtual address @va. */
  viptKey(va: number, pa: number): number {
    return ((va ^ pa) & this.#indexMask & PAGE_MASK) * INDEX_UNIT + pa;
  }

  override setOf(key: number): number {
    return (((key / INDEX_UNIT) ^ key) >>> this.lineShift) & this.#setMask;
  }

  /** Without hints: a line of the same physical address may be in another set. */
  override find(key: number): number {
    if (this.footprint !== null) this.touchKey(key, false);
    const { ways } = this.geometry;
    const first = this.setOf(key) * ways;
    for (let line = first; line < first + ways; line++) if (this.holds(line, key)) return line;
    return -1;
  }
}

const INDEX_UNIT = 2 ** 32;
const PAGE_MASK = -4096;

export const dataCache = (hw: Int32Array, layout: CacheLayout, geometry: CacheGeometry): DCache =>
  geometry.indexBy === geometry.tagBy ? new DCache(hw, layout, geometry) : new ViptCache(hw, layout, geometry);
