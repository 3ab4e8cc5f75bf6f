/**
 * What a memory hierarchy may answer: flat memory, and for each byte the values that may legally be read.
 *
 * As long as nobody throws dirty lines away and no device interferes, the only legal value is that of the last store. Otherwise a byte
 * may be any that it has been since all caches and memory last agreed: which of them depends on evictions. A line is certain again
 * when it has been cleaned and invalidated everywhere, and memory says what won.
 */
export class Reference {
  readonly #current: Uint8Array;
  /** Values of each byte since its line was last certain of memory. */
  readonly #history: Set<number>[];
  readonly #uncertain: boolean[];
  readonly #lineBytes: number;

  constructor(memory: Uint8Array, lineBytes: number) {
    this.#current = Uint8Array.from(memory);
    this.#history = Array.from(memory, (byte) => new Set([byte]));
    this.#uncertain = new Array<boolean>(memory.length / lineBytes).fill(false);
    this.#lineBytes = lineBytes;
  }

  #lineOf(at: number): number {
    return Math.floor(at / this.#lineBytes);
  }

  store(at: number, byte: number): void {
    this.#current[at] = byte;
    this.#history[at]?.add(byte);
  }

  /** A device has stored: from now on it depends on the caches who sees it. */
  dma(at: number, byte: number): void {
    this.#history[at]?.add(byte);
    this.doubt(at);
  }

  /** The line may have lost bytes. */
  doubt(at: number): void {
    this.#uncertain[this.#lineOf(at)] = true;
  }

  /** May a load return @byte? */
  permits(at: number, byte: number): boolean {
    return this.#uncertain[this.#lineOf(at)] ? this.permitsInMemory(at, byte) : byte === this.#current[at];
  }

  /** May memory hold @byte? It may lag behind the caches. */
  permitsInMemory(at: number, byte: number): boolean {
    return this.#history[at]?.has(byte) ?? false;
  }

  /** No cache holds the line any more: what memory holds is what everybody reads. */
  settle(at: number, memory: Uint8Array): void {
    const first = this.#lineOf(at) * this.#lineBytes;
    for (let i = first; i < first + this.#lineBytes; i++) {
      const byte = memory[i] as number;
      this.#current[i] = byte;
      this.#history[i] = new Set([byte]);
    }
    this.#uncertain[this.#lineOf(at)] = false;
  }
}
