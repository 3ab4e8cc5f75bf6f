/** The part of the lab that the command line uses. */
import type { ExploreOptions, ExploreResult } from '../explore/explore.js';
import type { SearchOptions, SearchResult } from '../explore/search.js';
import type { RaceSpec } from '../lab/race.js';
import type { RunOptions, RunResult } from '../lab/types.js';

/** A row of a catalogue: cores, kernel versions, patches. */
export interface CatalogueRow {
  readonly id: string;
  readonly title: string;
}

export interface PatchRow extends CatalogueRow {
  readonly author?: string;
  readonly date?: string;
  readonly seed?: string | null;
  /** The first version that contains it; null when none does. */
  readonly since?: string | null;
  readonly kind?: 'patch' | 'mutant';
}

export interface Lab {
  /** @race is an experiment's id or the path of a race module. Throws UsageError for bad input. */
  run(race: string, options: RunOptions): Promise<RunResult>;
  /** Every case of the experiment in turn. */
  runCases(race: string, options: RunOptions): AsyncIterable<RunResult>;
  /** Search the schedules of one configuration. */
  explore(race: string, options: ExploreOptions): Promise<ExploreResult>;
  /** Look for the failure of a run in controlled mode. */
  searchFailure(race: string, run: RunResult, options: SearchOptions): Promise<SearchResult>;
  listExperiments(): Promise<readonly RaceSpec[]>;
  /** The races of the module at @path. */
  listRaces(path: string): Promise<readonly { readonly race: RaceSpec; readonly refusal: string | null }[]>;
  /** The stress suites by name. */
  listSuites(): Promise<ReadonlyMap<string, RaceSpec>>;
  /** Every case of a suite in turn; `seconds` is the time of all of them. */
  stress(suite: string, options: RunOptions): AsyncIterable<RunResult>;
  readonly cores: readonly CatalogueRow[];
  readonly kernels: readonly CatalogueRow[];
  readonly patches: readonly PatchRow[];
}
