import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../src/lab/modules.js';
import { murphy } from '../cli/real.js';

const folder = mkdtempSync(join(tmpdir(), 'murphy-merge-'));
const TWO_BUGS = join(packageRoot(), 'test', 'explore', 'races', 'two-bugs.ts');

const text = new Map<string, string>();

/** The result of one shard as a file. */
async function shard(part: string, ...more: string[]): Promise<string> {
  const file = join(folder, `${part.replace('/', 'of')}${more.join('')}.json`);
  const output = ['--output', `${file}.replay.json`];
  const asked = ['explore', TWO_BUGS, '--keep-going', '--json', '--quiet', ...output, '--shard', part, ...more];
  text.set(file, (await murphy(...asked)).stdout);
  writeFileSync(file, text.get(file) as string);
  return file;
}

describe('the results of shards', () => {
  it('join to the result of the whole search', async () => {
    const whole = JSON.parse(text.get(await shard('1/1')) as string);
    const files = [await shard('1/3'), await shard('3/3'), await shard('2/3')];
    const { status, stdout } = await murphy('merge', ...files, '--json');
    const merged = JSON.parse(stdout);
    expect(status).toBe(0);
    for (const name of ['executions', 'failingExecutions', 'exhausted', 'outcome', 'expected', 'machine']) {
      expect(merged[name], name).toEqual(whole[name]);
    }
    const counts = (of: { failures: { signature: string; count: number }[] }) =>
      of.failures.map((f) => `${f.signature}: ${f.count}`).sort();
    expect(counts(merged)).toEqual(counts(whole));
    expect(merged.shards).toEqual({ count: 3, present: [1, 2, 3], missing: [] });
  });

  it('are not exhausted while a shard is missing, which is named', async () => {
    const { status, stdout, stderr } = await murphy('merge', await shard('1/3'), await shard('3/3'));
    expect(status).toBe(0);
    expect(stdout).toMatch(/2 of 3 shards: .* not exhausted\n/);
    expect(stderr).toBe('murphy: this is not the whole search: 1 shard missing: 2/3\n');
  });

  it('that have found nothing are not as claimed while one is missing', async () => {
    const [race, file] = [join(folder, 'fine.mjs'), join(folder, 'fine.json')];
    const claim = "cases: [{ name: 'reads', outcome: 'clean' }]";
    const spec = `{ id: 'fine', shared: { x: 0 }, ${claim}, threads: [(k) => k.shared.x, (k) => k.shared.x] }`;
    writeFileSync(race, `import { race } from 'murphy';\nexport default race(${spec});\n`);
    writeFileSync(file, (await murphy('explore', race, '--json', '--quiet', '--shard', '1/2')).stdout);
    const one = await murphy('merge', file);
    expect([one.status, one.stdout.split('\n')[0]]).toEqual([1, 'fine: clean, as far as it is known']);
    expect(one.stderr).toBe('murphy: this is not the whole search: 1 shard missing: 2/2\n');
    const json = JSON.parse((await murphy('merge', file, '--json')).stdout);
    expect([json.outcome, json.expected]).toEqual(['clean', false]);
  });

  it('are not exhausted when one of them is not', async () => {
    const file = await shard('2/2');
    writeFileSync(file, (text.get(file) as string).replace('"exhausted":true', '"exhausted":false'));
    const { stdout } = await murphy('merge', await shard('1/2'), file);
    expect(stdout).toMatch(/2 of 2 shards: .* not exhausted/);
  });

  it('of two searches, or twice the same, are refused in one line', async () => {
    const first = await shard('1/2');
    const cases: [string[], RegExp][] = [
      [[first, await shard('2/2', '--shuffle')], /shuffle is false in the one and true in the other/],
      [[first, await shard('2/3')], /the shard is 1\/2 in the one and 1\/3 in the other/],
      [[first, await shard('2/2', '--preemptions', '2')], /preemptions is not given in the one and 2 in the other/],
      [[first, await shard('2/2'), first], /shard 1\/2 is in .* and again in/],
    ];
    for (const [files, message] of cases) {
      const { status, stdout, stderr } = await murphy('merge', ...files);
      expect([status, stdout, stderr.trim().split('\n').length]).toEqual([2, '', 1]);
      expect(stderr).toMatch(message);
    }
  });

  it('that are none are refused in one line', async () => {
    const good = text.get(await shard('1/2')) as string;
    const cases: [string, RegExp][] = [
      ['', /it is empty/],
      [good.slice(0, 100), /it is cut short/],
      ['{"murphy":"replay"}', /it is a replay file/],
      [good.replace('"search"', '"sought"'), /at "search"/],
    ];
    for (const [i, [content, message]] of cases.entries()) {
      const file = join(folder, `bad${i}.json`);
      writeFileSync(file, content);
      const { status, stderr } = await murphy('merge', file);
      expect([status, stderr.trim().split('\n').length]).toEqual([2, 1]);
      expect(stderr).toMatch(message);
    }
    expect((await murphy('merge', join(folder, 'missing.json'))).stderr).toMatch(/cannot read .*missing\.json/);
  });
});
