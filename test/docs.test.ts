/** docs/writing-a-race.md: every block of code on the page compiles, is run, and does what the page says. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explore } from '../src/index.js';
import { builtFile, loadRace, packageRoot } from '../src/lab/modules.js';

const ROOT = packageRoot();
const page = readFileSync(join(ROOT, 'docs', 'writing-a-race.md'), 'utf8');
const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, kind = '', text = '']) => ({ kind, text }));

/** Modules by the name in their first line. */
const files = new Map<string, string>();
/** Commands, and the exit status that the page says they have. */
const commands: { line: string; status: number }[] = [];
for (const { kind, text } of blocks) {
  const name = /^\/\/ (\S+)\n/.exec(text)?.[1];
  if ((kind === 'ts' || kind === 'js') && name !== undefined) files.set(name, text);
  for (const line of kind === 'sh' ? text.trim().split('\n') : []) {
    commands.push({ line, status: Number(/# exit (\d)$/.exec(line)?.[1] ?? 0) });
  }
}

const folder = mkdtempSync(join(tmpdir(), 'murphy-'));
beforeAll(() => {
  mkdirSync(join(folder, 'node_modules'));
  for (const name of ['vitest', '@types'])
    symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name));
  symlinkSync(ROOT, join(folder, 'node_modules', 'murphy'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const compilerOptions = {
    ...{ module: 'NodeNext', target: 'ES2022', strict: true, noEmit: true, noUncheckedIndexedAccess: true },
    ...{ exactOptionalPropertyTypes: true, noUnusedLocals: true, types: ['node'] },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  for (const [name, text] of files) writeFileSync(join(folder, name), text);
});
afterAll(() => rmSync(folder, { recursive: true }));

const node = (...args: string[]): { status: number | null; output: string } => {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  return { status, output: stdout + stderr };
};
/** Ids of the races in a module. */
const idsOf = (text: string): string[] =>
  [...text.matchAll(/\bid: '([a-z-]+)'|\binterrupted\('([a-z-]+)'/g)].map((m) => m[1] ?? m[2] ?? '');
const bin = (...path: string[]): string => join(ROOT, 'node_modules', ...path);

describe('the guide to writing a race', () => {
  it('has nothing but modules with a name, and commands', () => {
    expect(files.size + page.split('```sh').length - 1).toBe(blocks.length);
    expect(commands.every(({ line }) => line.startsWith('npx murphy '))).toBe(true);
  });

  it('compiles under strict options', () => {
    expect(node(bin('typescript', 'bin', 'tsc'), '-p', folder).output).toBe('');
  }, 300_000);

  const races = [...files].filter(([name, text]) => text.includes('race({') && name !== 'dice.mjs');
  it.each(races)('%s ends in every case as it claims', async (name, text) => {
    const path = join(folder, name);
    for (const id of idsOf(text)) {
      const { race } = await loadRace(`${path}#${id}`);
      expect(race.cases.length).toBeGreaterThan(0);
      for (const { name: caseName } of race.cases) {
        const result = await explore(`${path}#${id}`, { caseName, strategy: 'dpor', seconds: 120 });
        expect([id, caseName, result.expected, result.error]).toEqual([id, caseName, true, null]);
        expect(result.exhausted || result.outcome !== 'clean').toBe(true);
      }
    }
  });

  it.each(commands.map(({ line, status }) => [line, status] as const))('%s', (line, status) => {
    const args = line.replace(/ #.*/, '').split(' ').slice(2);
    const result = node(join(ROOT, 'scripts', 'murphy.mjs'), ...args);
    expect([result.output, result.status]).toEqual([expect.anything(), status]);
    if (status === 2) expect(result.output).toContain('it does not do the same each time');
  });

  it('has a script that searches by itself', () => {
    const script = (files.get('search.ts') ?? '').replace(
      "from 'murphy'",
      `from ${JSON.stringify(builtFile('src', 'index.js'))}`,
    );
    writeFileSync(join(folder, 'search.mjs'), script);
    const { status, output } = node(join(folder, 'search.mjs'));
    expect(output).toContain('counter: expected 2, saw 1');
    expect(status).toBe(0);
  });

  it('has tests that pass', () => {
    const { status, output } = node(bin('vitest', 'vitest.mjs'), 'run', '--root', folder, '--testTimeout=120000');
    expect(output).toMatch(/Tests .*3 passed/);
    expect(status).toBe(0);
  });
});
