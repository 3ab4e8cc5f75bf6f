/** One result in words: what ran, how it ended, and the first failure with the bytes that it lost. */
import picocolors from 'picocolors';
import type { MachineSpec } from '../lab/race.js';
import type { Failure, RunResult } from '../lab/types.js';
import { count, hex, oneLine, plural } from './output.js';

/** Executions that did not end clean. */
export function failureCount(result: RunResult): number {
  return Object.entries(result.outcomes).reduce((sum, [outcome, n]) => sum + (outcome === 'clean' ? 0 : n), 0);
}

/** `17 failures`; `480 failures (20 wrong-bytes, 460 oops)` when they differ. */
function failuresText(result: RunResult): string {
  const kinds = Object.entries(result.outcomes).filter(([outcome, n]) => outcome !== 'clean' && n > 0);
  const total = plural(failureCount(result), 'failure');
  if (kinds.length < 2) return total;
  return `${total} (${kinds.map(([outcome, n]) => `${count(n)} ${outcome}`).join(', ')})`;
}

/** `2009-03-kmap-recycle-lost-bytes (unpinned)`. */
export function resultName(result: Pick<RunResult, 'experiment' | 'caseName'>): string {
  return result.caseName === null ? result.experiment : `${result.experiment} (${result.caseName})`;
}

/** Stopped before anything came to its end: there is nothing that could be as claimed, or not. */
export const saysNothing = (result: Pick<RunResult, 'interrupted' | 'executions' | 'failure'>): boolean =>
  result.interrupted && result.executions === 0 && result.failure === null;

/** `wrong-bytes, as claimed`; `clean, but wrong-bytes or oops was claimed`. */
export function outcomeText(result: RunResult): string {
  if (saysNothing(result)) return 'nothing has come to its end';
  if (result.claimed === null) return `${result.outcome}, and nothing was claimed`;
  if (result.expected) return `${result.outcome}, as claimed`;
  return `${result.outcome}, but ${result.claimed.join(' or ')} was claimed`;
}

/** A paragraph per result. */
export function resultText(result: RunResult, colour = false): string {
  const colours = picocolors.createColors(colour);
  const paint = saysNothing(result) ? String : result.expected ? colours.green : colours.red;
  const machine = [result.core, result.kernel, plural(result.cpus, 'CPU'), `${result.seconds.toFixed(1)} s`].join(', ');
  const counts = `${plural(result.executions, 'execution')}, ${failuresText(result)}`;
  const lines = [
    colours.bold(resultName(result)),
    `  ${machine}: ${counts}${result.interrupted ? ', interrupted' : ''}: ${paint(outcomeText(result))}`,
  ];
  if (result.patches.length > 0) lines.push(`  patches: ${result.patches.join(', ')}`);
  const set = settingsText(result.settings ?? {});
  if (set !== '') lines.push(`  set: ${set}`);
  if (result.failure !== null) lines.push(...failureText(result.failure).map((line) => `  ${line}`));
  for (const line of result.explanation ?? []) lines.push(`  ${line}`);
  if (result.error !== null) lines.push(`  ended early: ${oneLine(result.error)}`);
  if (result.trace !== undefined) lines.push(`  trace: ${result.trace}`);
  if (result.replay !== null) lines.push(`  replay: ${result.replay}`);
  return `${lines.join('\n')}\n`;
}

/** `slubDebug=ZPU, parameters.partial=6`. */
function settingsText({ parameters = {}, ...machine }: MachineSpec): string {
  const text =
    (prefix: string) =>
    ([key, value]: [string, unknown]) =>
      `${prefix}${key}=${String(value)}`;
  return [...Object.entries(machine).map(text('')), ...Object.entries(parameters).map(text('parameters.'))].join(', ');
}

/** The failure in lines: the message, the bytes, and who held what. */
export function failureText(failure: Failure): string[] {
  const { pfn, offset, expected, seen, cpu, addr } = failure;
  const lines = [
    `first failure, ${failure.outcome} in execution ${count(failure.execution)}: ${oneLine(failure.message)}`,
  ];
  const place = [
    pfn === undefined ? '' : `page frame ${hex(pfn, 1)}`,
    offset === undefined ? '' : `offset ${hex(offset, 3)}`,
    expected === undefined ? '' : `expected ${hex(expected, 2)}`,
    seen === undefined ? '' : `seen ${hex(seen, 2)}`,
    cpu === undefined ? '' : `CPU${cpu}`,
    addr === undefined ? '' : `address V${hex(addr, 8)}`,
  ].filter((part) => part !== '');
  // Where only the CPU is known that an assertion was made on, there is nothing to show.
  if (place.length > (cpu === undefined || failure.outcome !== 'report' ? 0 : 1)) lines.push(`  ${place.join(', ')}`);
  for (const line of failure.state ?? []) lines.push(`  ${line}`);
  return lines;
}
