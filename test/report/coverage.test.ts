import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/lab/modules.js';
import type { RaceSpec } from '../../src/lab/race.js';
import { listExperiments } from '../../src/lab/run.js';
import { SPEC_ROWS, SPECS } from '../../src/lab/spec-rows.js';
import { coverageText, rowsOfTest, unknownRows } from '../../src/report/coverage.js';

const read = (...path: string[]): string => readFileSync(join(packageRoot(), ...path), 'utf8');
/** In pieces, so that this file shows no row. */
const S2 = ['slab-dma', 'S2'].join('/');
const tests = (readdirSync(join(packageRoot(), 'test'), { recursive: true }) as string[])
  .map((path) => `test/${path}`)
  .filter((path) => path.endsWith('.test.ts'))
  .sort()
  .map((path) => ({ path, text: read(path) }));

describe('the list of rows', () => {
  it('has each row once, of a specification that it knows', () => {
    const ids = SPEC_ROWS.map(({ row }) => row);
    expect(new Set(ids).size).toBe(ids.length);
    const specs = SPECS.map(({ spec }): string => spec);
    expect(ids.filter((row) => !specs.includes(row.split('/')[0] as string))).toEqual([]);
  });

  it('has every row that an experiment or a test says it shows', async () => {
    expect(unknownRows(await listExperiments(), tests)).toEqual([]);
  });
});

describe('docs/coverage.md', () => {
  it('is what "npm run coverage" writes', async () => {
    expect(read('docs', 'coverage.md') === coverageText(await listExperiments(), tests), 'run "npm run coverage"').toBe(
      true,
    );
  });

  it('names the experiments and tests of a row, and says what nothing shows yet', () => {
    const race = { id: '2009-03-some-race', spec: ['highmem/E1'] } as unknown as RaceSpec;
    const vectors = { path: 'test/cpu/vectors-vivt.test.ts', text: "describe('V7b: the victim pointer', () => {" };
    const text = coverageText([race], [vectors]);
    expect(text).toMatch(/^\| highmem\/E1 \| .* \| `2009-03-some-race` \|$/m);
    expect(text).toMatch(/^\| hardware\/V7b \| .* \| `test\/cpu\/vectors-vivt\.test\.ts` \|$/m);
    expect(text).toMatch(/^\| highmem\/E2 \| .* \| not yet \|$/m);
    expect(text).toContain('1 of 26 rows.');
  });
});

describe('a test shows a row', () => {
  it('when a title names it in full, or is that of a vector', () => {
    const path = 'test/mm/slub.test.ts';
    expect(rowsOfTest({ path, text: `  it('faults (${S2})', () => {});` })).toEqual([S2]);
    expect(rowsOfTest({ path, text: "describe('V1: something else', () => {});" })).toEqual([]);
    expect(rowsOfTest({ path: 'test/cpu/vectors-tlb.test.ts', text: "describe('T3b: x', f);" })).toEqual([
      'hardware/T3b',
    ]);
  });

  it('not when it is only mentioned', () => {
    expect(rowsOfTest({ path: 'test/cli/run.test.ts', text: "await host.murphy('run highmem/E1');" })).toEqual([]);
  });
});
