/**
 * `matrix [filter...]`: what the experiments claim against what is observed, case by case, on the kernels and patches that their metadata
 * names. A case runs in controlled mode where that settles it: a failure found, or no schedule left within the bound. Else it runs in
 * parallel mode as well, where a clean run says that nothing was found.
 */
import { type Command, Option } from 'commander';
import type { LockdepRules } from '../check/lockdep/rules.js';
import type { ExploreResult } from '../explore/explore.js';
import { isAsClaimed } from '../lab/claims.js';
import type { Case, RaceSpec } from '../lab/race.js';
import type { Failure, Outcome, RunResult } from '../lab/types.js';
import { count, hasColour, plural } from '../report/output.js';
import { table } from '../report/table.js';
import { StuckError, UsageError } from '../shared/errors.js';
import { addCiOptions, CiOutput } from './ci.js';
import type { CommandContext } from './command.js';
import { type Host, invocation } from './host.js';
import { type Interrupt, interruptible, stoppedStatus, unlessStopped } from './interrupt.js';
import type { Lab } from './lab.js';
import { addCheckOptions, checkOptions, quote, seconds, wholeNumber } from './options.js';
import { didYouMean } from './suggest.js';

const MODES = ['auto', 'controlled', 'parallel'] as const;
type Mode = (typeof MODES)[number];

/** Seconds for a case in each mode, and how long parallel mode goes on for a failure that is claimed and has not been seen. */
const SECONDS = 10;
const PARALLEL_SECONDS = 1;
const PATIENCE_SECONDS = 15;
const PREEMPTIONS = 2;

interface Options {
  mode: Mode;
  seconds?: number;
  preemptions?: number;
  seed?: number;
  check?: string;
  lockdep?: LockdepRules;
  json?: boolean;
  ktap?: boolean;
  junit?: string;
}

/** One case: claim and observation. */
export interface MatrixRow {
  readonly experiment: string;
  readonly caseName: string;
  readonly spec: readonly string[];
  readonly mode: 'controlled' | 'parallel';
  readonly core: string;
  readonly cpus: number;
  readonly kernel: string;
  readonly patches: readonly string[];
  readonly claimed: readonly Outcome[];
  readonly outcome: Outcome;
  /** Is the outcome one of those claimed? */
  readonly expected: boolean;
  readonly executions: number;
  /** No schedule is left within `preemptions`. */
  readonly exhausted: boolean;
  /** Controlled: those of the failing schedule, or the bound of the search; null in parallel mode. */
  readonly preemptions: number | null;
  readonly seconds: number;
  readonly failure: Failure | null;
  readonly error: string | null;
  /** The kernel's log of the failure. */
  readonly dmesg: readonly string[];
}

export function addMatrixCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('matrix')
    .argument(
      '[filter...]',
      'experiments, rows of a specification ("highmem/E1") or whole ones ("highmem"); default: all',
    )
    .summary('what the experiments claim against what is observed, case by case')
    .description(
      'Run every case of every experiment on the kernel and patches that it names, and compare outcome and claim. ' +
        'Controlled mode searches all schedules up to a number of preemptions; where that does not end in time, parallel mode runs as well.',
    )
    .addOption(
      new Option('--mode <name>', 'auto: controlled where it settles the case, else parallel; or one of the two')
        .choices([...MODES])
        .default('auto'),
    )
    .addOption(
      new Option('--preemptions <n>', `most preemptions of a schedule (default: ${PREEMPTIONS})`).argParser(
        wholeNumber('--preemptions', 0, 1000),
      ),
    )
    .addOption(
      new Option(
        '--seconds <s>',
        `for each case in each mode (default: ${SECONDS}, parallel ${PARALLEL_SECONDS})`,
      ).argParser(seconds('--seconds')),
    )
    .addOption(new Option('--seed <n>', 'seed of all chance').argParser(wholeNumber('--seed', 0, 0xffff_ffff)));
  addCiOptions(addCheckOptions(command))
    .option('--json', 'one JSON object a line on standard output')
    .action(async (filters: string[], options: Options) => {
      context.exitCode = await runMatrix(context.host, filters, options);
    });
}

async function runMatrix(host: Host, filters: readonly string[], options: Options): Promise<number> {
  const ci = new CiOutput(host, 'murphy matrix', options);
  const lab = await host.lab();
  const chosen = await ci.chosen(async () => filtered(host, await lab.listExperiments(), filters));
  return interruptible(
    host,
    () => {},
    async (interrupt) => {
      const rows: MatrixRow[] = [];
      ci.begin(chosen.map(({ id, cases }) => ({ group: id, cases: cases.map(({ name }) => name) })));
      try {
        for (const race of chosen) {
          for (const one of race.cases) {
            if (interrupt.signal.aborted) break;
            const row = await observe(lab, race, one, options, interrupt).catch(unlessStopped(interrupt));
            // Called off before it said anything: no observation.
            if (row === null || (interrupt.signal.aborted && row.outcome === 'clean')) break;
            rows.push(row);
            ci.add(row);
            if (!ci.ktap) print(host, row, options);
          }
        }
      } finally {
        ci.end();
        if (options.json !== true && !ci.ktap && rows.length > 0)
          host.stdout.write(`\n${summary(rows, interrupt.signal.aborted, hasColour(host.stdout, host.env))}`);
      }
      const stopped = interrupt.exitCode();
      if (stopped !== null) return stoppedStatus(host, stopped, rows.length);
      const broken = rows.find((row) => row.error !== null);
      if (broken !== undefined) {
        throw new UsageError(`${broken.experiment} (${broken.caseName}) ended early: ${broken.error}`);
      }
      return rows.every((row) => row.expected) ? 0 : 1;
    },
  );
}

/** Experiments by id, row, or a specification as a whole; every filter has to fit something. */
function filtered(host: Host, all: readonly RaceSpec[], filters: readonly string[]): readonly RaceSpec[] {
  const fits = (race: RaceSpec, filter: string): boolean =>
    race.id === filter || race.spec.some((row) => row === filter || row.startsWith(`${filter.replace(/\/$/, '')}/`));
  for (const filter of filters) {
    if (all.some((race) => fits(race, filter))) continue;
    const known = [...new Set(all.flatMap((r) => [r.id, ...r.spec, ...r.spec.map((s) => s.split('/')[0] as string)]))];
    throw new UsageError(
      `nothing to run for ${quote(filter)}${didYouMean(filter, known)}; "${invocation(host)} list" shows the experiments`,
    );
  }
  return filters.length === 0 ? all : all.filter((race) => filters.some((filter) => fits(race, filter)));
}

/** One that stands still is one row that says so. */
async function observe(
  lab: Lab,
  race: RaceSpec,
  one: Case,
  options: Options,
  interrupt: Interrupt,
): Promise<MatrixRow> {
  const started = performance.now();
  try {
    return await observed(lab, race, one, options, interrupt);
  } catch (error) {
    if (!(error instanceof StuckError)) throw error;
    return await stuckRow(race, one, options, error.message, (performance.now() - started) / 1000);
  }
}

/** Of a case that came to no result: the machine that it was searched on. */
async function stuckRow(
  race: RaceSpec,
  one: Case,
  options: Options,
  error: string,
  seconds: number,
): Promise<MatrixRow> {
  const { configureRace } = await import('../lab/configure.js');
  const { config } = configureRace(race, null, { caseName: one.name, ...checkOptions(options) }, true);
  const { core, cpus, kernel, patches } = config;
  return {
    ...{ experiment: race.id, caseName: one.name, spec: race.spec, mode: 'controlled', core: core.id, cpus, kernel },
    ...{ patches, claimed: [one.outcome].flat(), outcome: 'hang', expected: false },
    ...{ executions: 0, exhausted: false, preemptions: null, seconds, failure: null, error, dmesg: [] },
  };
}

async function observed(
  lab: Lab,
  race: RaceSpec,
  one: Case,
  options: Options,
  interrupt: Interrupt,
): Promise<MatrixRow> {
  if (options.mode === 'parallel') return await inParallel(lab, race, one, options, interrupt);
  const found = await controlled(lab, race, one, options, interrupt);
  const settled = found.outcome !== 'clean' || found.exhausted;
  if (settled || options.mode === 'controlled' || interrupt.signal.aborted) return found;
  return await inParallel(lab, race, one, options, interrupt);
}

/** Depth first with 0, 1, ... preemptions, so that what is found is short. */
async function controlled(
  lab: Lab,
  race: RaceSpec,
  one: Case,
  options: Options,
  interrupt: Interrupt,
): Promise<MatrixRow> {
  const most = options.preemptions ?? PREEMPTIONS;
  let left = options.seconds ?? SECONDS;
  let executions = 0;
  let spent = 0;
  for (let preemptions = 0; ; preemptions++) {
    const result = await lab.explore(race.id, {
      caseName: one.name,
      strategy: 'dfs',
      preemptions,
      seconds: left,
      signal: interrupt.signal,
      ...checkOptions(options),
      ...(options.seed !== undefined && { seed: options.seed }),
    });
    executions += result.executions;
    spent += result.seconds;
    left -= result.seconds;
    const over = result.failure !== null || !result.exhausted || preemptions === most || left <= 0;
    if (over || interrupt.signal.aborted) {
      const reached = result.failure !== null ? result.preemptions : preemptions;
      return rowOf(one, result, {
        executions,
        seconds: spent,
        preemptions: reached,
        exhausted: result.exhausted && preemptions === most,
      });
    }
  }
}

async function inParallel(
  lab: Lab,
  race: RaceSpec,
  one: Case,
  options: Options,
  interrupt: Interrupt,
): Promise<MatrixRow> {
  const result = await lab.run(race.id, {
    caseName: one.name,
    seconds: options.seconds ?? PARALLEL_SECONDS,
    patienceSeconds: PATIENCE_SECONDS,
    stopAtFailure: true,
    signal: interrupt.signal,
    ...checkOptions(options),
    ...(options.seed !== undefined && { seed: options.seed }),
  });
  return rowOf(one, result, { preemptions: null });
}

function rowOf(one: Case, result: RunResult | ExploreResult, change: Partial<MatrixRow>): MatrixRow {
  const { experiment, spec, mode, core, cpus, kernel, patches, outcome } = result;
  const { executions, exhausted, failure, error, dmesg } = result;
  const claimed = [one.outcome].flat();
  return {
    ...{ experiment, caseName: one.name, spec, mode, core, cpus, kernel, patches, claimed, outcome },
    ...{ expected: error === null && isAsClaimed(outcome, claimed, failure), executions, exhausted, preemptions: null },
    ...{ seconds: result.seconds, failure, error, dmesg: failure === null ? [] : dmesg },
    ...change,
  };
}

function print(host: Host, row: MatrixRow, options: Options): void {
  if (options.json === true) host.stdout.write(`${JSON.stringify(row)}\n`);
  else host.stdout.write(`${rowText(row)}\n`);
}

/** `as claimed  2009-03-... (unpinned): wrong-bytes; controlled, 1 preemption, 3 executions, 0.1 s`. */
function rowText(row: MatrixRow): string {
  const verdict = row.expected ? 'as claimed' : 'NOT AS CLAIMED';
  const seen = row.expected ? row.outcome : `${row.outcome}, but ${row.claimed.join(' or ')} was claimed`;
  return `${verdict}  ${row.experiment} (${row.caseName}): ${seen}; ${howText(row)}, ${row.seconds.toFixed(1)} s`;
}

function howText(row: MatrixRow): string {
  const runs = plural(row.executions, 'execution');
  if (row.preemptions === null) return `parallel, ${runs}`;
  const bound = plural(row.preemptions, 'preemption');
  if (row.failure !== null) return `controlled, found with ${bound}, ${runs}`;
  return `controlled, ${row.exhausted ? `exhausted at ${bound}` : 'not exhausted'}, ${runs}`;
}

/** A line for each row of the specifications: how many cases, and how they were settled. */
function summary(rows: readonly MatrixRow[], interrupted: boolean, colour: boolean): string {
  const specs = [...new Set(rows.flatMap((row) => (row.spec.length === 0 ? ['(none)'] : row.spec)))].sort(bySpec);
  const cells = specs.map((spec) => {
    const of = rows.filter((row) => row.spec.includes(spec) || (spec === '(none)' && row.spec.length === 0));
    const number = (test: (row: MatrixRow) => boolean): { content: string; hAlign: 'right' } => ({
      content: count(of.filter(test).length),
      hAlign: 'right',
    });
    return [
      spec,
      number(() => true),
      number((row) => row.expected),
      number((row) => row.failure !== null && row.mode === 'controlled'),
      number((row) => row.exhausted),
      number((row) => row.failure !== null && row.mode === 'parallel'),
      number((row) => row.failure === null && !row.exhausted),
    ];
  });
  const head = ['row', 'cases', 'as claimed', 'found, controlled', 'exhausted', 'found, parallel', 'nothing found'];
  const wrong = rows.filter((row) => !row.expected);
  const list = wrong.map(
    (row) => `\n  ${row.experiment} (${row.caseName}): ${row.outcome}, claimed ${row.claimed.join(' or ')}`,
  );
  const cut = interrupted ? ', interrupted' : '';
  const verdict =
    wrong.length === 0
      ? `${plural(rows.length, 'case')}, every outcome as claimed${cut}`
      : `${wrong.length} of ${plural(rows.length, 'case')} not as claimed${cut}:${list.join('')}`;
  return `${table(head, cells, colour)}\n${verdict}\n`;
}

/** highmem/E2 before highmem/E10. */
const bySpec = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });
