/**
 * A race module is code of the user's, and it is loaded in the main thread, where nothing could stop it. So a worker loads it first: what
 * never gets to its end, or ends the process, is found there.
 */
import { Worker } from 'node:worker_threads';
import { UsageError } from '../shared/errors.js';

/**
 * Milliseconds that a module may take to load: of the time that this process has been given, by the clock, and by the clock where it has been given a fifth
 * of the first. A host that gives its time to others makes a module late, and an endless loop takes what it can get all the same.
 */
const LIMITS = { given: 10_000, clock: 60_000, slow: 20_000 } as const;
const POLL_MS = 100;

/** Errors are not the probe's business: the main thread meets them again, and names them. */
const PROBE = `
  const { parentPort, workerData } = require('node:worker_threads');
  const done = () => parentPort.postMessage(null);
  import(workerData).then(done, done);
`;

/**
 * Return when the module at @url has loaded, or failed to, in a worker. What it prints there is lost: it will print it again.
 *
 * Errors: UsageError when it takes longer than @limits, waits for what never comes, or ends the process.
 */
export async function probeModule(url: string, name: string, limits: LoadLimits = LIMITS): Promise<void> {
  const worker = new Worker(PROBE, { eval: true, workerData: url, stdout: true, stderr: true });
  let timer: NodeJS.Timeout | undefined;
  const clock = loadClock(limits);
  const verdict = await new Promise<string | null>((settle) => {
    timer = setInterval(() => {
      const seconds = clock();
      if (seconds === null) return;
      settle(`is not done after ${Number(seconds.toPrecision(2))} s, an endless loop at the top of the module?`);
    }, POLL_MS);
    worker.once('message', () => settle(null));
    worker.once('error', () => settle(null));
    // A top-level await that is left with nothing to wait for ends a worker as well.
    worker.once('exit', (code) => settle(`ends its process, with code ${code}, or waits for what never comes`));
  });
  clearInterval(timer);
  await worker.terminate();
  if (verdict !== null) throw new UsageError(`race module ${name} does not load: it ${verdict}; mend it and run again`);
}

export interface LoadLimits {
  readonly given: number;
  readonly clock: number;
  readonly slow: number;
}

/** Processor time of this process, in milliseconds: it waits for the module and does nothing else. */
function given(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** A clock that answers null until a module that begins to load now is late, and then after how many seconds. */
export function loadClock(limits: LoadLimits = LIMITS): () => number | null {
  const begun = { clock: performance.now(), given: given() };
  return () => {
    const clock = performance.now() - begun.clock;
    return isLate(clock, given() - begun.given, limits) ? clock / 1000 : null;
  };
}

/** @clock, @work: how long it has taken, and how much of that this process was at work. */
export function isLate(clock: number, work: number, limits: LoadLimits = LIMITS): boolean {
  if (clock >= limits.clock) return true;
  return clock >= limits.given && (work >= limits.given * 0.9 || (clock >= limits.slow && work >= limits.given / 5));
}
