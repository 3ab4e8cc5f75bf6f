/** A result as one line of JSON: the fields that DESIGN.md promises first, in its order, then the rest of the result. */
import type { ExploreResult } from '../explore/explore.js';
import type { RunResult } from '../lab/types.js';
import { formatKernelMessage, parseKernelMessage } from './dmesg.js';

export function resultToJson(result: RunResult): string {
  const { experiment, spec, mode, core, cpus, kernel, patches, outcome, expected, executions, exhausted } = result;
  const { seconds, replay, memoryHash, dmesg, traced: _, ...more } = result;
  return JSON.stringify({
    ...{ experiment, spec, mode, core, cpus, kernel, patches, outcome, expected, executions, exhausted },
    ...{ seconds, replay, memoryHash, dmesg: dmesg.map((line) => formatKernelMessage(parseKernelMessage(line))) },
    ...more,
  });
}

/** A distinct failure as `--json` shows it, and the replay file that it went to. */
export interface ShownFailure {
  readonly signature: string;
  readonly count: number;
  readonly outcome: string;
  readonly message: string;
  readonly preemptions: number;
  readonly replay: string | null;
  /** Has the replay file, run again at once, shown the same? Not there where it could not be run. */
  readonly reproduced?: boolean;
}

/** A result of controlled mode: the same fields first; not the schedule and the trace, which the replay file stands for. */
export function exploreToJson(result: ExploreResult, replay: string | null, more: object = {}): string {
  const { experiment, spec, mode, core, cpus, kernel, patches, outcome, expected, executions, exhausted } = result;
  const { seconds, memoryHash, dmesg, schedule: _, trace: __, history: ___, failures: ____, machine, ...rest } = result;
  return JSON.stringify({
    ...{ experiment, spec, mode, core, cpus, kernel, patches, outcome, expected, executions, exhausted },
    ...{ seconds, replay, memoryHash, dmesg },
    ...{ ...rest, machine: { ...machine, core: machine.core.id } },
    ...more,
  });
}
