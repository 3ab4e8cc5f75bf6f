/** The states that have been seen, in memory that all workers share. Only the worker with the baton touches it. */

const ENTRY_WORDS = 3;
const FULL = 0.9;
/** Words before the entries: how many there are, and whether one found no room. */
const HEAD = 4;

export const tableBytes = (entries: number): number => (HEAD + entries * ENTRY_WORDS) * 4;

export class StateTable {
  readonly #words: Int32Array;
  readonly #entries: number;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#entries = Math.floor((this.#words.length - HEAD) / ENTRY_WORDS);
  }

  get size(): number {
    return this.#words[0] as number;
  }

  /** A state found no room: what is behind it has been explored, and will be again. */
  get full(): boolean {
    return this.#words[1] !== 0;
  }

  /**
   * Has the state been seen at the same cost or less? If not, remember it with @cost.
   *
   * @cost: what of a bound has been used up on the way, from 0; the more, the less is explored behind the state.
   */
  seen(low: number, high: number, cost: number): boolean {
    const words = this.#words;
    const tag = high === 0 ? 1 : high;
    let entry = (low >>> 0) % this.#entries;
    for (;;) {
      const at = HEAD + entry * ENTRY_WORDS;
      const found = words[at + 1] as number;
      if (found === 0) break;
      if (found === tag && words[at] === low) {
        if ((words[at + 2] as number) <= cost) return true;
        words[at + 2] = cost;
        return false;
      }
      entry = (entry + 1) % this.#entries;
    }
    if (this.size >= this.#entries * FULL) {
      words[1] = 1;
      return false;
    }
    const at = HEAD + entry * ENTRY_WORDS;
    words[at] = low;
    words[at + 1] = tag;
    words[at + 2] = cost;
    words[0] = this.size + 1;
    return false;
  }

  /** The entries, for a checkpoint. */
  entries(): Int32Array {
    const out = new Int32Array(this.size * ENTRY_WORDS);
    let end = 0;
    for (let at = HEAD; at < HEAD + this.#entries * ENTRY_WORDS; at += ENTRY_WORDS) {
      if (this.#words[at + 1] === 0) continue;
      for (let word = 0; word < ENTRY_WORDS; word++) out[end + word] = this.#words[at + word] as number;
      end += ENTRY_WORDS;
    }
    return out;
  }

  restore(entries: Int32Array): void {
    for (let i = 0; i < entries.length; i += ENTRY_WORDS) {
      this.seen(entries[i] as number, entries[i + 1] as number, entries[i + 2] as number);
    }
  }
}
