/** What the race detector keeps of an execution: memory that changes hands, and what a barrier or a byte makes of it. */
import { describe, expect, it } from 'vitest';
import { Area, Head } from '../../src/check/races/area.js';
import { Access, Detector } from '../../src/check/races/detector.js';
import { RACES_WORDS } from '../../src/cpu/hw.js';

const CONTEXTS = 4;
const KEY = 0x8000;

function detectors(): { area: Area; one: Detector; other: Detector } {
  const hw = new Int32Array(new SharedArrayBuffer(RACES_WORDS * 4));
  const area = new Area(hw, 0, CONTEXTS);
  area.restart(false);
  const make = (context: number): Detector => {
    const detector = new Detector(area, {
      ...{ hw, rules: 'hb', footprint: null },
      cpuOf: () => 0,
      stack: () => [],
      report: () => {},
    });
    detector.become(context);
    return detector;
  };
  return { area, one: make(0), other: make(1) };
}

describe('memory that changes hands', () => {
  it('is not what its last owner wrote', () => {
    const { area, one, other } = detectors();
    one.access(KEY, 0, 4, Access.write, 0);
    area.forget(KEY * 4, 32);
    other.access(KEY, 0, 4, Access.write, 0);
    expect(area.head(Head.suspects)).toBe(0);
  });

  it('is what it was where nobody says so, and beside what changes hands', () => {
    const { area, one, other } = detectors();
    one.access(KEY, 0, 4, Access.write, 0);
    one.access(KEY + 8, 0, 4, Access.write, 0);
    area.forget(KEY * 4 + 4, 28);
    other.access(KEY, 0, 4, Access.read, 0);
    other.access(KEY + 8, 0, 4, Access.read, 0);
    expect([KEY, KEY + 1, KEY + 8].map((key) => area.suspectOf(key) >= 0)).toEqual([true, false, true]);
  });

  it('is unknown again in the next execution', () => {
    const { area, one, other } = detectors();
    one.access(KEY, 0, 4, Access.write, 0);
    area.restart(false);
    other.access(KEY, 0, 4, Access.write, 0);
    expect(area.head(Head.suspects)).toBe(0);
  });
});

describe('readers that nothing orders', () => {
  it('are all remembered: a store has to come after each of them', () => {
    const { area, one, other } = detectors();
    one.access(KEY, 0, 4, Access.read, 0);
    other.access(KEY, 0, 4, Access.read, 0);
    other.release(1);
    one.acquire(1);
    one.access(KEY, 0, 4, Access.write, 0);
    expect(area.head(Head.suspects)).toBe(0);
    other.access(KEY, 0, 4, Access.read, 0);
    expect(area.suspectOf(KEY)).toBe(0);
  });
});
