/** `npm run strategies [-- SEEDS]`: write the table of docs/strategies.md. */
import { ensureReady } from './prepare.mjs';

await ensureReady();
const { main } = await import('../dist/bench/strategies.js');
await main(Number(process.argv[2] ?? 20));
process.exit(0);
