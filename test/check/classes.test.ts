/** docs/report-classes.md: no kind of report without a test that provokes it and one that comes near it, and the tests named there are there. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CONTEXT_REPORTS } from '../../src/check/context/context.js';
import { DMA_ERRORS, OWNERSHIP_ERRORS } from '../../src/check/dma/rules.js';
import { HANG_REPORTS } from '../../src/check/hangs/hangs.js';
import { REPORT_KINDS } from '../../src/check/lockdep/lockdep.js';
import { MEMORY_REPORTS } from '../../src/check/memory/memory.js';
import { SPINLOCK_REPORTS } from '../../src/check/spinlocks/spinlocks.js';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const page = readFileSync(at('docs/report-classes.md'), 'utf8');

interface Row {
  readonly section: string;
  readonly kinds: readonly string[];
  readonly provoked: string;
  readonly nearMiss: string;
}

const spans = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text as string);

/** The rows of all tables, each with the heading above it. */
function rowsOf(text: string): Row[] {
  let section = '';
  const rows: Row[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('## ')) section = line.slice(3);
    const [, what, provoked, nearMiss] = line.split(' | ').length === 3 ? ['', ...line.slice(2, -2).split(' | ')] : [];
    if (what === undefined || provoked === undefined || nearMiss === undefined) continue;
    if (/^(kind|report|---)$/.test(what)) continue;
    rows.push({ section, kinds: spans(what), provoked, nearMiss });
  }
  return rows;
}

const rows = rowsOf(page);
/** The text of a test file as its titles read. */
const sources = new Map<string, string>();
const sourceOf = (file: string): string => {
  const known = sources.get(file);
  if (known !== undefined) return known;
  const source = readFileSync(at(`test/${file}.test.ts`), 'utf8').replaceAll("\\'", "'");
  sources.set(file, source);
  return source;
};

describe('the table of report classes', () => {
  it.each([
    ['Context', CONTEXT_REPORTS],
    ['lockdep', REPORT_KINDS],
    ['spinlocks', SPINLOCK_REPORTS],
    ['hangs', HANG_REPORTS],
    ['memory', MEMORY_REPORTS],
    ['dma', [...DMA_ERRORS, ...OWNERSHIP_ERRORS]],
  ] as const)('has every kind of %s', (section, kinds) => {
    const found = rows.filter((row) => row.section === section).flatMap((row) => row.kinds);
    expect(found).toEqual(expect.arrayContaining([...kinds]));
  });

  it.each(rows.map((row) => [row.section, row.kinds.join(', '), row] as const))(
    'names tests that there are, of %s: %s',
    (_, __, row) => {
      for (const cell of [row.provoked, row.nearMiss]) {
        const [name = ''] = spans(cell);
        const [file = '', title = ''] = name.split(/: (.*)/s);
        expect(title, name).not.toBe('');
        expect(sourceOf(file), name).toContain(title);
      }
    },
  );
});
