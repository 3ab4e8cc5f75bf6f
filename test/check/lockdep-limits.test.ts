/** Tables of the lock validator: the last entry has room, the next one ends all checking. */
import { describe, expect, it } from 'vitest';
import { type LockStep, runLockProgram } from '../../src/index.js';

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `L${i}`);
/** Every lock of @count taken and given back. */
const each = (count: number): LockStep[] =>
  names(count).flatMap((name): LockStep[] => [
    ['spin_lock', name],
    ['spin_unlock', name],
  ]);
/** The first @count pairs of locks, the smaller number outside. */
const pairs = (count: number): LockStep[] => {
  const list = names(66).flatMap((outer, i) => names(i).map((inner) => [inner, outer] as const));
  return list.slice(0, count).flatMap(([outer, inner]): LockStep[] => [
    ['spin_lock', outer],
    ['spin_lock', inner],
    ['spin_unlock', inner],
    ['spin_unlock', outer],
  ]);
};
const headlines = (steps: readonly LockStep[]): string[] => runLockProgram({ steps }).reports.map((r) => r.headline);

describe('the table of classes', () => {
  it('has room for 511, those of the kernel included', () => {
    const [header] = runLockProgram({ steps: each(1) }).proc.lockdep_stats.split('\n');
    expect(header).toMatch(/\[max: 512\]$/);
    expect(headlines(each(480))).toEqual([]);
    expect(headlines(each(512))).toEqual(['BUG: MAX_LOCKDEP_KEYS too low!']);
  });
});

describe('the table of dependencies', () => {
  it('has two entries for each, and room for 4095', () => {
    expect(headlines(pairs(2047))).toEqual([]);
    const { reports, proc } = runLockProgram({ steps: [...pairs(2048), ['spin_unlock', 'L0']] });
    expect(reports.map((r) => r.headline)).toEqual(['BUG: MAX_LOCKDEP_ENTRIES too low!']);
    expect(proc.lockdep_stats).toMatch(/ debug_locks: +0\n/);
  });
});
