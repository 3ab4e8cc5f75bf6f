/**
 * The four ways in which something can go wrong, by who has to hear of it (STYLE.md §9).
 */

/** What a kernel death was: a failed assertion, or an access that the MMU refused. */
export type BugKind = 'bug' | 'oops';

/** A BUG_ON, oops or panic of the emulated kernel. Caught only at the bottom of a kernel thread. */
export class KernelBug extends Error {
  override readonly name = 'KernelBug';
  readonly kind: BugKind;
  readonly addr: number;
  constructor(kind: BugKind, message: string, addr: number) {
    super(message);
    this.kind = kind;
    this.addr = addr >>> 0;
  }
}

/** One of Murphy's own invariants is broken. Nobody in the model catches it. */
export class MurphyError extends Error {
  override readonly name: string = 'MurphyError';
}

/** A wrong option, race module or file: cause and mend in one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A case that stands still for ever, or ends its worker. Others can be run all the same. */
export class StuckError extends UsageError {}

/** Unwinds a kernel thread whose execution has been called off. Never an outcome. */
export class ExecutionStopped extends Error {
  override readonly name = 'ExecutionStopped';
}

/** Raised by a race module's own oracle. */
export class OracleFailure extends Error {
  override readonly name = 'OracleFailure';
  readonly finding: Finding;
  constructor(finding: Finding) {
    super(finding.message);
    this.finding = finding;
  }
}

/** What an oracle found: where, and which bytes. */
export interface Finding {
  readonly kind: 'wrong-bytes' | 'report';
  readonly message: string;
  readonly pfn?: number;
  readonly offset?: number;
  readonly expected?: number;
  readonly seen?: number;
}
