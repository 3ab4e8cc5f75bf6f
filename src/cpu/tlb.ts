/**
 * The TLB of one CPU: which translations it remembers. Entries are in shared memory, since another CPU's broadcast removes them.
 *
 * Round-robin replacement; set-associative parts are modelled fully associative; entries that fault are never kept
 * (spec/hardware.md §6.1).
 */
import { type Footprint, Space } from '../shared/footprint.js';
import { TLB_HEAD } from './hw.js';

const HINTS = 64;
const GENERATION = 0;
const VICTIM = 1;

export class Tlb {
  readonly #hw: Int32Array;
  readonly #base: number;
  readonly #entries: number;
  readonly #hints = new Int32Array(HINTS);
  footprint: Footprint | null = null;

  constructor(hw: Int32Array, base: number, entries: number) {
    this.#hw = hw;
    this.#base = base;
    this.#entries = entries;
    this.#hints.fill(base + TLB_HEAD);
  }

  static tag(va: number, asid: number): number {
    return (va & ~0xfff) | ((asid & 0xff) << 2) | 1;
  }

  /** Index of the entry with @tag, or -1. The page-table word is at the index plus one. */
  find(tag: number): number {
    if (this.footprint !== null) this.#touch(tag, false);
    const slot = (tag >>> 12) & (HINTS - 1);
    const hint = this.#hints[slot] as number;
    if (this.#hw[hint] === tag) return hint;
    const first = this.#base + TLB_HEAD;
    for (let at = first; at < first + this.#entries * 2; at += 2) {
      if (this.#hw[at] === tag) {
        this.#hints[slot] = at;
        return at;
      }
    }
    return -1;
  }

  /** An entry of the page that @tag names. */
  #touch(tag: number, write: boolean): void {
    this.footprint?.touch(Space.tlb, (tag >>> 12) ^ (this.#base << 20), write);
  }

  pte(index: number): number {
    return this.#hw[index + 1] as number;
  }

  /** What is remembered, for oracles: pages and page-table words. */
  translations(): { readonly page: number; readonly pte: number }[] {
    const found: { page: number; pte: number }[] = [];
    const first = this.#base + TLB_HEAD;
    for (let at = first; at < first + this.#entries * 2; at += 2) {
      const tag = this.#hw[at] as number;
      if (tag !== 0) found.push({ page: (tag & ~0xfff) >>> 0, pte: this.#hw[at + 1] as number });
    }
    return found;
  }

  /** Taken before a table walk; insert() fails if an invalidation has come in between. */
  generation(): number {
    return Atomics.load(this.#hw, this.#base + GENERATION);
  }

  /** Return: false when the walk has to be made again. */
  insert(tag: number, pte: number, generation: number): boolean {
    const victim = this.#hw[this.#base + VICTIM] as number;
    const at = this.#base + TLB_HEAD + victim * 2;
    this.#hw[this.#base + VICTIM] = (victim + 1) % this.#entries;
    if (this.footprint !== null) {
      this.#touch(tag, true);
      this.#touch(this.#hw[at] as number, true);
      this.footprint.touch(Space.tlbAll, this.#base, false);
      this.footprint.hwChanged(this.#base + VICTIM, 1);
      this.footprint.hwChanged(at, 2);
    }
    Atomics.store(this.#hw, at, 0);
    this.#hw[at + 1] = pte;
    Atomics.store(this.#hw, at, tag);
    if (Atomics.load(this.#hw, this.#base + GENERATION) === generation) return true;
    Atomics.store(this.#hw, at, 0);
    return false;
  }

  /** Remove the page's entry, whatever its address space. */
  invalidatePage(va: number): void {
    Atomics.add(this.#hw, this.#base + GENERATION, 1);
    const page = va & ~0xfff;
    const first = this.#base + TLB_HEAD;
    for (let at = first; at < first + this.#entries * 2; at += 2) {
      const tag = this.#hw[at] as number;
      if (tag === 0 || (tag & ~0xfff) !== page) continue;
      Atomics.store(this.#hw, at, 0);
      this.footprint?.hwChanged(at, 1);
    }
    this.#touch(va, true);
  }

  invalidateAll(): void {
    Atomics.add(this.#hw, this.#base + GENERATION, 1);
    const first = this.#base + TLB_HEAD;
    if (this.footprint !== null) this.#touchAll(first);
    for (let at = first; at < first + this.#entries * 2; at += 2) Atomics.store(this.#hw, at, 0);
  }

  #touchAll(first: number): void {
    this.footprint?.touch(Space.tlbAll, this.#base, true);
    for (let at = first; at < first + this.#entries * 2; at += 2) {
      const tag = this.#hw[at] as number;
      if (tag !== 0) this.#touch(tag, true);
    }
    this.footprint?.hwChanged(first, this.#entries * 2);
  }

  /** After reset: empty, victim counter at zero. */
  reset(): void {
    this.#hw.fill(0, this.#base, this.#base + TLB_HEAD + this.#entries * 2);
  }
}
