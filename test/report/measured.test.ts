import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { race, run, sample } from '../../src/index.js';
import { measuredTable, plotOf } from '../../src/report/measured.js';
import { FakeHost } from '../cli/fake.js';
import { clean, lostBytes } from './sample.js';

const measured = {
  x: 'MB allocated',
  y: 'free pages',
  series: ['Normal', 'HighMem'],
  points: [
    [0, 4000, 12288],
    [1, 3744, 12288],
  ],
};

describe('what a race measures', () => {
  it('is a table with a row for each point', () => {
    expect(measuredTable(measured).split('\n')).toEqual([
      'free pages:',
      'MB allocated  Normal  HighMem',
      '           0   4,000   12,288',
      '           1   3,744   12,288',
      '',
    ]);
  });

  it('is one plot of all cases that have the same axes', () => {
    const other = { ...measured, y: 'bytes' };
    const plot = plotOf([clean({ caseName: 'before', measured }), lostBytes(), clean({ measured: other })]);
    expect(plot?.series.map((s) => s.name)).toEqual(['Normal, before', 'HighMem, before']);
    expect(plot?.series[0]?.points).toEqual([
      [0, 4000],
      [1, 3744],
    ]);
    expect(plotOf([lostBytes()])).toBe(null);
  });

  it('is in the result of the run, of its last execution', async () => {
    const result = await run('vmalloc/V004-03', { executions: 1, caseName: 'HIGHMEM in vmalloc() (HM)' });
    expect(result.measured?.series).toEqual(['data', 'slabs', 'page tables']);
    expect(result.measured?.points).toHaveLength(17);
    expect(result.measured?.points.at(-1)?.[1]).toBe(0);
  });

  it('has to be declared', () => {
    const wrong = () => race({ id: 'x', threads: [(k) => sample(k, 0)], measures: { x: 'a', y: 'b', series: [] } });
    expect(wrong).toThrow(/measures.series must be a list of 1 to 7 names/);
    const scale = () =>
      race({ id: 'x', threads: [() => {}], measures: { x: 'a', y: 'b', series: ['c'], yScale: 'log' as never } });
    expect(scale).toThrow(/measures.yScale must be/);
  });
});

describe('measure', () => {
  it('runs each case of a race once, prints one table of them, and draws one plot', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'murphy-'));
    const file = join(folder, 'plot.svg');
    const host = new FakeHost();
    host.fakeLab.results = [clean({ caseName: 'before', measured }), clean({ caseName: 'after', measured })];
    expect(await host.murphy(`measure ./race.js --svg ${file}`)).toBe(0);
    expect(host.fakeLab.calls).toMatchObject([{ how: 'runCases', race: './race.js', options: { executions: 1 } }]);
    expect(host.stdout.text).toContain('case    MB allocated  Normal (free pages)  HighMem (free pages)');
    expect(host.stdout.text).toContain('after              1                3,744                12,288');
    expect(readFileSync(file, 'utf8').match(/<polyline/g)).toHaveLength(4);
    rmSync(folder, { recursive: true });
  });

  it('finds races that measure by id and row, and says what there is when there is none', async () => {
    const host = new FakeHost();
    const [race, other] = host.fakeLab.experiments;
    host.fakeLab.experiments = [{ ...race, measures: { x: 'a', y: 'b', series: ['c'] } }, other] as never;
    host.fakeLab.results = [clean({ measured })];
    expect(await host.murphy('measure highmem/E1 --json')).toBe(0);
    expect(JSON.parse(host.stdout.text.split('\n')[0] as string)).toMatchObject({
      measurement: race?.id,
      'MB allocated': 0,
    });
    expect(await host.murphy('measure highmem/E18')).toBe(2);
    expect(host.stderr.text).toContain(`no measurement "highmem/E18"; there are 2003-01-vread-irqs-off, ${race?.id}`);
    host.fakeLab.results = [clean()];
    expect(await host.murphy('measure highmem/E1')).toBe(2);
    expect(host.stderr.text).toMatch(/measures nothing/);
  });
});
