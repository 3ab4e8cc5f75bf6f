/** `docs/coverage.md`: every row of the specifications, and what shows it. */
import type { RaceSpec } from '../lab/race.js';
import { SPEC_ROWS, SPECS } from '../lab/spec-rows.js';

/** A test file and its text. */
export interface TestFile {
  readonly path: string;
  readonly text: string;
}

/** Tests of vectors begin their title with the vector's name: 'V10b: ...'. */
const VECTOR_TITLE = /['"`]([VPT]\d+[a-z]?): /g;
/** Titles elsewhere name the row in full. */
const ROW_IN_TITLE = /\b(?:describe|it)(?:\.each)?\b.*?['"`].*?\b((?:highmem|vmalloc|slab-dma|hardware)\/[A-Z][\w-]*)/g;

/** The rows that the titles of a test file name. */
export function rowsOfTest({ path, text }: TestFile): readonly string[] {
  const named = [...text.matchAll(ROW_IN_TITLE)].map((match) => match[1] as string);
  const vectors = path.includes('vectors')
    ? [...text.matchAll(VECTOR_TITLE)].map((match) => `hardware/${match[1]}`)
    : [];
  return [...new Set([...named, ...vectors])];
}

/** What shows each row: experiments by their metadata, tests by their titles. */
export function shownBy(
  races: readonly RaceSpec[],
  tests: readonly TestFile[],
): ReadonlyMap<string, readonly string[]> {
  const shown = new Map<string, string[]>(SPEC_ROWS.map(({ row }) => [row, []]));
  const add = (row: string, what: string): void => {
    shown.set(row, [...(shown.get(row) ?? []), what]);
  };
  for (const race of races) for (const row of race.spec) add(row, race.id);
  for (const test of tests) for (const row of rowsOfTest(test)) add(row, test.path);
  return shown;
}

/** Rows that an experiment or test names and no specification has. */
export function unknownRows(races: readonly RaceSpec[], tests: readonly TestFile[]): readonly string[] {
  const known = new Set(SPEC_ROWS.map(({ row }) => row));
  return [...shownBy(races, tests).keys()].filter((row) => !known.has(row));
}

export function coverageText(races: readonly RaceSpec[], tests: readonly TestFile[]): string {
  const shown = shownBy(races, tests);
  const parts = SPECS.map(({ spec, title }) => {
    const rows = SPEC_ROWS.filter(({ row }) => row.startsWith(`${spec}/`));
    const done = rows.filter(({ row }) => shown.get(row)?.length !== 0).length;
    const lines = rows.map(({ row, title: about }) => {
      const by = shown.get(row) ?? [];
      return `| ${row} | ${about} | ${by.length === 0 ? 'not yet' : by.map((what) => `\`${what}\``).join(', ')} |`;
    });
    return `## ${spec}: ${title}\n\n${done} of ${rows.length} rows.\n\n| row | about | shown by |\n| --- | --- | --- |\n${lines.join('\n')}\n`;
  });
  return `${HEAD}\n${parts.join('\n')}`;
}

const HEAD = `# What shows which row of the specifications

Generated from the metadata of the experiments and the titles of the tests by \`npm run coverage\`. \`npm run smp -- matrix highmem\` runs every case
of the experiments named here and compares what it observes with what they claim.
`;
