/**
 * Race modules: what a user writes. `race()` checks the shape and gives the types; it does nothing else.
 */
import { fileURLToPath } from 'node:url';
import type { SlabOptions } from '../cpu/config.js';
import type { Device } from '../cpu/device.js';
import type { Constructor, Kernel, Shrinker } from '../cpu/kernel.js';
import type { SharedSpec } from '../shared/declared.js';
import { UsageError } from '../shared/errors.js';
import { checkRace } from './race-check.js';
import type { Measures } from './samples.js';
import type { Outcome } from './types.js';

/** A machine as a race asks for it; what is left out gets the default of `lab/configure.ts`. */
export interface MachineSpec extends Partial<SlabOptions> {
  readonly core?: string;
  readonly cpus?: number;
  readonly kernel?: string;
  /** Patches added to those of the version; a leading `-` takes one away. */
  readonly patches?: readonly string[];
  readonly pkmapSlots?: number;
  readonly lowmemPages?: number;
  /** The first pages of lowmem that are ZONE_DMA. */
  readonly dmaPages?: number;
  readonly highmemPages?: number;
  /** Zone watermarks and lowmem reserves as the kernel computes them; without, every page can be allocated. */
  readonly watermarks?: boolean;
  readonly debugHighmem?: boolean;
  readonly preempt?: boolean;
  readonly ticketLocks?: boolean;
  readonly hz?: number;
  /** How many bytes of a page a race should use: 4096, fewer where every schedule is to be explored. */
  readonly bufferBytes?: number;
  /** Numbers for the race's functions, which read them as `k.config.parameters.name`. */
  readonly parameters?: Readonly<Record<string, number>>;
  /** Checkers that watch, with commas between them: `lockdep`, `races`; `all` stands for all but `leak`. */
  readonly check?: string;
  /** '2.6.22', '2.6.30', '4.9' or '5.10'; empty: those of the kernel version. */
  readonly lockdepRules?: string;
  /** 'linux': the first report ends all checking; 'continue': only repeated ones are left out. */
  readonly lockdepMode?: string;
  /** CONFIG_LOCK_STAT: lockdep measures how long locks are waited for and held, for `k.lockWatch?.proc().lock_stat`. */
  readonly lockStat?: boolean;
  /** CONFIG_PROVE_RAW_LOCK_NESTING, with the rules of 5.10: lockdep tells raw spinlocks from others, which must not be taken inside. */
  readonly rawLockNesting?: boolean;
  /** kernel.softlockup_thresh of 2.6.23 to 3.x, seconds: 60; none from 0 down. */
  readonly softlockupThresh?: number;
  /** kernel.watchdog_thresh from 4.0 on, seconds: 10, and twice as much for a soft lockup; 0: none. */
  readonly watchdogThresh?: number;
  /** kernel.hung_task_timeout_secs from 2.6.23 on: 120; 0: none. */
  readonly hungTaskTimeoutSecs?: number;
  /** kernel.hung_task_warnings: 10 in an execution. */
  readonly hungTaskWarnings?: number;
  /** Rules of the DMA checker: `2.6.30`, `4.9`, `5.10` or `5.14`; without, those of the kernel version. */
  readonly dmaRules?: string;
  /** What counts as a data race: `hb`, `kcsan` or `kcsan-strict`; without, `hb`. */
  readonly raceRules?: string;
}

/** A configuration of the experiment, and what it claims to show there. */
export interface Case {
  /** A few words: 'unpinned', 'pinned on cortex-a9'. */
  readonly name: string;
  readonly machine?: MachineSpec;
  readonly outcome: Outcome | readonly Outcome[];
  /** Texts that the failure's message or the kernel's log has to contain in every execution: an execution without one does not count as claimed. */
  readonly says?: readonly string[];
  /**
   * What a checker rightly reports of this kernel besides what is claimed: `'races: data-race in a / b'`, the checker's name and a text of the headline. It is
   * in the log, and no outcome.
   */
  readonly reports?: readonly string[];
}

export type ThreadFn<K = Kernel> = (k: K, index: number) => void;

/**
 * A kernel thread of the race. A bare function runs on the CPU of its position in the list, modulo the CPUs; a race that asks for no number of CPUs
 * has one for each thread, two at least.
 */
export interface ThreadSpec<K = Kernel> {
  readonly run: ThreadFn<K>;
  readonly cpu: number;
  /** Name for reports. */
  readonly name?: string;
  /** Address space: threads with the same number share one; 0, the default, is a kernel thread. */
  readonly mm?: number;
}

/** The functions of a race; `K` is the kernel as they see it, with what the race declares. */
export interface RaceFunctions<K = Kernel> {
  /** Builds the situation: on CPU 0, before each execution, nothing else runs. */
  readonly setup?: (k: K) => void;
  /** Run concurrently; capture nothing from outside that changes. */
  readonly threads:
    | readonly (ThreadFn<K> | ThreadSpec<K>)[]
    | ((machine: { readonly cpus: number }) => readonly (ThreadFn<K> | ThreadSpec<K>)[]);
  /** Interrupt handlers by line, 0 to 15. */
  readonly irqs?: Readonly<Record<number, (k: K) => void>>;
  /** Actions of soft interrupts by vector, see `Softirq`: there on every CPU before anything can raise them. */
  readonly softirqs?: Readonly<Record<number, (k: K) => void>>;
  /**
   * What holds at every moment: `assert()` it. Controlled mode looks after each step of a thread, parallel mode only before the threads start and
   * after they have ended: there is no other moment at which nothing moves. It may only read, and its reads are no steps. What holds only
   * while a lock is free begins with `if (spin_is_locked(k, lock)) return;`.
   */
  readonly invariant?: (k: K) => void;
  /** The oracle, on CPU 0 when all have ended: `assert()`, `assertEqual()`, `wrongByte()`, `report()`. */
  readonly check?: (k: K) => void;
}

export interface RaceSpec extends RaceFunctions {
  /** `<year>-<month>-<subject>-<symptom>`. */
  readonly id: string;
  readonly title: string;
  /** The thread or source that it stems from. */
  readonly source: string;
  /** Rows of the specification that it shows: 'highmem/E1'. */
  readonly spec: readonly string[];
  readonly machine: MachineSpec;
  /** What to change for controlled mode, so that few steps show what there is to show. */
  readonly smallest?: MachineSpec;
  readonly cases: readonly Case[];
  /** Seconds that one execution may take before the watchdog asks; for long-running races. */
  readonly executionSeconds?: number;
  /**
   * For long executions in parallel mode: a CPU stands still once in so many of its scheduling points on average, so that others come
   * in between two steps. Without it a CPU stands still once in every other execution at most.
   */
  readonly stallPoints?: number;
  /** Steps after which controlled mode calls an execution a livelock: for executions that are long anyway. */
  readonly stepsMax?: number;
  /** Words that the functions of the race share outside the emulated memory: `k.vars.pageA`. */
  readonly vars?: readonly string[];
  /**
   * Variables that the threads share, with what they hold at first: `{ counter: 0, flag: [0, 0] }`. `k.shared.counter` loads and stores a word of
   * memory, with a scheduling point each time; `k.at('counter')` is its address, for atomic operations and `waitUntil()`.
   */
  readonly shared?: SharedSpec;
  /** Spinlocks: `['m', 'fork[3]']` are `k.locks.m` and `k.locks.fork[0]` to `[2]`. */
  readonly locks?: readonly string[];
  /** Reader-writer locks, in the same way: `k.rwlocks`. */
  readonly rwlocks?: readonly string[];
  /** Wait queues: `k.queues`. */
  readonly queues?: readonly string[];
  /** What the race measures with sample(): `run` shows it as a table, `measure` as a table and a plot of all cases. */
  readonly measures?: Measures;
  /** Caches that give memory back under pressure; all are registered at boot. */
  readonly shrinkers?: readonly Shrinker[];
  /** Constructors of slab caches: the first is number 1 for kmem_cache_create(). */
  readonly ctors?: readonly Constructor[];
  /** Bus masters: each runs in a worker of its own. */
  readonly devices?: readonly ((d: Device) => void)[];
}

/** What a user has to give: the rest has defaults. */
export interface RaceInput<S extends SharedSpec = SharedSpec, E extends string = string>
  extends RaceFunctions<Kernel<S, E>>,
    Partial<Omit<RaceSpec, 'id' | 'shared' | 'locks' | 'rwlocks' | 'queues' | keyof RaceFunctions>> {
  readonly id: string;
  readonly shared?: S;
  readonly locks?: readonly E[];
  readonly rwlocks?: readonly E[];
  readonly queues?: readonly E[];
}

/** Which file made a race: workers have to import it. */
const modules = new WeakMap<RaceSpec, string>();

/** Path of the module that called race(), or null when @spec did not come from it. */
export const moduleOf = (spec: RaceSpec): string | null => modules.get(spec) ?? null;

/** File of the caller's caller, from the stack: there is no other way to know it. */
function callingFile(): string | null {
  const frames = (new Error('where').stack ?? '').split('\n').slice(1);
  const self = frames[0]?.match(/((?:file:\/\/)?\/[^)\s]+?)(?:\?[^)\s]*)?:\d+:\d+\)?$/)?.[1];
  for (const frame of frames) {
    const file = frame.match(/((?:file:\/\/)?\/[^)\s]+?)(?:\?[^)\s]*)?:\d+:\d+\)?$/)?.[1];
    if (file === undefined || file === self) continue;
    return file.startsWith('file:') ? fileURLToPath(file) : file;
  }
  return null;
}

/** On an object that race() has refused while its module was loaded for its races: why. Known to all copies of the library, as is LOADING. */
const REFUSED = Symbol.for('murphy.refused');
const LOADING = Symbol.for('murphy.loading');

/** How many modules are being loaded for their races. */
const loading = globalThis as { [LOADING]?: number };

/**
 * Import a module for its races: one that is wrong is refused when somebody asks for it, and does not cost the module its others. Everywhere else
 * race() throws at once.
 */
export async function importForRaces(url: string): Promise<Readonly<Record<string, unknown>>> {
  loading[LOADING] = (loading[LOADING] ?? 0) + 1;
  try {
    return (await import(/* @vite-ignore */ url)) as Readonly<Record<string, unknown>>;
  } finally {
    loading[LOADING]--;
  }
}

/** Why race() has refused what a module exports; null where it has not. */
export const refusalOf = (spec: object): string | null => (spec as { [REFUSED]?: string })[REFUSED] ?? null;

/** Throws UsageError, one line, when a part is missing or wrong. */
export function race<const S extends SharedSpec = Record<never, number>, const E extends string = never>(
  input: RaceInput<S, E>,
): RaceSpec {
  try {
    return made(input as unknown as RaceInput);
  } catch (error) {
    if (!(error instanceof UsageError) || (loading[LOADING] ?? 0) === 0) throw error;
    return Object.defineProperty({ ...(input as object) }, REFUSED, { value: error.message }) as unknown as RaceSpec;
  }
}

function made(input: RaceInput): RaceSpec {
  const given: unknown = input;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new UsageError('the argument of race() must be an object: race({ id, threads: [...] })');
  }
  const defaults = { title: String(input.id), source: '', spec: [], machine: {}, cases: [] };
  // Functions that know the race's own variables are called with kernels that have them.
  const spec = { ...defaults, ...input } as unknown as RaceSpec;
  checkRace(spec);
  const file = callingFile();
  if (file !== null) modules.set(spec, file);
  return spec;
}
