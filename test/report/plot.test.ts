import { describe, expect, it } from 'vitest';
import type { Plot } from '../../src/lab/measurement.js';
import { svgPlot } from '../../src/report/plot.js';

const plot: Plot = {
  title: 'spans < all',
  x: { label: 'bytes', scale: 'log2' },
  y: { label: 'steps', scale: 'log10' },
  series: [
    {
      name: 'a & b',
      points: [
        [4096, 10],
        [65536, 1000],
      ],
    },
    {
      name: 'none',
      points: [
        [4096, 0],
        [65536, 0],
      ],
    },
  ],
};

/** Every element is closed, in order. */
function balanced(svg: string): boolean {
  const open: string[] = [];
  for (const [, slash, name, , self] of svg.matchAll(/<(\/?)([a-z]+)((?:"[^"]*"|[^">])*?)(\/?)>/g)) {
    if (slash === '/') {
      if (open.pop() !== name) return false;
    } else if (self !== '/') open.push(name as string);
  }
  return open.length === 0;
}

describe('svgPlot()', () => {
  const svg = svgPlot(plot);

  it('is well-formed, with what is special escaped', () => {
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true);
    expect(balanced(svg)).toBe(true);
    expect(svg).toContain('spans &lt; all');
    expect(svg).toContain('a &amp; b');
  });

  it('draws a line and a legend for each series, and a mark for each point', () => {
    expect(svg.match(/<polyline/g)).toHaveLength(2);
    expect(svg.match(/<circle/g)).toHaveLength(4);
    expect(svg).toContain('>none</text>');
  });

  it('puts larger values further right and further up', () => {
    const [first, second] = [...svg.matchAll(/<polyline points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"/g)];
    const [x1, y1, x2, y2] = (first as RegExpExecArray).slice(1).map(Number);
    expect(x2).toBeGreaterThan(x1 as number);
    expect(y2).toBeLessThan(y1 as number);
    expect(second?.[2]).toBe(second?.[4]);
  });

  it('writes powers of two as such', () => {
    expect(svg).toContain('>4 Ki</text>');
    expect(svg).toContain('>64 Ki</text>');
  });

  it('writes powers of ten in units, and keeps 0 apart from the lowest of them', () => {
    const wide = svgPlot({
      ...plot,
      series: [
        {
          name: 'both',
          points: [
            [1, 0],
            [2, 1],
            [4, 1e8],
          ],
        },
      ],
    });
    for (const text of ['0', '1', '100', '10 k', '1 M', '100 M']) expect(wide).toContain(`>${text}</text>`);
    const ys = /<polyline points="[\d.]+,([\d.]+) [\d.]+,([\d.]+) /.exec(wide)?.slice(1).map(Number) as number[];
    expect(ys[0]).toBeGreaterThan(ys[1] as number);
  });

  it('lets lines that lie on each other be seen', () => {
    const dashes = [...svg.matchAll(/<polyline [^>]*stroke-dasharray="([^"]*)"/g)].map((m) => m[1]);
    expect(new Set(dashes).size).toBe(dashes.length);
  });

  it('has an axis for nothing but zeros', () => {
    const empty = svgPlot({
      ...plot,
      series: [{ name: 'none', points: [[1, 0]] }],
      x: { label: 'x' },
      y: { label: 'y' },
    });
    expect(empty).not.toMatch(/NaN|Infinity/);
  });
});
