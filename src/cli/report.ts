/** `report FILE`: a recorded failure as a page to look at, or as a trace for other tools. */
import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { oneLine } from '../report/output.js';
import type { Replayed } from '../report/trace/execution.js';
import type { LatencyTracer } from '../report/trace/latency.js';
import { UsageError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import type { Host } from './host.js';

type Format = 'html' | 'ftrace' | 'chrome' | 'perfetto' | LatencyTracer;

interface Options {
  readonly format: Format;
  readonly output?: string;
  readonly race?: string;
}

/** Of all commands that take a replay file. */
export const RACE_OPTION = [
  '--race <path>',
  'where the module of the race is now (default: where the file says, from there, from here, or beside it)',
] as const;

const FORMATS: Readonly<Record<Format, { readonly suffix: string; readonly use: string }>> = {
  html: { suffix: '.html', use: 'open it in a browser' },
  ftrace: { suffix: '.ftrace.txt', use: 'ftrace text; Perfetto opens it too' },
  chrome: { suffix: '.trace.json', use: 'open it in Perfetto or chrome://tracing' },
  perfetto: { suffix: '.perfetto-trace', use: 'open it in Perfetto' },
  irqsoff: { suffix: '.irqsoff.txt', use: 'the longest time with interrupts off, as the latency tracer shows it' },
  preemptoff: {
    suffix: '.preemptoff.txt',
    use: 'the longest time with preemption off, as the latency tracer shows it',
  },
};

export function addReportCommand(program: Command, context: CommandContext): void {
  program
    .command('report')
    .argument('<file>', 'a replay file')
    .summary('a recorded failure as a page to look at, or as a trace for other tools')
    .description(
      'Run the recorded schedule again and write what happened: a timeline in one HTML file, ftrace text, or a trace for Perfetto.',
    )
    .addOption(new Option('--format <name>', 'what to write').choices(Object.keys(FORMATS)).default('html'))
    .option(...RACE_OPTION)
    .option('--output <file>', 'where it goes; - for standard output (default: beside the replay file)')
    .action(async (file: string, options: Options) => {
      context.exitCode = await runReport(context.host, file, options);
    });
}

/** Return: 0 when the recorded failure has happened again, 1 when something else has. */
async function runReport(host: Host, file: string, { format, output, race }: Options): Promise<number> {
  if (format === 'perfetto' && output === '-')
    throw new UsageError('--format perfetto writes bytes, not text: give --output a file, or leave it out');
  const { readReplay, replay, whyNotReproduced } = await import('../explore/replay-file.js');
  const recorded = readReplay(file, race);
  const replayed = await replay(recorded, { history: true });
  const { reproduced, result } = replayed;
  const { executionOf } = await import('../report/trace/execution.js');
  const content = await rendered(format, executionOf(result, await threadNames(recorded.race, result.cpus)));
  if (!reproduced) {
    const why = oneLine(whyNotReproduced(replayed));
    host.stderr.write(`murphy: not reproduced, and so no proof: ${why}; what is shown is what the schedule does now\n`);
  }
  const out = output ?? `${file.replace(/(\.replay)?\.json$/, '')}${FORMATS[format].suffix}`;
  if (out === '-') host.stdout.write(String(content));
  else {
    write(out, content);
    host.stdout.write(`${out}: ${FORMATS[format].use}\n`);
  }
  return reproduced ? 0 : 1;
}

async function rendered(format: Format, execution: Replayed): Promise<string | Uint8Array> {
  if (format === 'ftrace') return (await import('../report/trace/ftrace.js')).toFtrace(execution);
  if (format === 'chrome') {
    const { toChromeTrace } = await import('../report/trace/chrome.js');
    return `${JSON.stringify(toChromeTrace(execution))}\n`;
  }
  if (format === 'perfetto') return (await import('../report/trace/perfetto.js')).toPerfetto(execution);
  if (format === 'irqsoff' || format === 'preemptoff') {
    return (await import('../report/trace/latency.js')).toLatency(execution, format);
  }
  return (await import('../report/trace/page.js')).toHtml(execution);
}

/** What the race calls its threads, by slot. */
async function threadNames(name: string, cpus: number): Promise<Map<number, string>> {
  const { loadRace } = await import('../lab/modules.js');
  const { placeThreads } = await import('../lab/configure.js');
  const { race } = await loadRace(name);
  return new Map(placeThreads(race, cpus).map((t) => [t.slot, t.name]));
}

function write(file: string, content: string | Uint8Array): void {
  try {
    writeFileSync(file, content);
  } catch (error) {
    throw new UsageError(`cannot write ${file}: ${(error as Error).message}; give --output another path`);
  }
}
