/** `cache-trace FILE`: an address trace through any cache configuration. */
import { type Command, Option } from 'commander';
import type { CacheTraceOptions, CacheTraceResult } from '../lab/cache-trace.js';
import { count, hasColour, plural } from '../report/output.js';
import { table } from '../report/table.js';
import { UsageError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import { type Host, invocation } from './host.js';
import { quote, wholeNumber } from './options.js';

interface Options {
  core?: string;
  sets?: number;
  ways?: number;
  line?: number;
  granule?: number;
  replacement?: string;
  writeBack?: boolean;
  writeThrough?: boolean;
  writeAllocate?: boolean;
  json?: boolean;
}

const number = (flag: string, text: string): Option =>
  new Option(`--${flag} <n>`, text).argParser(wholeNumber(`--${flag}`, 1, 2 ** 31 - 1));

export function addCacheTraceCommand(program: Command, context: CommandContext): void {
  program
    .command('cache-trace')
    .argument('<file>', 'a text file with a line "type address size" for each access')
    .summary('run an address trace through a cache: hits, misses, write-backs, CRC-32 of memory')
    .description(
      'Run an address trace through the data cache of a core, or one of your own, to hold the model against other ' +
        'simulators. Types: r read, w write, c clean line, v invalidate line; the address is hexadecimal, the size decimal. ' +
        'docs/cache-trace.md defines what is written and counted.',
    )
    .option('--core <name>', 'the data cache of this core ("list cores"); the options below change it')
    .addOption(number('sets', 'a power of two'))
    .addOption(number('ways', 'lines of a set'))
    .addOption(number('line', 'bytes of a line, a power of two'))
    .addOption(number('granule', "bytes of a dirty bit (default: the core's, else the line)"))
    .option(
      '--replacement <rule>',
      "rr-invalid-first, rr-shared-unconditional, rr-per-set, random or lru (default: the core's, else lru)",
    )
    .addOption(new Option('--write-back', 'keep what is written in the cache (default)').conflicts('writeThrough'))
    .option('--write-through', 'pass every write on to memory')
    .option('--write-allocate', 'bring the line in when a write misses (default: as the core, else so)')
    .option('--no-write-allocate', 'let writes that miss pass')
    .addOption(new Option('--json', 'the result as one JSON object'))
    .addHelpText(
      'after',
      () => `\nExamples:
  ${invocation(context.host)} cache-trace my.trace --core arm926
  ${invocation(context.host)} cache-trace my.trace --sets 64 --ways 8 --line 64 --replacement lru --json`,
    )
    .action(async (file: string, options: Options) => {
      const text = await read(context.host, file);
      const { cacheTrace } = await import('../lab/cache-trace.js');
      const result = cacheTrace(text, traceOptions(file, options));
      const { stdout, env } = context.host;
      stdout.write(
        options.json ? `${JSON.stringify({ file, ...result })}\n` : report(file, result, hasColour(stdout, env)),
      );
    });
}

async function read(host: Host, file: string): Promise<string> {
  try {
    return await host.readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`cannot read ${quote(file)} (${code ?? 'unknown error'}): give the path of a trace`);
  }
}

function traceOptions(name: string, options: Options): CacheTraceOptions {
  const { core, sets, ways, line, granule, replacement, writeThrough, writeAllocate } = options;
  return {
    name,
    ...(core !== undefined && { core }),
    ...(sets !== undefined && { sets }),
    ...(ways !== undefined && { ways }),
    ...(line !== undefined && { lineBytes: line }),
    ...(granule !== undefined && { granuleBytes: granule }),
    ...(replacement !== undefined && { replacement: replacement as NonNullable<CacheTraceOptions['replacement']> }),
    ...(writeThrough !== undefined && { writeThrough }),
    ...(writeAllocate !== undefined && { writeAllocate }),
  };
}

const right = (content: string) => ({ content, hAlign: 'right' }) as const;

const written = ({ lines, granules }: { lines: number; granules: number }): string =>
  `${plural(lines, 'line')}, ${plural(granules, 'granule')}`;

function report(file: string, result: CacheTraceResult, colour: boolean): string {
  const { cache, reads, writes, cleans, invalidates, writeBacks, memory, finalFlush, crc32 } = result;
  const policy = cache.writeThrough ? 'write-through' : 'write-back';
  const allocate = `${cache.writeAllocate ? '' : 'no '}write-allocate`;
  const rows = (
    [
      ['reads', reads],
      ['writes', writes],
    ] as const
  ).map(([name, { accesses, hits, misses }]) => [
    name,
    ...[accesses, hits, misses].map((n) => right(count(n))),
    right(accesses === 0 ? '' : `${((100 * hits) / accesses).toFixed(2)} %`),
  ]);
  const head = ['', right('accesses'), right('hits'), right('misses'), right('hit rate')];
  const granules = cache.granuleBytes === cache.lineBytes ? '' : `, ${cache.granuleBytes} bytes a dirty bit`;
  return `${file}: ${plural(result.operations, 'operation')}
${cache.core ?? 'cache'}: ${cache.sets} sets × ${cache.ways} ways × ${cache.lineBytes} bytes${granules}, ${cache.replacement}, ${policy}, ${allocate}

${table(head, rows, colour)}
fills         ${count(result.fills)}
evictions     ${count(result.evictions)}
write-backs   ${written(writeBacks)}; final flush ${written(finalFlush)}
maintenance   ${plural(cleans.lines, 'line')} cleaned (${count(cleans.present)} present), ${count(invalidates.lines)} invalidated (${count(invalidates.present)} present, ${count(invalidates.dirty)} dirty)
memory        ${plural(memory.readBytes, 'byte')} read, ${count(memory.writtenBytes)} written
CRC-32        ${crc32.beforeFlush} of ${plural(result.touchedBytes, 'byte')}, ${crc32.afterFlush} after the final flush
`;
}
