/** What the main thread sends to the workers of an exploration beyond the job, and what each worker makes of it. */
import type { MachineView } from '../lab/deadlock.js';
import { struct_thread_info } from '../mm/boot.js';
import { Footprint } from '../shared/footprint.js';
import { type ExLayout, layoutEx, type Wants } from './shared-state.js';
import { type Shadows, StateHash } from './state-hash.js';
import type { StrategyOptions } from './strategy.js';

export interface ExploreJob {
  readonly buffer: SharedArrayBuffer;
  readonly stepsMax: number;
  readonly strategy: StrategyOptions;
  readonly wants: Wants;
  readonly shadows: Shadows | null;
  /** Record what happens, for an explanation: the word that puts the events of all workers in order. */
  readonly history: SharedArrayBuffer | null;
  /** Only a failure of this signature ends the exploration. */
  readonly wanted: string | null;
  /** Of failures with the same signature keep the one with the shortest schedule, not the first. */
  readonly shortest: boolean;
  /** File to which a line is added for each execution. */
  readonly log: string | null;
  /** Executions that were begun before a checkpoint. */
  readonly begun: number;
}

/** The shared words of an exploration, and what notes the steps of one context. */
export interface ControlledPart {
  readonly ex: Int32Array;
  readonly layout: ExLayout;
  readonly footprint: Footprint | null;
  readonly stateHash: StateHash | null;
}

/** @devices: how many the race has. */
export function controlledPart(
  job: ExploreJob,
  view: MachineView,
  staticWords: number,
  devices: number,
): ControlledPart {
  const layout = layoutEx(job.stepsMax, job.wants, view.config.threadsMax, devices);
  const ex = new Int32Array(job.buffer);
  const { footprints, states } = job.wants;
  return {
    ex,
    layout,
    footprint: footprints || states ? new Footprint(staticWords, states) : null,
    stateHash: job.shadows === null ? null : new StateHash(view, ex, layout, job.shadows),
  };
}

/** preempt_count of a thread, from its thread_info. */
export function preemptCounts({ words, sym, config }: MachineView): (slot: number) => number {
  const { sizeof, preempt_count } = struct_thread_info;
  const first = (sym.thread_infos - config.pageOffset + preempt_count.offset) >>> 2;
  return (slot) => words[first + slot * (sizeof >>> 2)] as number;
}
