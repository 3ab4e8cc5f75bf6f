/** `--ktap` and `--junit FILE`: results for continuous integration, for every command that compares outcomes with claims. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type CiCase, ciCase, type Observed, skippedCase } from '../report/ci.js';
import { junit } from '../report/junit.js';
import { Ktap } from '../report/ktap.js';
import { UsageError } from '../shared/errors.js';
import type { Host } from './host.js';
import { quote } from './options.js';

export interface CiOptions {
  ktap?: boolean;
  junit?: string;
  json?: boolean;
}

/** What is to be run: the cases of an experiment. */
export interface Planned {
  readonly group: string;
  readonly cases: readonly string[];
}

export function addCiOptions(command: Command): Command {
  return command
    .option(
      '--ktap',
      'KTAP version 1 on standard output, and nothing else there: a result for each experiment, its cases as subtests',
    )
    .option('--junit <file>', 'write JUnit XML to a file: a test case for each case, with the log of what failed');
}

export class CiOutput {
  readonly #host: Host;
  readonly #suite: string;
  readonly #options: CiOptions;
  readonly #cases: CiCase[] = [];
  readonly #ktap = new Ktap();
  #plan: readonly Planned[] | null = null;

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

  /** @plan: what is to come, in order, if it is known. */
  begin(plan: readonly Planned[] | null): void {
    this.#plan = plan;
    if (this.ktap) this.#write(this.#ktap.begin(plan?.length ?? null));
  }

  add(observed: Observed, more: readonly string[] = []): void {
    this.#add(ciCase(observed, more));
  }

  #add(one: CiCase): void {
    this.#cases.push(one);
    const planned = this.#plan?.find(({ group }) => group === one.group);
    if (this.ktap) this.#write(this.#ktap.add(one, planned?.cases.length ?? null));
  }

  /** What @choose returns: what is to be run. That there is no such thing is a result, too, for those who read nothing but results. */
  async chosen<T>(choose: () => T | Promise<T>): Promise<T> {
    try {
      return await choose();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const name = 'what is to be run';
      this.begin([{ group: this.#suite, cases: [name] }]);
      this.#add({
        ...{ group: this.#suite, name, seconds: 0, summary: 'nothing was run' },
        ...{ failure: null, error: error.message, skipped: null, details: [] },
      });
      this.end();
      throw error;
    }
  }

  #write(lines: readonly string[]): void {
    if (lines.length > 0) this.#host.stdout.write(`${lines.join('\n')}\n`);
  }

  /** What was planned and has not been run is said to be skipped: a plan is kept. */
  #skipRest(): void {
    const done = new Set(this.#cases.map(({ group, name }) => `${group}\n${name}`));
    for (const { group, cases } of this.#plan ?? []) {
      for (const name of cases) if (!done.has(`${group}\n${name}`)) this.#add(skippedCase(group, name, 'not run'));
    }
  }

  /** The results are complete, or will never be. */
  end(): void {
    this.#skipRest();
    if (this.ktap) this.#write(this.#ktap.end());
    const { junit: file } = this.#options;
    if (file === undefined) return;
    try {
      writeFileSync(file, junit(this.#suite, this.#cases));
    } catch (error) {
      throw new UsageError(`cannot write ${quote(file)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
