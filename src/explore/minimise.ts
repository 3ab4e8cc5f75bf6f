/**
 * A recorded failure with as little as leads to it: the fewest preemptions, then the fewest prescribed choices, then the fewest steps. Only the
 * same failure counts: its signature, not its outcome alone.
 */
import { type ExploreResult, explore } from './explore.js';
import { machineOf, type ReplayFile, replay, toReplay } from './replay-file.js';

const SECONDS = 60;
/** Executions among which the shortest schedule of the fewest preemptions is looked for. */
const EXECUTIONS = 5000;

export interface MinimiseOptions {
  readonly seconds?: number;
  readonly signal?: AbortSignal;
}

class Minimiser {
  readonly #recorded: ReplayFile;
  readonly #deadline: number;
  readonly #signal: AbortSignal | undefined;

  constructor(recorded: ReplayFile, options: MinimiseOptions) {
    this.#recorded = recorded;
    this.#deadline = performance.now() + (options.seconds ?? SECONDS) * 1000;
    this.#signal = options.signal;
  }

  async run(): Promise<ReplayFile> {
    const cut = await this.#cut(await this.#fewerRounds(this.#recorded));
    const fewest = await this.#fewest(cut);
    return await this.#verified(fewest);
  }

  get #seconds(): number {
    return (this.#deadline - performance.now()) / 1000;
  }

  get #over(): boolean {
    return this.#seconds <= 0 || this.#signal?.aborted === true;
  }

  /** The same schedule with loops of cpu_relax() that wait sooner, as long as it fails so. */
  async #fewerRounds(from: ReplayFile): Promise<ReplayFile> {
    let best = from;
    for (let rounds = from.rounds >>> 1; best.rounds > 0 && !this.#over; rounds >>>= 1) {
      const result = await this.#attempt({ ...best, rounds }, best.schedule.length);
      if (result.failure === null) break;
      best = await toReplay(from.race, result);
    }
    return best;
  }

  /** The recorded schedule up to a decision; from there on the present context goes on. */
  async #attempt(from: ReplayFile, length: number): Promise<ExploreResult> {
    const schedule = from.schedule.slice(0, length);
    const { signature: wanted } = this.#recorded;
    return await explore(from.race, { ...machineOf(from), strategy: 'replay', schedule, executions: 1, wanted });
  }

  /** The shortest prefix of the schedule after which the execution still fails: every choice that is not the default is a place to cut. */
  async #cut(from: ReplayFile): Promise<ReplayFile> {
    let best = from;
    for (let length = from.schedule.length; length > 0 && !this.#over; ) {
      const result = await this.#attempt(from, length);
      if (result.failure !== null) best = await this.#shortened(from, result);
      length = Math.min(length, result.prescribed) - 1;
    }
    return best;
  }

  async #shortened(from: ReplayFile, result: ExploreResult): Promise<ReplayFile> {
    const whole = await toReplay(from.race, result);
    return { ...whole, schedule: whole.schedule.slice(0, result.prescribed) };
  }

  /** Every schedule of 0, 1, 2, ... preemptions until one fails; then the shortest of that many. */
  async #fewest(known: ReplayFile): Promise<ReplayFile> {
    for (let preemptions = 0; preemptions <= known.preemptions && !this.#over; preemptions++) {
      const first = await this.#search(known, preemptions, false, undefined);
      if (first.failure === null) continue;
      const executions = Math.max(EXECUTIONS, first.executions * 2);
      const shortest = this.#over ? first : await this.#search(known, preemptions, true, executions);
      const found = shortest.failure === null ? first : shortest;
      const file = await this.#shortened(known, found);
      return isShorter(file, known) ? file : known;
    }
    return known;
  }

  async #search(
    known: ReplayFile,
    preemptions: number,
    shortest: boolean,
    executions: number | undefined,
  ): Promise<ExploreResult> {
    return await explore(known.race, {
      ...machineOf(known),
      ...{ strategy: 'dfs', preemptions, shortest, keepGoing: shortest, wanted: this.#recorded.signature },
      ...(executions === undefined ? {} : { executions }),
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
      seconds: Math.max(0.1, this.#seconds),
    });
  }

  /** What a replay of the schedule shows is what the file says; a schedule that does not repeat is no answer. */
  async #verified(file: ReplayFile): Promise<ReplayFile> {
    const { reproduced } = await replay(file);
    return reproduced ? file : this.#recorded;
  }
}

/** Fewer preemptions, or as many and fewer prescribed choices, or as many and fewer steps. */
function isShorter(a: ReplayFile, b: ReplayFile): boolean {
  if (a.preemptions !== b.preemptions) return a.preemptions < b.preemptions;
  if (a.schedule.length !== b.schedule.length) return a.schedule.length < b.schedule.length;
  return a.steps < b.steps;
}

/**
 * The same failure with the fewest preemptions and the shortest prescribed schedule. What is found within the time is verified by a
 * replay; without anything shorter the recorded schedule is the answer.
 */
export async function minimise(recorded: ReplayFile, options: MinimiseOptions = {}): Promise<ReplayFile> {
  return await new Minimiser(recorded, options).run();
}
