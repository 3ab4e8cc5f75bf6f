/**
 * Where race modules are and how they are loaded: an experiment by id or by the row of the specification that it shows, or a
 * JavaScript or TypeScript file by path.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, extname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { BuildFailure, BuildOptions, BuildResult } from 'esbuild';
import { MurphyError, UsageError } from '../shared/errors.js';
import { closest } from './closest.js';
import { oneOf } from './configure.js';
import { probeModule } from './module-probe.js';
import { importForRaces, moduleOf, type RaceSpec, refusalOf } from './race.js';
import { isPath } from './race-path.js';

export interface LoadedRace {
  readonly race: RaceSpec;
  /** URL that workers import; its fragment is the id of the race, see raceOf(). */
  readonly url: string;
}

/** Folder of the package: the nearest one above this file that has a package.json. */
export function packageRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) dir = dirname(dir);
  return dir;
}

export const builtFile = (...path: string[]): string => join(packageRoot(), 'dist', ...path);

/** Ids of the experiments that come with the package. */
export function experimentIds(): string[] {
  return readdirSync(builtFile('experiments'))
    .filter((f) => f.endsWith('.js'))
    .map((f) => basename(f, '.js'))
    .sort();
}

export async function loadExperiments(): Promise<LoadedRace[]> {
  return await Promise.all(experimentIds().map((id) => importRace(builtFile('experiments', `${id}.js`))));
}

/** Find and load what @name stands for. Throws UsageError when there is no such thing or it does not load. */
export async function loadRace(name: string | RaceSpec): Promise<LoadedRace> {
  if (typeof name !== 'string') {
    const file = moduleOf(name);
    if (file === null) throw new UsageError(`race "${name.id}" was not made by race(); export default race({...})`);
    return { race: name, url: withId(await runnable(file), name.id) };
  }
  if (isPath(name)) return await importRace(resolve(name));
  if (experimentIds().includes(name)) return await importRace(builtFile('experiments', `${name}.js`));
  const all = await loadExperiments();
  const byRow = all.find((l) => l.race.spec.includes(name));
  if (byRow !== undefined) return byRow;
  const file = ENDINGS.map((ending) => `${name}.${ending}`).find((path) => existsSync(path));
  if (file !== undefined) throw new UsageError(`unknown experiment "${name}"; for the race module here say ./${file}`);
  oneOf('experiment', name, [...experimentIds(), ...all.flatMap((l) => l.race.spec)]);
  throw new UsageError(`unknown experiment "${name}"`);
}

/** Of files that are race modules. */
const ENDINGS = ['ts', 'mts', 'cts', 'js', 'mjs', 'cjs'] as const;

const withId = (url: URL, id: string): string => `${url.href}#${id}`;

/** The race of a module: the default export, or the export with the id that is asked for. */
export function raceOf(module: Readonly<Record<string, unknown>>, id: string | null): RaceSpec | null {
  const races = [module.default, ...Object.values(module)].filter(isRace);
  return races.find((r) => id === null || r.id === id) ?? null;
}

/** Made by race(), of this copy of the library or another (tests import the sources, workers the build). */
const isRace = (value: unknown): value is RaceSpec =>
  typeof value === 'object' &&
  value !== null &&
  (moduleOf(value as RaceSpec) !== null ||
    refusalOf(value) !== null ||
    (typeof (value as RaceSpec).id === 'string' && (value as RaceSpec).threads !== undefined));

/** A race that a module exports, and why it is refused if it is not valid. */
export interface ListedRace {
  readonly race: RaceSpec;
  readonly refusal: string | null;
}

/** All races of a module, or with `#id` behind its path that one. Throws UsageError when it does not load, or there is none. */
export async function listRaces(path: string): Promise<ListedRace[]> {
  const [file, id] = resolve(path).split('#') as [string, string?];
  const { found } = await importModule(file);
  if (id !== undefined && !found.some((race) => race.id === id)) await importRace(resolve(path));
  return found.filter((race) => id === undefined || race.id === id).map((race) => ({ race, refusal: refusalOf(race) }));
}

interface ImportedModule {
  readonly url: URL;
  readonly module: Readonly<Record<string, unknown>>;
  /** Its races, valid or not. */
  readonly found: readonly RaceSpec[];
}

async function importModule(file: string): Promise<ImportedModule> {
  if (!existsSync(file) || !statSync(file).isFile()) {
    throw new UsageError(`no race module at ${file}; give the path of a .js or .ts file, or an experiment's id`);
  }
  const url = await runnable(file);
  await probeOnce(url, basename(file));
  let module: Readonly<Record<string, unknown>>;
  try {
    module = await importForRaces(url.href);
  } catch (error) {
    if (error instanceof Error && error.name === 'UsageError') throw new UsageError(error.message);
    throw new UsageError(`race module ${basename(file)} does not load: ${await whyNot(error)}; mend it and run again`);
  }
  const found = [...new Set([module.default, ...Object.values(module)].filter(isRace))];
  if (found.length === 0) {
    throw new UsageError(`race module ${basename(file)} has no race: it must "export default race({...})"`);
  }
  return { url, module, found };
}

/** @path: of a module; with `#id` behind it, of one of the races that it exports. */
async function importRace(path: string): Promise<LoadedRace> {
  const [file, id = null] = path.split('#') as [string, string?];
  const { url, module, found } = await importModule(file);
  const name = basename(file);
  const choices = found
    .filter((r) => refusalOf(r) === null)
    .map((r) => `${name}#${r.id}`)
    .join(', ');
  const refused = found.filter((r) => refusalOf(r) !== null).map((r) => String(r.id));
  const wrong = refused.length === 0 ? '' : `; not valid, ask for one to see why: ${refused.join(', ')}`;
  if (id === null && !isRace(module.default) && found.length > 1) {
    throw new UsageError(`race module ${name} has several races: name one of ${choices}${wrong}`);
  }
  const race = raceOf(module, id);
  if (race === null) throw new UsageError(`race module ${name} has no race "${id}"; it has ${choices}${wrong}`);
  const refusal = refusalOf(race);
  if (refusal !== null) throw new UsageError(refusal);
  return { race, url: withId(url, race.id) };
}

/** Why a module does not load. Of a name that the library does not have: which one was meant. */
async function whyNot(error: unknown): Promise<string> {
  const name = /does not provide an export named '(.+?)'/.exec(oneLine(error))?.[1];
  const library = pathToFileURL(builtFile('src', 'index.js')).href;
  if (name === undefined || !oneLine(error).includes(library)) return oneLine(error);
  const names = Object.keys((await import(/* @vite-ignore */ library)) as object);
  return `murphy has no export "${name}"${closest(name, names)}`;
}

/**
 * Modules that are loaded already stay loaded, and a bundle, whose name says what is in it, is tried once for good: a mark beside it
 * says so. What comes with the package needs no trial.
 */
async function probeOnce(url: URL, name: string): Promise<void> {
  const own = ['experiments', 'examples', 'bench', 'stress'].map((dir) => pathToFileURL(builtFile(dir, '/')).href);
  if (probed.has(url.href) || own.some((dir) => url.href.startsWith(dir))) return;
  const mark = /[\\/]\.cache[\\/]murphy[\\/]/.test(fileURLToPath(url)) ? `${fileURLToPath(url)}.loads` : null;
  if (mark === null || !existsSync(mark)) {
    await probeModule(url.href, name);
    if (mark !== null) remember(mark);
  }
  probed.add(url.href);
}
const probed = new Set<string>();

/** A folder that may not be written costs the next process a trial, and nothing else. */
function remember(mark: string): void {
  try {
    writeFileSync(mark, '');
  } catch {}
}

const oneLine = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).split('\n')[0] as string;

/** URL of a module by path, which workers can import. @what: what it is called when it is missing. */
export async function moduleUrl(path: string, what: string): Promise<URL> {
  const file = resolve(path);
  if (!existsSync(file)) throw new UsageError(`no ${what} at ${file}; give the path of a .js or .ts file`);
  return await runnable(file);
}

/** A URL that Node 20 can import in a worker: the file, its build, or a bundle of it. */
async function runnable(file: string): Promise<URL> {
  const inside = relative(packageRoot(), file);
  const outside = inside.startsWith('..');
  if (!outside && !/\.[cm]?ts$/.test(file)) return pathToFileURL(file);
  const built = builtFile(inside.replace(/\.ts$/, '.js'));
  if (!outside && existsSync(built)) return pathToFileURL(built);
  return pathToFileURL(await bundle(file));
}

/**
 * esbuild's build(), which runs in a child process that it starts once. Ctrl-C in a terminal goes to that child as well and ends it, while what has been
 * found is still to be written down; so a build that fails without an error of the module's is done again, in another child.
 */
async function inService(options: Unwritten): Promise<BuildResult<Unwritten>> {
  const { build, stop } = await import('esbuild');
  const { child } = service;
  try {
    return await build(options);
  } catch (error) {
    if ((error as Partial<BuildFailure>).errors !== undefined) throw error;
    // Of several builds that have lost their child the first stops it: the others must not stop the next.
    if (child === service.child) {
      service.child++;
      await stop();
    }
    return await build(options);
  }
}
const service = { child: 0 };
type Unwritten = BuildOptions & { readonly write: false };

/** Bundle a module and what it imports into a cache folder; the library itself stays outside. */
async function bundle(file: string): Promise<string> {
  const library = pathToFileURL(builtFile('src', 'index.js')).href;
  let code: Uint8Array;
  try {
    const { outputFiles } = await inService({
      entryPoints: [file],
      // The comments that name the parts do not depend on where the user stands.
      absWorkingDir: dirname(file),
      write: false,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      sourcemap: 'inline',
      // Reports name functions as the source does, where the bundle has to call two of one name apart.
      keepNames: true,
      logLevel: 'silent',
      plugins: [
        {
          name: 'library',
          setup(b) {
            // require() cannot load the library, which is made of ES modules; what it gets re-exports an import.
            const required = { path: library, namespace: 'required' };
            b.onResolve({ filter: /^#?murphy$|src\/index\.[jt]s$/ }, ({ kind, namespace }) =>
              kind === 'require-call' && namespace === 'file' ? required : { path: library, external: true },
            );
            b.onLoad({ filter: /^/, namespace: 'required' }, () => ({
              contents: `export * from ${JSON.stringify(library)};`,
            }));
          },
        },
      ],
    });
    code = outputFiles[0]!.contents;
  } catch (error) {
    const message = (error as { errors?: { text: string; location?: { line: number } }[] }).errors?.[0];
    const place = message?.location == null ? '' : ` (line ${message.location.line})`;
    throw new UsageError(
      `race module ${basename(file)} does not parse: ${message?.text ?? oneLine(error)}${place}; mend it and run again`,
    );
  }
  // Named by what is in it, imports included: an edit anywhere makes another module, and workers share one file.
  const hash = createHash('sha256').update(code).digest('hex').slice(0, 16);
  return keep(`${basename(file, extname(file))}-${hash}.mjs`, code);
}

/** Keep a bundle beside the library, or where that may not be written, as in a global installation, in the user's own cache. */
function keep(name: string, code: Uint8Array): string {
  const own = join(packageRoot(), 'node_modules', '.cache', 'murphy');
  for (const folder of [own, join(homedir(), '.cache', 'murphy')]) {
    const outfile = join(folder, name);
    if (existsSync(outfile)) return outfile;
    try {
      mkdirSync(folder, { recursive: true });
      const unfinished = `${outfile}.${process.pid}`;
      writeFileSync(unfinished, code);
      renameSync(unfinished, outfile);
      return outfile;
    } catch (error) {
      if (folder !== own)
        throw new UsageError(`cannot write ${folder}: ${oneLine(error)}; make it writable, or set HOME`);
    }
  }
  throw new MurphyError('no folder for bundles');
}
