import { describe, expect, it } from 'vitest';
import { formatKernelMessage, parseKernelMessage, printDmesg } from '../../src/report/dmesg.js';
import { Kept } from './sample.js';

describe('a kernel message', () => {
  it('shows machine time in seconds, five places before the point and six after, then the CPU', () => {
    expect(formatKernelMessage({ micros: 123456, cpu: 1, text: 'text' })).toBe('[    0.123456] CPU1: text');
    expect(formatKernelMessage({ micros: 12_345_000_007, cpu: 0, text: 'text' })).toBe('[12345.000007] CPU0: text');
  });

  it('leaves out the time and the CPU that it does not have', () => {
    expect(formatKernelMessage({ micros: null, cpu: null, text: 'Modules linked in:' })).toBe('Modules linked in:');
  });

  it('is the same after being read and written again', () => {
    for (const line of ['[    0.123456] CPU1: text', '[   12.000001] text: with colon', 'plain', '[  1.5] odd', '']) {
      expect(formatKernelMessage(parseKernelMessage(line))).toBe(line);
    }
  });

  it('takes its level from a prefix as /proc/kmsg has it', () => {
    expect(parseKernelMessage('<4>[    1.000002] CPU3: careful')).toEqual({
      level: 4,
      micros: 1_000_002,
      cpu: 3,
      text: 'careful',
    });
  });

  it('takes its level from its text when there is no prefix', () => {
    expect(parseKernelMessage('[    0.1] BUG').level).toBe(3);
    expect(parseKernelMessage('kernel BUG at mm/highmem.c:233!').level).toBe(3);
    expect(parseKernelMessage('Unable to handle kernel NULL pointer dereference at virtual address 0').level).toBe(3);
    expect(parseKernelMessage('WARNING: at mm/highmem.c:408').level).toBe(4);
    expect(parseKernelMessage('swapper: page allocation failure. order:0, mode:0x20').level).toBe(4);
    expect(parseKernelMessage('Booting CPU1').level).toBe(6);
  });
});

describe('printDmesg()', () => {
  const LINES = [
    '[    0.000001] CPU0: hello',
    '<4>[    0.000002] CPU1: careful',
    '[    0.000003] CPU1: kernel BUG at x',
  ];

  it('prints each message on a line of its own, in order', () => {
    const out = new Kept();
    printDmesg(out, LINES);
    expect(out.lines).toEqual([LINES[0], '[    0.000002] CPU1: careful', LINES[2]]);
  });

  it('colours errors red and warnings yellow on request, and nothing else', () => {
    const out = new Kept();
    printDmesg(out, LINES, { colour: true });
    expect(out.lines).toEqual([
      LINES[0],
      '\u001b[33m[    0.000002] CPU1: careful\u001b[39m',
      `\u001b[31m${LINES[2]}\u001b[39m`,
    ]);
  });

  it('counts the lines beyond the limit', () => {
    const out = new Kept();
    printDmesg(out, LINES, { linesMax: 1 });
    expect(out.lines).toEqual([LINES[0], '... and 2 more lines (--json has all of them)']);
  });

  it('does not read braces or percent signs of a message as a format', () => {
    const out = new Kept();
    printDmesg(out, ['[    0.000001] CPU0: {msg} %s %d %j {if level}x{end}']);
    expect(out.lines).toEqual(['[    0.000001] CPU0: {msg} %s %d %j {if level}x{end}']);
  });
});
