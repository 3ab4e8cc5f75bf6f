/** What a search follows from. Parts of one search, before and after a checkpoint or in several shards, have all of it in common. */
import type { z } from 'zod';
import { configureRace, machineSpecOf } from '../lab/configure.js';
import { loadRace, moduleUrl } from '../lab/modules.js';
import type { RaceSpec } from '../lab/race.js';
import { isPath } from '../lab/race-path.js';
import { explorerHash, modelHash, sourceHash } from '../lab/source-hash.js';
import { type ExploreOptions, STATES_MAX, STEPS_MAX } from './explore.js';
import { raceName } from './race-name.js';
import { count, machine, schema } from './schemas.js';

const shard = schema((z) => z.strictObject({ index: z.number().int().positive(), count: z.number().int().positive() }));

export const searchSchema = schema((z) =>
  z.strictObject({
    race: z.string().min(1),
    experiment: z.string(),
    /** Of the race module with its imports, of the model, of the explorer, and of the module of a user's strategy. */
    sourceHash: z.string(),
    modelHash: z.string(),
    explorerHash: z.string(),
    strategyHash: z.string().nullable(),
    machine: machine(),
    seed: count(),
    stepsMax: z.number().int().positive(),
    strategy: z.string(),
    preemptions: count().nullable(),
    delays: count().nullable(),
    states: z.boolean(),
    statesMax: count(),
    shuffle: z.boolean(),
    uniform: z.boolean(),
    depth: count(),
    stepsExpected: count(),
    rounds: count().nullable().default(null),
    wanted: z.string().nullable(),
    shard: shard(),
  }),
);

export type Search = z.infer<ReturnType<typeof searchSchema>>;

/** What the search of explore(@race, @options) follows from. */
export async function searchOf(race: string | RaceSpec, options: ExploreOptions): Promise<Search> {
  const loaded = await loadRace(race);
  const { config } = configureRace(loaded.race, null, { seed: 1, ...options }, true);
  const strategy = options.strategy ?? 'dfs';
  return {
    race: raceName(race),
    experiment: loaded.race.id,
    sourceHash: sourceHash(loaded.url),
    modelHash: modelHash(),
    explorerHash: explorerHash(),
    strategyHash: isPath(strategy) ? sourceHash((await moduleUrl(strategy, 'strategy module')).href) : null,
    machine: machineSpecOf(config),
    seed: config.seed,
    stepsMax: options.stepsMax ?? STEPS_MAX,
    strategy,
    preemptions: options.preemptions ?? null,
    delays: options.delays ?? null,
    states: options.states ?? false,
    statesMax: options.statesMax ?? STATES_MAX,
    shuffle: options.shuffle ?? false,
    uniform: options.uniform ?? false,
    depth: options.depth ?? 3,
    stepsExpected: options.stepsExpected ?? 0,
    rounds: options.rounds ?? null,
    wanted: options.wanted ?? null,
    shard: options.shard ?? { index: 1, count: 1 },
  };
}

const CHANGED: Readonly<Record<string, string>> = {
  sourceHash: "the race's source",
  modelHash: 'the emulated kernel or hardware',
  explorerHash: 'the explorer',
  strategyHash: "the strategy's source",
};

/** Something that two searches do not have in common; without values where they would tell nobody anything. */
export interface Difference {
  readonly what: string;
  readonly a: string | null;
  readonly b: string | null;
}

/** The first thing that the two searches do not have in common; null when they are the same. */
export function differenceOf(a: Search, b: Search): Difference | null {
  if (a.experiment !== b.experiment) return { what: 'the experiment', a: a.experiment, b: b.experiment };
  for (const [key, what] of Object.entries(CHANGED)) {
    if (a[key as keyof Search] !== b[key as keyof Search]) return { what, a: null, b: null };
  }
  const [one, two] = [flat(a), flat(b)];
  const what = Object.keys(one).find((k) => one[k] !== two[k]);
  return what === undefined ? null : { what, a: one[what] ?? null, b: two[what] ?? null };
}

/** Every setting by the name that a user knows it by. */
function flat({ machine: m, shard: s, ...search }: Search): Record<string, string> {
  const own = [
    'strategy',
    'preemptions',
    'delays',
    'states',
    'statesMax',
    'shuffle',
    'uniform',
    'depth',
    'stepsExpected',
    'rounds',
  ] as const;
  const settings: [string, unknown][] = [
    ...Object.entries(m),
    ...own.map((key): [string, unknown] => [key, search[key]]),
    ['seed', search.seed],
    ['stepsMax', search.stepsMax],
    ['the wanted failure', search.wanted],
    ['the shard', `${s.index}/${s.count}`],
  ];
  const text = (value: unknown): string => (value === null ? 'not given' : JSON.stringify(value).replaceAll('"', ''));
  return Object.fromEntries(settings.map(([key, value]) => [key, text(value)]));
}
