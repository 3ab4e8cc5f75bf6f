/**
 * `npm run strategies`: explore every defect of defects.ts by every strategy, from 20 seeds each, and write the tables of docs/strategies.md. Counts of
 * executions are the same on any host; seconds are not in it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { explore } from '../src/index.js';
import { packageRoot } from '../src/lab/modules.js';
import { DEFECTS, type Defect, SEARCHERS, type Searcher } from './defects.js';

const EXECUTIONS_MAX = 3000;
const FILE = `${packageRoot()}/docs/strategies.md`;
const BEGIN = '<!-- npm run strategies writes from here -->';
const END = '<!-- to here -->';

/** Executions until the defect was seen, given up ones included; null when there was an end without it. */
async function executionsTo(defect: Defect, searcher: Searcher, seed: number): Promise<number | null> {
  const found = await explore(defect.id, {
    ...defect.options,
    ...searcher.options,
    seed,
    executions: EXECUTIONS_MAX,
  });
  return found.outcome === defect.outcome ? found.executions + found.abandoned : null;
}

/** Of the sorted list; those that saw nothing come last. */
function median(counts: readonly (number | null)[]): string {
  const sorted = counts.map((n) => n ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)] as number;
  const high = sorted[Math.floor(sorted.length / 2)] as number;
  const missed = counts.filter((n) => n === null).length;
  const middle = Number.isFinite(high) ? String(Math.round((low + high) / 2)) : `> ${EXECUTIONS_MAX}`;
  return missed === 0 || !Number.isFinite(high)
    ? middle
    : `${middle} (${missed} of ${counts.length} > ${EXECUTIONS_MAX})`;
}

async function row(defect: Defect, seeds: number): Promise<string> {
  const cells: string[] = [];
  for (const searcher of SEARCHERS) {
    const counts: (number | null)[] = [];
    for (let seed = 1; seed <= seeds; seed++) counts.push(await executionsTo(defect, searcher, seed));
    cells.push(median(counts));
    process.stderr.write(`${defect.name}, ${searcher.name}: ${cells.at(-1)}\n`);
  }
  return `| ${defect.name} | ${cells.join(' | ')} |`;
}

const HEAD = `| defect | ${SEARCHERS.map((s) => s.name).join(' | ')} |\n|---|${SEARCHERS.map(() => '--:').join('|')}|`;

export async function main(seeds: number): Promise<void> {
  const rows: string[] = [];
  for (const defect of DEFECTS) rows.push(await row(defect, seeds));
  const text = readFileSync(FILE, 'utf8');
  const [before, rest] = text.split(BEGIN) as [string, string];
  const after = rest.split(END)[1] as string;
  const note = `Medians over ${seeds} seeds.`;
  writeFileSync(FILE, `${before}${BEGIN}\n\n${HEAD}\n${rows.join('\n')}\n\n${note}\n\n${END}${after}`);
}
