/**
 * `npm run stress [SUITE...] [OPTIONS]`: the suites of stress/, as `murphy stress` runs them. `npm run stress -- explorer [N]` holds the explorer's strategies
 * against each other and against what is computed, on N random programmes of each kind (100) and as many replays of each ten; without arguments, both.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './prepare.mjs';

const PROGRAMMES = 100;
const TESTS = [
  ...[
    'agreement',
    'determinism',
    'experiments',
    'explore',
    'long',
    'resume',
    'said',
    'statistics',
    'vmalloc',
    'watched',
  ].map((name) => `explore/${name}`),
  ...['slab-dma', 'stress'].map((name) => `smp/${name}`),
].map((name) => `test/${name}.test.ts`);

function run(args, env = {}) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } });
    child.on('error', () => resolve(1));
    child.on('close', (code) => resolve(code ?? 1));
  });
}

const explorer = (programmes) =>
  run([join(ROOT, 'node_modules', 'vitest', 'vitest.mjs'), 'run', ...TESTS], {
    MURPHY_LONG: String(programmes),
    MURPHY_REPLAYS: String(programmes * 10),
  });
const suites = (args) => run([join(ROOT, 'scripts', 'murphy.mjs'), 'stress', ...args]);

const args = process.argv.slice(2);
if (args[0] === 'explorer') process.exit(await explorer(Number(args[1] ?? PROGRAMMES) || PROGRAMMES));
const code = await suites(args);
process.exit(args.length > 0 ? code : code || (await explorer(PROGRAMMES)));
