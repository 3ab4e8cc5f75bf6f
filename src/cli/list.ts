/** `list [what]`: what there is to run, and to run it on. */
import { type Command, Option } from 'commander';
import type { Case, RaceSpec } from '../lab/race.js';
import { isPath } from '../lab/race-path.js';
import { FLUSH_ARCHITECTURES, verdictOf } from '../mm/flush-architectures.js';
import { hasColour } from '../report/output.js';
import { table } from '../report/table.js';
import { UsageError } from '../shared/errors.js';
import type { CommandContext } from './command.js';
import type { Host } from './host.js';
import type { CatalogueRow, Lab, PatchRow } from './lab.js';
import { quote } from './options.js';
import { didYouMean } from './suggest.js';

const KINDS = ['experiments', 'suites', 'cores', 'kernels', 'patches'] as const;
/** Shown only when asked for: a table of the specification, not something to run. */
const TABLES = ['architectures'] as const;
type Kind = (typeof KINDS)[number] | (typeof TABLES)[number];

export function addListCommand(program: Command, context: CommandContext): void {
  program
    .command('list')
    .argument(
      '[what]',
      `${KINDS.join(', ')} (default: all of them), ${TABLES.join(', ')}: flush_dcache_page() on each, or a race module: ./FILE`,
    )
    .summary('what there is: experiments, stress suites, cores, kernels, patches, races of a module')
    .description(
      'Show the experiments and the stress suites with their cases, the cores, the kernel versions and the patches; or the races of a module.',
    )
    .addOption(new Option('--json', 'one JSON object a line'))
    .action(async (what: string | undefined, options: { json?: boolean }) => {
      if (what !== undefined && isPath(what)) {
        await listModule(context.host, what, options.json === true);
        return;
      }
      const kinds = what === undefined ? KINDS : [kindOf(what)];
      const lab = await context.host.lab();
      for (const kind of kinds) {
        const rows = await rowsOf(kind, lab);
        if (options.json) for (const row of rows) context.host.stdout.write(`${JSON.stringify(toJson(kind, row))}\n`);
        else context.host.stdout.write(`${kinds.length > 1 ? `${kind}:\n` : ''}${toTable(context.host, kind, rows)}\n`);
      }
    });
}

/** The races of a module by path; of one that is not valid, why. */
async function listModule(host: Host, path: string, json: boolean): Promise<void> {
  for (const { race, refusal } of await (await host.lab()).listRaces(path)) {
    const row = refusal === null ? raceToJson('race', race) : { kind: 'race', id: race.id, refused: refusal };
    const text = refusal === null ? experimentText([race]) : `${race.id}\n  not valid: ${refusal}\n`;
    host.stdout.write(json ? `${JSON.stringify(row)}\n` : text);
  }
}

function kindOf(what: string): Kind {
  const kind = [...KINDS, ...TABLES].find((name) => name === what || name === `${what}s` || name === `${what}es`);
  if (kind !== undefined) return kind;
  throw new UsageError(
    `cannot list ${quote(what)}${didYouMean(what, KINDS)}: there are ${[...KINDS, ...TABLES].join(', ')}`,
  );
}

async function rowsOf(kind: Kind, lab: Lab): Promise<readonly (RaceSpec | CatalogueRow)[]> {
  if (kind === 'architectures') {
    return FLUSH_ARCHITECTURES.map((row) => ({ ...row, title: row.source, verdict: verdictOf(row) }));
  }
  if (kind === 'experiments') return lab.listExperiments();
  if (kind === 'suites') return [...(await lab.listSuites())].map(([id, race]) => ({ ...race, id }));
  return kind === 'cores' ? lab.cores : kind === 'kernels' ? lab.kernels : lab.patches;
}

const claims = (one: Case): string => [one.outcome].flat().join(' or ');

function toJson(kind: Kind, row: RaceSpec | CatalogueRow): object {
  if (kind !== 'experiments' && kind !== 'suites') return { kind: KIND_OF_ROW[kind], ...row };
  return raceToJson(kind === 'suites' ? 'suite' : 'experiment', row as RaceSpec);
}

const raceToJson = (kind: string, { id, title, source, spec, machine, cases }: RaceSpec): object => ({
  kind,
  ...{ id, title, source, spec, machine, cases },
});

const KIND_OF_ROW = { cores: 'core', kernels: 'kernel', patches: 'patch', architectures: 'architecture' } as const;

function toTable(host: Host, kind: Kind, rows: readonly (RaceSpec | CatalogueRow)[]): string {
  const colour = hasColour(host.stdout, host.env);
  if (kind === 'experiments' || kind === 'suites') return experimentText(rows as readonly RaceSpec[]);
  if (kind === 'patches') {
    const cells = (rows as readonly PatchRow[]).map((row) => [
      row.id,
      row.kind ?? 'patch',
      row.since ?? 'never',
      row.seed ?? '',
      [row.author, row.date].filter((part) => part !== undefined && part !== '').join(', '),
      row.title,
    ]);
    return table(['patch', 'kind', 'since', 'seed', 'from', 'what it does'], cells, colour);
  }
  if (kind === 'architectures') {
    const cells = FLUSH_ARCHITECTURES.map((row) => [row.id, row.claim, row.source, verdictOf(row)]);
    return table(
      ['architecture', 'the mail says', 'flush_dcache_page() in 2.6.22', 'harm by a SLUB page'],
      cells,
      colour,
    );
  }
  const cells = (rows as readonly CatalogueRow[]).map((row) => [row.id, row.title]);
  return table([KIND_OF_ROW[kind], 'what it is'], cells, colour);
}

/** An id and a claim are too long for columns: a paragraph each. */
function experimentText(races: readonly RaceSpec[]): string {
  return races
    .map(({ id, title, source, spec, cases }) => {
      const origin = [
        ...(source === '' ? [] : [`from ${source}`]),
        ...(spec.length > 0 ? [`shows ${spec.join(', ')}`] : []),
      ].join('; ');
      const lines = [id, ...(title === id ? [] : [`  ${title}`]), ...(origin === '' ? [] : [`  ${origin}`])];
      const nameLength = Math.max(0, ...cases.map((one) => one.name.length));
      for (const one of cases) lines.push(`    ${one.name.padEnd(nameLength)}  ${claims(one)}`);
      return `${lines.join('\n')}\n`;
    })
    .join('');
}
