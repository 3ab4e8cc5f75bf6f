import { describe, expect, it } from 'vitest';
import { resultToJson } from '../../src/report/json.js';
import { failureText, outcomeText, resultText } from '../../src/report/result.js';
import { clean, lostBytes } from './sample.js';

describe('a result in words', () => {
  it('names the page frame, the offset, and the byte expected and seen', () => {
    expect(resultText(lostBytes())).toBe(
      [
        '2009-03-kmap-recycle-lost-bytes (unpinned)',
        '  arm926-smp, 2.6.29, 2 CPUs, 2.0 s: 1,200 executions, 17 failures: wrong-bytes, as claimed',
        '  first failure, wrong-bytes in execution 31: page B lost bytes that CPU1 stored',
        '    page frame 0x1a3, offset 0x040, expected 0x5a, seen 0xa5',
        '',
      ].join('\n'),
    );
  });

  it('counts each kind of failure where there are several', () => {
    const { outcomes } = lostBytes();
    expect(resultText(lostBytes({ outcomes: { ...outcomes, oops: 2000 } }))).toContain(
      ' 2,017 failures (17 wrong-bytes, 2,000 oops): ',
    );
  });

  it('names the patches in force', () => {
    expect(resultText(clean())).toContain('  patches: kmap-high-get\n');
  });

  it('says what was claimed when something else was seen', () => {
    const result = lostBytes({ claimed: ['clean', 'warn'], expected: false });
    expect(outcomeText(result)).toBe('wrong-bytes, but clean or warn was claimed');
  });

  it('shows what every CPU held and waited for', () => {
    const state = ['CPU0: holds kmap_lock', 'CPU1: waits for kmap_lock'];
    const lines = failureText({ outcome: 'deadlock', message: 'deadlock', execution: 1, state });
    expect(lines).toEqual([
      'first failure, deadlock in execution 1: deadlock',
      '  CPU0: holds kmap_lock',
      '  CPU1: waits for kmap_lock',
    ]);
  });

  it('keeps a message with line breaks and control characters on one line', () => {
    const [line] = failureText({ outcome: 'report', message: 'a\nb\u001b[2Jc', execution: 1 });
    expect(line).toBe('first failure, report in execution 1: a b [2Jc');
  });
});

describe('a result in JSON', () => {
  it('is one line that begins with the promised fields, in their order', () => {
    const text = resultToJson(lostBytes());
    expect(text).not.toContain('\n');
    expect(Object.keys(JSON.parse(text)).slice(0, 15)).toEqual([
      ...['experiment', 'spec', 'mode', 'core', 'cpus', 'kernel', 'patches', 'outcome', 'expected'],
      ...['executions', 'exhausted', 'seconds', 'replay', 'memoryHash', 'dmesg'],
    ]);
  });

  it('has every field of the result', () => {
    const result = lostBytes();
    expect(JSON.parse(resultToJson(result))).toEqual(result);
  });

  it('has kernel messages without their level prefix', () => {
    const { dmesg } = JSON.parse(resultToJson(lostBytes({ dmesg: ['<3>[    0.000001] CPU0: BUG'] })));
    expect(dmesg).toEqual(['[    0.000001] CPU0: BUG']);
  });
});
