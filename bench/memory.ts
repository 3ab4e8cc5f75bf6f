/**
 * `npm run bench -- memory [EXECUTIONS]`: does the explorer's own memory grow with the executions that it makes? A random walk over a race of
 * two threads; heaps of all workers after a garbage collection, and resident memory, at a tenth of the way and at its end.
 */
import Table from 'cli-table3';
import { explore } from '../src/explore/explore.js';
import { builtFile } from '../src/lab/modules.js';

export const EXECUTIONS = 1_000_000;
/** Bytes of heap for each execution above which it grows, less than the smallest thing that could be kept; and what compiling takes. */
const GROWTH_MAX = 4;
const COMPILED = 1 << 20;

/** Return: exit status, 1 when the heaps grow. */
export async function memory(executions: number, json: boolean): Promise<number> {
  const result = await explore(builtFile('bench', 'bare-race.js'), {
    strategy: builtFile('bench', 'watched-walk.js'),
    stepsExpected: executions,
    ...{ cpus: 2, executions, keepGoing: true },
  });
  const { heapKb1 = 0, heapKb2 = 0, residentKb1 = 0, residentKb2 = 0, isolates1 = 0, isolates2 = 0 } = result.stats;
  const grown = (heapKb2 - heapKb1) * 1024;
  const perExecution = grown / (executions * 0.9);
  const grows = grown > Math.max(COMPILED, executions * GROWTH_MAX) || isolates1 !== isolates2;
  if (json) {
    const { executionsPerSecond } = result;
    const kb = { heap: [heapKb1, heapKb2], resident: [residentKb1, residentKb2] };
    process.stdout.write(
      `${JSON.stringify({ name: 'memory', executions, executionsPerSecond, kb, perExecution, grows })}\n`,
    );
  } else {
    const table = new Table({ head: ['after executions', `heaps of ${isolates2} workers, KB`, 'resident, KB'] });
    table.push([Math.floor(executions / 10), heapKb1, residentKb1], [executions, heapKb2, residentKb2]);
    process.stdout.write(`${table.toString()}\n`);
    process.stdout.write(
      `${perExecution.toFixed(2)} bytes of heap for each execution: ${grows ? 'it grows' : 'it does not grow'}\n`,
    );
  }
  return grows ? 1 : 0;
}
