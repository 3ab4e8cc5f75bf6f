/** What a run answers with: typed results, as the public API returns them and as `--json` prints them. */

import type { LockdepRules } from '../check/lockdep/rules.js';
import type { MachineConfig } from '../cpu/config.js';
import type { MachineSpec } from './race.js';
import type { History } from './recorder.js';
import type { Measured } from './samples.js';

/** In order of gravity. */
export const OUTCOMES = ['clean', 'report', 'warn', 'wrong-bytes', 'oops', 'bug', 'deadlock', 'hang'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** One execution that went wrong. */
export interface Failure {
  readonly outcome: Outcome;
  /** One line: what was lost, where. */
  readonly message: string;
  /** Which execution of the run, from 1. */
  readonly execution: number;
  /** Page frame, byte offset in it, and the byte expected and seen there (outcome wrong-bytes). */
  readonly pfn?: number;
  readonly offset?: number;
  readonly expected?: number;
  readonly seen?: number;
  readonly cpu?: number;
  readonly addr?: number;
  /** Functions that the CPU was in, innermost first. */
  readonly functions?: readonly string[];
  /** The checker that has reported it (outcome report): `lockdep`, `memory`, ... */
  readonly checker?: string;
  /** What every CPU held and waited for (outcomes deadlock and hang), a line each. */
  readonly state?: readonly string[];
}

/** What the workers of a run recorded of the execution whose failure it keeps. */
export interface Traced {
  readonly machine: MachineConfig;
  /** Names of the kernel threads, by slot. */
  readonly threads: ReadonlyMap<number, string>;
  readonly history: History;
}

/** Counters of one simulated CPU over a run. */
export interface CpuStats {
  readonly cpu: number;
  /** Kernel operations begun: kmap, kunmap, kmap_atomic, DMA maps, page allocations, ... */
  readonly ops: number;
  /** Hardware interrupts taken, inter-processor interrupts among them. */
  readonly interrupts: number;
  readonly ipis: number;
  readonly lockAcquired: number;
  readonly lockContended: number;
  /** Dirty granules written to memory by evictions and cleans. */
  readonly writeBacks: number;
  readonly fills: number;
  readonly evictions: number;
  /** Dirty lines thrown away by an invalidation. */
  readonly invalidatedDirty: number;
  readonly tlbMisses: number;
  readonly switches: number;
}

export interface Progress {
  readonly experiment: string;
  readonly caseName: string;
  readonly seconds: number;
  readonly secondsMax: number;
  readonly executions: number;
  readonly failures: number;
  readonly cpus: readonly CpuStats[];
}

export interface RunResult {
  readonly experiment: string;
  readonly title: string;
  /** The case of the experiment whose configuration this is, if any. */
  readonly caseName: string | null;
  readonly spec: readonly string[];
  readonly mode: 'parallel' | 'controlled';
  readonly core: string;
  readonly cpus: number;
  readonly kernel: string;
  /** Every patch in force. */
  readonly patches: readonly string[];
  /** What the user changed about the machine besides. */
  readonly settings?: MachineSpec;
  readonly outcome: Outcome;
  /** What the experiment claims for this configuration; null when it claims nothing. */
  readonly claimed: readonly Outcome[] | null;
  /** Is the outcome what the experiment claims? Where it claims nothing: is it clean? False when the run ended in an error. */
  readonly expected: boolean;
  readonly executions: number;
  /** How many executions ended in each outcome. */
  readonly outcomes: Readonly<Record<Outcome, number>>;
  readonly exhausted: boolean;
  readonly seconds: number;
  readonly seed: number;
  readonly replay: string | null;
  /** The failure as a schedule of controlled mode, in words: `run --explain`. */
  readonly explanation?: readonly string[];
  /** CRC-32 of the machine's memory after the last execution, hexadecimal. */
  readonly memoryHash: string;
  readonly failure: Failure | null;
  readonly dmesg: readonly string[];
  readonly cpuStats: readonly CpuStats[];
  /** What the last execution has measured, where the race measures something. */
  readonly measured?: Measured;
  /** With `events`: what happened before the failure. */
  readonly traced?: Traced;
  /** The file that it went to: `run --trace`. */
  readonly trace?: string;
  /** Was the run ended early (Ctrl-C, or a worker that died)? */
  readonly interrupted: boolean;
  /** What ended the run early, one line: a worker that died, a module that threw. The counts are what was collected before. */
  readonly error: string | null;
}

/** What a user asks of a machine; everything else comes from the experiment. */
export type MachineChoice = Pick<
  RunOptions,
  | 'cpus'
  | 'core'
  | 'kernel'
  | 'patches'
  | 'noPatches'
  | 'slab'
  | 'seed'
  | 'caseName'
  | 'machine'
  | 'settings'
  | 'check'
  | 'lockdepRules'
>;

/** What a user asks of a run. */
export interface RunOptions {
  readonly cpus?: number;
  readonly core?: string;
  readonly kernel?: string;
  /** CONFIG_SLUB or CONFIG_SLAB. */
  readonly slab?: 'slub' | 'slab';
  /** Checkers that watch, with commas between them: `lockdep`, `races`; `all` stands for all but `leak`. */
  readonly check?: string;
  /** Whose rules the lock validator follows; without, those of the kernel version. */
  readonly lockdepRules?: LockdepRules;
  /** Patches to add to, and to take away from, those that the version contains. */
  readonly patches?: readonly string[];
  readonly noPatches?: readonly string[];
  readonly seconds?: number;
  /** Go on for up to so many seconds while a failure that the experiment claims has not been seen. */
  readonly patienceSeconds?: number;
  /** Stop after so many executions. */
  readonly executions?: number;
  readonly seed?: number;
  /** Record what happens: so many events a worker are kept of the failing execution. Everything takes ten times as long. */
  readonly events?: number;
  /** Stop at the first failing execution. */
  readonly stopAtFailure?: boolean;
  /** Seconds after which an execution that makes no progress is reported. */
  readonly watchdogSeconds?: number;
  /** Properties of the machine over those of the experiment and its case; parameters have to be some that the experiment has. */
  readonly settings?: MachineSpec;
  /** The machine in full, over everything else: see exactMachine(). */
  readonly machine?: MachineSpec;
  /** The case to run, when not found from the configuration. */
  readonly caseName?: string;
  readonly onProgress?: (progress: Progress) => void;
  /** Ends the run early; the result says `interrupted`. */
  readonly signal?: AbortSignal;
}
