/** `explore EXPERIMENT`, `replay FILE`, `minimise FILE`, `report FILE`: controlled mode. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Culprit, Explanation } from '../explore/explain/explain.js';
import type { ExploreOptions, ExploreProgress, ExploreResult, Shard } from '../explore/explore.js';
import type { Search } from '../explore/identity.js';
import type { Replayed, ReplayFile } from '../explore/replay-file.js';
import type { Found } from '../explore/standing.js';
import { nameOf } from '../report/ci.js';
import { chanceText, exploringDisplay } from '../report/exploring.js';
import type { ShownFailure } from '../report/json.js';
import { count, oneLine, plural } from '../report/output.js';
import { UsageError } from '../shared/errors.js';
import { addCiOptions, CiOutput } from './ci.js';
import type { CommandContext } from './command.js';
import { type Host, invocation } from './host.js';
import { interruptible } from './interrupt.js';
import type { Lab } from './lab.js';
import { addMachineOptions, type MachineOptions, machineRunOptions, quote, seconds, wholeNumber } from './options.js';
import { addReportCommand, RACE_OPTION } from './report.js';

interface Options extends MachineOptions {
  strategy: string;
  delays?: number;
  states?: boolean;
  shuffle?: boolean;
  uniform?: boolean;
  preemptions?: number;
  depth?: number;
  rounds?: number;
  executions?: number;
  seconds?: number;
  keepGoing?: boolean;
  output?: string;
  shard?: Shard;
  jobs?: number;
  checkpoint?: string;
  checkpointEvery?: number;
  resume?: string;
  log?: string;
  quiet?: boolean;
  json?: boolean;
  verbose?: boolean;
  ktap?: boolean;
  junit?: string;
}

const SECONDS = 60;
const JOBS_MAX = 64;
const SHARDS_MAX = 10_000;

export function addExploreCommands(program: Command, context: CommandContext): void {
  const explore = program
    .command('explore')
    .argument('<experiment>', 'id, row of a specification, or path of a race module')
    .summary('search the schedules of an experiment for a failure')
    .description(
      'Run an experiment under a controlled scheduler, one schedule after the other, until one fails or none is left.',
    );
  addMachineOptions(explore)
    .addOption(
      new Option(
        '--strategy <name>',
        'dfs: all schedules in order; dpor: one of those that differ only in the order of independent steps; pct, pos: random priorities; random: choices by chance, of contexts that give way often in one execution and seldom in another; or the path of a strategy module',
      ).default('dfs'),
    )
    .addOption(
      new Option('--preemptions <n>', 'most preemptions of a schedule').argParser(
        wholeNumber('--preemptions', 0, 1000),
      ),
    )
    .addOption(
      new Option('--delays <n>', 'most delays of a schedule (dfs)').argParser(wholeNumber('--delays', 0, 1000)),
    )
    .option('--states', 'never go on twice from the same state (dfs)')
    .option('--shuffle', 'try choices in an order that --seed gives (dfs, dpor)')
    .option('--uniform', 'any choice as likely as the others at every step (random)')
    .addOption(new Option('--depth <n>', 'depth of pct').argParser(wholeNumber('--depth', 1, 60)))
    .addOption(
      new Option(
        '--rounds <n>',
        'a loop of cpu_relax() goes round up to n times with nothing changed before it counts as waiting (default: 0; pct, pos, random: drawn)',
      ).argParser(wholeNumber('--rounds', 0, 10_000)),
    )
    .addOption(
      new Option('--executions <n>', 'stop after so many; of all shards together').argParser(
        wholeNumber('--executions', 1, Number.MAX_SAFE_INTEGER),
      ),
    )
    .addOption(
      new Option(
        '--seconds <s>',
        `stop after so long (default: ${SECONDS}; no limit with --checkpoint or --resume)`,
      ).argParser(seconds('--seconds')),
    )
    .addOption(
      new Option('--jobs <n>', 'so many parts at once, each on a machine of its own').argParser(
        wholeNumber('--jobs', 1, JOBS_MAX),
      ),
    )
    .addOption(
      new Option(
        '--shard <i/n>',
        'only part i of n that together are the whole search ("merge" joins results)',
      ).argParser(shardOf),
    )
    .option('--checkpoint <file>', 'keep where the search stands in a file: now and then, at the end, and on Ctrl-C')
    .addOption(
      new Option('--checkpoint-every <s>', 'seconds between two checkpoints (default: 30)').argParser(
        seconds('--checkpoint-every'),
      ),
    )
    .option('--resume <file>', 'go on from a checkpoint, given the same experiment and options, and keep it up to date')
    .option('--log <file>', 'add a line to a file for each execution: hash of its trace, outcome')
    .option('--keep-going', 'go on after a failure: every distinct one, each with a replay file')
    .option('--output <file>', 'where the replay file goes (default: <experiment>.replay.json)')
    .option('--verbose', 'every step of the failing schedule, in columns')
    .option('--json', 'one JSON object on standard output')
    .option('-q, --quiet', 'no progress');
  addCiOptions(explore);
  explore.action(async (name: string, options: Options) => {
    context.exitCode = await runExplore(context.host, name, options);
  });

  program
    .command('replay')
    .argument('<file>', 'a replay file')
    .summary('run a recorded failure again')
    .description('Run the recorded schedule again, and say whether outcome, trace and memory are the same.')
    .option(...RACE_OPTION)
    .option('--verbose', 'every step, in columns')
    .option('--json', 'one JSON object on standard output')
    .action(async (file: string, options: { json?: boolean; verbose?: boolean; race?: string }) => {
      context.exitCode = await runReplay(context.host, file, options);
    });

  program
    .command('minimise')
    .argument('<file>', 'a replay file')
    .summary('find the same failure with the fewest preemptions and the shortest schedule')
    .description(
      'Cut the schedule where the failure no longer needs it, search for the same failure with 0, 1, 2, ... preemptions, and write the ' +
        'shortest schedule found as a replay file.',
    )
    .addOption(new Option('--seconds <s>', `search so long (default: ${SECONDS})`).argParser(seconds('--seconds')))
    .option(...RACE_OPTION)
    .option('--output <file>', 'where the result goes (default: the file itself)')
    .action(async (file: string, options: { seconds?: number; output?: string; race?: string }) => {
      context.exitCode = await runMinimise(context.host, file, options);
    });
  addReportCommand(program, context);
}

function exploreOptions(options: Options, lab: Lab): ExploreOptions {
  const { checkpoint, resume } = options;
  const limit = options.seconds ?? (checkpoint === undefined && resume === undefined ? SECONDS : undefined);
  return {
    ...machineRunOptions(options, lab),
    strategy: options.strategy,
    ...(options.preemptions === undefined ? {} : { preemptions: options.preemptions }),
    ...(options.delays === undefined ? {} : { delays: options.delays }),
    ...(options.states === true ? { states: true } : {}),
    ...(options.shuffle === true ? { shuffle: true } : {}),
    ...(options.uniform === true ? { uniform: true } : {}),
    ...(options.depth === undefined ? {} : { depth: options.depth }),
    ...(options.rounds === undefined ? {} : { rounds: options.rounds }),
    ...(options.executions === undefined ? {} : { executions: options.executions }),
    ...(options.keepGoing === true ? { keepGoing: true } : {}),
    ...(options.shard === undefined ? {} : { shard: options.shard }),
    ...(options.jobs === undefined ? {} : { jobs: options.jobs }),
    ...(options.log === undefined ? {} : { log: options.log }),
    ...(options.checkpointEvery === undefined ? {} : { checkpointSeconds: options.checkpointEvery }),
    ...(limit === undefined ? {} : { seconds: limit }),
  };
}

async function runExplore(host: Host, name: string, options: Options): Promise<number> {
  const { explore } = await import('../explore/explore.js');
  const { keeping } = await import('../explore/checkpoint-file.js');
  const { searchOf } = await import('../explore/identity.js');
  checkUse(options);
  await checkOutputs(options);
  const ci = new CiOutput(host, 'murphy explore', options);
  const asked = exploreOptions(options, await host.lab());
  const search = await ci.chosen(() => searchOf(name, asked));
  const kept = keeping(options.checkpoint ?? options.resume ?? null, options.resume ?? null, search, asked.jobs ?? 1);
  const display = options.quiet === true ? null : exploringDisplay(host.stderr, search.experiment);
  const clear = (): void => display?.clear();
  return interruptible(host, clear, async ({ signal, exitCode }) => {
    const onExploring = (progress: ExploreProgress): void => {
      if (!signal.aborted) display?.update(progress);
    };
    try {
      const result = await explore(name, { ...asked, ...kept, signal, onExploring });
      clear();
      const stopped = exitCode();
      if (stopped !== null && result.executions === 0 && result.error === null) {
        ci.begin([]);
        ci.end();
        host.stderr.write('murphy: interrupted before the first execution: nothing has been explored\n');
        return stopped;
      }
      await show(host, name, result, search, options, ci);
      if (result.interrupted && kept.file !== null) host.stderr.write(`murphy: go on with --resume ${kept.file}\n`);
      return exitCode() ?? (result.expected ? 0 : 1);
    } finally {
      clear();
    }
  });
}

/** Said before a search that may take hours, not after it: --output and --junit name no folder, and --output nothing that is no replay file. */
async function checkOutputs({ output, junit }: { output?: string; junit?: string }): Promise<void> {
  for (const [option, file] of Object.entries({ output, junit })) {
    if (file === undefined) continue;
    const folder = dirname(resolve(file));
    if (!existsSync(folder)) {
      throw new UsageError(`--${option} ${file}: there is no folder ${folder}; make it, or give another path`);
    }
    if (existsSync(file) && statSync(file).isDirectory()) {
      throw new UsageError(`--${option} ${file}: that is a folder; give the path of a file`);
    }
  }
  if (output === undefined) return;
  const { isReplay } = await import('../explore/replay-file.js');
  if (!isReplay(output)) {
    throw new UsageError(`--output ${output}: there is another file, which is no replay file; give another path`);
  }
}

/** Options that would do nothing, or not what they seem to. */
function checkUse({ strategy, checkpoint, checkpointEvery, resume }: Options): void {
  if (strategy === 'replay') {
    throw new UsageError(
      '--strategy replay: a recorded schedule is run again by "replay FILE"; name a strategy that searches',
    );
  }
  if (checkpointEvery !== undefined && checkpoint === undefined && resume === undefined) {
    throw new UsageError('--checkpoint-every belongs to --checkpoint FILE or --resume FILE: give one of them');
  }
}

async function show(
  host: Host,
  name: string,
  result: ExploreResult,
  search: Search,
  options: Options,
  ci: CiOutput,
): Promise<void> {
  if (result.error !== null) collectForCi(host, result, [], ci);
  if (result.error !== null)
    throw new UsageError(`experiment "${result.experiment}": ${result.error}; mend the module`);
  const { replayOf, writeReplay } = await import('../explore/replay-file.js');
  const kept: Kept[] = [];
  for (const found of failuresToShow(result, options)) {
    // The hash of what was explored, whatever has become of the file in the meantime.
    const recorded = replayOf(name, search.sourceHash, result, found);
    const file = replayName(options.output ?? `${result.experiment}.replay.json`, kept.length);
    writeReplay(file, recorded);
    kept.push({ found, recorded, file, explained: await explainedIfIt(recorded) });
  }
  collectForCi(host, result, kept, ci);
  if (ci.ktap) return;
  if (options.json === true) await printJson(host, result, search, kept);
  else await printFailures(host, result, kept, options.verbose === true);
}

function collectForCi(host: Host, result: ExploreResult, kept: readonly Kept[], ci: CiOutput): void {
  ci.begin([{ group: result.experiment, cases: [nameOf(result)] }]);
  ci.add(
    result,
    kept.flatMap(({ file, explained }) => [...doubtOf(explained), `replay with: ${invocation(host)} replay ${file}`]),
  );
  ci.end();
}

/** Part i of n, as `i/n`. */
function shardOf(text: string): Shard {
  const [, index = Number.NaN, count = Number.NaN] = (/^(\d+)\/(\d+)$/.exec(text) ?? []).map(Number);
  if (index >= 1 && index <= count && count <= SHARDS_MAX) return { index, count };
  throw new UsageError(
    `--shard ${quote(text)}: give i/n with i from 1 to n, and n at most ${SHARDS_MAX}: 1/4 is the first of four parts`,
  );
}

/** A distinct failure and the file that it went to. */
interface Kept {
  readonly found: Found;
  readonly recorded: ReplayFile;
  readonly file: string;
  /** By a replay of it; or why there was none: a module that does not load any more. */
  readonly explained: Explained | string;
}

/** All distinct failures with --keep-going, the one that the result is about first; else that one. */
function failuresToShow(result: ExploreResult, options: Options): readonly Found[] {
  const first = result.failures.find((f) => f.failure === result.failure || f.schedule === result.schedule);
  if (first === undefined) return [];
  return options.keepGoing === true ? [first, ...result.failures.filter((f) => f !== first)] : [first];
}

/** `x.replay.json`, `x.replay-2.json`, `x.replay-3.json`. */
const replayName = (first: string, index: number): string =>
  index === 0 ? first : `${first.replace(/\.json$/, '')}-${index + 1}.json`;

async function printJson(host: Host, result: ExploreResult, search: Search, kept: readonly Kept[]): Promise<void> {
  const { exploreToJson } = await import('../report/json.js');
  const failures: ShownFailure[] = [];
  let culprit: Culprit | null = null;
  for (const { found, file, explained } of kept) {
    const { signature, count, failure, preemptions } = found;
    const known = typeof explained === 'string' ? {} : { reproduced: explained.otherwise === null };
    if (failures.length === 0 && typeof explained !== 'string' && known.reproduced === true)
      culprit = explained.explanation.culprit;
    const { outcome, message } = failure;
    failures.push({ signature, count, outcome, message, preemptions, replay: file, ...known });
  }
  host.stdout.write(`${exploreToJson(result, kept[0]?.file ?? null, { failures, culprit, search })}\n`);
}

async function printFailures(
  host: Host,
  result: ExploreResult,
  kept: readonly Kept[],
  verbose: boolean,
): Promise<void> {
  host.stdout.write(`${summary(result)}\n`);
  for (const { found, recorded, file, explained } of kept) {
    if (kept.length > 1)
      host.stdout.write(`\n${plural(found.count, 'execution')} failed like this: ${found.signature}\n`);
    host.stdout.write(`${foundText(recorded, explained, verbose).join('\n')}\n`);
    host.stdout.write(`replay with: ${invocation(host)} replay ${file}\n`);
  }
}

function summary(r: ExploreResult): string {
  const space = `${r.interrupted ? 'interrupted, ' : ''}${r.exhausted ? 'exhausted' : 'not exhausted'}`;
  const claim = r.claimed === null ? '' : r.expected ? ', as claimed' : `, claimed ${r.claimed.join(' or ')}`;
  return (
    `${r.experiment}: ${r.outcome}${claim}\n` +
    `  ${r.core}, ${r.kernel}, ${plural(r.cpus, 'CPU')}, ${r.strategy}: ${plural(r.executions, 'execution')} in ${r.seconds.toFixed(1)} s, ${space}${unseenText(r)}`
  );
}

/** What a search by chance can say instead of "exhausted". */
function unseenText({ stats, outcome, executions }: ExploreResult): string {
  const { distinctTraces, tracesAtLeast, unseenChance } = stats;
  if (outcome !== 'clean' || distinctTraces === undefined || unseenChance === undefined) return '';
  return (
    `\n  ${plural(distinctTraces, 'distinct trace')}, of an estimated ${count(tracesAtLeast ?? distinctTraces)} or more; ` +
    `chance that the next execution shows a new one: ${chanceText(unseenChance, executions)}`
  );
}

/** A replay, and what there is to say of it. */
interface Explained {
  readonly replayed: Replayed;
  readonly explanation: Explanation;
  /** How and why it was another execution than the recorded one; null when it was the same. */
  readonly otherwise: string | null;
}

async function explained(recorded: ReplayFile): Promise<Explained> {
  const { replay, whyNotReproduced } = await import('../explore/replay-file.js');
  const { explain } = await import('../explore/explain/explain.js');
  const replayed = await replay(recorded, { history: true });
  const otherwise = replayed.reproduced ? null : oneLine(whyNotReproduced(replayed));
  return { replayed, explanation: explain(replayed.result), otherwise };
}

/** explained(), or why that cannot be: the module of the race may have been changed, or removed, while it was searched. */
async function explainedIfIt(recorded: ReplayFile): Promise<Explained | string> {
  try {
    return await explained(recorded);
  } catch (error) {
    if (error instanceof UsageError) return oneLine(error.message);
    throw error;
  }
}

/** Why a failure that has been found is no proof, or is not known to be one. */
function doubtOf(explained: Explained | string): string[] {
  if (typeof explained === 'string') return [`not replayed, and so not explained: ${explained}`];
  const { otherwise } = explained;
  return otherwise === null ? [] : [`not reproduced by its own schedule, and so no proof: ${otherwise}`];
}

/** What a search has found: explained, and said to be no proof when the same schedule has led elsewhere. */
function foundText(recorded: ReplayFile, explained: Explained | string, verbose: boolean): string[] {
  const head = `${recorded.outcome}: ${recorded.message}`;
  const doubt = doubtOf(explained);
  if (typeof explained === 'string') return [head, ...doubt];
  const { replayed, explanation } = explained;
  const { report, trace } = explanation;
  const steps = verbose ? ['', ...trace] : [];
  if (doubt.length === 0) return [...report, ...steps];
  const now = replayed.result.failure === null ? [] : report.filter((line) => line !== head);
  return [head, ...doubt, ...now, ...steps];
}

/** The failure in a few lines, and with @verbose every step, from a replay of it. */
async function explanation(recorded: ReplayFile, verbose: boolean): Promise<string[]> {
  const { report, trace } = (await explained(recorded)).explanation;
  return verbose ? [...report, '', ...trace] : [...report];
}

async function runReplay(
  host: Host,
  file: string,
  options: { json?: boolean; verbose?: boolean; race?: string },
): Promise<number> {
  const { readReplay, replay } = await import('../explore/replay-file.js');
  const recorded = readReplay(file, options.race);
  const replayed = await replay(recorded);
  const { reproduced, differences, sourceChanged, modelChanged, divergence, result } = replayed;
  if (options.json === true) {
    const { exploreToJson } = await import('../report/json.js');
    const culprit = result.failure === null ? null : (await explained(recorded)).explanation.culprit;
    host.stdout.write(
      `${exploreToJson(result, file, { reproduced, differences, sourceChanged, modelChanged, divergence, culprit })}\n`,
    );
    return reproduced ? 0 : 1;
  }
  for (const line of changesText(replayed)) host.stdout.write(`${line}\n`);
  host.stdout.write(
    `${reproduced ? 'reproduced' : 'not reproduced'}: ${result.outcome}, trace ${result.traceHash}, memory ${result.memoryHash}\n`,
  );
  for (const difference of differences) host.stdout.write(`  ${oneLine(difference)}\n`);
  host.stdout.write(`${(await explanation(recorded, options.verbose === true)).join('\n')}\n`);
  return reproduced ? 0 : 1;
}

/** What is another than when it was recorded, a line each. */
function changesText({ reproduced, sourceChanged, modelChanged, divergence, result }: Replayed): string[] {
  const lines: string[] = [];
  if (sourceChanged) lines.push('the race, or a module that it imports, has changed since this was recorded');
  if (modelChanged && !reproduced) lines.push('the emulated kernel or hardware has changed since this was recorded');
  if (divergence !== null) lines.push(`diverged at step ${divergence.step}: ${divergence.text}`);
  else if (result.diverged) lines.push('diverged: a choice of the schedule was not there');
  return lines;
}

async function runMinimise(
  host: Host,
  file: string,
  options: { seconds?: number; output?: string; race?: string },
): Promise<number> {
  const { readReplay, replay, whyNotReproduced, writeReplay } = await import('../explore/replay-file.js');
  const { minimise } = await import('../explore/minimise.js');
  await checkOutputs(options);
  const recorded = readReplay(file, options.race);
  const replayed = await replay(recorded);
  const out = options.output ?? file;
  const leave = (why: string): number => {
    host.stdout.write(`not reproduced, so nothing is minimised, and ${basename(out)} is left as it is: ${why}\n`);
    return 1;
  };
  if (!replayed.reproduced) return leave(oneLine(whyNotReproduced(replayed)));
  for (const line of changesText(replayed)) host.stdout.write(`${line}\n`);
  const size = (f: ReplayFile): string =>
    `${plural(f.preemptions, 'preemption')}, ${plural(f.schedule.length, 'choice')}`;
  return interruptible(
    host,
    () => {},
    async ({ signal, exitCode }) => {
      const smaller = await minimise(recorded, { seconds: options.seconds ?? SECONDS, signal });
      const { otherwise, explanation } = await explained(smaller);
      if (otherwise !== null) return leave(otherwise);
      writeReplay(out, smaller);
      const now = `${size(smaller)}${signal.aborted ? ', interrupted' : ''}`;
      host.stdout.write(`before: ${size(recorded)}; now: ${now}: ${basename(out)}\n`);
      host.stdout.write(`${explanation.report.join('\n')}\n`);
      return exitCode() ?? 0;
    },
  );
}
