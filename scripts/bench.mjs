/** `npm run bench -- ARGS`. */
import { ensureReady } from './prepare.mjs';

await ensureReady();
const { main } = await import('../dist/bench/main.js');
process.exitCode = (await main(process.argv.slice(2))) ?? 0;
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))));
process.exit();
