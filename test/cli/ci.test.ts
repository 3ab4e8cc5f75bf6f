import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeHost } from './fake.js';

const RECYCLE = '2009-03-kmap-recycle-lost-bytes';
let host: FakeHost;
let folder: string;
beforeEach(() => {
  host = new FakeHost();
  folder = mkdtempSync(join(tmpdir(), 'murphy-ci-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('murphy matrix --ktap', () => {
  it('writes a result for each case to standard output, and nothing else', async () => {
    expect(await host.murphy(`matrix ${RECYCLE} --ktap`)).toBe(1);
    expect(host.stdout.text.split('\n').filter((line) => !/^ *#/.test(line))).toEqual([
      'KTAP version 1',
      '1..1',
      '  KTAP version 1',
      '  1..2',
      '  not ok 1 unpinned',
      '  ok 2 pinned',
      `not ok 1 ${RECYCLE}`,
      '',
    ]);
    expect(host.stdout.text).toContain('  # clean, claimed wrong-bytes');
  });

  it('says that there is nothing of a name, in the file of --junit as well', async () => {
    const file = join(folder, 'none.xml');
    expect(await host.murphy(`matrix nosuchname --ktap --junit ${file}`)).toBe(2);
    expect(host.stdout.text).toMatch(
      /^KTAP version 1\n1\.\.1\n {2}KTAP version 1\n {2}1\.\.1\n( {2}# .*\n)+ {2}not ok 1 what is to be run # ERROR nothing to run for "nosuchname".*\nnot ok 1 murphy matrix\n$/,
    );
    expect(readFileSync(file, 'utf8')).toMatch(
      /tests="1" failures="0" errors="1".*<error message="nothing to run for /s,
    );
    expect(host.stderr.text).toMatch(/^murphy: nothing to run for "nosuchname"/);
  });

  it('does not share standard output with --json', async () => {
    expect(await host.murphy(`matrix ${RECYCLE} --ktap --json`)).toBe(2);
    expect(host.stderr.text).toBe('murphy: --ktap and --json both want standard output; give one of the two\n');
  });
});

describe('--junit', () => {
  it('writes a file beside what matrix says anyway', async () => {
    const file = join(folder, 'matrix.xml');
    await host.murphy(`matrix ${RECYCLE} --junit ${file}`);
    const text = readFileSync(file, 'utf8');
    expect(text).toContain('<testsuite name="murphy matrix" tests="2" failures="1" errors="0" skipped="0"');
    expect(text).toContain(`<testcase classname="${RECYCLE}" name="pinned"`);
    expect(host.stdout.text).toContain('1 of 2 cases not as claimed');
  });

  it('writes the results of stress, and KTAP beside it', async () => {
    const file = join(folder, 'stress.xml');
    expect(await host.murphy(`stress kmap --junit ${file} --ktap`)).toBe(0);
    expect(readFileSync(file, 'utf8')).toContain('<testsuite name="murphy stress" tests="2" failures="0"');
    expect(host.stdout.text.replace(/^ *# .*\n/gm, '')).toMatch(
      /^KTAP version 1\n {2}KTAP version 1\n {2}ok 1 .*\n(ok 1 .*\n {2}KTAP version 1\n {2}ok 1| {2}ok 2) .*\nok \d .*\n$/,
    );
  });

  it('names a file that cannot be written', async () => {
    expect(await host.murphy(`matrix ${RECYCLE} --junit ${folder}/no/such.xml`)).toBe(2);
    expect(host.stderr.text).toContain('cannot write');
  });
});
