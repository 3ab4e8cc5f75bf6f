/** The caches on real threads: what only locks between host threads make right. One thread cannot show it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CoreRow } from '../../src/cpu/core.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { localMachine } from '../machine.js';
import { core } from './bytes.js';
import type { Job, Report } from './parallel-worker.js';

const CPUS = 4;
const [BASE, OFFSET] = [0xc00e0000, 0xe0000];
const LINES = 8;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'murphy-test-'));
  const entry = fileURLToPath(new URL('parallel-worker.ts', import.meta.url));
  buildSync({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', outfile: join(folder, 'cpu.mjs') });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = (job: Job): Promise<Report> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(join(folder, 'cpu.mjs'), { workerData: job });
    worker.once('message', resolve);
    worker.once('error', reject);
  });

/** Two sets of two ways, so that lines of the same and of the other set are replaced all the time. */
function crowded(id: string): CoreRow {
  const row = core(id, { physBase: 0 }, { sets: 2, ways: 2 });
  return { ...row, outer: row.outer && { ...row.outer, sets: 2, ways: 2 } };
}

describe.each(['arm11mpcore', 'cortex-a9', 'cortex-a9-l2', 'cortex-a15', 'vivt-shared'])('%s on four threads', (id) => {
  it('loses no store, and nobody sees a word go back', async () => {
    const { config, k } = localMachine(id, { core: crowded(id), cpus: CPUS });
    k.bytes.fill(0, OFFSET, OFFSET + 4096);
    const shared = { arena: k.words.buffer as SharedArrayBuffer, hw: k.hw.buffer as SharedArrayBuffer };
    const job = { config, ...shared, base: BASE, lines: LINES, steps: 60_000 };
    const reports = await Promise.all(Array.from({ length: CPUS }, (_, cpu) => run({ ...job, cpu })));
    for (const { cpu, lost, older, counts } of reports) {
      expect({ cpu, lost, older }).toEqual({ cpu, lost: 0, older: 0 });
      expect(Array.from({ length: LINES }, (_, line) => wordOf(k, cpu, line))).toEqual(counts);
    }
  });
});

const wordOf = (k: Kernel, cpu: number, line: number): number =>
  k.mmu.load32(BASE + line * k.config.core.dcache.lineBytes + cpu * 4);
