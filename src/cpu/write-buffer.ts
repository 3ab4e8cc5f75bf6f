/**
 * The write buffer of one CPU: stores that have left the CPU and not reached memory. Devices and table walkers do not see them.
 *
 * Rule adopted for all cores: the buffer drains before any bus read by the same CPU (spec/hardware.md §2.1 note 5). An entry may
 * also drain by itself at any time; here that happens when the buffer is full and when its CPU goes idle.
 */
import type { Paddr } from '../shared/types.js';
import { WB_HEAD } from './hw.js';
import type { PhysicalMemory } from './memory.js';
import { Ev, type Tracer } from './tracer.js';

/** Bit of an entry's address, which is that of a word: an outer cache looks at the store on its way. */
const CACHEABLE = 1;

export class WriteBuffer {
  readonly #hw: Int32Array;
  readonly #base: number;
  readonly #capacity: number;
  readonly #memory: PhysicalMemory;
  tracer: Tracer | null = null;

  constructor(hw: Int32Array, base: number, capacity: number, memory: PhysicalMemory) {
    this.#hw = hw;
    this.#base = base;
    this.#capacity = capacity;
    this.#memory = memory;
  }

  get count(): number {
    return this.#hw[this.#base + 1] as number;
  }

  /** @cacheable: to a cacheable page, so an outer cache that holds the line takes it. */
  push(pa: Paddr, value: number, mask: number, cacheable: boolean): void {
    if (this.tracer !== null) this.tracer.event(Ev.bufferPush, pa, value, mask, 0);
    if (this.#capacity === 0) {
      if (this.tracer !== null) this.tracer.event(Ev.bufferDrain, pa, value, mask, 0);
      if (cacheable) this.#memory.writeCacheable32(pa, value, mask);
      else this.#memory.write32(pa, value, mask);
      return;
    }
    if (this.count === this.#capacity) this.drainOne();
    const head = this.#hw[this.#base] as number;
    const at = this.#base + WB_HEAD + ((head + this.count) % this.#capacity) * 3;
    this.#hw[at] = cacheable ? pa | CACHEABLE : pa;
    this.#hw[at + 1] = value;
    this.#hw[at + 2] = mask;
    this.#hw[this.#base + 1] = this.count + 1;
  }

  /** The oldest entry reaches memory. */
  drainOne(): void {
    const head = this.#hw[this.#base] as number;
    const at = this.#base + WB_HEAD + head * 3;
    const entry = this.#hw[at] as number;
    const pa = ((entry & ~CACHEABLE) >>> 0) as Paddr;
    const value = this.#hw[at + 1] as number;
    const mask = this.#hw[at + 2] as number;
    if (this.tracer !== null) this.tracer.event(Ev.bufferDrain, pa, value, mask, 0);
    if ((entry & CACHEABLE) !== 0) this.#memory.writeCacheable32(pa, value, mask);
    else this.#memory.write32(pa, value, mask);
    this.#hw[this.#base] = (head + 1) % this.#capacity;
    this.#hw[this.#base + 1] = this.count - 1;
  }

  drain(): void {
    while (this.count > 0) this.drainOne();
  }
}
