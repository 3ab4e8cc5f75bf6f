/** A failure of parallel mode, looked for in controlled mode by its signature: it comes back as a minimal schedule that replays. */
import { PATCHES } from '../lab/catalogue.js';
import { configureRace } from '../lab/configure.js';
import { loadRace } from '../lab/modules.js';
import type { RunOptions, RunResult } from '../lab/types.js';
import { UsageError } from '../shared/errors.js';
import { explain } from './explain/explain.js';
import { type ExploreOptions, type ExploreResult, explore } from './explore.js';
import { minimise } from './minimise.js';
import { type ReplayFile, replay, toReplay, whyNotReproduced } from './replay-file.js';
import { signatureOf } from './signature.js';
import type { Found } from './standing.js';

export interface SearchOptions {
  readonly seconds?: number;
  readonly signal?: AbortSignal;
}

export interface SearchResult {
  /** The same failure under controlled scheduling, minimised; null when none was found. */
  readonly replay: ReplayFile | null;
  /** Is it the same: outcome, place and message? Else it has the outcome only. */
  readonly same: boolean;
  readonly lines: readonly string[];
}

const SECONDS = 30;
const PREEMPTIONS_MAX = 3;
/** Share of the time that is left for a search with one more preemption. */
const SHARE = 0.4;

/** The configuration of a run, as a user would ask for it; without the pages and slots that the race has fewer of in controlled mode. */
function configurationOf(run: RunResult, cpus: number): RunOptions {
  return {
    ...{ core: run.core, kernel: run.kernel, cpus, patches: run.patches, seed: run.seed },
    noPatches: PATCHES.map((p) => p.id).filter((id) => !run.patches.includes(id)),
    ...(run.caseName === null ? {} : { caseName: run.caseName }),
    ...(run.settings === undefined ? {} : { settings: run.settings }),
  };
}

/** What the search tries, one after the other: few preemptions first, then chance. */
const ATTEMPTS: readonly ExploreOptions[] = [
  ...Array.from({ length: PREEMPTIONS_MAX + 1 }, (_, preemptions) => ({ strategy: 'dfs', preemptions }) as const),
  { strategy: 'pct', depth: 4 },
  { strategy: 'random' },
];

interface Hit {
  readonly result: ExploreResult;
  readonly found: Found | undefined;
}

/** Search for the failure of @run. @name: of the race, as it was given to run(). */
export async function searchFailure(name: string, run: RunResult, options: SearchOptions = {}): Promise<SearchResult> {
  const deadline = performance.now() + (options.seconds ?? SECONDS) * 1000;
  const { race } = await loadRace(name);
  const { failure } = run;
  if (failure === null) return { replay: null, same: false, lines: ['no failure to explain'] };
  const { config } = configureRace(race, null, configurationOf(run, run.cpus));
  const wanted = signatureOf(failure, config);
  const left = (): number => (deadline - performance.now()) / 1000;
  let alike: Hit | null = null;
  let hit: Hit | null = null;
  let refusal: string | null = null;
  for (const cpus of [...new Set([Math.min(2, run.cpus), run.cpus])]) {
    for (const attempt of ATTEMPTS) {
      if (hit !== null || left() <= 0 || options.signal?.aborted === true) break;
      const asked = { ...configurationOf(run, cpus), ...attempt, wanted, seconds: Math.max(0.2, left() * SHARE) };
      const result = await tryOne(name, asked, options.signal);
      if (typeof result === 'string') {
        refusal = result;
        break;
      }
      if (result.failure !== null) hit = { result, found: undefined };
      const other = result.failures.find((f) => f.failure.outcome === failure.outcome);
      if (alike === null && other !== undefined) alike = { result, found: other };
    }
  }
  const best = hit ?? alike;
  if (best === null) return { replay: null, same: false, lines: [refusal ?? notFound(run)] };
  const recorded = await toReplay(name, best.result, best.found);
  const least = await minimise(recorded, { ...options, seconds: Math.max(2, left()) });
  const replayed = await replay(least, { history: true });
  const head =
    hit === null ? 'not the same failure, but the nearest found' : 'the same failure under controlled scheduling';
  if (!replayed.reproduced) {
    const why = `${head}, but not reproduced by its own schedule, and so no proof: ${whyNotReproduced(replayed)}`;
    return { replay: null, same: false, lines: [why] };
  }
  const many = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
  const length = many(least.schedule.length, 'prescribed choice');
  const size = `${many(least.preemptions, 'preemption')}, ${length}, ${many(least.steps, 'step')}`;
  return { replay: least, same: hit !== null, lines: [`${head}: ${size}`, ...explain(replayed.result).report] };
}

/** Return: what came of it, or why controlled mode does not take the race on this machine: too few CPUs, devices. */
async function tryOne(
  name: string,
  options: ExploreOptions,
  signal: AbortSignal | undefined,
): Promise<ExploreResult | string> {
  try {
    return await explore(name, { ...options, ...(signal === undefined ? {} : { signal }) });
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

const notFound = (run: RunResult): string =>
  `no schedule of controlled mode fails so within the time: ${run.outcome} needs more preemptions, or more of the machine than it has there`;
