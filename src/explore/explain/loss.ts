/**
 * Where a byte was lost: every copy of it is followed through the events of the execution, from the store that the reader should have seen to the
 * read that did not see it.
 *
 * A copy is in memory, in the outer cache, in a line of a data cache, or in a write buffer. What each holds follows from the events alone: stores, fills,
 * write-backs, drops, transfers. Nothing is assumed about the race.
 */
import type { CacheGeometry } from '../../cpu/core.js';
import { Ev, OUTER_LINE } from '../../cpu/tracer.js';
import type { TraceEvent } from '../../lab/recorder.js';

/** How a byte was lost. */
export type LossKind =
  /** The only copy was in a dirty line, which was dropped without a write-back. */
  | 'discarded'
  /** A line with older bytes was written back over it. */
  | 'overwritten'
  /** It was stored to another frame than the page tables named. */
  | 'stored-elsewhere'
  /** The reader read another frame than the page tables named. */
  | 'read-elsewhere'
  /** Somebody else stored to the same place later. */
  | 'superseded'
  /** It is in memory; the reader had an older copy in a line of a cache. */
  | 'stale-line'
  /** It is where it was stored; the reader looked into another copy. */
  | 'not-seen'
  | 'unknown';

/** A value of the byte, from the event that made it; null for what was there before anything was recorded. */
interface Version {
  event: TraceEvent | null;
  readonly order: number;
  readonly value: number;
  readonly elsewhere: boolean;
}

export interface Loss {
  readonly kind: LossKind;
  /** The store of the byte that was expected. */
  readonly stored: TraceEvent | null;
  /** The event that lost it: the drop, the write-back, the later store, the misled access, the fill of the reader's old line. */
  readonly culprit: TraceEvent | null;
  /** The read that saw something else. */
  readonly read: TraceEvent | null;
}

/** The byte that failed. */
export interface WrongByte {
  readonly pa: number;
  readonly expected: number;
  readonly seen: number;
  /** Is the byte at the lowest address the most significant one of its word? */
  readonly bigEndian: boolean;
}

const MEMORY = 'memory';
const OUTER = 'outer';
const lineName = (line: number): string => (line >= OUTER_LINE ? OUTER : `line ${line}`);
const bufferName = (cpu: number): string => `buffer ${cpu}`;
const isDma = (e: TraceEvent): boolean => e.what === Ev.dmaRead || e.what === Ev.dmaWrite;

class Follower {
  readonly #byte: WrongByte;
  readonly #geometry: CacheGeometry;
  readonly #copies = new Map<string, Version>();
  /** Per CPU, versions that are in its write buffer, oldest first. */
  readonly #buffers = new Map<string, Version[]>();
  readonly versions: Version[] = [];
  readonly lost: {
    readonly kind: 'discarded' | 'overwritten' | 'superseded';
    readonly version: Version;
    readonly event: TraceEvent;
  }[] = [];
  #pushed: Version | null = null;

  constructor(byte: WrongByte, geometry: CacheGeometry) {
    this.#byte = byte;
    this.#geometry = geometry;
    this.#copies.set(MEMORY, { event: null, order: -1, value: -1, elsewhere: false });
  }

  /** Is the byte in the word at a physical address? */
  inWord(pa: number): boolean {
    return ((pa ^ this.#byte.pa) & ~3) === 0;
  }

  byteOf(word: number): number {
    const lane = this.#byte.bigEndian ? 3 - (this.#byte.pa & 3) : this.#byte.pa & 3;
    return (word >>> (lane * 8)) & 0xff;
  }

  /** Every copy, by its place. */
  copies(): ReadonlyMap<string, Version> {
    return this.#copies;
  }

  /** What a read of this event saw. */
  versionRead(read: TraceEvent): Version | undefined {
    if (read.what === Ev.load && read.d >= 0) return this.#copies.get(lineName(read.d));
    return read.what === Ev.load ? this.#behind() : this.#copies.get(MEMORY);
  }

  /** Has the version come as far as where data caches fill from? */
  isBehindCaches(version: Version): boolean {
    return this.#behind() === version || this.#copies.get(MEMORY) === version;
  }

  /** Is the version in a copy? */
  isSomewhere(version: Version): boolean {
    return [...this.#copies.values(), ...[...this.#buffers.values()].flat()].includes(version);
  }

  step(e: TraceEvent): void {
    switch (e.what) {
      case Ev.store:
        this.#store(e);
        break;
      case Ev.bufferPush:
      case Ev.bufferDrain:
        this.#buffer(e);
        break;
      case Ev.dmaWrite:
        if (this.inWord(e.a)) this.#copies.set(MEMORY, this.#version(e, e.b, false));
        break;
      case Ev.lineFill:
        if (this.#inLine(e)) this.#copies.set(lineName(e.a), this.#sourceOf(e));
        break;
      case Ev.lineWriteBack:
        if (this.#isDirty(e)) this.#writeBack(e);
        break;
      case Ev.lineDrop:
        if (this.#inLine(e)) this.#drop(e);
        break;
    }
  }

  #inLine(e: TraceEvent): boolean {
    return (((e.c >>> 0) ^ this.#byte.pa) & -this.#geometry.lineBytes) === 0;
  }

  #isDirty(e: TraceEvent): boolean {
    const bytes = e.a >= OUTER_LINE ? this.#geometry.lineBytes : this.#geometry.granuleBytes;
    const granule = Math.floor((this.#byte.pa & (this.#geometry.lineBytes - 1)) / bytes);
    return this.#inLine(e) && ((e.d >>> granule) & 1) === 1;
  }

  /** Where data caches fill from and write to. */
  #behind(): Version | undefined {
    return this.#copies.get(OUTER) ?? this.#copies.get(MEMORY);
  }

  #sourceOf(e: TraceEvent): Version {
    return (e.a >= OUTER_LINE ? this.#copies.get(MEMORY) : this.#behind()) as Version;
  }

  #version(event: TraceEvent, word: number, elsewhere: boolean): Version {
    const version = { event, order: this.versions.length, value: this.byteOf(word), elsewhere };
    this.versions.push(version);
    return version;
  }

  #covers(mask: number): boolean {
    return this.byteOf(mask) !== 0;
  }

  #store(e: TraceEvent): void {
    if (!this.#covers(e.mask)) return;
    if (!this.inWord(e.b)) {
      if (e.named !== 0xffffffff && this.inWord(e.named)) this.#version(e, e.c, true);
      return;
    }
    const pushed = this.#pushed;
    this.#pushed = null;
    const version = pushed ?? this.#version(e, e.c, false);
    version.event = e;
    if (e.d >= 0) this.#replace(lineName(e.d), version, e);
    else if (pushed === null) this.#replace(MEMORY, version, e);
  }

  #replace(place: string, version: Version, event: TraceEvent): void {
    const before = this.#copies.get(place);
    this.#copies.set(place, version);
    if (before === undefined || before === version || this.isSomewhere(before)) return;
    this.lost.push({ kind: 'superseded', version: before, event });
  }

  #buffer(e: TraceEvent): void {
    if (!this.inWord(e.a) || !this.#covers(e.c)) return;
    const name = bufferName(e.cpu);
    const entries = this.#buffers.get(name) ?? [];
    this.#buffers.set(name, entries);
    if (e.what === Ev.bufferPush) {
      this.#pushed = this.#version(e, e.b, false);
      entries.push(this.#pushed);
      return;
    }
    const version = entries.shift();
    if (version !== undefined) this.#copies.set(this.#copies.has(OUTER) ? OUTER : MEMORY, version);
  }

  #writeBack(e: TraceEvent): void {
    const version = this.#copies.get(lineName(e.a));
    const to = e.a < OUTER_LINE && this.#copies.has(OUTER) ? OUTER : MEMORY;
    const before = this.#copies.get(to) as Version;
    if (version === undefined) return;
    this.#copies.set(to, version);
    if (before.order > version.order && !this.isSomewhere(before)) {
      this.lost.push({ kind: 'overwritten', version: before, event: e });
    }
  }

  #drop(e: TraceEvent): void {
    const name = lineName(e.a);
    const version = this.#copies.get(name);
    this.#copies.delete(name);
    if (version === undefined || !this.#isDirty(e) || this.isSomewhere(version)) return;
    this.lost.push({ kind: 'discarded', version, event: e });
  }
}

/** The last read that saw the wrong value where the byte should be. */
function findRead(events: readonly TraceEvent[], follower: Follower, byte: WrongByte): TraceEvent | null {
  const saw = (e: TraceEvent): boolean => {
    if (e.what === Ev.dmaRead) return follower.inWord(e.a) && follower.byteOf(e.b) === byte.seen;
    if (e.what !== Ev.load || follower.byteOf(e.c) !== byte.seen) return false;
    return follower.inWord(e.b) || (e.named !== 0xffffffff && follower.inWord(e.named));
  };
  return events.findLast(saw) ?? null;
}

/** What became of the byte before @read, or until the end of the execution. */
function lossBefore(
  read: TraceEvent | null,
  events: readonly TraceEvent[],
  byte: WrongByte,
  geometry: CacheGeometry,
): Loss {
  const follower = new Follower(byte, geometry);
  for (const e of events) {
    if (e === read) break;
    follower.step(e);
  }
  const expected = follower.versions.findLast((v) => v.value === byte.expected) ?? null;
  const found = (kind: LossKind, culprit: TraceEvent | null): Loss => ({
    ...{ kind, culprit, read },
    stored: expected?.event ?? null,
  });
  if (read !== null && !isDma(read) && !follower.inWord(read.b)) return found('read-elsewhere', read);
  const seen = read === null ? undefined : follower.versionRead(read);
  if (expected === null) return found(seen?.event == null ? 'unknown' : 'superseded', seen?.event ?? null);
  if (expected.elsewhere) return found('stored-elsewhere', expected.event);
  const lost = follower.lost.findLast((l) => l.version === expected);
  if (lost !== undefined) return found(lost.kind, lost.event);
  if (seen !== undefined && seen.order > expected.order) return found('superseded', seen.event);
  if (read?.what === Ev.load && read.d >= 0 && follower.isBehindCaches(expected)) {
    const fill = events.findLast((e) => e.seq < read.seq && e.what === Ev.lineFill && e.a === read.d);
    return found('stale-line', fill ?? null);
  }
  return found(follower.isSomewhere(expected) ? 'not-seen' : 'unknown', null);
}

/** Follow the byte through the execution. */
export function findLoss(events: readonly TraceEvent[], byte: WrongByte, geometry: CacheGeometry): Loss {
  const read = findRead(events, new Follower(byte, geometry), byte);
  const loss = lossBefore(read, events, byte, geometry);
  if (read === null || loss.stored !== null) return loss;
  // Who saw the wrong value before the right one was stored is not who failed: that read left no event.
  const whole = lossBefore(null, events, byte, geometry);
  return whole.stored === null ? loss : whole;
}

/** A copy of a byte: where, from which event to which, and its value if an event has told it. */
export interface CopySpan {
  /** `memory`, `outer` for the outer cache, or `line N`. */
  readonly place: string;
  readonly from: TraceEvent | null;
  to: TraceEvent | null;
  readonly value: number | null;
}

/** All copies of the byte, from event to event. */
export function copySpans(events: readonly TraceEvent[], byte: WrongByte, geometry: CacheGeometry): CopySpan[] {
  const follower = new Follower(byte, geometry);
  const open = new Map<string, { version: Version; span: CopySpan }>();
  const spans: CopySpan[] = [];
  const compare = (e: TraceEvent | null): void => {
    const now = follower.copies();
    for (const [place, { version, span }] of open) {
      if (now.get(place) === version) continue;
      span.to = e;
      open.delete(place);
    }
    for (const [place, version] of now) {
      if (open.has(place)) continue;
      const span = { place, from: e, to: null, value: version.event === null ? null : version.value };
      spans.push(span);
      open.set(place, { version, span });
    }
  };
  compare(null);
  for (const e of events) {
    follower.step(e);
    compare(e);
  }
  return spans;
}
