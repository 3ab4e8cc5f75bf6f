/** What a machine that collects test results wants to know of a case: the same for KTAP and JUnit XML. */
import type { Failure, Outcome } from '../lab/types.js';

export interface CiCase {
  /** Experiment or suite. */
  readonly group: string;
  readonly name: string;
  readonly seconds: number;
  /** What was seen, in a line. */
  readonly summary: string;
  /** The outcome is not as claimed: a line, and its kind. */
  readonly failure: { readonly message: string; readonly type: string } | null;
  /** It could not be said: the module threw, a worker died. */
  readonly error: string | null;
  /** Why it was not run, if it was not. */
  readonly skipped: string | null;
  /** The kernel's log and reports. */
  readonly details: readonly string[];
}

/** What commands know of a case, whatever they have run. */
export interface Observed {
  readonly experiment: string;
  readonly caseName: string | null;
  readonly core: string;
  readonly kernel: string;
  readonly cpus: number;
  readonly seconds: number;
  readonly executions: number;
  readonly outcome: Outcome;
  readonly claimed: readonly Outcome[] | null;
  readonly expected: boolean;
  readonly failure: Failure | null;
  readonly error: string | null;
  readonly dmesg: readonly string[];
}

const claims = (o: Observed): string => (o.claimed === null ? 'clean' : o.claimed.join(' or '));

/** What a case is called, which may have no name of its own. */
export const nameOf = (o: Pick<Observed, 'caseName' | 'core' | 'kernel' | 'cpus'>): string =>
  o.caseName ?? `${o.core}, ${o.kernel}, ${o.cpus} CPUs`;

/** @more: what else there is to say of a failure. */
export function ciCase(o: Observed, more: readonly string[] = []): CiCase {
  const message = `${o.outcome}, claimed ${claims(o)}${o.failure === null ? '' : `: ${o.failure.message}`}`;
  return {
    group: o.experiment,
    name: nameOf(o),
    seconds: o.seconds,
    summary: `${o.error === null ? o.outcome : 'error'}; ${o.core}, ${o.kernel}, ${o.cpus} CPUs, ${o.executions} executions`,
    failure: o.expected || o.error !== null ? null : { message, type: o.outcome },
    error: o.error,
    skipped: null,
    details: o.expected ? [] : [...(o.failure?.state ?? []), ...more, ...o.dmesg],
  };
}

/** A case that was to be run and has not been. */
export const skippedCase = (group: string, name: string, why: string): CiCase => ({
  ...{ group, name, seconds: 0, summary: 'not run', failure: null, error: null, skipped: why, details: [] },
});
