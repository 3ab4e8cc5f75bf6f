/** What races measure, as a table for each case, and as one table and one plot for all of them. */
import type { Figures, Plot } from '../lab/measurement.js';
import type { Measured } from '../lab/samples.js';
import type { RunResult } from '../lab/types.js';
import { count } from './output.js';
import { table } from './table.js';

/** A row per point. */
export function measuredTable(measured: Measured, colour = false): string {
  const right = (content: string) => ({ content, hAlign: 'right' as const });
  const head = [measured.x, ...measured.series].map(right);
  const rows = measured.points.map((point) => point.map((value) => right(count(value))));
  return `${measured.y}:\n${table(head, rows, colour)}`;
}

/** Each series of each case as a curve of its own: what belongs together has the axes of the first. Return: null if nothing was measured. */
export function plotOf(results: readonly Pick<RunResult, 'title' | 'caseName' | 'measured'>[]): Plot | null {
  const first = results.find((result) => result.measured !== undefined);
  if (first?.measured === undefined) return null;
  const { x, y, yScale = 'linear' } = first.measured;
  const alike = results.filter(({ measured }) => measured !== undefined && measured.x === x && measured.y === y);
  const series = alike.flatMap(({ measured, caseName }) =>
    (measured as Measured).series.map((name, nr) => ({
      name: caseName === null ? name : `${name}, ${caseName}`,
      points: (measured as Measured).points.map((p) => [p[0] as number, p[nr + 1] as number] as const),
    })),
  );
  return { title: first.title, x: { label: x }, y: { label: y, scale: yScale }, series };
}

/** All cases with the axes of the first, a row per point. Return: null if nothing was measured. */
export function figuresOf(results: readonly Pick<RunResult, 'title' | 'caseName' | 'measured'>[]): Figures | null {
  const plot = plotOf(results);
  const first = results.find((result) => result.measured !== undefined)?.measured;
  if (plot === null || first === undefined) return null;
  const rows = results.flatMap(({ caseName, measured }) =>
    measured === undefined || measured.x !== first.x || measured.y !== first.y
      ? []
      : measured.points.map((point) => [caseName ?? '', ...point]),
  );
  return { columns: ['case', first.x, ...first.series.map((name) => `${name} (${first.y})`)], rows, plot };
}
