/**
 * `--boot` and `--set`: properties of a machine from the command line. The first are the kernel's own boot parameters, by the kernel's names; the second
 * any property that a race module can give its machine, and the numbers that the race reads.
 */

import { MACHINE_DEFAULTS } from '../lab/configure.js';
import type { MachineSpec } from '../lab/race.js';
import { UsageError } from '../shared/errors.js';
import { didYouMean } from './suggest.js';

const quote = (text: string): string => JSON.stringify(text);

/** Numbers for the race's functions. */
const PARAMETERS = 'parameters.';

// ---- boot parameters -----------------------------------------------------------------------------------------------

const ORDER_MAX = 10;
const OBJECTS_MAX = 512;

/** Source: mm/slub.c, Documentation/vm/slub.txt, Linux 2.6.22. @value: what follows `=`; undefined without one. */
type BootParameter = (word: string, value: string | undefined) => MachineSpec;

const numberBetween = (word: string, value: string | undefined, max: number, min = 0): number => {
  if (value !== undefined && /^\d+$/.test(value) && Number(value) >= min && Number(value) <= max) return Number(value);
  throw new UsageError(`--boot ${quote(word)}: give a whole number from ${min} to ${max}`);
};

/** Letters first, caches behind a comma. Nothing, or no letters: FZPU. */
function slubDebugOf(word: string, value = ''): string {
  const letters = value.replace(/,.*/, '');
  const wrong = /[^FZPUTfzput]/.exec(letters)?.[0];
  if (wrong !== undefined) {
    throw new UsageError(
      `--boot ${quote(word)}: ${quote(wrong)} is none of F (sanity checks), Z (red zones), P (poison), U (users), T (trace)`,
    );
  }
  return value === '' ? '-' : value;
}

const BOOT: Readonly<Record<string, BootParameter>> = {
  slub_debug: (word, value) => ({ slubDebug: slubDebugOf(word, value) }),
  slub_min_order: (word, value) => ({ slubMinOrder: numberBetween(word, value, ORDER_MAX) }),
  slub_max_order: (word, value) => ({ slubMaxOrder: numberBetween(word, value, ORDER_MAX) }),
  slub_min_objects: (word, value) => ({ slubMinObjects: numberBetween(word, value, OBJECTS_MAX, 1) }),
  slub_nomerge: (word, value) => {
    if (value === undefined) return { slubNomerge: true };
    throw new UsageError(`--boot ${quote(word)}: slub_nomerge takes no value`);
  },
};

/** @lines: kernel command lines; a word that comes twice counts as it comes last. */
function bootParameters(lines: readonly string[]): MachineSpec {
  let spec: MachineSpec = {};
  for (const word of lines.flatMap((line) => line.split(/\s+/)).filter((w) => w !== '')) {
    const [name = '', ...rest] = word.split('=');
    const parameter = Object.hasOwn(BOOT, name) ? BOOT[name] : undefined;
    if (parameter === undefined) {
      const names = Object.keys(BOOT);
      throw new UsageError(
        `unknown boot parameter ${quote(name)}${didYouMean(name, names)}; there is ${names.join(', ')}`,
      );
    }
    spec = { ...spec, ...parameter(word, rest.length === 0 ? undefined : rest.join('=')) };
  }
  return spec;
}

// ---- properties ----------------------------------------------------------------------------------------------------

/** Have options of their own. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  core: '--core',
  kernel: '--kernel',
  slab: '--slab',
  check: '--check',
  lockdepRules: '--lockdep',
  cpus: '--cpus',
  patches: '--patch',
  seed: '--seed',
};
const SETTABLE = Object.keys(MACHINE_DEFAULTS).filter((key) => !(key in ELSEWHERE) && key !== 'parameters');

const TRUTH: Readonly<Record<string, boolean>> = { yes: true, y: true, true: true, no: false, n: false, false: false };

function valueGiven(word: string, type: string, text: string): string | number | boolean {
  if (type === 'string') return text;
  if (type === 'boolean') {
    const truth = TRUTH[text.toLowerCase()];
    if (truth === undefined) throw new UsageError(`--set ${quote(word)}: say yes or no`);
    return truth;
  }
  if (/^(-?\d+|0x[0-9a-f]+)$/i.test(text)) return Number(text);
  throw new UsageError(`--set ${quote(word)}: give a whole number`);
}

function setOne(word: string): MachineSpec {
  const at = word.indexOf('=');
  const [key, text] = [word.slice(0, at).trim(), word.slice(at + 1).trim()];
  if (at < 1) throw new UsageError(`--set ${quote(word)}: give NAME=VALUE`);
  if (key.startsWith(PARAMETERS)) {
    return { parameters: { [key.slice(PARAMETERS.length)]: valueGiven(word, 'number', text) as number } };
  }
  const option = ELSEWHERE[key];
  if (option !== undefined) throw new UsageError(`--set ${quote(word)}: that is what ${option} is for`);
  if (!SETTABLE.includes(key)) {
    throw new UsageError(
      `unknown property ${quote(key)} of a machine${didYouMean(key, SETTABLE)}; there is ${SETTABLE.join(', ')}, and ${PARAMETERS}NAME for numbers that the experiment reads`,
    );
  }
  const type = typeof MACHINE_DEFAULTS[key as keyof typeof MACHINE_DEFAULTS];
  return { [key]: valueGiven(word, type, text) };
}

/** What `--boot` and `--set` say together, or undefined when neither is there. Throws UsageError. */
export function machineSettings(boot: readonly string[] = [], set: readonly string[] = []): MachineSpec | undefined {
  if (boot.length === 0 && set.length === 0) return undefined;
  let spec = bootParameters(boot);
  for (const word of set) {
    const one = setOne(word);
    spec = { ...spec, ...one, ...(one.parameters && { parameters: { ...spec.parameters, ...one.parameters } }) };
  }
  return spec;
}
