#!/usr/bin/env node
/** The command line: `murphy ARGS` and `npm run smp -- ARGS`. */
import { ensureReady } from './prepare.mjs';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
    throw error;
  });
}

// A promise or a worker that nobody waited for: cause in one line, as for every error.
process.on('uncaughtException', (error) => {
  const stack = process.env.MURPHY_DEBUG ? `\n${error?.stack}` : '';
  process.stderr.write(
    `murphy: internal error: ${String(error).replace(/\s+/g, ' ')}; MURPHY_DEBUG=1 shows the stack${stack}\n`,
  );
  process.exit(2);
});

await ensureReady();
const { main } = await import('../dist/src/cli/main.js');
process.exitCode = await main(process.argv.slice(2));

// Output to a pipe may still be on its way, and workers may still be alive: flush, then go.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
process.exit();
