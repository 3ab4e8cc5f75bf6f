import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/main.js';
import { writeReplay } from '../../src/explore/replay-file.js';
import { decodePerfetto } from '../report/perfetto-format.js';
import { recycled } from '../report/trace-sample.js';
import { FakeHost } from './fake.js';

describe('murphy report', () => {
  const folder = mkdtempSync(join(tmpdir(), 'murphy-report-'));
  const file = join(folder, 'e1.replay.json');

  beforeAll(async () => writeReplay(file, (await recycled()).replay));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('writes a page beside the replay file and says what to do with it', async () => {
    const host = new FakeHost();
    expect(await main(['report', file], host)).toBe(0);
    expect(host.stdout.text).toBe(`${join(folder, 'e1.html')}: open it in a browser\n`);
    expect(readFileSync(join(folder, 'e1.html'), 'utf8')).toMatch(/^<!doctype html>/);
  });

  it('writes ftrace text to standard output', async () => {
    const host = new FakeHost();
    expect(await main(['report', file, '--format', 'ftrace', '--output', '-'], host)).toBe(0);
    expect(host.stdout.text).toMatch(/^# tracer: nop\n/);
  });

  it('writes a Chrome trace where it is told to', async () => {
    const out = join(folder, 'trace.json');
    expect(await main(['report', file, '--format', 'chrome', '--output', out], new FakeHost())).toBe(0);
    expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({ displayTimeUnit: 'ns' });
  });

  it('writes a Perfetto trace beside the replay file, and no bytes to standard output', async () => {
    const host = new FakeHost();
    expect(await main(['report', file, '--format', 'perfetto'], host)).toBe(0);
    expect(host.stdout.text).toBe(`${join(folder, 'e1.perfetto-trace')}: open it in Perfetto\n`);
    expect(decodePerfetto(readFileSync(join(folder, 'e1.perfetto-trace'))).length).toBeGreaterThan(100);
    const other = new FakeHost();
    expect(await main(['report', file, '--format', 'perfetto', '--output', '-'], other)).toBe(2);
    expect(other.stdout.text).toBe('');
    expect(other.stderr.text).toMatch(/^murphy: .*perfetto.*--output/);
  });

  it('refuses a file that is not there, a place that cannot be written, and a format that it does not have', async () => {
    const refused = async (...args: string[]): Promise<string> => {
      const host = new FakeHost();
      expect(await main(['report', ...args], host)).toBe(2);
      return host.stderr.text;
    };
    expect(await refused(join(folder, 'none.json'))).toMatch(/^murphy: no replay file at /);
    expect(await refused(file, '--output', join(folder, 'no', 'where.html'))).toMatch(
      /^murphy: cannot write .*; give --output/,
    );
    expect(await refused(file, '--format', 'pdf')).toMatch(/^murphy: .*pdf.*html, ftrace, chrome/);
  });
});
