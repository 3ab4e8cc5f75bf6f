/** Explore a programme by several strategies and compare what they have found. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { type ExploreOptions, type ExploreResult, explore } from '../../../src/explore/explore.js';
import { builtFile, packageRoot } from '../../../src/lab/modules.js';
import type { Programme } from './programme.js';

const HERE = join(packageRoot(), 'test', 'explore', 'programmes');
/** Modules in JavaScript inside the package are loaded as they are, not bundled each time. */
const FOLDER = join(packageRoot(), 'node_modules', '.cache', 'murphy', `programmes-${process.pid}`);
const PARTS = ['programme', 'collect-dfs', 'collect-dfs-classes', 'collect-dpor'];

let written = 0;

/** Bundle what the workers load: once, before the first programme. */
export async function prepare(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const library = pathToFileURL(builtFile('src', 'index.js')).href;
  await build({
    entryPoints: PARTS.map((name) => join(HERE, `${name}.ts`)),
    outdir: FOLDER,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    plugins: [
      {
        name: 'library',
        setup: (b) => b.onResolve({ filter: /src\/index\.js$/ }, () => ({ path: library, external: true })),
      },
    ],
  });
}

export const cleanUp = (): void => rmSync(FOLDER, { recursive: true, force: true });

const strategyFile = (name: string): string => join(FOLDER, `${name}.mjs`);

/** Write a race module for @p. Return: its path. */
export function moduleOf(p: Programme): string {
  const file = join(FOLDER, `p${++written}.mjs`);
  writeFileSync(
    file,
    `import { raceOf } from './programme.mjs';\nexport default raceOf('programme', ${JSON.stringify(p)});\n`,
  );
  return file;
}

/** What a strategy has found. */
export interface Findings {
  readonly result: ExploreResult;
  /** Final states and dead ends, with how probable each is under a random walk where all executions were made. */
  readonly ends: ReadonlyMap<string, number>;
  /** Reports of the threads themselves. */
  readonly reports: ReadonlySet<string>;
  readonly classes: ReadonlyMap<string, number>;
}

const part = (result: ExploreResult, test: RegExp): Map<string, number> =>
  new Map(Object.entries(result.stats).filter(([name]) => test.test(name)));

export async function findings(file: string, strategy: string, options: ExploreOptions = {}): Promise<Findings> {
  const result = await explore(file, {
    strategy: strategyFile(strategy),
    keepGoing: true,
    stepsMax: 400,
    ...options,
  });
  if (result.error !== null) throw new Error(result.error);
  const reports = result.failures.filter((f) => f.failure.outcome === 'report').map((f) => f.failure.message);
  return {
    result,
    ends: part(result, /^(state|stuck) /),
    reports: new Set(reports),
    classes: part(result, /^class /),
  };
}

const sorted = (keys: Iterable<string>): string[] => [...keys].sort();
export const endsOf = (f: Findings): string[] => [...sorted(f.ends.keys()), ...sorted(f.reports)];

export const TOO_LARGE = 'too large';

/** What the strategies disagree about, or null; TOO_LARGE when depth-first search does not come to its end. */
export async function disagreement(p: Programme, executions: number, seed: number): Promise<string | null> {
  const file = moduleOf(p);
  const dpor = await findings(file, 'collect-dpor', { executions });
  if (!dpor.result.exhausted) return TOO_LARGE;
  const states = await findings(file, 'collect-dfs', { executions, states: true, statesMax: 1 << 16 });
  if (!states.result.exhausted) return TOO_LARGE;
  const dfs = await findings(file, 'collect-dfs-classes', { executions });
  if (!dfs.result.exhausted) return TOO_LARGE;
  return (
    differ('final states', dfs, dpor, 'dpor') ??
    differ('final states', dfs, states, 'visited states') ??
    classesDiffer(dfs, dpor) ??
    (await orderMatters(file, dpor, states, seed)) ??
    (await boundsDiffer(file, seed))
  );
}

/** With a bound, a state that was reached at more of it has been explored less far. */
async function boundsDiffer(file: string, seed: number): Promise<string | null> {
  for (const bound of [{ preemptions: 1 }, { delays: 2 }]) {
    const all = await findings(file, 'collect-dfs', bound);
    const pruned = await findings(file, 'collect-dfs', {
      ...bound,
      states: true,
      statesMax: 1 << 16,
      shuffle: true,
      seed,
    });
    const found = differ(`final states within ${Object.entries(bound)}`, all, pruned, 'visited states');
    if (found !== null) return found;
  }
  return null;
}

/** What dpor and depth-first search disagree about under a checker, its own reports included. */
export async function disagreementUnder(check: string, p: Programme, executions: number): Promise<string | null> {
  const file = moduleOf(p);
  const dpor = await findings(file, 'collect-dpor', { executions, check });
  const dfs = await findings(file, 'collect-dfs', { executions, check });
  if (!dpor.result.exhausted || !dfs.result.exhausted) return TOO_LARGE;
  return differ('final states and reports', dfs, dpor, 'dpor');
}

function differ(what: string, a: Findings, b: Findings, name: string): string | null {
  const [all, seen] = [endsOf(a), endsOf(b)];
  const missing = all.filter((end) => !seen.includes(end));
  const surplus = seen.filter((end) => !all.includes(end));
  if (missing.length + surplus.length === 0) return null;
  return `${what}: of ${all.length} ${name} misses ${missing.length} and has ${surplus.length} of its own\n${[...missing, ...surplus].slice(0, 3).join('\n')}`;
}

/** A report ends an execution somewhere: classes are those of complete executions only. */
function classesDiffer(dfs: Findings, dpor: Findings): string | null {
  if (dpor.result.executions > dfs.result.executions) return 'dpor makes more executions than plain dfs';
  const [all, seen] = [sorted(dfs.classes.keys()), sorted(dpor.classes.keys())];
  const twice = [...dpor.classes.values()].filter((count) => count > 1).length;
  if (twice > 0) return `dpor makes ${twice} of ${seen.length} classes more than once`;
  const missing = all.filter((c) => !seen.includes(c)).length;
  if (dfs.reports.size > 0 || (missing === 0 && all.length === seen.length)) return null;
  return `classes: of ${all.length} dpor misses ${missing} and has ${seen.length - all.length + missing} of its own`;
}

async function orderMatters(file: string, dpor: Findings, states: Findings, seed: number): Promise<string | null> {
  const other = await findings(file, 'collect-dpor', { shuffle: true, seed });
  if (dpor.reports.size === 0 && sorted(other.classes.keys()).join() !== sorted(dpor.classes.keys()).join()) {
    return `dpor finds ${dpor.classes.size} classes, and ${other.classes.size} in another order`;
  }
  const again = await findings(file, 'collect-dfs', { states: true, statesMax: 1 << 16, shuffle: true, seed });
  const [first, second] = [states.result.stats.states, again.result.stats.states];
  if (states.reports.size === 0 && first !== second)
    return `${first} states are visited, and ${second} in another order`;
  return (
    differ('final states', dpor, other, 'dpor in another order') ??
    differ('final states', states, again, 'states in another order')
  );
}
