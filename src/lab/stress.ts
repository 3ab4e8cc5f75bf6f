/**
 * The stress suites: random load on all CPUs that has to stay clean, as race modules in `stress/` that the runner of experiments runs. A
 * suite's time is shared by its cases; whatever the user changes about the machine, `clean` is what it claims.
 */
import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { oneOf } from './configure.js';
import { builtFile, type LoadedRace, loadRace } from './modules.js';
import type { Case, RaceSpec } from './race.js';
import { sharedMachine } from './run.js';
import type { RunOptions, RunResult } from './types.js';

/** How long a suite runs unless told otherwise. */
export const SUITE_SECONDS = 10;

/** Names of the suites that come with the package. */
export function suiteNames(): string[] {
  return readdirSync(builtFile('stress'))
    .filter((file) => file.endsWith('.js'))
    .map((file) => basename(file, '.js'))
    .sort();
}

async function loadSuite(name: string): Promise<LoadedRace> {
  oneOf('stress suite', name, suiteNames());
  return await loadRace(builtFile('stress', `${name}.js`));
}

/** The suites as the races that they are, by name. */
export async function listSuites(): Promise<ReadonlyMap<string, RaceSpec>> {
  const names = suiteNames();
  const loaded = await Promise.all(names.map(loadSuite));
  return new Map(names.map((name, i) => [name, loaded[i]!.race]));
}

/** The suite's cases; of those, the ones on the core that the user names, or the first one moved to that core. */
function casesFor(race: RaceSpec, core: string | undefined): readonly Case[] {
  if (core === undefined) return race.cases;
  const same = race.cases.filter((c) => (c.machine?.core ?? race.machine.core) === core);
  return same.length > 0 ? same : [{ name: core, outcome: 'clean' }];
}

/**
 * Run a suite: its cases one after the other. Throws UsageError for bad input.
 *
 * @param options `seconds` is the time of the whole suite
 */
export async function* stress(name: string, options: RunOptions = {}): AsyncGenerator<RunResult> {
  const loaded = await loadSuite(name);
  const cases = casesFor(loaded.race, options.core);
  const { seconds = options.executions === undefined ? SUITE_SECONDS : undefined } = options;
  const share = seconds === undefined ? {} : { seconds: seconds / cases.length };
  for (const chosen of cases) {
    yield await sharedMachine().runLoaded(loaded, chosen, { ...options, ...share });
    if (options.signal?.aborted === true) return;
  }
}
