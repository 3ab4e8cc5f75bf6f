/**
 * A race module is code of the user's, and it is loaded in the main thread, where nothing could stop it. So a worker loads it first: what
 * never gets to its end, or ends the process, is found there.
 */
import { Worker } from 'node:worker_threads';
import { UsageError } from '../shared/errors.js';
import { busyFactor } from './patience.js';

/** How long a module may take to load, on a host that has nothing else to do. */
export const LOAD_MS = 10_000;

/** Errors are not the probe's business: the main thread meets them again, and names them. */
const PROBE = `
  const { parentPort, workerData } = require('node:worker_threads');
  const done = () => parentPort.postMessage(null);
  import(workerData).then(done, done);
`;

/**
 * Return when the module at @url has loaded, or failed to, in a worker. What it prints there is lost: it will print it again.
 *
 * Errors: UsageError when it takes longer than @limit milliseconds, waits for what never comes, or ends the process.
 */
export async function probeModule(url: string, name: string, limit = LOAD_MS): Promise<void> {
  const worker = new Worker(PROBE, { eval: true, workerData: url, stdout: true, stderr: true });
  let timer: NodeJS.Timeout | undefined;
  const patience = Math.round(limit * busyFactor());
  const verdict = await new Promise<string | null>((settle) => {
    timer = setTimeout(() => {
      settle(
        `is not done after ${Number((patience / 1000).toPrecision(2))} s, an endless loop at the top of the module?`,
      );
    }, patience);
    worker.once('message', () => settle(null));
    worker.once('error', () => settle(null));
    // A top-level await that is left with nothing to wait for ends a worker as well.
    worker.once('exit', (code) => settle(`ends its process, with code ${code}, or waits for what never comes`));
  });
  clearTimeout(timer);
  await worker.terminate();
  if (verdict !== null) throw new UsageError(`race module ${name} does not load: it ${verdict}; mend it and run again`);
}
