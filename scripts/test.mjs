/**
 * `npm test`: types, lint and format, import directions, tests. `npm test -- ARGS` hands ARGS to vitest and runs nothing
 * else. Every step runs even when an earlier one failed; the exit status is 1 if any did.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ensureReady, ROOT } from './prepare.mjs';

/** What vitest counted, for `.ci/run`. */
const REPORT = join('.cache', 'test-report.json');

const bin = (...path) => join(ROOT, 'node_modules', ...path);
const VITEST = [
  bin('vitest', 'vitest.mjs'),
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${REPORT}`,
];

const STEPS = [
  ['types', [bin('typescript', 'bin', 'tsc'), '--noEmit', '-p', 'tsconfig.json']],
  ['lint and format', [bin('@biomejs', 'biome', 'bin', 'biome'), 'check', '.']],
  [
    'import directions',
    [
      bin('dependency-cruiser', 'bin', 'dependency-cruise.mjs'),
      '--config',
      '.dependency-cruiser.cjs',
      ...['src', 'workers', 'experiments', 'stress', 'examples', 'bench'].filter((folder) =>
        existsSync(join(ROOT, folder)),
      ),
    ],
  ],
  ['tests', VITEST],
];

function step(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
    child.on('error', () => resolve(1));
    child.on('close', (code) => resolve(code ?? 1));
  });
}

await ensureReady();
mkdirSync(join(ROOT, '.cache'), { recursive: true });
const args = process.argv.slice(2);
if (args.length > 0) {
  process.exit(await step([...VITEST, ...args]));
}
const failed = [];
for (const [name, command] of STEPS) {
  console.log(`\n== ${name}`);
  const code = await step(command);
  if (code !== 0) failed.push(name);
}
console.log(failed.length === 0 ? '\nall steps passed' : `\nfailed: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
