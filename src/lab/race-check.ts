/** Is a race what it has to be? Everything wrong is one line that names the race, the part and the mend. */
import { CHECKERS, SLAB_DEFAULTS, type SlabOptions } from '../cpu/config.js';
import { RACE_VARS } from '../cpu/hw.js';
import { DEVICE_LINES } from '../cpu/lines.js';
import type { Declared, DeclaredKind } from '../shared/declared.js';
import { UsageError } from '../shared/errors.js';
import { closest } from './closest.js';
import type { Case, MachineSpec, RaceSpec, ThreadSpec } from './race.js';
import { type Measures, SERIES_MAX } from './samples.js';
import { OUTCOMES } from './types.js';

const ID = /^[a-z0-9][a-z0-9-]*$/;
const NAME = /^[A-Za-z_]\w*$/;
const ARRAY = /^([A-Za-z_]\w*)\[(\d+)\]$/;
const SOFTIRQS = 32;
/** Words of all that a race declares: it lies among the kernel's static data. */
const DECLARED_WORDS_MAX = 4096;

const keysOf = <T>(keys: { readonly [K in keyof Required<T>]: true }): readonly string[] => Object.keys(keys);

const RACE_KEYS = keysOf<RaceSpec>({
  id: true,
  title: true,
  source: true,
  spec: true,
  machine: true,
  smallest: true,
  cases: true,
  executionSeconds: true,
  stallPoints: true,
  stepsMax: true,
  vars: true,
  setup: true,
  threads: true,
  irqs: true,
  softirqs: true,
  shrinkers: true,
  ctors: true,
  measures: true,
  devices: true,
  check: true,
  invariant: true,
  shared: true,
  locks: true,
  rwlocks: true,
  queues: true,
});
const CASE_KEYS = keysOf<Case>({ name: true, machine: true, outcome: true, says: true, reports: true });
const THREAD_KEYS = keysOf<ThreadSpec>({ run: true, cpu: true, name: true, mm: true });
type MachineType = 'string' | 'number' | 'boolean' | 'list' | 'numbers';
const OWN_TYPES: { readonly [K in keyof Required<Omit<MachineSpec, keyof SlabOptions>>]: MachineType } = {
  core: 'string',
  cpus: 'number',
  kernel: 'string',
  patches: 'list',
  pkmapSlots: 'number',
  lowmemPages: 'number',
  dmaPages: 'number',
  highmemPages: 'number',
  watermarks: 'boolean',
  debugHighmem: 'boolean',
  preempt: 'boolean',
  ticketLocks: 'boolean',
  hz: 'number',
  bufferBytes: 'number',
  parameters: 'numbers',
  check: 'string',
  lockdepRules: 'string',
  lockdepMode: 'string',
  lockStat: 'boolean',
  rawLockNesting: 'boolean',
  softlockupThresh: 'number',
  watchdogThresh: 'number',
  hungTaskTimeoutSecs: 'number',
  hungTaskWarnings: 'number',
  dmaRules: 'string',
  raceRules: 'string',
};
const SLAB_TYPES = Object.entries(SLAB_DEFAULTS).map(([key, value]) => [key, typeof value as MachineType] as const);
const MACHINE_TYPES: Readonly<Record<string, MachineType>> = { ...OWN_TYPES, ...Object.fromEntries(SLAB_TYPES) };

type Wrong = (what: string) => never;

const shown = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function known(what: string, object: unknown, keys: readonly string[], wrong: Wrong): void {
  if (!isObject(object)) wrong(`${what} must be an object, not ${shown(object)}`);
  const stray = Object.keys(object as object).find((key) => !keys.includes(key));
  if (stray !== undefined) wrong(`${what} has no "${stray}"${closest(stray, keys)}; it has ${keys.join(', ')}`);
}

/** Throws UsageError unless @spec is a race. */
export function checkRace(spec: RaceSpec): void {
  const wrong: Wrong = (what) => {
    throw new UsageError(`race ${typeof spec.id === 'string' ? spec.id : '(without id)'}: ${what}`);
  };
  known('a race', spec, RACE_KEYS, wrong);
  if (spec.id === undefined) wrong("it needs an id: lower-case words joined by '-'");
  if (typeof spec.id !== 'string' || !ID.test(spec.id))
    wrong(`id must be lower-case words joined by "-", not ${shown(spec.id)}`);
  checkThreads(spec, wrong);
  checkFunctions(spec, wrong);
  for (const name of ['title', 'source'] as const) if (typeof spec[name] !== 'string') wrong(`${name} must be a text`);
  for (const name of ['spec', 'cases'] as const) {
    if (!Array.isArray(spec[name])) wrong(`${name} must be a list; it may be empty`);
  }
  for (const name of ['executionSeconds', 'stallPoints', 'stepsMax'] as const) {
    const value = spec[name];
    if (value !== undefined && !(Number.isFinite(value) && value > 0))
      wrong(`${name} must be a number above 0, not ${shown(value)}`);
  }
  checkMachine('machine', spec.machine, wrong);
  if (spec.smallest !== undefined) checkMachine('smallest', spec.smallest, wrong);
  spec.cases.forEach((one, i) => {
    checkCase(one, i, wrong);
  });
  checkVars(spec.vars, wrong);
  checkMeasures(spec.measures, wrong);
  declaredOf(spec, wrong);
}

function checkThreads({ threads }: RaceSpec, wrong: Wrong): void {
  if (typeof threads === 'function') return;
  if (!Array.isArray(threads) || threads.length === 0) {
    wrong('threads must be a non-empty list of functions, or a function that returns one');
  }
  threads.forEach((t: unknown, i) => {
    if (typeof t === 'function') return;
    if (!isObject(t) || typeof t.run !== 'function') {
      wrong(`thread ${i} must be a function, or { run, cpu } with a function run, not ${shown(t)}`);
      return;
    }
    known(`thread ${i}`, t, THREAD_KEYS, wrong);
    if (t.cpu === undefined) wrong(`thread ${i} must say on which cpu it runs; a bare function takes the next one`);
  });
}

function checkFunctions(spec: RaceSpec, wrong: Wrong): void {
  for (const name of ['setup', 'check', 'invariant'] as const) {
    if (spec[name] !== undefined && typeof spec[name] !== 'function') wrong(`${name} must be a function`);
  }
  const handlers = (name: 'irqs' | 'softirqs', most: number): void => {
    const table = spec[name] ?? {};
    if (!isObject(table)) wrong(`${name} must be an object: handlers by number`);
    for (const [number, handler] of Object.entries(table)) {
      if (!(Number(number) >= 0 && Number(number) < most))
        wrong(`${name} are for the lines 0 to ${most - 1}, not ${number}`);
      if (typeof handler !== 'function') wrong(`${name}[${number}] must be a function`);
    }
  };
  handlers('irqs', DEVICE_LINES);
  handlers('softirqs', SOFTIRQS);
  const { devices, ctors } = spec;
  if (ctors !== undefined && !(Array.isArray(ctors) && ctors.every((c) => typeof c === 'function'))) {
    wrong('ctors must be a list of functions');
  }
  if (devices !== undefined && !(Array.isArray(devices) && devices.every((d) => typeof d === 'function'))) {
    wrong('devices must be a list of functions');
  }
}

function checkMachine(what: string, machine: MachineSpec, wrong: Wrong): void {
  known(what, machine, Object.keys(MACHINE_TYPES), wrong);
  for (const [key, type] of Object.entries(MACHINE_TYPES)) {
    const value: unknown = machine[key as keyof MachineSpec];
    if (value === undefined) continue;
    if (type === 'numbers') {
      if (!isObject(value) || !Object.values(value).every(Number.isInteger))
        wrong(`${what}.${key} must be an object of names and whole numbers`);
    } else if (type !== 'list') {
      if (typeof value !== type) wrong(`${what}.${key} must be a ${type}, not ${shown(value)}`);
    } else if (!Array.isArray(value) || !value.every((p) => typeof p === 'string')) {
      wrong(`${what}.${key} must be a list of names`);
    }
  }
}

const isReport = (text: unknown): boolean =>
  typeof text === 'string' && CHECKERS.some((checker) => text.startsWith(`${checker}: `));

function checkCase(one: Case, i: number, wrong: Wrong): void {
  known(`case ${i}`, one, CASE_KEYS, wrong);
  if (typeof one.name !== 'string' || one.name === '') wrong(`case ${i} must have a name: a few words`);
  if (one.machine !== undefined) checkMachine(`machine of case "${one.name}"`, one.machine, wrong);
  const unknown = [one.outcome].flat().find((o) => !OUTCOMES.includes(o));
  if (one.outcome === undefined || unknown !== undefined) {
    wrong(`case "${one.name}" claims the outcome "${unknown}"; it is one of ${OUTCOMES.join(', ')}`);
  }
  if (one.says !== undefined && !(Array.isArray(one.says) && one.says.every((text) => typeof text === 'string'))) {
    wrong(`says of case "${one.name}" must be a list of texts`);
  }
  if (one.reports !== undefined && !(Array.isArray(one.reports) && one.reports.every(isReport))) {
    wrong(
      `reports of case "${one.name}" must be a list of texts "CHECKER: TEXT", with a checker of ${CHECKERS.join(', ')}`,
    );
  }
}

function checkVars(vars: readonly string[] | undefined, wrong: Wrong): void {
  if (vars === undefined) return;
  if (!Array.isArray(vars) || !vars.every((name) => typeof name === 'string')) wrong('vars must be a list of names');
  if (vars.length > RACE_VARS) wrong(`vars may be ${RACE_VARS} names, not ${vars.length}`);
}

function checkMeasures(measures: RaceSpec['measures'], wrong: Wrong): void {
  if (measures === undefined) return;
  known('measures', measures, keysOf<Measures>({ x: true, y: true, series: true, yScale: true }), wrong);
  const { x, y, series, yScale = 'linear' } = measures;
  if (typeof x !== 'string' || typeof y !== 'string') wrong('measures needs texts for x and y');
  if (yScale !== 'linear' && yScale !== 'log10') wrong("measures.yScale must be 'linear' or 'log10'");
  const names = Array.isArray(series) && series.every((name) => typeof name === 'string');
  if (!names || series.length < 1 || series.length > SERIES_MAX) {
    wrong(`measures.series must be a list of 1 to ${SERIES_MAX} names`);
  }
}

/** The objects that a race declares, in order: what a machine for it has among its static data. */
export function declaredOf(spec: RaceSpec, wrong: Wrong): Declared[] {
  const all = [
    ...variablesOf(spec.shared, wrong),
    ...namedOf(spec.locks, 'lock', 'locks', wrong),
    ...namedOf(spec.rwlocks, 'rwlock', 'rwlocks', wrong),
    ...namedOf(spec.queues, 'queue', 'queues', wrong),
  ];
  const twice = all.find((d, i) => all.findIndex((other) => other.name === d.name) !== i);
  if (twice !== undefined) wrong(`it declares "${twice.name}" twice; give one of them another name`);
  const words = all.reduce((sum, d) => sum + (d.count ?? 1), 0);
  if (words > DECLARED_WORDS_MAX) wrong(`it may declare ${DECLARED_WORDS_MAX} words, not ${words}`);
  return all;
}

const isWord = (value: unknown): boolean =>
  typeof value === 'number' && (value === (value | 0) || value === value >>> 0);

function variablesOf(shared: RaceSpec['shared'], wrong: Wrong): Declared[] {
  if (shared === undefined) return [];
  if (!isObject(shared))
    wrong('shared must be an object: names with what they hold at first, { counter: 0, flag: [0, 0] }');
  return Object.entries(shared).map(([name, value]) => {
    const initial: readonly unknown[] = Array.isArray(value) ? value : [value];
    const odd = initial.find((word) => !isWord(word));
    if (!NAME.test(name)) wrong(`shared variable "${name}" must have a name of letters, digits and _`);
    if (initial.length === 0) wrong(`shared variable "${name}" must have at least one element`);
    if (odd !== undefined || initial.includes(undefined)) {
      wrong(`shared variable "${name}" must hold whole numbers of 32 bits, not ${shown(odd)}; say 0 or 1 for a flag`);
    }
    return { name, kind: 'word', count: Array.isArray(value) ? initial.length : null, initial: initial as number[] };
  });
}

function namedOf(names: readonly string[] | undefined, kind: DeclaredKind, what: string, wrong: Wrong): Declared[] {
  if (names === undefined) return [];
  if (!Array.isArray(names)) wrong(`${what} must be a list of names: ${what}: ['a', 'b']`);
  return names.map((entry) => {
    const array = ARRAY.exec(String(entry));
    if (array !== null && kind === 'queue') wrong(`${what} may be no arrays: name each one, not ${shown(entry)}`);
    if (array?.[1] !== undefined && Number(array[2]) > 0)
      return { name: array[1], kind, count: Number(array[2]), initial: [] };
    if (typeof entry !== 'string' || !NAME.test(entry))
      wrong(`${what}: "${String(entry)}" must be a name, or name[count]`);
    return { name: entry, kind, count: null, initial: [] };
  });
}
