/**
 * Race modules: what a user writes. `race()` checks the shape and gives the types; it does nothing else.
 */
import { fileURLToPath } from 'node:url';
import type { Device } from '../cpu/device.js';
import { RACE_VARS } from '../cpu/hw.js';
import type { Kernel } from '../cpu/kernel.js';
import { DEVICE_LINES } from '../cpu/lines.js';
import { UsageError } from '../shared/errors.js';
import { OUTCOMES, type Outcome } from './types.js';

/** A machine as a race asks for it; what is left out gets the default of `lab/configure.ts`. */
export interface MachineSpec {
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
}

/** A configuration of the experiment, and what it claims to show there. */
export interface Case {
  /** A few words: 'unpinned', 'pinned on cortex-a9'. */
  readonly name: string;
  readonly machine?: MachineSpec;
  readonly outcome: Outcome | readonly Outcome[];
}

export type ThreadFn = (k: Kernel, index: number) => void;

/** A kernel thread of the race. A bare function runs on the CPU of its position in the list, modulo the CPUs. */
export interface ThreadSpec {
  readonly run: ThreadFn;
  readonly cpu: number;
  /** Name for reports. */
  readonly name?: string;
  /** Address space: threads with the same number share one; 0, the default, is a kernel thread. */
  readonly mm?: number;
}

export interface RaceSpec {
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
  /** Words that the functions of the race share outside the emulated memory: `k.vars.pageA`. */
  readonly vars?: readonly string[];
  /** Builds the situation: on CPU 0, before each execution, nothing else runs. */
  readonly setup?: (k: Kernel) => void;
  /** Run concurrently; capture nothing from outside. */
  readonly threads:
    | readonly (ThreadFn | ThreadSpec)[]
    | ((machine: { readonly cpus: number }) => readonly (ThreadFn | ThreadSpec)[]);
  /** Interrupt handlers by line, 0 to 15. */
  readonly irqs?: Readonly<Record<number, (k: Kernel) => void>>;
  /** Actions of soft interrupts by vector, see `Softirq`: there on every CPU before anything can raise them. */
  readonly softirqs?: Readonly<Record<number, (k: Kernel) => void>>;
  /** Bus masters: each runs in a worker of its own. */
  readonly devices?: readonly ((d: Device) => void)[];
  /** The oracle, on CPU 0 when all have ended. Reports by `wrongBytes()` and `report()`. */
  readonly check?: (k: Kernel) => void;
}

const ID = /^[a-z0-9][a-z0-9-]*$/;

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
  vars: true,
  setup: true,
  threads: true,
  irqs: true,
  softirqs: true,
  devices: true,
  check: true,
});
const CASE_KEYS = keysOf<Case>({ name: true, machine: true, outcome: true });
const MACHINE_KEYS = keysOf<MachineSpec>({
  core: true,
  cpus: true,
  kernel: true,
  patches: true,
  pkmapSlots: true,
  lowmemPages: true,
  dmaPages: true,
  highmemPages: true,
  watermarks: true,
  debugHighmem: true,
  preempt: true,
  ticketLocks: true,
  hz: true,
  bufferBytes: true,
});

/** What a user has to give: the rest has defaults. */
export type RaceInput = Pick<RaceSpec, 'id' | 'threads'> & Partial<RaceSpec>;

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

/** Define a race. Throws UsageError when a part is missing. */
export function race(input: RaceInput): RaceSpec {
  const wrong = (what: string): never => {
    throw new UsageError(`race ${String(input?.id ?? '(without id)')}: ${what}`);
  };
  if (typeof input !== 'object' || input === null) wrong('the argument of race() must be an object');
  const spec: RaceSpec = { title: input.id, source: '', spec: [], machine: {}, cases: [], ...input };
  const known = (what: string, object: object, keys: readonly string[]): void => {
    const stray = Object.keys(object).find((key) => !keys.includes(key));
    if (stray !== undefined) wrong(`${what} has no "${stray}"; it has ${keys.join(', ')}`);
  };
  known('a race', spec, RACE_KEYS);
  if (typeof spec.id !== 'string' || !ID.test(spec.id)) wrong('id must be lower-case words joined by "-"');
  const threads = spec.threads;
  if (typeof threads !== 'function' && (!Array.isArray(threads) || threads.length === 0)) {
    wrong('threads must be a non-empty list of functions, or a function that returns one');
  }
  for (const name of ['setup', 'check'] as const) {
    if (spec[name] !== undefined && typeof spec[name] !== 'function') wrong(`${name} must be a function`);
  }
  for (const name of ['title', 'source'] as const) if (typeof spec[name] !== 'string') wrong(`${name} must be a text`);
  for (const name of ['spec', 'cases'] as const) {
    if (!Array.isArray(spec[name])) wrong(`${name} must be a list; it may be empty`);
  }
  if (typeof spec.machine !== 'object' || spec.machine === null) wrong('machine must be an object; it may be empty');
  for (const machine of [spec.machine, spec.smallest ?? {}, ...spec.cases.map((c) => c.machine ?? {})]) {
    known('a machine', machine, MACHINE_KEYS);
  }
  for (const one of spec.cases) {
    known('a case', one, CASE_KEYS);
    const claimed = [one.outcome].flat().find((o) => !OUTCOMES.includes(o));
    if (one.outcome === undefined || claimed !== undefined) {
      wrong(`case "${one.name}" claims the outcome "${claimed}"; it is one of ${OUTCOMES.join(', ')}`);
    }
  }
  if ((spec.vars?.length ?? 0) > RACE_VARS) wrong(`vars may be ${RACE_VARS} names, not ${spec.vars?.length}`);
  for (const line of Object.keys(spec.irqs ?? {}).map(Number)) {
    if (!(line >= 0 && line < DEVICE_LINES)) wrong(`irqs are for the lines 0 to ${DEVICE_LINES - 1}, not ${line}`);
  }
  const file = callingFile();
  if (file !== null) modules.set(spec, file);
  return spec;
}
