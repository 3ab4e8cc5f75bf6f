/** Ctrl-C: once, what was collected is printed; twice, the program is gone. */
import type { Host, StopSignal } from './host.js';

/** npm passes on a Ctrl-C that the terminal has sent already: what comes so soon after the first is the same. */
const SAME_KEY_MS = 300;

const EXIT: Readonly<Record<StopSignal, number>> = { SIGINT: 130, SIGTERM: 143 };

export interface Interrupt {
  readonly signal: AbortSignal;
  /** The exit status that a signal asked for; null when none came. */
  exitCode(): number | null;
}

/** Run @work with an AbortSignal that the first Ctrl-C aborts. @restore puts the terminal right before a sudden exit. */
export async function interruptible<T>(
  host: Host,
  restore: () => void,
  work: (interrupt: Interrupt) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let first: { code: number; at: number } | null = null;
  const onStop = (name: StopSignal) => (): void => {
    if (first === null) {
      first = { code: EXIT[name], at: host.now() };
      restore();
      host.stderr.write('murphy: stopping; press Ctrl-C again to quit at once\n');
      controller.abort();
    } else if (host.now() - first.at > SAME_KEY_MS) {
      restore();
      host.exit(EXIT[name]);
    }
  };
  const handlers = (['SIGINT', 'SIGTERM'] as const).map((name) => [name, onStop(name)] as const);
  for (const [name, handler] of handlers) host.onSignal(name, handler);
  try {
    return await work({ signal: controller.signal, exitCode: () => first?.code ?? null });
  } finally {
    for (const [name, handler] of handlers) host.offSignal(name, handler);
  }
}

/** For catch(): null where @interrupt has ended what throws; anything else is an error. */
export const unlessStopped =
  ({ signal }: Interrupt) =>
  (error: unknown): null => {
    if (!signal.aborted || !(error instanceof Error && error.name === 'AbortError')) throw error;
    return null;
  };

/** The exit status of what was stopped. @collected: results that there are; without any the user hears of it. */
export function stoppedStatus(host: Host, status: number, collected: number): number {
  if (collected === 0) host.stderr.write('murphy: interrupted before the first result\n');
  return status;
}
