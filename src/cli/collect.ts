/** Results on their way to the user: nothing that was collected is lost, however the run ends. */
import { writeFileSync } from 'node:fs';
import type { RunResult } from '../lab/types.js';
import { printDmesg } from '../report/dmesg.js';
import { resultToJson } from '../report/json.js';
import { measuredTable, plotOf } from '../report/measured.js';
import { hasColour } from '../report/output.js';
import { svgPlot } from '../report/plot.js';
import type { ProgressDisplay } from '../report/progress.js';
import { resultName, resultText } from '../report/result.js';
import { caseTable, cpuTable, verdict } from '../report/table.js';
import { UsageError } from '../shared/errors.js';
import type { Host } from './host.js';
import type { Interrupt } from './interrupt.js';
import { quote } from './options.js';

const DMESG_LINES_MAX = 40;

export interface CollectOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** File for the plot of what was measured. */
  readonly svg?: string;
}

/** Print @results as they come and the tables at the end, whatever ends the run. Answers with the exit status. */
export async function collect(
  host: Host,
  results: AsyncIterable<RunResult>,
  options: CollectOptions,
  progress: ProgressDisplay,
  interrupt: Interrupt,
): Promise<number> {
  const collected: RunResult[] = [];
  const colour = hasColour(host.stdout, host.env);
  try {
    for await (const result of results) {
      progress.clear();
      collected.push(result);
      printResult(host, result, options);
      if (interrupt.signal.aborted) break;
    }
  } catch (error) {
    if (!interrupt.signal.aborted || !isAbort(error)) throw error;
  } finally {
    progress.clear();
    if (!options.json && collected.length > 0) {
      host.stdout.write(`\n${cpuTable(collected, colour)}\n${caseTable(collected, colour)}\n${verdict(collected)}\n`);
    }
  }
  if (options.svg !== undefined) drawPlot(host, options.svg, collected);
  const stopped = interrupt.exitCode();
  if (stopped !== null) {
    if (collected.length === 0) host.stderr.write('murphy: interrupted before the first result\n');
    return stopped;
  }
  const broken = collected.find((result) => result.error !== null);
  if (broken !== undefined) {
    throw new UsageError(`${resultName(broken)} ended early: ${broken.error}; what it had collected is shown`);
  }
  return collected.every((result) => result.expected) ? 0 : 1;
}

/** What all cases have measured, in one picture. */
function drawPlot(host: Host, file: string, results: readonly RunResult[]): void {
  const plot = plotOf(results);
  if (plot === null) throw new UsageError('--svg: nothing was measured; only races with "measures" measure something');
  try {
    writeFileSync(file, svgPlot(plot));
  } catch (error) {
    throw new UsageError(`cannot write ${quote(file)}: ${error instanceof Error ? error.message : String(error)}`);
  }
  host.stderr.write(`murphy: wrote ${file}\n`);
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';

function printResult(host: Host, result: RunResult, options: CollectOptions): void {
  const log = options.json ? host.stderr : host.stdout;
  if (options.json) host.stdout.write(`${resultToJson(result)}\n`);
  else host.stdout.write(`\n${resultText(result, hasColour(host.stdout, host.env))}`);
  if (!options.json && result.measured !== undefined) {
    host.stdout.write(`\n${measuredTable(result.measured, hasColour(host.stdout, host.env))}`);
  }
  if (!options.quiet) {
    printDmesg(log, result.dmesg, { linesMax: DMESG_LINES_MAX, colour: hasColour(log, host.env) });
  }
}
