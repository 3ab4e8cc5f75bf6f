import { describe, expect, it } from 'vitest';
import { IRQS_OFF } from '../../src/lab/measure/irqs-off.js';
import { findMeasurement } from '../../src/lab/measurement.js';

const { columns, rows, plot } = IRQS_OFF.measure(65536);
const steps = (reader: string, lock: string, bytes: number, areas = 0): number => {
  const row = rows.find((r) => r[0] === reader && r[1] === lock && r[2] === bytes && r[3] === areas);
  return row?.[4] as number;
};
const F0 = '2.5.53, RMK2';

describe('vmalloc/V000-16: how long interrupts are off while vmalloc memory is read', () => {
  it('is nothing to speak of with the lock as it was, however much is read', () => {
    expect(steps('vread()', F0, 4096)).toBe(steps('vread()', F0, 65536));
    expect(steps('vread()', F0, 4096)).toBeLessThan(100);
  });

  it('grows with what vread() copies at once under RMK1', () => {
    const [small, large] = [steps('vread()', 'RMK1', 4096), steps('vread()', 'RMK1', 65536)];
    expect(small).toBeGreaterThan(4096);
    expect(large / small).toBeGreaterThan(15);
    expect(large / small).toBeLessThan(17);
  });

  it.each(['/dev/kmem', '/proc/kcore'])('does not grow through %s, which reads a page at a time', (reader) => {
    expect(steps(reader, 'RMK1', 65536)).toBeLessThan(1.1 * steps(reader, 'RMK1', 4096));
  });

  it('copies a page at most through those, and all of it at once by vread()', () => {
    const copied = (reader: string): unknown =>
      rows.find((r) => r[0] === reader && r[1] === 'RMK1' && r[2] === 65536)?.[5];
    expect([copied('vread()'), copied('/dev/kmem'), copied('/proc/kcore')]).toEqual([65536, 4096, 4096]);
  });

  it('keeps a writer on another CPU waiting as long as the reader copies, with its interrupts on or, under RMK1, off', () => {
    const wait = (reader: string, lock: string, bytes: number): number =>
      rows.find((r) => r[0] === reader && r[1] === lock && r[2] === bytes)?.[6] as number;
    for (const lock of [F0, 'RMK1']) {
      expect(wait('vread()', lock, 65536) / wait('vread()', lock, 4096)).toBeGreaterThan(15);
      expect(wait('/dev/kmem', lock, 65536)).toBeLessThan(1.1 * wait('/dev/kmem', lock, 4096));
    }
    const off = steps('vread()', 'RMK1', 65536);
    expect(Math.abs(wait('vread()', 'RMK1', 65536) - off)).toBeLessThan(0.01 * off);
  });

  it('grows with the list of areas as well', () => {
    const extra = (areas: number): number => steps('vread()', 'RMK1', 4096, areas) - steps('vread()', 'RMK1', 4096);
    expect(extra(10)).toBeGreaterThan(0);
    expect(extra(1000) / extra(10)).toBeGreaterThan(80);
    expect(steps('vread()', F0, 4096, 1000)).toBe(steps('vread()', F0, 4096));
  });

  it('has a column for each number, and a line for each reader and lock', () => {
    expect(new Set(rows.map((r) => r.length))).toEqual(new Set([columns.length]));
    expect(plot.series).toHaveLength(6);
  });

  it('is found by its row and by its name only', () => {
    expect(findMeasurement('vmalloc/V000-16')).toBe(IRQS_OFF);
    expect(findMeasurement('vmalloc/V000-17')).toBe(undefined);
  });
});
