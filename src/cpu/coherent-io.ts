/**
 * An I/O adapter inside the coherence domain (U2/Uturn, Astro, Ike): each word of a transfer snoops the caches of all CPUs, at the set that the
 * coherence index of the buffer's address names. A copy under an inequivalent address is in another set and is not found.
 * Source: spec/hardware.md §3.2.5, §4.3 S16, §8.2.
 */
import type { Footprint } from '../shared/footprint.js';
import type { Paddr } from '../shared/types.js';
import type { CoreRow } from './core.js';
import { type DCache, dataCache, LineFlag, MESI_MASK, ViptCache } from './dcache.js';
import { lockWord, unlockWord } from './hostlock.js';
import { BUS_LOCKS, type HwLayout } from './hw.js';
import type { PhysicalMemory } from './memory.js';

export class CoherentIo {
  readonly #hw: Int32Array;
  readonly #caches: readonly DCache[];
  readonly #busLocks: number;
  readonly #memory: PhysicalMemory;

  constructor(hw: Int32Array, layout: HwLayout, core: CoreRow, memory: PhysicalMemory) {
    this.#hw = hw;
    this.#caches = layout.caches.map((c) => dataCache(hw, c, core.dcache));
    this.#busLocks = layout.busLocks;
    this.#memory = memory;
  }

  /** Note what each step touches, or no longer. */
  traceFootprints(footprint: Footprint | null): void {
    for (const cache of this.#caches) cache.footprint = footprint;
  }

  /** One word: a modified line supplies it, and stays, shared. */
  read32(pa: Paddr, index: number): number {
    const bus = this.#lockBus(pa);
    for (const cache of this.#caches) this.#snoop(cache, keyOf(cache, pa, index), false);
    const value = this.#memory.read32(pa);
    unlockWord(this.#hw, bus);
    return value;
  }

  /** One word: copies are written back and dropped first. */
  write32(pa: Paddr, index: number, value: number): void {
    const bus = this.#lockBus(pa);
    for (const cache of this.#caches) this.#snoop(cache, keyOf(cache, pa, index), true);
    this.#memory.write32(pa, value);
    unlockWord(this.#hw, bus);
  }

  #lockBus(pa: number): number {
    const shift = (this.#caches[0] as DCache).lineShift;
    const word = this.#busLocks + ((pa >>> shift) & (BUS_LOCKS - 1));
    lockWord(this.#hw, word);
    return word;
  }

  #snoop(cache: DCache, key: number, drop: boolean): void {
    const lock = cache.locks + cache.setOf(key);
    lockWord(this.#hw, lock);
    const line = cache.find(key);
    if (line >= 0) {
      cache.writeBack(line, this.#memory);
      if (drop) cache.invalidate(line);
      else {
        this.#hw[cache.flags + line] = (cache.flagsOf(line) & ~MESI_MASK) | LineFlag.shared;
        cache.lineChanged(line);
      }
    }
    unlockWord(this.#hw, lock);
  }
}

/** @index has bits [19:12] of the virtual address; those above are taken to be the physical address's. */
function keyOf(cache: DCache, pa: number, index: number): number {
  const va = (pa & ~0xff000) | ((index & 0xff) << 12);
  return cache instanceof ViptCache ? cache.viptKey(va, pa) : pa;
}
