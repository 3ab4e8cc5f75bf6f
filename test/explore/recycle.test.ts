/** highmem/E1 in controlled mode, from the command line on: found, ruled out within bounds and without, and reduced to what matters. */
import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';
import { minimise } from '../../src/explore/minimise.js';
import { readReplay, replay, toReplay } from '../../src/explore/replay-file.js';
import { packageRoot } from '../../src/lab/modules.js';

const E1 = 'highmem/E1';
const MINUTES = 10 * 60_000;
const folder = mkdtempSync(join(tmpdir(), 'murphy-recycle-'));

interface Line {
  readonly outcome: string;
  readonly exhausted: boolean;
  readonly replay: string | null;
}

/** The last line of JSON that the command prints, and its exit status. */
function murphy(...args: string[]): Promise<{ line: Line; code: number }> {
  const cli = join(packageRoot(), 'scripts', 'murphy.mjs');
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [cli, ...args], { cwd: folder }, (error, stdout) => {
      const last = stdout.trim().split('\n').at(-1) ?? '';
      if (last === '') reject(error ?? new Error('no output'));
      else resolve({ line: JSON.parse(last) as Line, code: error === null ? 0 : Number(error.code) });
    });
  });
}

const TWO = ['--strategy', 'dfs', '--preemptions', '2', '--seconds', '300', '--json'];

describe('explore highmem/E1', () => {
  it('without the patch loses bytes within two preemptions, and leaves a replay file', {
    timeout: MINUTES,
  }, async () => {
    const { line, code } = await murphy('explore', E1, '--no-patch', 'kmap-high-get', ...TWO);
    expect([line.outcome, code]).toEqual(['wrong-bytes', 0]);
    const { reproduced } = await replay(readReplay(join(folder, line.replay ?? 'none')));
    expect(reproduced).toBe(true);
  });

  it('with the patch loses none in any schedule of two preemptions', { timeout: MINUTES }, async () => {
    const { line, code } = await murphy('explore', E1, ...TWO);
    expect([line.outcome, line.exhausted, code]).toEqual(['clean', true, 0]);
  });
});

describe('highmem/E1 on its smallest machine, one line of a page', () => {
  const ONE_LINE = { machine: { bufferBytes: 32 } };

  it('is exhausted by DPOR without any bound, in far fewer executions than plain depth-first search makes', {
    timeout: MINUTES,
  }, async () => {
    const dpor = await explore(E1, { ...ONE_LINE, strategy: 'dpor' });
    expect([dpor.outcome, dpor.exhausted]).toEqual(['clean', true]);
    expect(dpor.executions).toBeLessThan(1000);
    const plain = await explore(E1, { ...ONE_LINE, strategy: 'dfs', executions: 3 * dpor.executions });
    expect([plain.outcome, plain.exhausted]).toEqual(['clean', false]);
    expect(plain.stats.exploredPart).toBeLessThan(1e-6);
  });
});

describe('highmem/E1 found by a random walk', () => {
  it('is minimised to two preemptions at most', { timeout: MINUTES }, async () => {
    const found = await explore(E1, { noPatches: ['kmap-high-get'], strategy: 'random', seed: 1, executions: 2000 });
    expect(found.outcome).toBe('wrong-bytes');
    expect(found.preemptions).toBeGreaterThan(2);
    const smaller = await minimise(await toReplay(E1, found), { seconds: 300 });
    expect(smaller.outcome).toBe('wrong-bytes');
    expect(smaller.preemptions).toBeLessThanOrEqual(2);
    expect((await replay(smaller)).reproduced).toBe(true);
  });
});
