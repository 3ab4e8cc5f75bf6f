/** A failing schedule in words: who ran from where to where, in few lines. */

import { Ev } from '../cpu/tracer.js';
import { configureRace } from '../lab/configure.js';
import { symbolOf } from '../lab/deadlock.js';
import type { RaceSpec } from '../lab/race.js';
import { layoutStatics } from '../mm/boot.js';
import { type Point, pointName } from '../shared/point.js';
import type { ExploreResult } from './explore.js';
import { machineOf, type ReplayFile } from './replay-file.js';
import { Choice, choiceName, STEP_WORDS } from './shared-state.js';

/** Steps of one context in a row. */
interface Segment {
  readonly context: string;
  readonly first: number;
  last: number;
}

/** Consecutive steps of the same context; the start of an interrupt or a preemption begins a new one. */
function segmentsOf(result: ExploreResult): Segment[] {
  const segments: Segment[] = [];
  for (let step = 0; step * STEP_WORDS < result.trace.length; step++) {
    const choice = result.trace[step * STEP_WORDS] as number;
    const context = choiceName(choice);
    const open = segments.at(-1);
    if (open !== undefined && open.context === context && choice < Choice.irq) open.last = step;
    else segments.push({ context, first: step, last: step });
  }
  return segments;
}

/**
 * The interleaving of a failing execution, a line for each stretch that one context ran: its steps, the functions at both ends, and what
 * its last step touched. @result: of a replay with its history.
 */
export function explain(race: RaceSpec, recorded: ReplayFile, result: ExploreResult): string[] {
  const { config } = configureRace(race, null, machineOf(recorded), true);
  const { sym } = layoutStatics(config);
  const functions = new Map(result.history.events.filter((e) => e.what === Ev.step).map((e) => [e.step, e.stack]));
  const at = (step: number): string => functions.get(step)?.slice(0, 2).join(' < ') || 'its own code';
  const touched = (step: number): string => {
    const kind = result.trace[step * STEP_WORDS + 1] as Point;
    const addr = (result.trace[step * STEP_WORDS + 2] as number) >>> 0;
    return `${pointName(kind)} ${symbolOf({ sym }, addr)}`;
  };
  const lines = segmentsOf(result).map((s) => {
    const range = s.first === s.last ? `step ${s.first}` : `steps ${s.first}-${s.last}`;
    const ends = s.first === s.last || at(s.first) === at(s.last) ? at(s.last) : `${at(s.first)} ... ${at(s.last)}`;
    return `${s.context.padEnd(14)} ${range.padEnd(16)} ${ends} (${touched(s.last)})`;
  });
  return [...lines, `${result.outcome}: ${result.failure?.message ?? ''}`];
}
