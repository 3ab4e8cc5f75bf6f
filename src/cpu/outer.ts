/**
 * An outer cache: physically indexed, behind all CPUs, operated by physical address through registers (L220, PL310, XScale3 L2).
 * A fill of a data cache allocates a line here; a write-back, or a cacheable store that no data cache keeps, makes the line dirty if
 * it is present, else goes to RAM.
 *
 * Source: spec/hardware.md §2.2, arch/arm/mm/cache-l2x0.c, Linux 2.6.30.
 */
import type { Footprint } from '../shared/footprint.js';
import type { Paddr } from '../shared/types.js';
import type { OuterGeometry } from './core.js';
import { DCache, LineFlag } from './dcache.js';
import { lockWord, unlockWord } from './hostlock.js';
import type { CacheLayout } from './hw.js';
import { PhysicalMemory } from './memory.js';
import { Cause, Ev, OUTER_LINE, type Tracer } from './tracer.js';

export class OuterCache {
  readonly store: DCache;
  readonly #ram: PhysicalMemory;
  tracer: Tracer | null = null;

  constructor(
    hw: Int32Array,
    layout: CacheLayout,
    geometry: OuterGeometry,
    buffer: SharedArrayBuffer,
    physBase: number,
  ) {
    this.store = new DCache(hw, layout, {
      ...geometry,
      granuleBytes: geometry.lineBytes,
      indexBy: 'PA',
      tagBy: 'PA',
      allocOnStoreMiss: false,
      replacement: 'rr-per-set',
      writeBufferWords: 0,
    });
    this.#ram = new PhysicalMemory(buffer, physBase);
  }

  /** Note what each step touches, or no longer. */
  traceFootprints(footprint: Footprint | null): void {
    this.store.footprint = footprint;
    this.#ram.footprint = footprint;
  }

  #locked<R>(pa: number, act: () => R): R {
    const word = this.store.locks + this.store.setOf(pa);
    lockWord(this.store.hw, word);
    const result = act();
    unlockWord(this.store.hw, word);
    return result;
  }

  /** A data cache fills @count words from here; a miss allocates. */
  readLine(pa: Paddr, data: Int32Array, to: number, count: number): void {
    this.#locked(pa, () => {
      let line = this.store.find(pa);
      if (line < 0) {
        line = this.store.victim(this.store.setOf(pa));
        if (this.store.isValid(line)) {
          this.#writeBack(line, Cause.evict);
          this.#trace(Ev.lineDrop, line, Cause.evict);
        }
        this.store.install(line, pa, pa, 0, this.#ram);
        this.#trace(Ev.lineFill, line, 0);
      }
      const from = this.store.wordIndex(line, pa);
      for (let i = 0; i < count; i++) data[to + i] = this.store.hw[from + i] as number;
    });
  }

  /** A data cache writes back. Return: whether the line was here; if not the caller writes to RAM. */
  writeHit(pa: Paddr, data: Int32Array, from: number, count: number): boolean {
    return this.#locked(pa, () => {
      const line = this.store.find(pa);
      if (line < 0) return false;
      for (let i = 0; i < count; i++) this.store.put(line, pa + i * 4, data[from + i] as number, -1);
      this.store.hw[this.store.flags + line] = this.store.flagsOf(line) | 1;
      return true;
    });
  }

  /** One aligned word; a miss allocates nothing. */
  read32(pa: Paddr): number {
    return this.#locked(pa, () => {
      const line = this.store.find(pa);
      return line < 0 ? this.#ram.read32(pa) : (this.store.hw[this.store.wordIndex(line, pa)] as number);
    });
  }

  /** The bytes of one aligned word that @mask selects; a miss goes to RAM. */
  write32(pa: Paddr, value: number, mask: number): void {
    this.#locked(pa, () => {
      const line = this.store.find(pa);
      if (line < 0) {
        this.#ram.write32(pa, value, mask);
        return;
      }
      this.store.put(line, pa, value, mask);
      this.store.hw[this.store.flags + line] = this.store.flagsOf(line) | 1;
    });
  }

  cleanLine(pa: Paddr): void {
    this.#locked(pa, () => {
      const line = this.store.find(pa);
      if (line >= 0) this.#writeBack(line, Cause.clean);
    });
  }

  #writeBack(line: number, cause: Cause): void {
    if (this.store.isDirty(line)) this.#trace(Ev.lineWriteBack, line, cause);
    this.store.writeBack(line, this.#ram);
  }

  #trace(what: Ev, line: number, cause: Cause): void {
    if (this.tracer === null) return;
    const dirty = this.store.flagsOf(line) & LineFlag.dirtyMask;
    this.tracer.event(what, OUTER_LINE + line, this.store.keyOf(line), this.store.paOf(line), dirty | (cause << 8));
  }

  /** Dirty bytes are lost. */
  invalidateLine(pa: Paddr): void {
    this.#locked(pa, () => {
      const line = this.store.find(pa);
      if (line < 0) return;
      this.#trace(Ev.lineDrop, line, Cause.invalidate);
      this.store.invalidate(line);
    });
  }

  flushLine(pa: Paddr): void {
    this.#locked(pa, () => {
      const line = this.store.find(pa);
      if (line < 0) return;
      this.#writeBack(line, Cause.flush);
      this.#trace(Ev.lineDrop, line, Cause.flush);
      this.store.invalidate(line);
    });
  }
}
