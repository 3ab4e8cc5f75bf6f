/**
 * `npm run strategies`: explore every defect of defects.ts by every strategy, from 20 seeds each, and write the tables of docs/strategies.md. Counts of
 * executions are the same on any host; seconds are not in it. What has been counted is kept until the table is whole, so that one that was
 * stopped goes on.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { explore } from '../src/index.js';
import { loadRace, packageRoot } from '../src/lab/modules.js';
import { explorerHash, modelHash, sourceHash } from '../src/lab/source-hash.js';
import { DEFECTS, type Defect, EQUIVALENT, EXECUTIONS_MAX, SEARCHERS, type Searcher, SLOW } from './defects.js';

const FILE = `${packageRoot()}/docs/strategies.md`;
const KEPT = `${packageRoot()}/node_modules/.cache/murphy/strategies.jsonl`;
const BEGIN = '<!-- npm run strategies writes from here -->';
const END = '<!-- to here -->';
/** Of a mutant that is none, from each seed. */
const EQUIVALENT_EXECUTIONS = 100;

/** Executions until a defect was seen, given up ones included, by seed; null when there was an end without it. */
type Counts = readonly (number | null)[];

const cells = new Map<string, Counts>();

async function keyOf(defect: Defect, searcher: Searcher, seeds: number): Promise<string> {
  const { url } = await loadRace(defect.id);
  return [defect.name, searcher.name, seeds, EXECUTIONS_MAX, sourceHash(url), modelHash(), explorerHash()].join(' ');
}

function restore(): void {
  if (!existsSync(KEPT)) return;
  for (const line of readFileSync(KEPT, 'utf8').split('\n')) {
    if (!line.endsWith('}')) continue;
    const { key, counts } = JSON.parse(line) as { key: string; counts: Counts };
    cells.set(key, counts);
  }
}

/** One exploration for each seed, or what was kept of them. */
async function counted(
  defect: Defect,
  searcher: Searcher,
  seeds: number,
  one: (seed: number) => Promise<number | null>,
): Promise<Counts> {
  const key = await keyOf(defect, searcher, seeds);
  const kept = cells.get(key);
  if (kept !== undefined) return kept;
  const counts: (number | null)[] = [];
  for (let seed = 1; seed <= seeds; seed++) counts.push(await one(seed));
  appendFileSync(KEPT, `${JSON.stringify({ key, counts })}\n`);
  return counts;
}

async function executionsTo(defect: Defect, searcher: Searcher, seed: number): Promise<number | null> {
  const asked = { ...defect.options, ...searcher.options, seed, executions: EXECUTIONS_MAX };
  const found = await explore(defect.id, asked);
  return found.outcome === defect.outcome ? found.executions + found.abandoned : null;
}

/** Executions without a failure; null for a report of what is none. */
async function cleanExecutions(mutant: Defect, searcher: Searcher, seed: number): Promise<number | null> {
  const asked = { ...mutant.options, ...searcher.options, seed, executions: EQUIVALENT_EXECUTIONS };
  const result = await explore(mutant.id, asked);
  return result.outcome === 'clean' && result.error === null ? result.executions : null;
}

/** Of the sorted list; those that saw nothing come last. */
function median(counts: Counts): number {
  const sorted = counts.map((n) => n ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length - 1) / 2)] as number;
  return Math.round((low + (sorted[Math.floor(sorted.length / 2)] as number)) / 2);
}

function cellOf(counts: Counts): string {
  const middle = median(counts);
  const missed = counts.filter((n) => n === null).length;
  if (!Number.isFinite(middle)) return `> ${EXECUTIONS_MAX}`;
  return missed === 0 ? String(middle) : `${middle} (${missed} of ${counts.length} > ${EXECUTIONS_MAX})`;
}

/** What the table would have to be ashamed of. */
const wrong: string[] = [];

async function row(defect: Defect, seeds: number): Promise<string> {
  const shown: string[] = [];
  for (const searcher of SEARCHERS) {
    const counts = await counted(defect, searcher, seeds, (seed) => executionsTo(defect, searcher, seed));
    const slow = SLOW.some(([name, by]) => name === defect.name && by === searcher.name);
    if (!Number.isFinite(median(counts)) && !slow) wrong.push(`${searcher.name} does not find ${defect.name}`);
    shown.push(cellOf(counts));
    process.stderr.write(`${defect.name}, ${searcher.name}: ${shown.at(-1)}\n`);
  }
  return `| ${defect.name} | ${shown.join(' | ')} |`;
}

/** How many executions of the equivalent mutants there were, none of which was reported. */
async function equivalentExecutions(seeds: number): Promise<number> {
  let executions = 0;
  for (const mutant of EQUIVALENT) {
    for (const searcher of SEARCHERS) {
      const counts = await counted(mutant, searcher, seeds, (seed) => cleanExecutions(mutant, searcher, seed));
      if (counts.includes(null)) wrong.push(`${searcher.name} reports ${mutant.name}`);
      executions += counts.reduce<number>((sum, n) => sum + (n ?? 0), 0);
    }
    process.stderr.write(`${mutant.name}: ${executions} executions\n`);
  }
  return executions;
}

const HEAD = `| defect | ${SEARCHERS.map((s) => s.name).join(' | ')} |\n|---|${SEARCHERS.map(() => '--:').join('|')}|`;

/** Return: exit status, 1 when a strategy does not find a defect within the executions, or reports a mutant that is none. */
export async function main(seeds: number): Promise<number> {
  mkdirSync(dirname(KEPT), { recursive: true });
  restore();
  const rows: string[] = [];
  for (const defect of DEFECTS) rows.push(await row(defect, seeds));
  const clean = await equivalentExecutions(seeds);
  const note =
    `Medians over ${seeds} seeds, of at most ${EXECUTIONS_MAX} executions each. Of the ${EQUIVALENT.length} equivalent mutants of E5c none was reported, ` +
    `in ${clean} executions of all strategies.`;
  for (const line of wrong) process.stderr.write(`${line}\n`);
  if (wrong.length > 0) return 1;
  const text = readFileSync(FILE, 'utf8');
  const [before, rest] = text.split(BEGIN) as [string, string];
  const after = rest.split(END)[1] as string;
  writeFileSync(FILE, `${before}${BEGIN}\n\n${HEAD}\n${rows.join('\n')}\n\n${note}\n\n${END}${after}`);
  rmSync(KEPT);
  return 0;
}
