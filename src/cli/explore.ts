/** `explore EXPERIMENT`, `replay FILE`, `minimise FILE`: controlled mode. */
import { basename } from 'node:path';
import { type Command, Option } from 'commander';
import type { ExploreOptions, ExploreResult } from '../explore/explore.js';
import type { ReplayFile } from '../explore/replay-file.js';
import { UsageError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import type { Host } from './host.js';
import { addMachineOptions, type MachineOptions, machineRunOptions, seconds, wholeNumber } from './options.js';

interface Options extends MachineOptions {
  strategy: 'dfs' | 'random' | 'pct';
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
      new Option('--strategy <name>', 'dfs: all schedules in order; random: uniform choices; pct: random priorities')
        .choices(['dfs', 'random', 'pct'])
        .default('dfs'),
    )
    .addOption(
      new Option('--preemptions <n>', 'most preemptions of a schedule').argParser(
        wholeNumber('--preemptions', 0, 1000),
      ),
    )
    .addOption(new Option('--depth <n>', 'depth of pct').argParser(wholeNumber('--depth', 1, 60)))
    .addOption(
      new Option('--executions <n>', 'stop after so many').argParser(
        wholeNumber('--executions', 1, Number.MAX_SAFE_INTEGER),
      ),
    )
    .addOption(new Option('--seconds <s>', `stop after so long (default: ${SECONDS})`).argParser(seconds('--seconds')))
    .option('--keep-going', 'go on after a failure')
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
    .option('--json', 'one JSON object on standard output')
    .action(async (file: string, options: { json?: boolean }) => {
      context.exitCode = await runReplay(context.host, file, options.json === true);
    });

  program
    .command('minimise')
    .argument('<file>', 'a replay file')
    .summary('find the same failure with the fewest preemptions')
    .description(
      'Search for the same outcome with 0, 1, 2, ... preemptions, and write the first found as a replay file.',
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
    ...(options.depth === undefined ? {} : { depth: options.depth }),
    ...(options.executions === undefined ? {} : { executions: options.executions }),
    ...(options.keepGoing === true ? { keepGoing: true } : {}),
    seconds: options.seconds ?? SECONDS,
  };
  const result = await explore(name, asked);
  if (result.error !== null)
    throw new UsageError(`experiment "${result.experiment}": ${result.error}; mend the module`);
  let file: string | null = null;
  let recorded: ReplayFile | null = null;
  if (result.failure !== null) {
    recorded = await toReplay(name, result);
    file = options.output ?? `${result.experiment}.replay.json`;
    writeReplay(file, recorded);
  }
  if (options.json === true) {
    const { trace: _, history: __, schedule: ___, ...shown } = result;
    host.stdout.write(`${JSON.stringify({ ...shown, replay: file })}\n`);
  } else {
    host.stdout.write(`${summary(result)}\n`);
    if (recorded !== null && file !== null) {
      host.stdout.write(`${(await explanation(recorded, options.verbose === true)).join('\n')}\n`);
      host.stdout.write(`replay with: murphy replay ${file}\n`);
    }
  }
  return result.expected ? 0 : 1;
}

function summary(r: ExploreResult): string {
  const space = r.exhausted ? 'exhausted' : 'not exhausted';
  const claim = r.claimed === null ? '' : r.expected ? ', as claimed' : `, claimed ${r.claimed.join(' or ')}`;
  return (
    `${r.experiment}: ${r.outcome}${claim}\n` +
    `  ${r.core}, ${r.kernel}, ${r.cpus} CPUs, ${r.strategy}: ${r.executions} executions in ${r.seconds.toFixed(1)} s, ${space}`
  );
}

/** The failure in a few lines, and with @verbose every step, from a replay of it. */
async function explanation(recorded: ReplayFile, verbose: boolean): Promise<string[]> {
  const { replay } = await import('../explore/replay-file.js');
  const { explain } = await import('../explore/explain/explain.js');
  const { result } = await replay(recorded, { history: true });
  const { report, trace } = explain(result);
  return verbose ? [...report, '', ...trace] : [...report];
}

async function runReplay(host: Host, file: string, json: boolean): Promise<number> {
  const { readReplay, replay } = await import('../explore/replay-file.js');
  const recorded = readReplay(file);
  const { reproduced, sourceChanged, result } = await replay(recorded);
  if (json) {
    const { trace: _, history: __, schedule: ___, ...shown } = result;
    host.stdout.write(`${JSON.stringify({ ...shown, reproduced, sourceChanged })}\n`);
    return reproduced ? 0 : 1;
  }
  if (sourceChanged) host.stdout.write('the race module has changed since the failure was recorded\n');
  host.stdout.write(
    `${reproduced ? 'reproduced' : 'not reproduced'}: ${result.outcome}, trace ${result.traceHash}, memory ${result.memoryHash}\n`,
  );
  host.stdout.write(`${(await explanation(recorded, false)).join('\n')}\n`);
  return reproduced ? 0 : 1;
}

async function runMinimise(host: Host, file: string, options: { seconds?: number; output?: string }): Promise<number> {
  const { readReplay, writeReplay } = await import('../explore/replay-file.js');
  const { minimise } = await import('../explore/minimise.js');
  const recorded = readReplay(file);
  const smaller = await minimise(recorded, { seconds: options.seconds ?? SECONDS });
  const out = options.output ?? file;
  writeReplay(out, smaller);
  host.stdout.write(`${recorded.preemptions} preemptions before, ${smaller.preemptions} now: ${basename(out)}\n`);
  host.stdout.write(`${(await explanation(smaller, false)).join('\n')}\n`);
  return 0;
}
