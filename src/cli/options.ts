/** Options that several commands share: their text, and what counts as a good value. */
import { type Command, Option } from 'commander';
import { LOCKDEP_RULES, type LockdepRules } from '../check/lockdep/rules.js';
import { CHECKERS, checksAsked } from '../cpu/config.js';
import { CPUS_MAX } from '../lab/configure.js';
import type { MachineChoice } from '../lab/types.js';
import { UsageError } from '../shared/errors.js';
import type { CatalogueRow, Lab } from './lab.js';
import { machineSettings } from './machine-settings.js';
import { didYouMean } from './suggest.js';

const SECONDS_MAX = 7 * 24 * 3600;

/** A whole number from @min to @max; 0x... is hexadecimal. */
export function wholeNumber(option: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new UsageError(`${option} ${quote(text)}: give a whole number from ${min} to ${max}`);
  };
}

/** A number of seconds above zero. */
export function seconds(option: string): (text: string) => number {
  return (text) => {
    const value = /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
    if (value > 0 && value <= SECONDS_MAX) return value;
    throw new UsageError(`${option} ${quote(text)}: give a number of seconds above 0, at most ${SECONDS_MAX}`);
  };
}

export const quote = (text: string): string => JSON.stringify(text);

/** The machine, as `--core` and its neighbours change it. */
export interface MachineOptions {
  cpus?: number;
  core?: string;
  kernel?: string;
  slab?: 'slub' | 'slab';
  check?: string;
  lockdep?: LockdepRules;
  /** In the order of the command line; a leading `-` takes away. */
  patch?: string[];
  /** Boot parameters of the kernel. */
  boot?: string[];
  /** NAME=VALUE. */
  set?: string[];
  seed?: number;
}

const addText = (text: string, before: string[] = []): string[] => [...before, text];

const addWords =
  (prefix: string) =>
  (text: string, before: string[] = []): string[] => [
    ...before,
    ...text.split(',').map((word) => prefix + word.trim()),
  ];

/** Checkers: for every command that runs races. */
export function addCheckOptions(command: Command): Command {
  return command
    .option('--check <names>', `checkers that watch: ${CHECKERS.join(', ')}, or all`)
    .addOption(new Option('--lockdep <rules>', 'whose rules lockdep follows').choices(LOCKDEP_RULES));
}

export function addMachineOptions(command: Command): Command {
  return addCheckOptions(command)
    .addOption(new Option('--cpus <n>', 'simulated CPUs, a thread each').argParser(wholeNumber('--cpus', 1, CPUS_MAX)))
    .option('--core <name>', 'processor core: cache geometry, coherence, broadcast ("list cores")')
    .option('--kernel <version>', 'kernel version ("list kernels")')
    .addOption(new Option('--slab <allocator>', 'slab allocator').choices(['slub', 'slab']))
    .addOption(new Option('--patch <name>', 'add a patch; may be repeated ("list patches")').argParser(addWords('')))
    .addOption(new Option('--no-patch <name>', 'take away a patch that the version has').argParser(addWords('-')))
    .addOption(
      new Option(
        '--boot <parameters>',
        'boot parameters: slub_debug[=FZPUT][,caches], slub_min_order=, slub_max_order=, slub_min_objects=, slub_nomerge',
      ).argParser(addText),
    )
    .addOption(
      new Option(
        '--set <name=value>',
        'a property of the machine (oabi=yes, debugSpinlock=yes, lowmemPages=2048), or parameters.NAME=N; may be repeated',
      ).argParser(addText),
    )
    .addOption(new Option('--seed <n>', 'seed of all chance').argParser(wholeNumber('--seed', 0, 0xffff_ffff)));
}

export function addOutputOptions(command: Command): Command {
  return command
    .option('--json', 'one JSON object a line on standard output, and nothing else there')
    .option('-q, --quiet', 'no progress, no kernel messages');
}

/** Does the user ask for a machine of their own, rather than those that the experiment's cases name? */
export function changesMachine(options: MachineOptions): boolean {
  return (
    options.core !== undefined ||
    options.kernel !== undefined ||
    options.slab !== undefined ||
    options.patch !== undefined ||
    options.boot !== undefined ||
    options.set !== undefined
  );
}

/** Check the names against the catalogues, and what contradicts itself. */
export function machineRunOptions(options: MachineOptions, lab: Lab): MachineChoice {
  const { cpus, core, kernel, slab, seed } = options;

  if (core !== undefined) knownRow('core', core, lab.cores);
  if (kernel !== undefined) knownRow('kernel', kernel, lab.kernels);
  const words = options.patch ?? [];
  const patches = words.filter((word) => !word.startsWith('-'));
  const noPatches = words.filter((word) => word.startsWith('-')).map((word) => word.slice(1));
  for (const name of [...patches, ...noPatches]) knownRow('patch', name, lab.patches);
  const both = patches.find((name) => noPatches.includes(name));
  if (both !== undefined) throw new UsageError(`--patch ${both} contradicts --no-patch ${both}: leave out one of them`);
  const settings = machineSettings(options.boot, options.set);
  return {
    ...(settings !== undefined && { settings }),
    ...(cpus !== undefined && { cpus }),
    ...(core !== undefined && { core }),
    ...(kernel !== undefined && { kernel }),
    ...(slab !== undefined && { slab }),
    ...checkOptions(options),
    ...(patches.length > 0 && { patches }),
    ...(noPatches.length > 0 && { noPatches }),
    ...(seed !== undefined && { seed }),
  };
}

type CheckOptions = Pick<MachineOptions, 'check' | 'lockdep'>;

export function checkOptions(options: CheckOptions): MachineChoice {
  const check = checkersOf(options);
  return {
    ...(check !== undefined && { check }),
    ...(options.lockdep !== undefined && { lockdepRules: options.lockdep }),
  };
}

/** `--check`, its names known; `all` is every one there is. */
function checkersOf(options: CheckOptions): string | undefined {
  if (options.lockdep !== undefined && options.check === undefined) {
    throw new UsageError('--lockdep says whose rules lockdep follows: turn it on by --check lockdep');
  }
  if (options.check === undefined) return undefined;
  for (const name of checksAsked(options.check).split(',')) {
    if ((CHECKERS as readonly string[]).includes(name)) continue;
    throw new UsageError(
      `unknown checker ${quote(name)}${didYouMean(name, [...CHECKERS])}; there is ${CHECKERS.join(', ')}`,
    );
  }
  return options.check;
}

function knownRow(what: string, id: string, rows: readonly CatalogueRow[]): void {
  const ids = rows.map((row) => row.id);
  if (ids.includes(id)) return;
  const list = what === 'patch' ? 'patches' : `${what}s`;
  throw new UsageError(`unknown ${what} ${quote(id)}${didYouMean(id, ids)}; "list ${list}" shows them`);
}
