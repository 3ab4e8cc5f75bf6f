/** `measure [what]`: a measurement as a table, and as a plot if a file is named for it. */
import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { findMeasurement, MEASUREMENTS, type Measured, type Measurement } from '../lab/measurement.js';
import { count, hasColour } from '../report/output.js';
import { svgPlot } from '../report/plot.js';
import { table } from '../report/table.js';
import { UsageError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import type { Host } from './host.js';
import { quote } from './options.js';

interface MeasureOptions {
  readonly svg?: string;
  readonly json?: boolean;
}

export function addMeasureCommand(program: Command, context: CommandContext): void {
  program
    .command('measure')
    .argument('[what]', 'a measurement or a row of a specification (default: all of them)')
    .summary('what is measured rather than found: tables and plots')
    .description('Measure what a row of the specification wants measured: print a table, and draw a plot.')
    .addOption(new Option('--svg <file>', 'draw the plot to a file; needs the name of a measurement'))
    .addOption(new Option('--json', 'one JSON object a line'))
    .action(async (what: string | undefined, options: MeasureOptions) => {
      if (what === undefined && options.svg !== undefined) {
        throw new UsageError('--svg needs to know which measurement: measure NAME --svg FILE');
      }
      for (const measurement of what === undefined ? MEASUREMENTS : [findMeasurement(what)]) {
        const measured = measurement.measure();
        print(context.host, measurement, measured, options.json === true);
        if (options.svg !== undefined) await draw(options.svg, measured);
      }
    });
}

function print(host: Host, { id, title, spec }: Measurement, { columns, rows }: Measured, json: boolean): void {
  if (json) {
    for (const row of rows) {
      const cells = Object.fromEntries(columns.map((name, at) => [name, row[at]]));
      host.stdout.write(`${JSON.stringify({ measurement: id, spec, ...cells })}\n`);
    }
    return;
  }
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? { content: count(cell), hAlign: 'right' as const } : cell)),
  );
  host.stdout.write(`${id}: ${title}\n\n${table(columns, cells, hasColour(host.stdout, host.env))}\n`);
}

async function draw(file: string, measured: Measured): Promise<void> {
  try {
    await writeFile(file, svgPlot(measured.plot));
  } catch (error) {
    throw new UsageError(`cannot write ${quote(file)}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
