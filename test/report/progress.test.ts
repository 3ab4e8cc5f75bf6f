import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { progressDisplay } from '../../src/report/progress.js';
import { Kept, progress } from './sample.js';

describe('progress where standard error is no terminal', () => {
  it('is a line when a case begins and one every two seconds', () => {
    const out = new Kept();
    const display = progressDisplay(out);
    for (const seconds of [0, 0.5, 1, 1.9, 2, 2.1, 3.9, 4.1]) display.update(progress(seconds));
    expect(out.lines.map((line) => / ([\d.]+) of /.exec(line)?.[1])).toEqual(['0.0', '2.0', '4.1']);
  });

  it('begins anew with the next case', () => {
    const out = new Kept();
    const display = progressDisplay(out);
    display.update(progress(9.9));
    display.clear();
    display.update(progress(0.1, { caseName: 'pinned' }));
    expect(out.lines).toHaveLength(2);
    expect(out.lines[1]).toContain('(pinned)');
  });

  it('names the executions, the failures, and the speed of each CPU', () => {
    const out = new Kept();
    progressDisplay(out).update(progress(2));
    expect(out.text).toBe(
      'murphy: 2009-03-kmap-recycle-lost-bytes (unpinned): 2.0 of 10.0 s, 100 executions, 2 failures; ' +
        'ops/s: CPU0 1,500, CPU1 1,500\n',
    );
  });
});

describe('progress on a terminal', () => {
  it('draws a bar for the case and one per CPU', async () => {
    const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 200 });
    const display = progressDisplay(stream);
    display.update(progress(5));
    await new Promise((resolve) => stream.once('readable', resolve));
    let text = String(stream.read());
    while (!/CPU1/.test(text)) {
      await new Promise((resolve) => stream.once('readable', resolve));
      text += String(stream.read());
    }
    display.clear();
    text = stripVTControlCharacters(text);
    expect(text).toMatch(/\[={12} {12}\] 5\.0\/10\.0 s {2}100 runs {2}2 failures/);
    expect(text).toMatch(/CPU0 {2}\[={24}\] +600 ops\/s {2}40 irq, 4 IPI, 50 contended, 12 write-backs/);
  });
});
