/**
 * `npm run coverage [-- --spec FOLDER]`: write docs/coverage.md. Where the specifications are at hand (FOLDER, else ../shared/spec), the list of their rows
 * in src/lab/spec-rows.ts is compared with their tables; rows that are missing there, or exist no more, are an error.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureReady, ROOT } from './prepare.mjs';

const TABLES = [
  ['highmem', 'highmem.md', /^E\d+[a-z]?$/],
  ['vmalloc', 'vmalloc-gfp.md', /^(V00\d-\d+|C-\d+)$/],
  ['slab-dma', 'slab-dma.md', /^S\d+$/],
  ['hardware', 'hardware.md', /^[VPT]\d+[a-z]?$/],
];

/** Ids in the first column of a specification's tables; a vector's name goes on behind its id. */
function rowsOf(file, pattern) {
  const first = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => /^\| *([^|]+?) *\|/.exec(line)?.[1] ?? '')
    .map((cell) => cell.split(' ')[0]);
  return [...new Set(first.filter((id) => pattern.test(id)))];
}

function compare(folder, listed) {
  const wrong = [];
  for (const [spec, file, pattern] of TABLES) {
    const own = listed.filter((row) => row.startsWith(`${spec}/`)).map((row) => row.slice(spec.length + 1));
    const there = rowsOf(join(folder, file), pattern);
    for (const id of there) if (!own.includes(id)) wrong.push(`${spec}/${id} is missing`);
    for (const id of own) if (!there.includes(id)) wrong.push(`${spec}/${id} is not in ${file}`);
  }
  return wrong;
}

const testFiles = () =>
  readdirSync(join(ROOT, 'test'), { recursive: true })
    .map((path) => `test/${path}`)
    .filter((path) => path.endsWith('.test.ts'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));

await ensureReady();
const built = (path) => import(pathToFileURL(join(ROOT, 'dist', 'src', path)).href);
const { SPEC_ROWS } = await built('lab/spec-rows.js');
const { coverageText, unknownRows } = await built('report/coverage.js');
const { listExperiments } = await built('lab/run.js');

const at = process.argv.indexOf('--spec');
const folder = at > 0 ? process.argv[at + 1] : join(ROOT, '..', 'shared', 'spec');
const races = await listExperiments();
const tests = testFiles();
const wrong = unknownRows(races, tests).map((row) => `${row} is shown, and no specification has it`);
if (existsSync(folder))
  wrong.push(
    ...compare(
      folder,
      SPEC_ROWS.map(({ row }) => row),
    ),
  );
else console.error('coverage: the specifications are not here; the list of their rows is taken as it is');
for (const text of wrong) console.error(`coverage: ${text}; mend src/lab/spec-rows.ts or the metadata`);
if (wrong.length === 0) writeFileSync(join(ROOT, 'docs', 'coverage.md'), coverageText(races, tests));
process.exitCode = wrong.length === 0 ? 0 : 1;
