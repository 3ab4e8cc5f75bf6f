#!/usr/bin/env node
/** The command line: `murphy ARGS` and `npm run smp -- ARGS`. */
import { ensureReady } from './prepare.mjs';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
    throw error;
  });
}

await ensureReady();
const { main } = await import('../dist/src/cli/main.js');
process.exitCode = await main(process.argv.slice(2));

// Output to a pipe may still be on its way, and workers may still be alive: flush, then go.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
process.exit();
