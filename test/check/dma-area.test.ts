/** What the DMA checker keeps of lines: as many as there is room for, and none of another execution. */
import { describe, expect, it } from 'vitest';
import { DmaArea, Line } from '../../src/check/dma/area.js';
import { DMA_CHECK_WORDS } from '../../src/cpu/hw.js';

const made = (area: DmaArea, lines: number): number[] =>
  Array.from({ length: lines }, (_, n) => n * 7).filter((n) => area.line(n, true) >= 0);

describe('the table of lines', () => {
  it('finds each line that it has room for, and says of the others that there is none', () => {
    const area = new DmaArea(new Int32Array(DMA_CHECK_WORDS), 0);
    area.restart();
    const kept = made(area, 20_000);
    expect(kept.length).toBeGreaterThan(7000);
    expect(kept.length).toBeLessThanOrEqual(8192);
    expect(kept.every((n) => area.word(area.line(n, false), Line.number) === n)).toBe(true);
    expect(area.line(3, false)).toBe(-1);
  });

  it('is empty when another execution begins', () => {
    const area = new DmaArea(new Int32Array(DMA_CHECK_WORDS), 0);
    area.restart();
    made(area, 100);
    area.restart();
    expect(area.line(7, false)).toBe(-1);
    expect(area.line(7, true)).toBeGreaterThanOrEqual(0);
  });
});
