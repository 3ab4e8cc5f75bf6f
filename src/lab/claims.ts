/** Is what was seen what was claimed? */
import type { Failure, Outcome } from './types.js';

/** What each checker sees coming: its report stands for the failure that the claim names. */
const FORETOLD: Readonly<Record<string, readonly Outcome[]>> = {
  lockdep: ['deadlock', 'hang'],
  memory: ['oops', 'bug', 'wrong-bytes'],
  dma: ['wrong-bytes'],
  hangs: ['hang', 'deadlock'],
  spinlocks: ['hang', 'deadlock'],
  context: ['deadlock', 'hang', 'warn'],
  races: ['warn', 'wrong-bytes', 'oops', 'bug', 'deadlock', 'hang'],
};

/** What the case says is reported, without the name of the checker. */
const textOf = (report: string): string => report.slice(report.indexOf(': ') + 2);

/** Has the case said that this is reported? @reports: `'races: data-race in a / b'`. */
export const isKnown = (reports: readonly string[], checker: string, headline: string): boolean =>
  reports.some((report) => report.startsWith(`${checker}: `) && headline.includes(textOf(report)));

/** Is this line of the log the headline of such a report? */
export const isKnownLine = (reports: readonly string[], line: string): boolean =>
  reports.some((report) => line.includes(textOf(report)));

/** Does a report of this checker stand for one of the claimed failures? */
export const foretells = (checker: string | undefined, claimed: readonly Outcome[]): boolean =>
  (FORETOLD[checker ?? ''] ?? []).some((outcome) => claimed.includes(outcome));

/** @claimed: null where nothing is claimed, which is that all is clean. */
export function isAsClaimed(outcome: Outcome, claimed: readonly Outcome[] | null, failure: Failure | null): boolean {
  const claims = claimed ?? ['clean'];
  return claims.includes(outcome) || (outcome === 'report' && foretells(failure?.checker, claims));
}
