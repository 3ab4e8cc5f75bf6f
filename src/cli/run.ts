/** `run [EXPERIMENT...]`, the default: experiments in parallel mode, on real threads. */
import { writeFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { type Command, Option } from 'commander';
import type { SearchResult } from '../explore/search.js';
import type { RaceSpec } from '../lab/race.js';
import type { Progress, RunOptions, RunResult } from '../lab/types.js';
import { oneLine } from '../report/output.js';
import { NO_PROGRESS, progressDisplay } from '../report/progress.js';
import type { Execution } from '../report/trace/execution.js';
import { UsageError } from '../shared/errors.js';
import { collect } from './collect.js';
import type { CommandContext } from './command.js';
import { type Host, invocation } from './host.js';
import { interruptible } from './interrupt.js';
import type { Lab } from './lab.js';
import {
  addMachineOptions,
  addOutputOptions,
  changesMachine,
  type MachineOptions,
  machineRunOptions,
  quote,
  seconds,
  wholeNumber,
} from './options.js';
import { didYouMean } from './suggest.js';

/** Seconds that the main job may take for all its cases, and the most that one of them gets. */
const MAIN_JOB_SECONDS = 36;
const CASE_SECONDS = 3;
/** A failure that is claimed and has not been seen by then gets up to so many seconds. */
const PATIENCE_SECONDS = 15;
const EVENTS = 4096;
const EVENTS_MAX = 1_000_000;

interface Options extends MachineOptions {
  seconds?: number;
  executions?: number;
  case?: string;
  stopAtFailure?: boolean;
  watchdog?: number;
  explain?: boolean;
  trace?: string;
  events?: number;
  json?: boolean;
  quiet?: boolean;
}

export function addRunCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('run', { isDefault: true })
    .argument('[experiment...]', 'ids, rows of a specification ("highmem/E1"), or paths of race modules')
    .summary('run experiments on real threads; without a name, those of the kmap race (seed 002)')
    .description(
      'Run experiments in parallel mode: every simulated CPU is a thread of its own at full speed. ' +
        'Each case of an experiment is run, before its fix and after; --core, --kernel, --patch, --no-patch, --boot, --set or --case ' +
        'choose one configuration instead. Without a name it runs what the seeds claim.',
    );
  addMachineOptions(command)
    .addOption(
      new Option('--seconds <s>', `how long each case runs (default: ${CASE_SECONDS}, less in a run without a name)`)
        // Checked here rather than by the lab, so that the line names the option.
        .argParser(seconds('--seconds')),
    )
    .addOption(
      new Option('--executions <n>', 'stop a case after so many executions').argParser(
        wholeNumber('--executions', 1, Number.MAX_SAFE_INTEGER),
      ),
    )
    .option('--case <name>', 'run this case of the experiment only')
    .option(
      '--explain',
      'look for the failure of a case in controlled mode: its shortest schedule, explained, as a replay file',
    )
    .option(
      '--trace <file>',
      'record what happens, and write what led to the first failure of a case: ftrace text, or a Chrome trace if the name ends in .json, a Perfetto trace if in .perfetto-trace',
    )
    .addOption(
      new Option('--events <n>', `with --trace: events that are kept of each CPU (default: ${EVENTS})`).argParser(
        wholeNumber('--events', 1, EVENTS_MAX),
      ),
    )
    .option('--stop-at-failure', 'end a case at its first failing execution')
    .addOption(
      new Option('--watchdog <s>', 'seconds without progress after which a hang is reported').argParser(
        seconds('--watchdog'),
      ),
    );
  addOutputOptions(command);
  command.action(async (names: string[], options: Options) => {
    context.exitCode = await runExperiments(context.host, names, options, context.commandNames);
  });
}

/** What to run: the lab's name of an experiment, or a path. */
type Target = string;

async function runExperiments(
  host: Host,
  names: readonly string[],
  options: Options,
  commands: readonly string[],
): Promise<number> {
  checkOptions(names, options);
  const lab = await host.lab();
  const machine = machineRunOptions(options, lab);
  const experiments = await lab.listExperiments();
  const mainJob = names.length === 0;
  const chosen = mainJob ? seedExperiments(experiments) : [];
  const targets = mainJob
    ? chosen.map((race) => race.id)
    : names.flatMap((name) => resolve(host, name, experiments, commands));
  const progress = options.quiet ? NO_PROGRESS : progressDisplay(host.stderr);
  const base: RunOptions = {
    ...machine,
    ...timeLimit(options, chosen),
    ...(options.executions !== undefined && { executions: options.executions }),
    ...(options.stopAtFailure !== undefined && { stopAtFailure: true }),
    ...(options.watchdog !== undefined && { watchdogSeconds: options.watchdog }),
    ...(options.case !== undefined && { caseName: options.case }),
    ...(options.trace !== undefined && { events: options.events ?? EVENTS }),
  };
  const oneConfiguration = changesMachine(options) || options.case !== undefined;
  return interruptible(
    host,
    () => progress.clear(),
    (interrupt) => {
      const { signal } = interrupt;
      const onProgress = (state: Progress): void => {
        if (!signal.aborted) progress.update(state);
      };
      const runOptions = { ...base, signal, onProgress };
      const results = runAll(lab, targets, runOptions, oneConfiguration, options.explain === true);
      return collect(host, traced(host, results, options.trace), options, progress, interrupt);
    },
  );
}

function checkOptions(names: readonly string[], options: Options): void {
  if (options.events !== undefined && options.trace === undefined) {
    throw new UsageError('--events belongs to --trace FILE: give both');
  }
  if (options.case !== undefined && names.length !== 1) {
    throw new UsageError('--case belongs to one experiment: name exactly one');
  }
  const changed = (['core', 'kernel', 'patch', 'boot', 'set'] as const).find((name) => options[name] !== undefined);
  if (names.length === 0 && changed !== undefined) {
    const option = changed === 'patch' && options.patch?.[0]?.startsWith('-') ? 'no-patch' : changed;
    throw new UsageError(`--${option} changes the machine of an experiment: name the experiment`);
  }
}

/** What the results have recorded goes to a file each. */
async function* traced(
  host: Host,
  results: AsyncIterable<RunResult>,
  file: string | undefined,
): AsyncGenerator<RunResult> {
  let written = 0;
  for await (const result of results) {
    if (file === undefined || result.traced === undefined) yield result;
    else yield { ...result, trace: await writeTrace(result, ++written === 1 ? file : numbered(file, written)) };
  }
  if (file !== undefined && written === 0) {
    host.stderr.write('murphy: --trace: nothing has failed, so there is nothing to show\n');
  }
}

/** `x.txt` as `x-2.txt`. */
const numbered = (file: string, n: number): string => {
  const { dir, name, ext } = parse(file);
  return join(dir, `${name}-${n}${ext}`);
};

async function writeTrace(result: RunResult, file: string): Promise<string> {
  const { executionOfRun } = await import('../report/trace/execution.js');
  const content = await traceFor(file, executionOfRun(result));
  try {
    writeFileSync(file, content);
  } catch (error) {
    throw new UsageError(`cannot write ${quote(file)}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return file;
}

/** In the format that the name asks for. */
async function traceFor(file: string, execution: Execution): Promise<string | Uint8Array> {
  if (file.endsWith('.perfetto-trace')) return (await import('../report/trace/perfetto.js')).toPerfetto(execution);
  if (!file.endsWith('.json')) return (await import('../report/trace/ftrace.js')).toFtrace(execution);
  return `${JSON.stringify((await import('../report/trace/chrome.js')).toChromeTrace(execution))}\n`;
}

/** The main job: the experiments of seed 002, the kmap race, which end within a minute; `matrix` runs everything. Should none say so, all. */
function seedExperiments(experiments: readonly RaceSpec[]): readonly RaceSpec[] {
  const ofSeeds = experiments.filter((race) => /\bseed 002\b/i.test(race.source));
  const chosen = ofSeeds.length > 0 ? ofSeeds : experiments;
  if (chosen.length === 0) throw new UsageError('there are no experiments in this build; run "npm run build" again');
  return chosen;
}

function timeLimit(options: Options, mainJob: readonly RaceSpec[]): RunOptions {
  if (options.seconds !== undefined) return { seconds: options.seconds };
  if (options.executions !== undefined) return {};
  const cases = mainJob.reduce((sum, race) => sum + Math.max(1, race.cases.length), 0);
  const each = cases === 0 ? CASE_SECONDS : Math.min(CASE_SECONDS, MAIN_JOB_SECONDS / cases);
  return { seconds: each, patienceSeconds: PATIENCE_SECONDS };
}

/** Every name is looked up before anything runs: a slip in the last must not cost the time of the others. */
function resolve(
  host: Host,
  name: string,
  experiments: readonly RaceSpec[],
  commands: readonly string[],
): readonly Target[] {
  if (/^\.{0,2}\/|\.[cm]?[jt]s$/.test(name)) return [name];
  const found = experiments.filter((race) => race.id === name || race.spec.includes(name));
  if (found.length > 0) return found.map((race) => race.id);
  if (commands.includes(name)) {
    throw new UsageError(`the command ${quote(name)} has to come first: ${invocation(host)} ${name} ...`);
  }
  const known = [...experiments.flatMap((race) => [race.id, ...race.spec]), ...commands];
  throw new UsageError(
    `unknown experiment ${quote(name)}${didYouMean(name, known)}; "${invocation(host)} list" shows them`,
  );
}

async function* runAll(
  lab: Lab,
  targets: readonly Target[],
  options: RunOptions,
  oneConfiguration: boolean,
  explains: boolean,
): AsyncGenerator<RunResult> {
  const names = new Set<string>();
  const told = async (target: Target, result: RunResult): Promise<RunResult> =>
    explains && result.failure !== null ? await explained(lab, target, result, names, options.signal) : result;
  for (const target of targets) {
    if (options.signal?.aborted) return;
    if (oneConfiguration) yield await told(target, await lab.run(target, options));
    else for await (const result of lab.runCases(target, options)) yield await told(target, result);
  }
}

/** What the search for the failure has found; a module that does not load any more, or does not do the same each time, costs no result. */
async function searched(
  lab: Lab,
  target: Target,
  result: RunResult,
  signal: AbortSignal | undefined,
): Promise<Pick<SearchResult, 'replay' | 'lines'>> {
  try {
    return await lab.searchFailure(target, result, signal === undefined ? {} : { signal });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return { replay: null, lines: [`not explained: ${oneLine(error.message)}`] };
  }
}

/** The result with its failure as a minimal schedule, in a replay file of its own. */
async function explained(
  lab: Lab,
  target: Target,
  result: RunResult,
  names: Set<string>,
  signal: AbortSignal | undefined,
): Promise<RunResult> {
  const { replay, lines } = await searched(lab, target, result, signal);
  if (replay === null) return { ...result, explanation: lines };
  let file = `${result.experiment}.replay.json`;
  for (let n = 2; names.has(file); n++) file = `${result.experiment}.replay-${n}.json`;
  names.add(file);
  const { writeReplay } = await import('../explore/replay-file.js');
  writeReplay(file, replay);
  return { ...result, replay: file, explanation: lines };
}
