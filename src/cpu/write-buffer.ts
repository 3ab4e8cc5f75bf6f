/**
 * The write buffer of one CPU: stores that have left the CPU and not reached memory. Devices and table walkers do not see them.
 *
 * Rule adopted for all cores: the buffer drains before any bus read by the same CPU (spec/hardware.md §2.1 note 5). An entry may
 * also drain by itself at any time; here that happens when the buffer is full and when its CPU goes idle.
 */
import type { Paddr } from '../shared/types.js';
import { WB_HEAD } from './hw.js';
import type { PhysicalMemory } from './memory.js';

export class WriteBuffer {
  readonly #hw: Int32Array;
  readonly #base: number;
  readonly #capacity: number;
  readonly #memory: PhysicalMemory;

  constructor(hw: Int32Array, base: number, capacity: number, memory: PhysicalMemory) {
    this.#hw = hw;
    this.#base = base;
    this.#capacity = capacity;
    this.#memory = memory;
  }

  get count(): number {
    return this.#hw[this.#base + 1] as number;
  }

  push(pa: Paddr, value: number, mask: number): void {
    if (this.#capacity === 0) {
      this.#memory.write32(pa, value, mask);
      return;
    }
    if (this.count === this.#capacity) this.drainOne();
    const head = this.#hw[this.#base] as number;
    const at = this.#base + WB_HEAD + ((head + this.count) % this.#capacity) * 3;
    this.#hw[at] = pa;
    this.#hw[at + 1] = value;
    this.#hw[at + 2] = mask;
    this.#hw[this.#base + 1] = this.count + 1;
  }

  /** The oldest entry reaches memory. */
  drainOne(): void {
    const head = this.#hw[this.#base] as number;
    const at = this.#base + WB_HEAD + head * 3;
    const pa = ((this.#hw[at] as number) >>> 0) as Paddr;
    this.#memory.write32(pa, this.#hw[at + 1] as number, this.#hw[at + 2] as number);
    this.#hw[this.#base] = (head + 1) % this.#capacity;
    this.#hw[this.#base + 1] = this.count - 1;
  }

  drain(): void {
    while (this.count > 0) this.drainOne();
  }
}
