/** How many different traces have been seen, and how likely the next one is to be new, in bounded memory. */

const SLOTS_LOG2 = 14;
const SLOTS = 1 << SLOTS_LOG2;
const ENTRIES_MAX = SLOTS >>> 1;
/** Counts go up to here: what is seen more often than twice tells nothing about what has not been seen. */
const OFTEN = 3;
/** Bytes of a saved entry: its hash and its count. */
const ENTRY_BYTES = 5;

/** A sample as data for a checkpoint. */
export interface SavedSample {
  readonly executions: number;
  readonly level: number;
  /** In base 64. */
  readonly entries: string;
}

/**
 * The traces, by hashes of 32 bits, with how often each has come: all of them as long as they are few, then one in 2, 4, 8, ... of them, by bits of the
 * hash, so that a trace is always in the sample or never was.
 *
 * Source: Flajolet, "On adaptive sampling", Computing 43, 1990; the error of distinct() is about 1.7 %. The estimates are Good, "The population
 * frequencies of species", Biometrika 40, 1953, and Chao, "Nonparametric estimation of the number of classes", Scand. J. Statist. 11, 1984.
 */
export class TraceSample {
  #hashes = new Uint32Array(SLOTS);
  /** 0 for an empty place. */
  #counts = new Uint8Array(SLOTS);
  #size = 0;
  /** One trace in 2^level is in the sample. */
  #level = 0;
  #executions = 0;

  /** @saved: what save() answered. */
  constructor(saved: SavedSample | null = null) {
    if (saved === null) return;
    this.#executions = saved.executions;
    this.#level = saved.level;
    const bytes = Buffer.from(saved.entries, 'base64');
    for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
      this.#insert(bytes.readUInt32LE(at), bytes.readUInt8(at + 4));
    }
  }

  save(): SavedSample {
    const bytes = Buffer.alloc(this.#size * ENTRY_BYTES);
    let at = 0;
    this.#counts.forEach((count, slot) => {
      if (count === 0) return;
      bytes.writeUInt32LE(this.#hashes[slot] as number, at);
      bytes.writeUInt8(count, at + 4);
      at += ENTRY_BYTES;
    });
    return { executions: this.#executions, level: this.#level, entries: bytes.toString('base64') };
  }

  add(traceHash: number): void {
    this.#executions++;
    const hash = mixed(traceHash);
    if (!this.#isSampled(hash)) return;
    this.#insert(hash, 1);
    while (this.#size > ENTRIES_MAX) this.#thin();
  }

  #isSampled(hash: number): boolean {
    return (hash & ((1 << this.#level) - 1)) === 0;
  }

  #insert(hash: number, count: number): void {
    let slot = hash >>> (32 - SLOTS_LOG2);
    while (this.#counts[slot] !== 0 && this.#hashes[slot] !== hash) slot = (slot + 1) & (SLOTS - 1);
    if (this.#counts[slot] === 0) this.#size++;
    this.#hashes[slot] = hash;
    this.#counts[slot] = Math.min(OFTEN, (this.#counts[slot] as number) + count);
  }

  /** Half of the sample goes. */
  #thin(): void {
    const [hashes, counts] = [this.#hashes, this.#counts];
    this.#hashes = new Uint32Array(SLOTS);
    this.#counts = new Uint8Array(SLOTS);
    this.#size = 0;
    this.#level++;
    counts.forEach((count, slot) => {
      const hash = hashes[slot] as number;
      if (count > 0 && this.#isSampled(hash)) this.#insert(hash, count);
    });
  }

  /** Traces that have come exactly @times times. */
  #seen(times: number): number {
    let sampled = 0;
    for (const count of this.#counts) if (count === times) sampled++;
    return sampled * 2 ** this.#level;
  }

  distinct(): number {
    return this.#size * 2 ** this.#level;
  }

  /** Chance that the next execution shows a trace that has not been seen yet: the part of the executions whose trace came once (Good and Turing). */
  unseenChance(): number {
    return this.#executions === 0 ? 1 : Math.min(1, this.#seen(1) / this.#executions);
  }

  /** How many traces there are: a lower bound, if chance has been fair to them (Chao1, corrected for bias). */
  atLeast(): number {
    const [once, twice] = [this.#seen(1), this.#seen(2)];
    return Math.round(this.distinct() + (once * Math.max(0, once - 1)) / (2 * (twice + 1)));
  }
}

/** Another number of 32 bits for each, without pattern. */
function mixed(hash: number): number {
  let x = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}
