/** `npm run strategies [-- SEEDS]`: write the table of docs/strategies.md. */
import { ensureReady } from './prepare.mjs';

await ensureReady();
const { main } = await import('../dist/bench/strategies.js');
process.exit(await main(Number(process.argv[2] ?? 20)));
