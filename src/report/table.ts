/** The tables and the verdict at the end of a run. */
import Table from 'cli-table3';
import picocolors from 'picocolors';
import type { CpuStats, RunResult } from '../lab/types.js';
import { count, plural } from './output.js';
import { failureCount, outcomeText, resultName, saysNothing } from './result.js';

type Cell = string | { readonly content: string; readonly hAlign: 'right' };

const right = (content: string): Cell => ({ content, hAlign: 'right' });

/** No rules, two blanks between columns: lines that can be cut and pasted. */
const PLAIN = {
  chars: {
    ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
    ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
    ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ' },
  },
  style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
};

export function table(head: readonly Cell[], rows: readonly (readonly Cell[])[], colour = false): string {
  const bold = picocolors.createColors(colour).bold;
  const heads = head.map((cell) => (typeof cell === 'string' ? bold(cell) : { ...cell, content: bold(cell.content) }));
  const built = new Table(PLAIN);
  built.push(heads, ...rows.map((row) => [...row]));
  return `${built
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

/** A row per case: what ran where, and how it ended. */
export function caseTable(results: readonly RunResult[], colour = false): string {
  const colours = picocolors.createColors(colour);
  const expected = (result: RunResult): string => {
    if (saysNothing(result)) return '-';
    if (result.claimed === null) return 'no claim';
    return result.expected ? colours.green('yes') : colours.red('NO');
  };
  const rows = results.map((result) => [
    result.experiment,
    result.caseName ?? '',
    result.core,
    result.kernel,
    right(count(result.cpus)),
    right(count(result.executions)),
    right(count(failureCount(result))),
    (saysNothing(result) ? 'none' : result.outcome) + (result.interrupted ? ' (interrupted)' : ''),
    expected(result),
  ]);
  const head = ['experiment', 'case', 'core', 'kernel', right('CPUs'), right('executions'), right('failures')];
  return table([...head, 'outcome', 'expected'], rows, colour);
}

/** A row per simulated CPU, summed over all results. */
export function cpuTable(results: readonly RunResult[], colour = false): string {
  const totals = sumPerCpu(results);
  const rows = totals.map(({ stats, seconds }) => [
    `CPU${stats.cpu}`,
    ...[
      stats.ops === 0 ? '-' : count(stats.ops / Math.max(seconds, 1e-6)),
      count(stats.interrupts),
      count(stats.ipis),
      count(stats.lockAcquired),
      contention(stats),
      count(stats.fills),
      count(stats.writeBacks),
      count(stats.evictions),
      count(stats.invalidatedDirty),
      count(stats.tlbMisses),
      count(stats.switches),
    ].map(right),
  ]);
  const head = ['ops/s', 'interrupts', 'IPIs', 'locks', 'contended', 'fills', 'write-backs', 'evictions'];
  return table(['CPU', ...[...head, 'dirty lost', 'TLB misses', 'switches'].map(right)], rows, colour);
}

function contention({ lockAcquired, lockContended }: CpuStats): string {
  const percent = lockAcquired === 0 ? 0 : (100 * lockContended) / lockAcquired;
  return `${count(lockContended)} (${percent.toFixed(1)}%)`;
}

interface CpuTotal {
  stats: CpuStats;
  /** How long there was such a CPU. */
  seconds: number;
}

function sumPerCpu(results: readonly RunResult[]): CpuTotal[] {
  const totals = new Map<number, CpuTotal>();
  for (const { cpuStats, seconds } of results) {
    for (const stats of cpuStats) {
      const total = totals.get(stats.cpu);
      if (total === undefined) totals.set(stats.cpu, { stats, seconds });
      else totals.set(stats.cpu, { stats: add(total.stats, stats), seconds: total.seconds + seconds });
    }
  }
  return [...totals.values()].sort((a, b) => a.stats.cpu - b.stats.cpu);
}

function add(a: CpuStats, b: CpuStats): CpuStats {
  const sum: Record<string, number> = {};
  for (const key of Object.keys(a) as (keyof CpuStats)[]) sum[key] = a[key] + b[key];
  return { ...a, ...sum, cpu: a.cpu };
}

/** One line: does what was seen agree with what the experiments claim? */
export function verdict(results: readonly RunResult[]): string {
  const said = results.filter((result) => !saysNothing(result));
  if (said.length === 0) return 'verdict: none, interrupted before anything came to its end';
  const wrong = said.filter((result) => !result.expected);
  const cut = results.some((result) => result.interrupted) ? ', interrupted' : '';
  if (wrong.length === 0) {
    const silent = said.filter((result) => result.claimed === null).length;
    const note = silent === 0 ? '' : ` (${silent} without a claim)`;
    return `verdict: ${plural(said.length, 'case')}, every outcome as claimed${note}${cut}`;
  }
  const list = wrong.map((result) => `${resultName(result)}: ${outcomeText(result)}`).join('; ');
  return `verdict: ${wrong.length} of ${plural(said.length, 'case')} not as claimed${cut}: ${list}`;
}
