/** `merge FILE...`: the results of the shards of one search as one. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Merged } from '../explore/merge.js';
import { plural } from '../report/output.js';
import { UsageError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import { type Host, invocation } from './host.js';

export function addMergeCommand(program: Command, context: CommandContext): void {
  program
    .command('merge')
    .argument('<file...>', 'what "explore --shard i/n --json" printed, a file for each shard')
    .summary('join the results of the shards of one search')
    .description(
      'Add up the executions of the shards, list each distinct failure once, and say whether the whole search is exhausted: only when ' +
        'every shard is there and exhausted. While one is missing, a search that has found nothing counts as a failed one. Shards of another race, configuration, strategy or version are refused, and so is a shard twice.',
    )
    .option('--json', 'one JSON object on standard output')
    .action(async (files: string[], options: { json?: boolean }) => {
      context.exitCode = await runMerge(context.host, files, options.json === true);
    });
}

const NAMED_MAX = 8;

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}; give what "explore --json" printed`);
  }
}

async function runMerge(host: Host, files: readonly string[], json: boolean): Promise<number> {
  const { mergeResults, parseResults } = await import('../explore/merge.js');
  const merged = mergeResults(files.flatMap((file) => parseResults(file, textOf(file))));
  if (json) host.stdout.write(`${JSON.stringify(merged)}\n`);
  else print(host, merged);
  const { count, missing } = merged.shards;
  if (missing.length > 0) {
    const names = missing.slice(0, NAMED_MAX).map((index) => `${index}/${count}`);
    const more = missing.length > NAMED_MAX ? `, and ${missing.length - NAMED_MAX} more` : '';
    host.stderr.write(
      `murphy: this is not the whole search: ${plural(missing.length, 'shard')} missing: ${names.join(', ')}${more}\n`,
    );
  }
  return merged.expected ? 0 : 1;
}

function print(host: Host, merged: Merged): void {
  const { experiment, outcome, claimed, expected, executions, exhausted, failures } = merged;
  const { count, present, missing } = merged.shards;
  const partly = missing.length > 0 && outcome === 'clean';
  const claim = claimed === null ? '' : expected ? ', as claimed' : `, claimed ${claimed.join(' or ')}`;
  const lines = [
    `${experiment}: ${outcome}${partly ? ', as far as it is known' : claim}`,
    `  ${present.length} of ${plural(count, 'shard')}: ${plural(executions, 'execution')}, ${exhausted ? 'exhausted' : 'not exhausted'}`,
  ];
  for (const { signature, count: times, message, replay } of failures) {
    lines.push(`${plural(times, 'execution')} failed like this: ${signature}`, `  ${message}`);
    if (replay !== null) lines.push(`  replay with: ${invocation(host)} replay ${replay}`);
  }
  host.stdout.write(`${lines.join('\n')}\n`);
}
