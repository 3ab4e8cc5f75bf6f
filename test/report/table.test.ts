import { describe, expect, it } from 'vitest';
import { caseTable, cpuTable, verdict } from '../../src/report/table.js';
import { clean, cpuStats, lostBytes } from './sample.js';

/** Columns stand two blanks apart. */
const cells = (text: string): string[][] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2,}/));

describe('the table of cases', () => {
  it('has a row per result, with its outcome and whether that was claimed', () => {
    const unexpected = clean({ outcome: 'hang', expected: false, interrupted: true });
    expect(cells(caseTable([lostBytes(), clean(), unexpected, clean({ claimed: null })]))).toEqual([
      ['experiment', 'case', 'core', 'kernel', 'CPUs', 'executions', 'failures', 'outcome', 'expected'],
      ['2009-03-kmap-recycle-lost-bytes', 'unpinned', 'arm926-smp', '2.6.29', '2', '1,200', '17', 'wrong-bytes', 'yes'],
      ['2009-03-kmap-recycle-lost-bytes', 'pinned', 'arm926-smp', '2.6.30', '2', '1,200', '0', 'clean', 'yes'],
      [
        '2009-03-kmap-recycle-lost-bytes',
        'pinned',
        'arm926-smp',
        '2.6.30',
        '2',
        '1,200',
        '0',
        'hang (interrupted)',
        'NO',
      ],
      ['2009-03-kmap-recycle-lost-bytes', 'pinned', 'arm926-smp', '2.6.30', '2', '1,200', '0', 'clean', 'no claim'],
    ]);
  });

  it('ends no line in blanks, and is without colours unless asked for', () => {
    const text = caseTable([lostBytes()]);
    expect(text).not.toMatch(/ \n/);
    expect(text).not.toContain('\u001b');
    expect(caseTable([lostBytes()], true)).toContain('\u001b[32myes');
  });
});

describe('the table of CPUs', () => {
  it('sums the results, and divides operations by the time in which there was such a CPU', () => {
    const four = clean({ seconds: 1, cpuStats: [cpuStats(0), cpuStats(1), cpuStats(2, { ops: 700 })] });
    const [, cpu0, cpu1, cpu2] = cells(cpuTable([lostBytes(), four]));
    expect(cpu0?.slice(0, 6)).toEqual(['CPU0', '2,000', '80', '8', '400', '100 (25.0%)']);
    expect(cpu1?.slice(0, 2)).toEqual(['CPU1', '2,667']);
    expect(cpu2?.slice(0, 2)).toEqual(['CPU2', '700']);
  });

  it('shows cache and TLB counters', () => {
    const [head, row] = cells(cpuTable([lostBytes({ cpuStats: [cpuStats(0)] })]));
    expect(head?.slice(6)).toEqual(['fills', 'write-backs', 'evictions', 'dirty lost', 'TLB misses', 'switches']);
    expect(row?.slice(6)).toEqual(['90', '12', '7', '3', '5', '1']);
  });

  it('does not divide by zero', () => {
    const idle = lostBytes({ seconds: 0, cpuStats: [cpuStats(0, { lockAcquired: 0, lockContended: 0 })] });
    expect(cpuTable([idle])).not.toContain('NaN');
    expect(cpuTable([idle])).not.toContain('Infinity');
  });
});

describe('the verdict', () => {
  it('is one line that counts the cases', () => {
    expect(verdict([lostBytes(), clean()])).toBe('verdict: 2 cases, every outcome as claimed');
  });

  it('names each case whose outcome was not claimed', () => {
    expect(verdict([lostBytes(), clean({ outcome: 'oops', expected: false })])).toBe(
      'verdict: 1 of 2 cases not as claimed: 2009-03-kmap-recycle-lost-bytes (pinned): oops, but clean was claimed',
    );
  });

  it('says so when the run was interrupted, or when nothing was claimed', () => {
    expect(verdict([clean({ interrupted: true })])).toBe('verdict: 1 case, every outcome as claimed, interrupted');
    expect(verdict([clean({ claimed: null })])).toBe('verdict: 1 case, every outcome as claimed (1 without a claim)');
  });
});
