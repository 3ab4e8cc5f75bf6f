import { describe, expect, it } from 'vitest';
import type { ExploreProgress } from '../../src/explore/explore.js';
import { exploringDisplay, exploringLine } from '../../src/report/exploring.js';
import { Kept } from './sample.js';

const at = (seconds: number, more: Partial<ExploreProgress> = {}): ExploreProgress => ({
  ...{ executions: 1000 * seconds, abandoned: 0, seconds, failures: 0, depth: 34, stats: {} },
  ...more,
});

describe('the line of progress of an exploration', () => {
  it('says how many executions, how fast, how deep, and that none has failed', () => {
    expect(exploringLine('E1', at(12))).toBe('E1: 12,000 executions, 1,000/s, depth 34, no failure');
  });

  it('says how much is left where the strategy has an idea of it', () => {
    const line = exploringLine('E1', at(60, { failures: 2, stats: { exploredPart: 0.25 } }));
    expect(line).toBe(
      'E1: 60,000 executions, 1,000/s, depth 34, about 25.0 % explored, 3 min left, 2 failing executions',
    );
    expect(exploringLine('E1', at(60, { stats: { exploredPart: 1e-9 } }))).toContain('below 0.1 % explored');
  });

  it('says how likely something new is where chance directs', () => {
    const stats = { distinctTraces: 4321, tracesAtLeast: 9000, unseenChance: 0.1234 };
    expect(exploringLine('E1', at(60, { stats }))).toBe(
      'E1: 60,000 executions, 1,000/s, depth 34, 4,321 traces, next one new: about 12 %, no failure',
    );
    const none = exploringLine('E1', at(60, { stats: { ...stats, unseenChance: 0 } }));
    expect(none).toContain('next one new: below 0.0017 %');
  });

  it('comes now and then where there is no terminal, and counts from where a checkpoint has left off', () => {
    const out = new Kept();
    const display = exploringDisplay(out, 'E1');
    for (const seconds of [101, 102, 105.9, 106, 107, 111]) display.update(at(seconds));
    display.clear();
    expect(out.lines).toEqual([
      'murphy: E1: 106,000 executions, 1,000/s, depth 34, no failure',
      'murphy: E1: 111,000 executions, 1,000/s, depth 34, no failure',
    ]);
  });

  it('is rewritten in place on a terminal, and gone at the end', () => {
    const out = new Kept(true);
    const display = exploringDisplay(out, 'E1');
    display.update(at(1));
    display.update(at(2));
    display.clear();
    expect(out.text.split('\r\u001b[2K')).toEqual([
      ...['', 'E1: 1,000 executions, 1,000/s, depth 34, no failure'],
      ...['E1: 2,000 executions, 1,000/s, depth 34, no failure', ''],
    ]);
  });
});
