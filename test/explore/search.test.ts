import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { main } from '../../src/cli/main.js';
import { readReplay, replay } from '../../src/explore/replay-file.js';
import { searchFailure } from '../../src/explore/search.js';
import { packageRoot } from '../../src/lab/modules.js';
import { run } from '../../src/lab/run.js';
import { RealHost } from '../cli/real.js';

const E1 = '2009-03-kmap-recycle-lost-bytes';
const race = (name: string): string => join(packageRoot(), 'test', 'explore', 'races', `${name}.ts`);

describe('a failure of parallel mode, looked for in controlled mode', () => {
  it('comes back as a minimal schedule of the same failure that replays (E1)', async () => {
    const options = { noPatches: ['kmap-high-get'], seconds: 120, stopAtFailure: true };
    const result = await run(E1, options);
    expect(result.failure?.outcome).toBe('wrong-bytes');
    const found = await searchFailure(E1, result, { seconds: 200 });
    // The owner itself sees the loss only if it goes on after CPU 0 has come in between: one preemption more.
    const least = result.failure?.message.includes('read back by') ? 2 : 1;
    expect(found.replay?.preemptions).toBe(least);
    if (found.replay === null) return;
    expect((await replay(found.replay)).reproduced).toBe(true);
    expect(found.lines[0]).toMatch(found.same ? /^the same failure/ : /^not the same failure/);
    expect(found.lines.join('\n')).toMatch(/invalidate threw away/);
  });

  it('is recognised by what the contexts wait for (two locks in opposite order)', async () => {
    const result = await run(race('abba'), { seconds: 120, stopAtFailure: true });
    expect(result.failure?.outcome).toBe('deadlock');
    const found = await searchFailure(race('abba'), result);
    expect([found.same, found.replay?.preemptions]).toEqual([true, 1]);
  });

  it('is looked for on as many CPUs as the race needs', async () => {
    const result = await run(race('abba-apart'), { seconds: 120, stopAtFailure: true });
    expect([result.failure?.outcome, result.cpus]).toEqual(['deadlock', 3]);
    const found = await searchFailure(race('abba-apart'), result);
    expect([found.same, found.replay?.machine.cpus]).toEqual([true, 3]);
  });

  it('says so when controlled mode does not find it', async () => {
    const result = await run(race('abba'), { seconds: 120, stopAtFailure: true });
    const other = {
      ...result,
      outcome: 'oops',
      failure: { outcome: 'oops', message: 'nothing like it', execution: 1 },
    } as const;
    const found = await searchFailure(race('abba'), other, { seconds: 2 });
    expect([found.replay, found.lines[0]]).toEqual([null, expect.stringMatching(/^no schedule of controlled mode/)]);
  });
});

describe('the command line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'murphy-cli-'));

  it('writes a replay file for every distinct failure with --keep-going', async () => {
    const host = new RealHost();
    const output = join(folder, 'two.json');
    const argv = ['explore', race('two-bugs'), '--keep-going', '--json', '--output', output];
    expect(await main(argv, host)).toBe(0);
    const shown = JSON.parse(host.stdout.text) as { failures: { message: string; replay: string }[]; replay: string };
    expect(shown.failures.map((f) => f.replay)).toEqual([output, join(folder, 'two-2.json')]);
    expect(shown.replay).toBe(output);
    for (const { replay: file, message } of shown.failures) expect(readReplay(file).message).toBe(message);
  });

  it('answers with the fields that are promised, in their order, and the culprit', async () => {
    const host = new RealHost();
    const output = join(folder, 'e1.json');
    const argv = ['explore', E1, '--no-patch', 'kmap-high-get', '--preemptions', '1', '--json', '--output', output];
    expect(await main(argv, host)).toBe(0);
    const shown = JSON.parse(host.stdout.text) as Record<string, unknown>;
    expect(Object.keys(shown).slice(0, 15)).toEqual([
      ...['experiment', 'spec', 'mode', 'core', 'cpus', 'kernel', 'patches', 'outcome', 'expected', 'executions'],
      ...['exhausted', 'seconds', 'replay', 'memoryHash', 'dmesg'],
    ]);
    expect(shown.culprit).toMatchObject({ kind: 'discarded', cpu: 0, operation: 'invalidate', slot: 0 });
    expect(JSON.parse(readFileSync(output, 'utf8')).version).toBe(3);
  });

  it('shows every step with --verbose, and under 20 lines without', async () => {
    const file = join(folder, 'e1.json');
    const short = new RealHost();
    expect(await main(['replay', file], short)).toBe(0);
    expect(short.stdout.lines.length).toBeLessThan(20);
    const long = new RealHost();
    expect(await main(['replay', file, '--verbose'], long)).toBe(0);
    expect(long.stdout.lines.length).toBeGreaterThan(200);
    expect(long.stdout.text).toContain('DROPS DIRTY');
  });
});
