/** `measure [what...]`: measurements as tables, and as a plot if a file is named for it. */
import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { type Figures, findMeasurement, MEASUREMENTS } from '../lab/measurement.js';
import type { RunResult } from '../lab/types.js';
import { figuresOf } from '../report/measured.js';
import { count, hasColour } from '../report/output.js';
import { svgPlot } from '../report/plot.js';
import { table } from '../report/table.js';
import { UsageError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import type { Host } from './host.js';
import type { Lab } from './lab.js';
import { quote } from './options.js';

interface MeasureOptions {
  readonly svg?: string;
  readonly json?: boolean;
}

/** A measurement of its own, or a race that measures something. */
interface Subject {
  readonly id: string;
  readonly title: string;
  readonly spec: readonly string[];
  figures(): Promise<Figures>;
}

export function addMeasureCommand(program: Command, context: CommandContext): void {
  program
    .command('measure')
    .argument(
      '[what]',
      'a measurement, a row of a specification, or the path of a race module (default: all there are)',
    )
    .summary('what is measured rather than found: tables and plots')
    .description(
      'Measure what a row of the specification wants measured: print a table, and draw a plot. ' +
        'Of a race that measures something, each case is run once.',
    )
    .addOption(new Option('--svg <file>', 'draw the plot to a file; needs the name of a measurement'))
    .addOption(new Option('--json', 'one JSON object a line'))
    .action(async (what: string | undefined, options: MeasureOptions) => {
      if (what === undefined && options.svg !== undefined) {
        throw new UsageError('--svg needs to know which measurement: measure NAME --svg FILE');
      }
      const lab = await context.host.lab();
      for (const subject of await subjects(lab, what)) {
        const figures = await subject.figures();
        print(context.host, subject, figures, options.json === true);
        if (options.svg !== undefined) await draw(options.svg, figures);
      }
    });
}

async function subjects(lab: Lab, what: string | undefined): Promise<Subject[]> {
  if (what !== undefined && /^\.{0,2}\/|\.[cm]?[jt]s$/.test(what))
    return [ofRace(lab, what, { id: what, title: '', spec: [] })];
  const races = (await lab.listExperiments()).filter((race) => race.measures !== undefined);
  const all = [
    ...MEASUREMENTS.map((m) => ({ ...m, figures: async () => m.measure() })),
    ...races.map((race) => ofRace(lab, race.id, race)),
  ];
  if (what === undefined) return all;
  const id = findMeasurement(what)?.id;
  const found = all.filter((m) => m.id === (id ?? what) || (id === undefined && m.spec.includes(what)));
  if (found.length > 0) return found;
  throw new UsageError(`no measurement ${quote(what)}; there are ${all.map((m) => m.id).join(', ')}`);
}

/** Each case once, in parallel mode. */
function ofRace(lab: Lab, name: string, { id, title, spec }: Omit<Subject, 'figures'>): Subject {
  return {
    id,
    title,
    spec,
    async figures() {
      const results: RunResult[] = [];
      for await (const result of lab.runCases(name, { executions: 1 })) results.push(result);
      const figures = figuresOf(results);
      if (figures !== null) return figures;
      throw new UsageError(`${quote(name)} measures nothing; only races with "measures" do`);
    },
  };
}

function print(host: Host, { id, title, spec }: Subject, { columns, rows }: Figures, json: boolean): void {
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

async function draw(file: string, figures: Figures): Promise<void> {
  try {
    await writeFile(file, svgPlot(figures.plot));
  } catch (error) {
    throw new UsageError(`cannot write ${quote(file)}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
