/** `npm run build`: install and build what is missing. */
import { ensureReady } from './prepare.mjs';

await ensureReady();
