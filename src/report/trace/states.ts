/** What each cache line and each pkmap slot holds, from event to event. */
import type { CacheGeometry } from '../../cpu/core.js';
import { Ev, OUTER_LINE } from '../../cpu/tracer.js';
import type { Names } from '../../explore/explain/names.js';
import { Recorded, type TraceEvent } from '../../lab/recorder.js';

export interface LineState {
  /** Address of its tag, and of the memory that it stands for. */
  readonly va: number;
  readonly pa: number;
  /** A bit for each dirty granule. */
  readonly dirty: number;
}

/** Lines of the data caches and of the outer cache, by their numbers (see `Ev`). */
export class LineStates {
  readonly #geometry: CacheGeometry;
  readonly #lines = new Map<number, LineState>();
  /** The store that went past the cache just before: the one that follows writes through. */
  #pushed = -1;

  constructor(geometry: CacheGeometry) {
    this.#geometry = geometry;
  }

  /** How many lines are dirty. */
  get dirty(): number {
    return [...this.#lines.values()].filter((line) => line.dirty !== 0).length;
  }

  of(line: number): LineState | undefined {
    return this.#lines.get(line);
  }

  /** Return: the number of the line that may have changed, or -1. */
  see(e: TraceEvent): number {
    const pushed = this.#pushed;
    this.#pushed = e.what === Ev.bufferPush ? e.a : -1;
    switch (e.what) {
      case Ev.lineFill:
        this.#lines.set(e.a, { va: e.b, pa: e.c >>> 0, dirty: 0 });
        return e.a;
      case Ev.lineWriteBack:
        this.#change(e.a, (dirty) => dirty & ~(e.d & 0xff));
        return e.a;
      case Ev.lineDrop:
        this.#lines.delete(e.a);
        return e.a;
      case Ev.store:
        if (e.d < 0 || pushed === e.b) return -1;
        this.#change(e.d, (dirty) => dirty | this.#granule(e));
        return e.d;
      default:
        return -1;
    }
  }

  #change(line: number, change: (dirty: number) => number): void {
    const state = this.#lines.get(line);
    if (state !== undefined) this.#lines.set(line, { ...state, dirty: change(state.dirty) });
  }

  #granule(e: TraceEvent): number {
    const { lineBytes, granuleBytes } = this.#geometry;
    return e.d >= OUTER_LINE ? 1 : 1 << Math.floor((e.b & (lineBytes - 1)) / granuleBytes);
  }
}

export interface SlotState {
  /** Page frame, 0 for none. */
  readonly pfn: number;
  readonly count: number;
}

/** Slots of pkmap: the page that the kernel's page table gives, and pkmap_count. */
export class SlotStates {
  readonly #names: Names;
  readonly #slots = new Map<number, SlotState>();

  constructor(names: Names) {
    this.#names = names;
  }

  of(slot: number): SlotState {
    return this.#slots.get(slot) ?? { pfn: 0, count: 0 };
  }

  /** Return: the slot that has changed, or -1. */
  see(e: TraceEvent): number {
    if (e.what !== Recorded.change) return -1;
    const entry = this.#names.slotOfEntry(e.a);
    if (entry >= 0) this.#slots.set(entry, { ...this.of(entry), pfn: (e.c >>> 0) >>> 12 });
    const counted = this.#names.slotOfCount(e.a);
    if (counted >= 0) this.#slots.set(counted, { ...this.of(counted), count: e.c });
    return Math.max(entry, counted);
  }
}
