/** A result as one line of JSON: the fields that DESIGN.md promises first, in its order, then the rest of the result. */
import type { RunResult } from '../lab/types.js';
import { formatKernelMessage, parseKernelMessage } from './dmesg.js';

export function resultToJson(result: RunResult): string {
  const { experiment, spec, mode, core, cpus, kernel, patches, outcome, expected, executions, exhausted } = result;
  const { seconds, replay, memoryHash, dmesg, ...more } = result;
  return JSON.stringify({
    ...{ experiment, spec, mode, core, cpus, kernel, patches, outcome, expected, executions, exhausted },
    ...{ seconds, replay, memoryHash, dmesg: dmesg.map((line) => formatKernelMessage(parseKernelMessage(line))) },
    ...more,
  });
}
