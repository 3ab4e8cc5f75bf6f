/** `stress [SUITE...]`: the long suites, random load that has to stay clean. */
import { type Command, Option } from 'commander';
import type { Progress, RunOptions, RunResult } from '../lab/types.js';
import { NO_PROGRESS, progressDisplay } from '../report/progress.js';
import { UsageError } from '../shared/errors.js';
import { addCiOptions } from './ci.js';
import { collect } from './collect.js';
import type { CommandContext } from './command.js';
import { type Host, invocation } from './host.js';
import { interruptible } from './interrupt.js';
import type { Lab } from './lab.js';
import {
  addMachineOptions,
  addOutputOptions,
  type MachineOptions,
  machineRunOptions,
  quote,
  seconds,
} from './options.js';
import { didYouMean } from './suggest.js';

interface Options extends MachineOptions {
  seconds?: number;
  stopAtFailure?: boolean;
  watchdog?: number;
  json?: boolean;
  quiet?: boolean;
  ktap?: boolean;
  junit?: string;
}

export function addStressCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('stress')
    .argument('[suite...]', 'names of suites ("list suites"; default: all of them)')
    .summary('torture locks and kmap with random operations; anything but clean is a failure')
    .description(
      'Run the stress suites: random operations on all CPUs, with every invariant and every byte checked. ' +
        'Each suite runs on several machines in turn; --core chooses one. Whatever is changed, a suite claims to be clean.',
    );
  addMachineOptions(command)
    .addOption(
      new Option('--seconds <s>', 'how long each suite runs, on all its machines together (default: 10)').argParser(
        seconds('--seconds'),
      ),
    )
    .option('--stop-at-failure', 'end a machine at its first failing execution')
    .addOption(
      new Option('--watchdog <s>', 'seconds without progress after which a hang is reported').argParser(
        seconds('--watchdog'),
      ),
    );
  addCiOptions(addOutputOptions(command));
  command.action(async (names: string[], options: Options) => {
    context.exitCode = await runSuites(context.host, names, options);
  });
}

async function runSuites(host: Host, names: readonly string[], options: Options): Promise<number> {
  const lab = await host.lab();
  const machine = machineRunOptions(options, lab);
  const suites = [...(await lab.listSuites()).keys()];
  for (const name of names) checkSuite(host, name, suites);
  const progress = options.quiet ? NO_PROGRESS : progressDisplay(host.stderr);
  const base: RunOptions = {
    ...machine,
    ...(options.seconds !== undefined && { seconds: options.seconds }),
    ...(options.stopAtFailure !== undefined && { stopAtFailure: true }),
    ...(options.watchdog !== undefined && { watchdogSeconds: options.watchdog }),
  };
  return interruptible(
    host,
    () => progress.clear(),
    (interrupt) => {
      const { signal } = interrupt;
      const onProgress = (state: Progress): void => {
        if (!signal.aborted) progress.update(state);
      };
      const results = runAll(lab, names.length > 0 ? names : suites, { ...base, signal, onProgress });
      return collect(host, results, options, progress, interrupt);
    },
  );
}

function checkSuite(host: Host, name: string, suites: readonly string[]): void {
  if (suites.includes(name)) return;
  throw new UsageError(
    `unknown stress suite ${quote(name)}${didYouMean(name, suites)}; "${invocation(host)} list suites" shows them`,
  );
}

async function* runAll(lab: Lab, suites: readonly string[], options: RunOptions): AsyncGenerator<RunResult> {
  for (const suite of suites) {
    if (options.signal?.aborted) return;
    yield* lab.stress(suite, options);
  }
}
