/** Results on their way to the user: nothing that was collected is lost, however the run ends. */
import type { RunResult } from '../lab/types.js';
import { printDmesg } from '../report/dmesg.js';
import { resultToJson } from '../report/json.js';
import { measuredTable } from '../report/measured.js';
import { hasColour } from '../report/output.js';
import type { ProgressDisplay } from '../report/progress.js';
import { resultName, resultText } from '../report/result.js';
import { caseTable, cpuTable, verdict } from '../report/table.js';
import { UsageError } from '../shared/errors.js';
import { CiOutput } from './ci.js';
import type { Host } from './host.js';
import { type Interrupt, stoppedStatus, unlessStopped } from './interrupt.js';

const DMESG_LINES_MAX = 40;

export interface CollectOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly ktap?: boolean;
  readonly junit?: string;
}

/** Print @results as they come and the tables at the end, whatever ends the run. Answers with the exit status. */
export async function collect(
  host: Host,
  results: AsyncIterable<RunResult>,
  options: CollectOptions,
  progress: ProgressDisplay,
  interrupt: Interrupt,
): Promise<number> {
  const ci = new CiOutput(host, 'murphy stress', options);
  const collected: RunResult[] = [];
  const colour = hasColour(host.stdout, host.env);
  ci.begin(null);
  try {
    for await (const result of results) {
      progress.clear();
      collected.push(result);
      ci.add(result);
      if (!ci.ktap) printResult(host, result, options);
      if (interrupt.signal.aborted) break;
    }
  } catch (error) {
    unlessStopped(interrupt)(error);
  } finally {
    progress.clear();
    ci.end();
    if (!options.json && !ci.ktap && collected.length > 0) {
      host.stdout.write(`\n${cpuTable(collected, colour)}\n${caseTable(collected, colour)}\n${verdict(collected)}\n`);
    }
  }
  const stopped = interrupt.exitCode();
  if (stopped !== null) return stoppedStatus(host, stopped, collected.length);
  const broken = collected.find((result) => result.error !== null);
  if (broken !== undefined) {
    throw new UsageError(`${resultName(broken)} ended early: ${broken.error}; what it had collected is shown`);
  }
  return collected.every((result) => result.expected) ? 0 : 1;
}

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
