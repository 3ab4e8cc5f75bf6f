/** A line for each execution, in a file: what the union of several explorations is compared by. */
import { appendFileSync, closeSync, openSync, readSync } from 'node:fs';
import type { Outcome } from '../lab/types.js';
import { UsageError } from '../shared/errors.js';
import { hex8 } from '../shared/types.js';

const LINES_MAX = 4096;

export class ExecutionLog {
  readonly #file: string;
  #lines: string[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  /** Throws UsageError when the file cannot be written, or is there and no such log: a slip must not spoil the user's race. */
  open(): void {
    this.#append('');
    if (/^([0-9a-f]{8} [a-z-]+\n|$)/.test(this.#head())) return;
    throw new UsageError(
      `--log ${this.#file}: there is another file, which is no log of executions; give another path`,
    );
  }

  /** The first bytes: there may be millions of lines. */
  #head(): string {
    const file = openSync(this.#file, 'r');
    const bytes = Buffer.alloc(32);
    const length = readSync(file, bytes);
    closeSync(file);
    return bytes.toString('latin1', 0, length);
  }

  add(traceHash: number, outcome: Outcome): void {
    this.#lines.push(`${hex8(traceHash >>> 0)} ${outcome}\n`);
    if (this.#lines.length >= LINES_MAX) this.flush();
  }

  /** Whole lines at the end of the file: several explorations may write to one. */
  flush(): void {
    if (this.#lines.length > 0) this.#append(this.#lines.join(''));
    this.#lines = [];
  }

  #append(text: string): void {
    try {
      appendFileSync(this.#file, text);
    } catch (error) {
      throw new UsageError(`cannot write the log ${this.#file}: ${(error as Error).message}; give --log another path`);
    }
  }
}
