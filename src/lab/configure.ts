/**
 * From what an experiment, a case and a user ask for to the configuration of a machine. Everything wrong is said in one line that
 * names cause and mend.
 */
import { archOf } from '../arch/arch.js';
import { isPrivateVivt, isViptAliasing } from '../arch/arm/cores.js';
import { DMA_RULES } from '../check/dma/rules.js';
import { HANG_DEFAULTS, hungTaskTimeout } from '../check/hangs/limits.js';
import { LOCKDEP_MODES, LOCKDEP_RULES } from '../check/lockdep/lockdep.js';
import { RACE_RULES } from '../check/races/rules.js';
import {
  ALL,
  CHECKERS,
  checksAsked,
  checksOf,
  type MachineConfig,
  SLAB_DEFAULTS,
  type SlabOptions,
} from '../cpu/config.js';
import type { CoreRow } from '../cpu/core.js';
import { UsageError } from '../shared/errors.js';
import { KERNEL_VERSION, versionCode } from '../shared/version.js';
import { CORES, KERNELS, PATCHES, patchesOf } from './catalogue.js';
import { closest } from './closest.js';
import type { Case, MachineSpec, RaceSpec, ThreadFn, ThreadSpec } from './race.js';
import { declaredOf } from './race-check.js';
import type { MachineChoice, Outcome } from './types.js';

export const CPUS_MAX = 8;
const THREADS_MAX = 32;

/** Every property of a machine but its CPUs and patches, as it is when nobody asks for anything. */
export const MACHINE_DEFAULTS = {
  ...SLAB_DEFAULTS,
  core: 'vivt-shared',
  kernel: '2.6.31',
  pkmapSlots: 4,
  lowmemPages: 512,
  dmaPages: 0,
  highmemPages: 64,
  watermarks: false,
  debugHighmem: false,
  preempt: true,
  ticketLocks: false,
  hz: 100,
  bufferBytes: 4096,
  parameters: {} as Readonly<Record<string, number>>,
  check: '',
  lockdepRules: '',
  lockdepMode: 'linux',
  lockStat: false,
  rawLockNesting: false,
  ...HANG_DEFAULTS,
  dmaRules: '',
  raceRules: '',
} as const;

/** Throws UsageError unless @name is one of @names. */
export function oneOf(kind: string, name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  const shown = names.length <= 12 ? `it is one of ${names.join(', ')}` : `"npm run smp -- list" shows them`;
  throw new UsageError(`unknown ${kind} "${name}"${closest(name, names)}; ${shown}`);
}

/** The effective set: those of the version, with and without what was asked, in catalogue order. */
function resolvePatches(kernel: string, lists: readonly (readonly string[])[]): string[] {
  const ids = PATCHES.map((p) => p.id);
  const set = new Set(patchesOf(kernel));
  for (const list of lists) {
    for (const entry of list) {
      const name = entry.replace(/^-/, '');
      oneOf('patch', name, ids);
      if (list.includes(name) && list.includes(`-${name}`)) {
        throw new UsageError(`patch "${name}" is both asked for and taken away; leave one of the two out`);
      }
      if (entry.startsWith('-')) set.delete(name);
      else set.add(name);
    }
  }
  return ids.filter((id) => set.has(id));
}

function checkCpus(cpus: number, core: CoreRow): void {
  if (!Number.isInteger(cpus) || cpus < 1 || cpus > CPUS_MAX) {
    throw new UsageError(`a machine has 1 to ${CPUS_MAX} CPUs, not ${cpus}; give --cpus a number in that range`);
  }
  if (cpus <= core.cpusMax) return;
  if (isPrivateVivt(core)) {
    throw new UsageError(
      `core "${core.id}" has a private VIVT cache without coherence, so ${cpus} of them make no SMP machine; ` +
        `use --cpus 1, or one of ${smpCores().join(', ')}`,
    );
  }
  throw new UsageError(`core "${core.id}" goes up to ${core.cpusMax} CPUs, not ${cpus}; give --cpus a smaller number`);
}

const smpCores = (): string[] => CORES.filter((c) => c.cpusMax > 1).map((c) => c.id);

function checkNumber(name: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new UsageError(`${name} must be a whole number from ${min} to ${max}, not ${value}`);
  }
}

const HANG_KEYS = Object.keys(HANG_DEFAULTS) as readonly (keyof typeof HANG_DEFAULTS)[];

const SLAB_KEYS = Object.keys(SLAB_DEFAULTS) as readonly (keyof SlabOptions)[];

const pickSlab = (from: SlabOptions): SlabOptions =>
  Object.fromEntries(SLAB_KEYS.map((key) => [key, from[key]])) as unknown as SlabOptions;

function checkSlab(options: SlabOptions): void {
  oneOf('slab allocator', options.slab, ['slub', 'slab']);
  if (!/^(-|[FZPUTfzput]*)(,.*)?$/.test(options.slubDebug)) {
    throw new UsageError(
      `slubDebug must be letters of FZPUT, or "-", and behind a comma how the caches' names begin, not "${options.slubDebug}"`,
    );
  }
  checkNumber('slubMinOrder', options.slubMinOrder, 0, 10);
  checkNumber('slubMaxOrder', options.slubMaxOrder, 0, 10);
  checkNumber('slubMinObjects', options.slubMinObjects, 1, 512);
  checkNumber('isaDmaThreshold', options.isaDmaThreshold, 0, 0xffffffff);
}

/** mm/debug-pagealloc.c came with 2.6.30; before, the option was there only for architectures that unmap pages. */
function checkPagealloc({
  debugPagealloc,
  kernel,
}: {
  readonly debugPagealloc: boolean;
  readonly kernel: string;
}): void {
  if (!debugPagealloc || versionCode(kernel) >= KERNEL_VERSION(2, 6, 30)) return;
  throw new UsageError(
    `kernel ${kernel} has no CONFIG_DEBUG_PAGEALLOC on ARM and PA-RISC; leave debugPagealloc out, or use 2.6.30 or later`,
  );
}

/** PA-RISC kernels have neither highmem nor ticket locks; and what is written for an ARM core uses page tables and mappings of ARM. */
function checkParisc(core: CoreRow, layers: readonly MachineSpec[], ticketLocks: boolean): void {
  const wrong = (what: string): never => {
    throw new UsageError(`core "${core.id}" is PA-RISC: ${what}`);
  };
  if (layers.some((layer) => (layer.highmemPages ?? 0) > 0)) wrong('it has no highmem; leave highmemPages out');
  if (ticketLocks) wrong('its kernels have no ticket locks; leave ticketLocks out');
}

/** Only adapters that snoop have an I/O page directory; and the DMA checker knows physical addresses. */
function checkIommu(
  core: CoreRow,
  machine: { readonly iommu: boolean; readonly ioPdirFdc: boolean; readonly check: string },
): void {
  if (!machine.iommu) {
    if (machine.ioPdirFdc)
      throw new UsageError('ioPdirFdc says something of an I/O page directory; give iommu: true as well');
    return;
  }
  if ((core.parisc?.iommu ?? null) === null) {
    const cores = CORES.filter((c) => (c.parisc?.iommu ?? null) !== null).map((c) => c.id);
    throw new UsageError(
      `core "${core.id}" has no I/O page directory; leave iommu out, or use one of ${cores.join(', ')}`,
    );
  }
  if (checksOf(machine.check).includes('dma')) {
    throw new UsageError('the DMA checker takes bus addresses for physical ones; leave iommu or --check dma out');
  }
}

/** Linux ignores high memory there. Source: arch/arm/mm/mmu.c, Linux 2.6.30. */
function checkAliasing(core: CoreRow, layers: readonly MachineSpec[]): void {
  if (layers.every((layer) => (layer.highmemPages ?? 0) === 0)) return;
  throw new UsageError(
    `core "${core.id}" has a cache in which a page may have several places: Linux ignores high memory there; leave highmemPages out`,
  );
}

/**
 * CPUs for a race that asks for no number: one for each thread that is not placed, so that all of them run at once. Two at least, since
 * whether there is a second one makes a difference to kernel code.
 */
const cpusFor = ({ threads }: RaceSpec): number =>
  typeof threads === 'function'
    ? 2
    : Math.max(2, ...threads.map((t, index) => (typeof t === 'function' ? index : t.cpu) + 1));

/** The machine of one run. @layers: experiment, case, user, each overriding the one before; @cpusDefault: where none of them says. */
export function configure(
  layers: readonly MachineSpec[],
  threadsMax: number,
  devicesMax: number,
  seed: number,
  cpusDefault = 2,
): MachineConfig {
  const merged: Required<Omit<MachineSpec, 'cpus' | 'patches'>> & { cpus?: number } = { ...MACHINE_DEFAULTS };
  for (const { patches: _, parameters, ...layer } of layers) {
    Object.assign(merged, layer, { parameters: { ...merged.parameters, ...parameters } });
  }
  // The DMA checker takes bus addresses for physical ones.
  Object.assign(merged, { check: checksAsked(merged.check, merged.iommu ? ['dma'] : []) });
  oneOf(
    'core',
    merged.core,
    CORES.map((c) => c.id),
  );
  oneOf(
    'kernel',
    merged.kernel,
    KERNELS.map((k) => k.id),
  );
  const core = CORES.find((c) => c.id === merged.core) as CoreRow;
  const cpus = merged.cpus ?? Math.min(cpusDefault, core.cpusMax);
  checkCpus(cpus, core);
  checkNumber('pkmapSlots', merged.pkmapSlots, 2, 512);
  if ((merged.pkmapSlots & (merged.pkmapSlots - 1)) !== 0) {
    throw new UsageError(`pkmapSlots must be a power of two, not ${merged.pkmapSlots}: the kernel wraps by a mask`);
  }
  if (core.arch === 'parisc') checkParisc(core, layers, merged.ticketLocks);
  if (isViptAliasing(core)) checkAliasing(core, layers);
  const highmemPages = core.arch === 'parisc' || isViptAliasing(core) ? 0 : merged.highmemPages;
  checkNumber('lowmemPages', merged.lowmemPages, 64, 1 << 16);
  checkNumber('dmaPages', merged.dmaPages, 0, merged.lowmemPages);
  checkNumber('highmemPages', highmemPages, 0, 1 << 16);
  checkNumber('bufferBytes', merged.bufferBytes, 32, 4096);
  checkNumber('hz', merged.hz, 0, 1000);
  for (const key of HANG_KEYS) checkNumber(key, merged[key], key === 'softlockupThresh' ? -1 : 0, 1 << 20);
  const patches = resolvePatches(
    merged.kernel,
    layers.map((l) => l.patches ?? []),
  );
  checkSlab(merged);
  checkPagealloc(merged);
  checkIommu(core, merged);
  for (const name of checksOf(merged.check)) oneOf('checker', name, [...CHECKERS, ALL]);
  oneOf('set of lockdep rules', merged.lockdepRules, ['', ...LOCKDEP_RULES]);
  oneOf('lockdep mode', merged.lockdepMode, LOCKDEP_MODES);
  if (merged.lockStat && !checksOf(merged.check).includes('lockdep')) {
    throw new UsageError('lockStat measures the locks that lockdep watches: turn it on by check: "lockdep"');
  }
  if (merged.rawLockNesting && merged.lockdepRules !== '5.10') {
    throw new UsageError(
      'rawLockNesting is what lockdep looks at by the rules of 5.10: ask for them by lockdepRules: "5.10"',
    );
  }
  oneOf('set of DMA rules', merged.dmaRules, ['', ...DMA_RULES]);
  oneOf('set of race rules', merged.raceRules, ['', ...RACE_RULES]);
  return {
    ...pickSlab(merged),
    core,
    cpus,
    threadsMax: Math.max(threadsMax, cpus),
    devicesMax,
    lowmemPages: merged.lowmemPages,
    dmaPages: merged.dmaPages,
    highmemPages,
    watermarks: merged.watermarks,
    pageOffset: archOf(core).pageOffset,
    pkmapSlots: merged.pkmapSlots,
    kernel: merged.kernel,
    patches,
    debugHighmem: merged.debugHighmem,
    preempt: merged.preempt,
    ticketLocks: merged.ticketLocks,
    hz: merged.hz,
    bufferBytes: merged.bufferBytes,
    parameters: merged.parameters,
    seed,
    check: merged.check,
    lockdepRules: merged.lockdepRules,
    lockdepMode: merged.lockdepMode,
    lockStat: merged.lockStat,
    rawLockNesting: merged.rawLockNesting,
    softlockupThresh: merged.softlockupThresh,
    watchdogThresh: merged.watchdogThresh,
    hungTaskTimeoutSecs: layers.some((l) => l.hungTaskTimeoutSecs !== undefined)
      ? merged.hungTaskTimeoutSecs
      : hungTaskTimeout(merged.kernel),
    hungTaskWarnings: merged.hungTaskWarnings,
    dmaRules: merged.dmaRules,
    raceRules: merged.raceRules,
  };
}

/** The machine of a configuration, every property, as a race module would write it; patches are those in force. */
export function machineSpecOf(config: MachineConfig): MachineSpec {
  const keys = Object.keys(MACHINE_DEFAULTS) as (keyof typeof MACHINE_DEFAULTS)[];
  const picked = Object.fromEntries(keys.map((key) => [key, config[key]]));
  return { ...picked, core: config.core.id, cpus: config.cpus, patches: config.patches };
}

/** A layer that leaves nothing to those below it. @spec: from machineSpecOf(). */
export function exactMachine(spec: MachineSpec): MachineSpec {
  const { patches = [] } = spec;
  const others = PATCHES.map((p) => p.id).filter((id) => !patches.includes(id));
  return { ...spec, patches: [...patches, ...others.map((id) => `-${id}`)] };
}

/** Options of a user as a layer. */
export function layerOf(options: MachineChoice): MachineSpec {
  const patches = [...(options.patches ?? []), ...(options.noPatches ?? []).map((p) => `-${p}`)];
  return {
    ...(options.core === undefined ? {} : { core: options.core }),
    ...(options.cpus === undefined ? {} : { cpus: options.cpus }),
    ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
    ...(options.slab === undefined ? {} : { slab: options.slab }),
    ...(options.check === undefined ? {} : { check: options.check }),
    ...(options.lockdepRules === undefined ? {} : { lockdepRules: options.lockdepRules }),
    patches,
  };
}

/** A thread of the race with everything decided. */
export interface PlacedThread {
  readonly index: number;
  readonly cpu: number;
  readonly slot: number;
  readonly mm: number;
  readonly name: string;
}

/** The race's threads on @cpus CPUs. Functions are called again in each worker, so the list must not depend on chance. */
export function threadsOf(race: RaceSpec, cpus: number): readonly (ThreadFn | ThreadSpec)[] {
  if (typeof race.threads !== 'function') return race.threads;
  try {
    return race.threads({ cpus });
  } catch (error) {
    throw new UsageError(`experiment "${race.id}": threads() threw ${String(error)}; mend the module`);
  }
}

function checkThreads(race: RaceSpec, threads: readonly (ThreadFn | ThreadSpec)[]): void {
  const wrong = (what: string): never => {
    throw new UsageError(`experiment "${race.id}": ${what}; mend the module`);
  };
  if (!Array.isArray(threads) || threads.length === 0) wrong('threads() must return a non-empty list');
  threads.forEach((t, index) => {
    const run = typeof t === 'function' ? t : t?.run;
    if (typeof run !== 'function') wrong(`thread ${index} must be a function, or an object with a function run`);
  });
}

/** Which slot and CPU each thread gets: the first on a CPU takes that CPU's boot thread. */
export function placeThreads(race: RaceSpec, cpus: number): PlacedThread[] {
  const taken = new Set<number>();
  let extra = cpus;
  const threads = threadsOf(race, cpus);
  checkThreads(race, threads);
  return threads.map((t, index) => {
    const spec = typeof t === 'function' ? null : t;
    const cpu = spec?.cpu ?? index % cpus;
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= cpus) {
      throw new UsageError(`experiment "${race.id}" has a thread on CPU ${cpu}, so it needs --cpus ${cpu + 1} or more`);
    }
    const slot = taken.has(cpu) ? extra++ : cpu;
    taken.add(cpu);
    if (slot >= THREADS_MAX) throw new UsageError(`experiment "${race.id}" has more than ${THREADS_MAX} threads`);
    return { index, cpu, slot, mm: spec?.mm ?? 0, name: spec?.name ?? `thread${index}` };
  });
}

/**
 * Options of a user as a layer over an experiment's own core: `--cpus 4` is as many as that core can have, so that one command runs
 * experiments on UP and SMP cores alike. A core that the user names has to be able to have them.
 */
function fittedLayer(options: MachineChoice, own: MachineSpec): MachineSpec {
  const layer = layerOf(options);
  const core = CORES.find((c) => c.id === own.core);
  if (options.core !== undefined || core === undefined || layer.cpus === undefined) return layer;
  return layer.cpus > CPUS_MAX ? layer : { ...layer, cpus: Math.min(layer.cpus, core.cpusMax) };
}

/** The case that `options.caseName` asks for; null when it asks for none. Throws UsageError when there is no such case. */
export function namedCase(race: RaceSpec, options: MachineChoice): Case | null {
  if (options.caseName === undefined) return null;
  const found = race.cases.find((c) => c.name === options.caseName);
  if (found !== undefined) return found;
  const names = race.cases.map((c) => `"${c.name}"`).join(', ');
  throw new UsageError(`experiment "${race.id}" has no case "${options.caseName}"; it has ${names}`);
}

/** A race that names a core is written for that core's architecture; one that names none runs on any. */
function checkArch(race: RaceSpec, own: string | undefined, asked: string | undefined): void {
  const rowOf = (id: string | undefined): CoreRow | undefined => CORES.find((c) => c.id === id);
  const [from, to] = [rowOf(own), rowOf(asked)];
  if (from === undefined || to === undefined || from.arch === to.arch) return;
  const cores = CORES.filter((c) => c.arch === from.arch).map((c) => c.id);
  throw new UsageError(
    `experiment "${race.id}" is written for ${ARCH_NAMES[from.arch]}, core "${to.id}" is ${ARCH_NAMES[to.arch]}; use one of ${cores.join(', ')}`,
  );
}

/** A number that the race does not read would be lost without a word. */
function checkParameters(race: RaceSpec, asked: Readonly<Record<string, number>>): void {
  const machines = [race.machine, race.smallest, ...race.cases.map((c) => c.machine)];
  const known = [...new Set(machines.flatMap((m) => Object.keys(m?.parameters ?? {})))];
  for (const name of Object.keys(asked)) {
    if (known.includes(name)) continue;
    const there = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`;
    throw new UsageError(`experiment "${race.id}" has no parameter "${name}"${closest(name, known)}; ${there}`);
  }
}

const ARCH_NAMES = { arm: 'ARM', parisc: 'PA-RISC' } as const;

/** The machine for a race under the user's options, and the threads on it. */
export function configureRace(
  race: RaceSpec,
  chosen: Case | null,
  options: MachineChoice,
  smallest = false,
): { config: MachineConfig; threads: PlacedThread[] } {
  const named = chosen ?? namedCase(race, options);
  const own = { ...race.machine, ...named?.machine };
  const least = (smallest ? race.smallest : undefined) ?? {};
  checkParameters(race, options.settings?.parameters ?? {});
  const user = [fittedLayer(options, own), options.settings ?? {}, options.machine ?? {}];
  const layers = [race.machine, least, named?.machine ?? {}, ...user];
  checkArch(race, own.core, options.core);
  const devices = race.devices?.length ?? 0;
  const first = configure(layers, THREADS_MAX, devices + 1, options.seed ?? 1, Math.min(CPUS_MAX, cpusFor(race)));
  const threads = placeThreads(race, first.cpus);
  const slots = Math.max(first.cpus, ...threads.map((t) => t.slot + 1));
  const declared = declaredOf(race, (what) => {
    throw new UsageError(`experiment "${race.id}": ${what}; mend the module`);
  });
  return { config: { ...first, threadsMax: slots, declared }, threads };
}

const sameMachine = (a: MachineConfig, b: MachineConfig): boolean =>
  a.core.id === b.core.id &&
  a.kernel === b.kernel &&
  a.patches.join() === b.patches.join() &&
  a.debugHighmem === b.debugHighmem &&
  a.pkmapSlots === b.pkmapSlots &&
  a.lowmemPages === b.lowmemPages &&
  a.dmaPages === b.dmaPages &&
  a.highmemPages === b.highmemPages &&
  a.watermarks === b.watermarks &&
  JSON.stringify(a.parameters) === JSON.stringify(b.parameters) &&
  SLAB_KEYS.every((key) => a[key] === b[key]) &&
  a.preempt === b.preempt;

/** The case of the race whose machine is @config, or null. CPUs do not count. */
export function caseOf(race: RaceSpec, config: MachineConfig, smallest = false): Case | null {
  const found = race.cases.find((c) => {
    const { config: other } = configureRace(race, c, {}, smallest);
    return sameMachine(config, other);
  });
  return found ?? null;
}

/** What the case claims. */
export const claimOf = (c: Case | null): readonly Outcome[] | null =>
  c === null ? null : typeof c.outcome === 'string' ? [c.outcome] : c.outcome;

/**
 * The case whose claim holds: the one that was asked for, unless the user has changed properties of its machine; else the one whose machine
 * this is, if there is one.
 */
export function claimingCase(
  race: RaceSpec,
  config: MachineConfig,
  options: MachineChoice,
  smallest = false,
): Case | null {
  const named = options.settings === undefined ? namedCase(race, options) : null;
  return named ?? caseOf(race, config, smallest);
}

/** What the user has set, over what the case that was asked for has besides core, version, CPUs and patches; undefined when nothing was set. */
export function settingsOf(race: RaceSpec, options: MachineChoice): MachineSpec | undefined {
  if (options.settings === undefined) return undefined;
  const {
    core: _,
    kernel: __,
    cpus: ___,
    patches: ____,
    parameters,
    ...machine
  } = namedCase(race, options)?.machine ?? {};
  const numbers = { ...parameters, ...options.settings.parameters };
  return { ...machine, ...options.settings, ...(Object.keys(numbers).length > 0 && { parameters: numbers }) };
}
