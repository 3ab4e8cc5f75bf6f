/** `--ktap` and `--junit FILE`: results for continuous integration, for every command that compares outcomes with claims. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type CiCase, ciCase, type Observed } from '../report/ci.js';
import { junit } from '../report/junit.js';
import { ktapHead, ktapResult } from '../report/ktap.js';
import { UsageError } from '../shared/errors.js';
import type { Host } from './host.js';
import { quote } from './options.js';

export interface CiOptions {
  ktap?: boolean;
  junit?: string;
  json?: boolean;
}

export function addCiOptions(command: Command): Command {
  return command
    .option('--ktap', 'KTAP version 1 on standard output, and nothing else there: a result for each case')
    .option('--junit <file>', 'write JUnit XML to a file: a test case for each case, with the log of what failed');
}

export class CiOutput {
  readonly #host: Host;
  readonly #suite: string;
  readonly #options: CiOptions;
  readonly #cases: CiCase[] = [];

  /** @suite: what was run. */
  constructor(host: Host, suite: string, options: CiOptions) {
    if (options.ktap === true && options.json === true) {
      throw new UsageError('--ktap and --json both want standard output; give one of the two');
    }
    this.#host = host;
    this.#suite = suite;
    this.#options = options;
  }

  /** Is standard output KTAP's? */
  get ktap(): boolean {
    return this.#options.ktap === true;
  }

  /** @count: of results to come, if it is known. */
  begin(count: number | null): void {
    if (this.ktap) this.#write(ktapHead(count));
  }

  add(observed: Observed, more: readonly string[] = []): void {
    this.#add(ciCase(observed, more));
  }

  #add(one: CiCase): void {
    this.#cases.push(one);
    if (this.ktap) this.#write(ktapResult(this.#cases.length, one));
  }

  /** What @choose returns: what is to be run. That there is no such thing is a result, too, for those who read nothing but results. */
  async chosen<T>(choose: () => T | Promise<T>): Promise<T> {
    try {
      return await choose();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.begin(1);
      this.#add({
        ...{ group: this.#suite, name: 'what is to be run', seconds: 0, summary: 'nothing was run' },
        ...{ failure: null, error: error.message, details: [] },
      });
      this.end();
      throw error;
    }
  }

  #write(lines: readonly string[]): void {
    this.#host.stdout.write(`${lines.join('\n')}\n`);
  }

  /** The results are complete, or will never be. */
  end(): void {
    const { junit: file } = this.#options;
    if (file === undefined) return;
    try {
      writeFileSync(file, junit(this.#suite, this.#cases));
    } catch (error) {
      throw new UsageError(`cannot write ${quote(file)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
