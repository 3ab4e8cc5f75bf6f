/**
 * The data cache as one CPU uses it: hits, fills, evictions, maintenance, and coherence with the caches of the other CPUs.
 *
 * Three kinds (core row, `coherence`): private without coherence (one CPU; nothing to lock), MESI (private caches, snooped) and
 * shared (one VIVT cache used by all CPUs). What makes a step atomic between host threads:
 * - MESI: a bus lock by physical line, then the set lock of each cache touched, in CPU order. A load hit takes none: only its own CPU
 *   fills a cache, so a line that is there has the right bytes up to the instant it is invalidated.
 * - shared: the set lock; a load hit instead checks a sequence number of the set before and after.
 * No lock is held across a scheduling point, and every step looks its line up again after the point that precedes it.
 *
 * Model: spec/hardware.md §4.3 (steps S1 to S16) and §4.6 (transitions).
 */
import type { Footprint } from '../shared/footprint.js';
import { Point } from '../shared/point.js';
import type { Paddr } from '../shared/types.js';
import type { Coherence, CoreRow } from './core.js';
import { type DCache, dataCache, LineFlag, MESI_MASK } from './dcache.js';
import { lockWord, STRONG_LOADS, unlockWord } from './hostlock.js';
import { BUS_LOCKS, type HwLayout, Seat } from './hw.js';
import type { PhysicalMemory } from './memory.js';
import { Cause, Ev, type Tracer } from './tracer.js';
import { WriteBuffer } from './write-buffer.js';

/** What a maintenance operation does to a line (steps S8 to S10). */
export const CacheOp = {
  evict: Cause.evict,
  clean: Cause.clean,
  invalidate: Cause.invalidate,
  flush: Cause.flush,
} as const;
export type CacheOp = (typeof CacheOp)[keyof typeof CacheOp];

export interface PointSink {
  point(kind: Point, addr: number): void;
}

export class CpuCache {
  readonly own: DCache;
  readonly writeBuffer: WriteBuffer;
  tracer: Tracer | null = null;
  readonly #hw: Int32Array;
  readonly #all: readonly DCache[];
  readonly #coherence: Coherence;
  readonly #locking: boolean;
  readonly #broadcast: boolean;
  readonly #allocOnStoreMiss: boolean;
  readonly #memory: PhysicalMemory;
  readonly #busLocks: number;
  readonly #sink: PointSink;
  readonly #stats: number;

  constructor(hw: Int32Array, layout: HwLayout, core: CoreRow, cpu: number, memory: PhysicalMemory, sink: PointSink) {
    this.#hw = hw;
    this.#all = layout.caches.map((c) => dataCache(hw, c, core.dcache));
    this.own = this.#all[core.coherence === 'shared' ? 0 : cpu] as DCache;
    this.#coherence = core.coherence;
    this.#locking = core.coherence !== 'none';
    this.#broadcast = core.cacheOpsBroadcast;
    this.#allocOnStoreMiss = core.dcache.allocOnStoreMiss;
    this.#memory = memory;
    this.#busLocks = layout.busLocks;
    this.#sink = sink;
    this.#stats = layout.seats + cpu * Seat.words;
    const entries = core.dcache.writeBufferWords;
    this.writeBuffer = new WriteBuffer(hw, layout.writeBuffers + cpu * layout.writeBufferWords, entries, memory);
  }

  /** The data caches of the machine, this CPU's among them. */
  get units(): readonly DCache[] {
    return this.#all;
  }

  #count(stat: number, by = 1): void {
    this.#hw[this.#stats + stat] = ((this.#hw[this.#stats + stat] as number) + by) | 0;
  }

  #lockBus(pa: number): number {
    if (this.#coherence !== 'mesi') return -1;
    const word = this.#busLocks + ((pa >>> this.own.lineShift) & (BUS_LOCKS - 1));
    lockWord(this.#hw, word);
    return word;
  }

  #unlockBus(word: number): void {
    if (word >= 0) unlockWord(this.#hw, word);
  }

  #lockSet(cache: DCache, set: number): void {
    if (this.#locking) lockWord(this.#hw, cache.locks + set);
  }

  #unlockSet(cache: DCache, set: number): void {
    if (this.#locking) unlockWord(this.#hw, cache.locks + set);
  }

  /** Step S1. Return: whether the line is here; the word is then in `value`. */
  loadHit(key: number): boolean {
    const own = this.own;
    if (this.#coherence === 'shared') return this.#loadHitShared(key);
    const line = own.find(key);
    if (line < 0) return false;
    this.value = this.#hw[own.wordIndex(line, key)] as number;
    if (own.geometry.replacement === 'lru') own.touch(line);
    return true;
  }
  /** The word that the last loadHit() found. */
  value = 0;

  #loadHitShared(key: number): boolean {
    const { own } = this;
    const hw = this.#hw;
    const seqAt = own.seqs + own.setOf(key);
    const lockAt = own.locks + own.setOf(key);
    if (!STRONG_LOADS) lockWord(hw, lockAt);
    let line: number;
    for (;;) {
      const seq = hw[seqAt] as number;
      line = own.find(key);
      if (line < 0) break;
      this.value = hw[own.wordIndex(line, key)] as number;
      if (own.holds(line, key) && hw[seqAt] === seq) break;
    }
    if (!STRONG_LOADS) unlockWord(hw, lockAt);
    return line >= 0;
  }

  /**
   * A store to a granule of @line that is modified and dirty already, the common case of a coherent or shared cache, under the set's lock.
   * Return: false when the line is not in that state, or somebody else is at the set: take the long way.
   */
  storeModified(line: number, key: number, value: number): boolean {
    const { own } = this;
    const hw = this.#hw;
    const lockAt = own.locks + own.setOf(key);
    if (Atomics.compareExchange(hw, lockAt, 0, 1) !== 0) return false;
    const done = own.holds(line, key) && ((hw[own.flags + line] as number) & own.dirtyBit(key)) !== 0;
    if (done) hw[own.wordIndex(line, key)] = value;
    unlockWord(hw, lockAt);
    return done;
  }

  /** Load through the cache; fills on a miss. */
  load(key: number, pa: Paddr, writeThrough: boolean): number {
    while (!this.loadHit(key)) this.#fill(key, pa, writeThrough, false);
    return this.value;
  }

  /** Steps S2, S3: store the bytes of an aligned word if its line is here and may be written. */
  storeHit(key: number, value: number, mask: number): boolean {
    const own = this.own;
    if (this.#locking) return this.#storeHitLocked(key, value, mask);
    const line = own.find(key);
    if (line < 0) return false;
    this.#putDirty(own, line, key, value, mask);
    return true;
  }

  #storeHitLocked(key: number, value: number, mask: number): boolean {
    const own = this.own;
    const set = own.setOf(key);
    lockWord(this.#hw, own.locks + set);
    const line = own.find(key);
    let done = line >= 0;
    if (done && this.#coherence === 'mesi') {
      const flags = own.flagsOf(line);
      done = (flags & (LineFlag.exclusive | LineFlag.modified)) !== 0;
      if (done && (flags & LineFlag.modified) === 0) {
        this.#hw[own.flags + line] = (flags & ~MESI_MASK) | LineFlag.modified;
        own.lineChanged(line);
      }
    }
    if (done) this.#putDirty(own, line, key, value, mask);
    unlockWord(this.#hw, own.locks + set);
    return done;
  }

  #putDirty(own: DCache, line: number, key: number, value: number, mask: number): void {
    const flags = this.#hw[own.flags + line] as number;
    const bit = own.dirtyBit(key);
    if ((flags & bit) === 0) {
      if ((flags & LineFlag.writeThrough) !== 0) {
        const offset = key & ~own.lineMask & ~3;
        this.writeBuffer.push(((own.paOf(line) + offset) >>> 0) as Paddr, value, mask, true);
      } else this.#hw[own.flags + line] = flags | bit;
    }
    own.put(line, key, value, mask);
    if (own.geometry.replacement === 'lru') own.touch(line);
  }

  /** Store through the cache: a miss allocates, or goes to the write buffer (step S4). */
  store(key: number, pa: Paddr, writeThrough: boolean, value: number, mask: number): void {
    while (!this.storeHit(key, value, mask)) {
      if (this.#allocOnStoreMiss) this.#fill(key, pa, writeThrough, true);
      else if (this.#storePast(key, pa, value, mask)) return;
    }
  }

  /** Step S4, unless the line has come in: another CPU that shares the cache may be filling it. Return: whether the store is done. */
  #storePast(key: number, pa: Paddr, value: number, mask: number): boolean {
    const own = this.own;
    const set = own.setOf(key);
    this.#lockSet(own, set);
    const done = own.find(key) < 0;
    if (done) this.writeBuffer.push(pa, value, mask, true);
    this.#unlockSet(own, set);
    return done;
  }

  /**
   * Step S14: a line comes in, clean, that no instruction asked for.
   *
   * Context: this CPU's own worker, as for every fill: load hits take no lock, so nobody else may put lines into its cache.
   * Return:  false when the line was here already, or a line that would have to go was dirtied meanwhile.
   */
  speculativeFill(key: number, pa: Paddr): boolean {
    if (this.own.find(key) >= 0) return false;
    this.#fill(key, pa, false, false);
    return this.own.find(key) >= 0;
  }

  /** Steps S5 to S7; with @own, the line arrives so that it may be written. An interrupt may run at either point. */
  #fill(key: number, pa: Paddr, writeThrough: boolean, own: boolean): void {
    const set = this.own.setOf(key);
    if (this.#coherence === 'mesi' && this.own.find(key) >= 0) {
      this.#sink.point(Point.Fill, pa);
      this.#upgrade(key, pa);
      return;
    }
    const candidate = this.own.victim(set);
    if (this.own.isDirty(candidate)) {
      this.#sink.point(Point.WriteBack, this.own.paOf(candidate));
      this.#cleanVictim(set);
    }
    this.#sink.point(Point.Fill, pa);
    this.writeBuffer.drain();
    const bus = this.#lockBus(pa);
    const mesi = this.#coherence === 'mesi' ? this.#snoop(key, own) : 0;
    this.#lockSet(this.own, set);
    const victim = this.own.victim(set);
    if (this.own.find(key) < 0 && !this.own.isDirty(victim)) {
      if (this.own.isValid(victim)) {
        this.#count(Seat.evictions);
        if (this.tracer !== null) this.#trace(Ev.lineDrop, this.own, victim, Cause.evict);
      }
      this.own.install(victim, key, pa, (writeThrough ? LineFlag.writeThrough : 0) | mesi, this.#memory);
      this.#count(Seat.fills);
      if (this.tracer !== null) this.#trace(Ev.lineFill, this.own, victim, 0);
    }
    this.#unlockSet(this.own, set);
    this.#unlockBus(bus);
  }

  /**
   * Step S6: write back the victim of a set, if it is still dirty. It stays valid until the fill takes its way: were it dropped here, the
   * fill would find a free way and leave the replacement pointer where it was.
   */
  #cleanVictim(set: number): void {
    const own = this.own;
    const bus = this.#lockBus(own.paOf(own.victim(set)));
    this.#lockSet(own, set);
    this.#writeBack(own, own.victim(set), Cause.evict);
    this.#unlockSet(own, set);
    this.#unlockBus(bus);
  }

  /**
   * Step S16 for a line in every other cache; the bus lock is held. @key: its physical address and, on VIPT, the set that it belongs in.
   * Return:  the state that the requester gets.
   */
  #snoop(key: number, exclusive: boolean): number {
    let state: number = LineFlag.exclusive;
    for (const peer of this.#all) {
      if (peer === this.own) continue;
      const set = peer.setOf(key);
      this.#lockSet(peer, set);
      const line = peer.find(key);
      if (line >= 0) {
        this.#writeBack(peer, line, Cause.snoop);
        if (exclusive) this.#drop(peer, line, Cause.snoop);
        else {
          this.#hw[peer.flags + line] = (peer.flagsOf(line) & ~MESI_MASK) | LineFlag.shared;
          peer.lineChanged(line);
          state = LineFlag.shared;
        }
      }
      this.#unlockSet(peer, set);
    }
    return state;
  }

  /** A store to a shared line: the other copies go, this one becomes exclusive. */
  #upgrade(key: number, pa: Paddr): void {
    const bus = this.#lockBus(pa);
    this.#snoop(key, true);
    const set = this.own.setOf(key);
    this.#lockSet(this.own, set);
    const line = this.own.find(key);
    if (line >= 0) {
      this.#hw[this.own.flags + line] = (this.own.flagsOf(line) & ~MESI_MASK) | LineFlag.exclusive;
      this.own.lineChanged(line);
    }
    this.#unlockSet(this.own, set);
    this.#unlockBus(bus);
  }

  /** One line of a maintenance operation, without a scheduling point. @key: VA on VIVT, PA on PIPT, viptKey() on VIPT. */
  lineOp(op: CacheOp, key: number): void {
    this.#count(Seat.lineOps);
    const bus = this.#lockBus(key);
    if (this.#broadcast) for (const cache of this.#all) this.#lineOpIn(cache, op, key);
    else this.#lineOpIn(this.own, op, key);
    this.#unlockBus(bus);
  }

  /** Clean and invalidate one line of this CPU's cache only, as an eviction does. @key: VA on VIVT, else PA. */
  evict(key: number): void {
    const bus = this.#lockBus(key);
    this.#lineOpIn(this.own, CacheOp.evict, key);
    this.#unlockBus(bus);
  }

  #lineOpIn(cache: DCache, op: CacheOp, key: number): void {
    const set = cache.setOf(key);
    this.#lockSet(cache, set);
    const line = cache.find(key);
    if (line >= 0) this.#apply(cache, op, line);
    this.#unlockSet(cache, set);
  }

  #apply(cache: DCache, op: CacheOp, line: number): void {
    if (op !== CacheOp.invalidate) this.#writeBack(cache, line, op);
    else if (cache.isDirty(line)) this.#count(Seat.invalidatedDirty);
    if (op !== CacheOp.clean) this.#drop(cache, line, op);
  }

  #writeBack(cache: DCache, line: number, cause: Cause): void {
    if (this.tracer !== null && cache.isDirty(line)) this.#trace(Ev.lineWriteBack, cache, line, cause);
    this.#count(Seat.writeBacks, cache.writeBack(line, this.#memory));
  }

  #drop(cache: DCache, line: number, cause: Cause): void {
    if (this.tracer !== null) this.#trace(Ev.lineDrop, cache, line, cause);
    cache.invalidate(line);
  }

  #trace(what: Ev, cache: DCache, line: number, cause: Cause): void {
    const dirty = cache.flagsOf(line) & LineFlag.dirtyMask;
    this.tracer?.event(what, this.lineNumber(cache, line), cache.keyOf(line), cache.paOf(line), dirty | (cause << 8));
  }

  /** Number of a line among those of all data caches, for tracers. */
  lineNumber(cache: DCache, line: number): number {
    return this.#all.indexOf(cache) * cache.lines + line;
  }

  /**
   * Clean and invalidate the whole of this CPU's cache: a step for each line that is there, interruptible between lines.
   * ARM926's test-clean-invalidate loop and the set/way loops of v6 and v7 come to the same.
   */
  flushAll(): void {
    for (let line = 0; line < this.own.lines; line++) {
      this.own.touchWay(line, false);
      if (!this.own.isValid(line)) continue;
      this.#sink.point(Point.CacheOp, this.own.keyOf(line));
      const bus = this.#lockBus(this.own.paOf(line));
      const set = this.own.setOfLine(line);
      this.#lockSet(this.own, set);
      this.own.touchWay(line, false);
      if (this.own.isValid(line)) this.#apply(this.own, CacheOp.flush, line);
      this.#unlockSet(this.own, set);
      this.#unlockBus(bus);
    }
  }

  /** What this CPU would load from cacheable memory at @pa, without touching anything: for coherent table walks and oracles. */
  peek(pa: Paddr): number {
    if (this.own.geometry.tagBy === 'PA') {
      for (const cache of this.#all) {
        const line = cache.find(pa);
        if (line >= 0) return this.#hw[cache.wordIndex(line, pa)] as number;
      }
    }
    return this.#memory.readCacheable32(pa);
  }

  /** Note what each step touches, or no longer. */
  traceFootprints(footprint: Footprint | null): void {
    for (const cache of this.#all) cache.footprint = footprint;
  }

  /** Every cache of the machine: after reset. */
  reset(): void {
    for (const cache of this.#all) cache.reset();
  }
}
