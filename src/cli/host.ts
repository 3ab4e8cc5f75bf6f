/** What the command line needs of the world, so that a test can be the world. */
import type { Output } from '../report/output.js';
import type { Lab } from './lab.js';

export type StopSignal = 'SIGINT' | 'SIGTERM';

export interface Host {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Loaded on first use: `--help` does not wait for it. */
  lab(): Promise<Lab>;
  readFile(path: string): Promise<string>;
  onSignal(signal: StopSignal, handler: () => void): void;
  offSignal(signal: StopSignal, handler: () => void): void;
  /** Milliseconds; only differences count. */
  now(): number;
  /** At once, for those who cannot wait. */
  exit(code: number): void;
}

/** How the user calls this program: `npm run smp --` or `murphy`. */
export function invocation(host: Host): string {
  return host.env.npm_lifecycle_event === 'smp' ? 'npm run smp --' : 'murphy';
}
