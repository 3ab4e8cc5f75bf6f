/** The command line. `main()` answers with the exit status and never throws. */
import { readFile } from 'node:fs/promises';
import { Command, CommanderError } from 'commander';
import { hasColour, oneLine } from '../report/output.js';
import { UsageError } from '../shared/errors.js';
import { addCacheTraceCommand } from './cache-trace.js';
import type { CommandContext } from './command.js';
import { addExploreCommands } from './explore.js';
import { type Host, invocation } from './host.js';
import { addListCommand } from './list.js';
import { loadLab } from './load-lab.js';
import { addMatrixCommand } from './matrix.js';
import { addMeasureCommand } from './measure.js';
import { addMergeCommand } from './merge.js';
import { addRunCommand } from './run.js';
import { addStressCommand } from './stress.js';

const EXIT_USAGE = 2;

/** One per file; the order is that of `--help`. */
const COMMANDS = [
  addRunCommand,
  addExploreCommands,
  addMergeCommand,
  addMatrixCommand,
  addMeasureCommand,
  addListCommand,
  addStressCommand,
  addCacheTraceCommand,
];

export async function main(argv: readonly string[], host: Host = processHost()): Promise<number> {
  const context: CommandContext = { host, commandNames: [], exitCode: 0 };
  try {
    const program = await buildProgram(context);
    await program.parseAsync([...argv], { from: 'user' });
    return context.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    host.stderr.write(`murphy: ${oneLine(errorLine(error, host))}\n`);
    if (host.env.MURPHY_DEBUG && error instanceof Error) host.stderr.write(`${error.stack}\n`);
    return EXIT_USAGE;
  }
}

async function buildProgram(context: CommandContext): Promise<Command> {
  const { host } = context;
  const program = new Command('murphy');
  program
    .usage('[command] [options]')
    .description(
      'An SMP race laboratory for kernel memory management: simulated CPUs are threads over one shared memory.',
    )
    .version(await packageVersion(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'options and examples of a command')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void host.stdout.write(text),
      // Commander's own error lines: main() says it in one line instead.
      writeErr: () => {},
      getOutHasColors: () => hasColour(host.stdout, host.env),
    });
  for (const add of COMMANDS) add(program, context);
  const names = program.commands.map((command) => command.name());
  (context as { commandNames: readonly string[] }).commandNames = [...names, 'help'];
  const run = program.commands.find((command) => command.name() === 'run')!;
  program.addHelpText('after', () => `${optionsOf(run)}\n${examples(invocation(host))}`);
  run.addHelpText('after', () => `\n${examples(invocation(host))}`);
  return program;
}

/** The default command's options belong on the first page. */
function optionsOf(command: Command): string {
  const text = command.helpInformation();
  return `\nOptions of ${command.name()}, which is what runs when no command is named:\n${text.slice(text.indexOf('Options:') + 9)}`;
}

function examples(call: string): string {
  return `Examples:
  ${call} --cpus 4                        the seeds' experiments, before and after their fixes
  ${call} list                            what there is
  ${call} run highmem/E1 --seconds 10     the experiments that show a row of a specification
  ${call} run 2009-03-kmap-recycle-lost-bytes --no-patch kmap-high-get --json
  ${call} run highmem/E1 --explain        the first failure as a minimal schedule, explained
  ${call} run ./my-race.ts                a race module of your own
  ${call} stress kmap --seconds 60        random load that has to stay clean

Exit status: 0 every outcome is what the experiment claims, 1 one is not, 2 wrong usage or environment, 130 Ctrl-C.
"clean" in parallel mode says that nothing was found, not that there is nothing.
`;
}

/** Cause and mend, in one line. */
function errorLine(error: unknown, host: Host): string {
  if (error instanceof UsageError) return error.message;
  if (error instanceof CommanderError) {
    const text = error.message
      .replace(/^error: /, '')
      .replace(/\n\(Did you mean (.*)\?\)$/s, ' (did you mean $1?)')
      .replace(/\.$/, '');
    return `${text}; "${invocation(host)} --help" shows the usage`;
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return `internal error: ${text}; please report it with the stack that MURPHY_DEBUG=1 shows`;
}

async function packageVersion(): Promise<string> {
  for (const path of ['../../package.json', '../../../package.json']) {
    const text = await readFile(new URL(path, import.meta.url), 'utf8').catch(() => '{}');
    const { name, version } = JSON.parse(text) as { name?: string; version?: string };
    if (name === 'murphy' && version !== undefined) return version;
  }
  return 'unknown';
}

function processHost(): Host {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    lab: loadLab,
    readFile: (path) => readFile(path, 'utf8'),
    onSignal: (signal, handler) => void process.on(signal, handler),
    offSignal: (signal, handler) => void process.off(signal, handler),
    now: () => performance.now(),
    exit: (code) => process.exit(code),
  };
}
