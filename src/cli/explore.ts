/** `explore EXPERIMENT`, `replay FILE`, `minimise FILE`: controlled mode. */
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import type { Explanation } from '../explore/explain/explain.js';
import type { ExploreOptions, ExploreResult } from '../explore/explore.js';
import type { ReplayFile } from '../explore/replay-file.js';
import type { Found } from '../explore/worker-explorer.js';
import { plural } from '../report/output.js';
import { UsageError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import { type Host, invocation } from './host.js';
import { addMachineOptions, type MachineOptions, machineRunOptions, seconds, wholeNumber } from './options.js';

interface Options extends MachineOptions {
  strategy: string;
  delays?: number;
  states?: boolean;
  shuffle?: boolean;
  preemptions?: number;
  depth?: number;
  executions?: number;
  seconds?: number;
  keepGoing?: boolean;
  output?: string;
  json?: boolean;
  verbose?: boolean;
}

const SECONDS = 60;

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
        'dfs: all schedules in order; dpor: one of those that differ only in the order of independent steps; pct, pos: random priorities; random: uniform choices; or the path of a strategy module',
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
    .addOption(new Option('--depth <n>', 'depth of pct').argParser(wholeNumber('--depth', 1, 60)))
    .addOption(
      new Option('--executions <n>', 'stop after so many').argParser(
        wholeNumber('--executions', 1, Number.MAX_SAFE_INTEGER),
      ),
    )
    .addOption(new Option('--seconds <s>', `stop after so long (default: ${SECONDS})`).argParser(seconds('--seconds')))
    .option('--keep-going', 'go on after a failure: every distinct one, each with a replay file')
    .option('--output <file>', 'where the replay file goes (default: <experiment>.replay.json)')
    .option('--verbose', 'every step of the failing schedule, in columns')
    .option('--json', 'one JSON object on standard output');
  explore.action(async (name: string, options: Options) => {
    context.exitCode = await runExplore(context.host, name, options);
  });

  program
    .command('replay')
    .argument('<file>', 'a replay file')
    .summary('run a recorded failure again')
    .description('Run the recorded schedule again, and say whether outcome, trace and memory are the same.')
    .option('--verbose', 'every step, in columns')
    .option('--json', 'one JSON object on standard output')
    .action(async (file: string, options: { json?: boolean; verbose?: boolean }) => {
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
    .option('--output <file>', 'where the result goes (default: the file itself)')
    .action(async (file: string, options: { seconds?: number; output?: string }) => {
      context.exitCode = await runMinimise(context.host, file, options);
    });
}

async function runExplore(host: Host, name: string, options: Options): Promise<number> {
  const { explore } = await import('../explore/explore.js');
  const { toReplay, writeReplay } = await import('../explore/replay-file.js');
  const asked: ExploreOptions = {
    ...machineRunOptions(options, await host.lab()),
    strategy: options.strategy,
    ...(options.preemptions === undefined ? {} : { preemptions: options.preemptions }),
    ...(options.delays === undefined ? {} : { delays: options.delays }),
    ...(options.states === true ? { states: true } : {}),
    ...(options.shuffle === true ? { shuffle: true } : {}),
    ...(options.depth === undefined ? {} : { depth: options.depth }),
    ...(options.executions === undefined ? {} : { executions: options.executions }),
    ...(options.keepGoing === true ? { keepGoing: true } : {}),
    seconds: options.seconds ?? SECONDS,
  };
  const result = await explore(name, asked);
  if (result.error !== null)
    throw new UsageError(`experiment "${result.experiment}": ${result.error}; mend the module`);
  const kept: Kept[] = [];
  for (const found of failuresToShow(result, options)) {
    const recorded = await toReplay(name, result, found);
    const file = replayName(options.output ?? `${result.experiment}.replay.json`, kept.length);
    writeReplay(file, recorded);
    kept.push({ found, recorded, file });
  }
  if (options.json === true) await printJson(host, result, kept);
  else await printFailures(host, result, kept, options.verbose === true);
  return result.expected ? 0 : 1;
}

/** A distinct failure and the file that it went to. */
interface Kept {
  readonly found: Found;
  readonly recorded: ReplayFile;
  readonly file: string;
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

async function printJson(host: Host, result: ExploreResult, kept: readonly Kept[]): Promise<void> {
  const { exploreToJson } = await import('../report/json.js');
  const failures = kept.map(({ found: { signature, count, failure, preemptions }, file }) => ({
    ...{ signature, count, outcome: failure.outcome, message: failure.message, preemptions, replay: file },
  }));
  const culprit = kept[0] === undefined ? null : (await explained(kept[0].recorded)).culprit;
  host.stdout.write(`${exploreToJson(result, kept[0]?.file ?? null, { failures, culprit })}\n`);
}

async function printFailures(
  host: Host,
  result: ExploreResult,
  kept: readonly Kept[],
  verbose: boolean,
): Promise<void> {
  host.stdout.write(`${summary(result)}\n`);
  for (const { found, recorded, file } of kept) {
    if (kept.length > 1)
      host.stdout.write(`\n${plural(found.count, 'execution')} failed like this: ${found.signature}\n`);
    host.stdout.write(`${(await explanation(recorded, verbose)).join('\n')}\n`);
    host.stdout.write(`replay with: ${invocation(host)} replay ${file}\n`);
  }
}

function summary(r: ExploreResult): string {
  const space = r.exhausted ? 'exhausted' : 'not exhausted';
  const claim = r.claimed === null ? '' : r.expected ? ', as claimed' : `, claimed ${r.claimed.join(' or ')}`;
  return (
    `${r.experiment}: ${r.outcome}${claim}\n` +
    `  ${r.core}, ${r.kernel}, ${r.cpus} CPUs, ${r.strategy}: ${r.executions} executions in ${r.seconds.toFixed(1)} s, ${space}`
  );
}

async function explained(recorded: ReplayFile): Promise<Explanation> {
  const { replay } = await import('../explore/replay-file.js');
  const { explain } = await import('../explore/explain/explain.js');
  return explain((await replay(recorded, { history: true })).result);
}

/** The failure in a few lines, and with @verbose every step, from a replay of it. */
async function explanation(recorded: ReplayFile, verbose: boolean): Promise<string[]> {
  const { report, trace } = await explained(recorded);
  return verbose ? [...report, '', ...trace] : [...report];
}

async function runReplay(host: Host, file: string, options: { json?: boolean; verbose?: boolean }): Promise<number> {
  const { readReplay, replay } = await import('../explore/replay-file.js');
  const recorded = readReplay(file);
  const { reproduced, sourceChanged, modelChanged, result } = await replay(recorded);
  if (options.json === true) {
    const { exploreToJson } = await import('../report/json.js');
    const culprit = result.failure === null ? null : (await explained(recorded)).culprit;
    host.stdout.write(`${exploreToJson(result, file, { reproduced, sourceChanged, modelChanged, culprit })}\n`);
    return reproduced ? 0 : 1;
  }
  if (sourceChanged) host.stdout.write('the race, or a module that it imports, has changed since this was recorded\n');
  if (modelChanged && !reproduced)
    host.stdout.write('the emulated kernel or hardware has changed since this was recorded\n');
  host.stdout.write(
    `${reproduced ? 'reproduced' : 'not reproduced'}: ${result.outcome}, trace ${result.traceHash}, memory ${result.memoryHash}\n`,
  );
  host.stdout.write(`${(await explanation(recorded, options.verbose === true)).join('\n')}\n`);
  return reproduced ? 0 : 1;
}

async function runMinimise(host: Host, file: string, options: { seconds?: number; output?: string }): Promise<number> {
  const { readReplay, writeReplay } = await import('../explore/replay-file.js');
  const { minimise } = await import('../explore/minimise.js');
  const recorded = readReplay(file);
  const smaller = await minimise(recorded, { seconds: options.seconds ?? SECONDS });
  const out = options.output ?? file;
  writeReplay(out, smaller);
  const size = (f: ReplayFile): string =>
    `${plural(f.preemptions, 'preemption')}, ${plural(f.schedule.length, 'choice')}`;
  host.stdout.write(`before: ${size(recorded)}; now: ${size(smaller)}: ${basename(out)}\n`);
  host.stdout.write(`${(await explanation(smaller, false)).join('\n')}\n`);
  return 0;
}
