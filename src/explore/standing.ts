/** What an exploration has come to so far: what a checkpoint keeps, and what the parts of a divided search add up to. */
import { isAsClaimed } from '../lab/claims.js';
import type { Failure, Outcome } from '../lab/types.js';
import type { StrategyStats } from './strategy.js';

/** A failing execution: what failed where, and how to get there. */
export interface Found {
  /** Failures with the same one are alike: see signatureOf(). */
  readonly signature: string;
  readonly failure: Failure;
  /** How many executions failed so. */
  readonly count: number;
  /** Choices, decision by decision. */
  readonly schedule: readonly number[];
  /** Decisions up to the last that was not the default. */
  readonly prescribed: number;
  readonly preemptions: number;
  readonly steps: number;
  /** As `ExploreOptions.rounds` has it. */
  readonly rounds: number;
  readonly traceHash: number;
  /** CRC-32 of memory after it. */
  readonly memoryHash: number;
  /** Steps: choice, kind, address. */
  readonly trace: Int32Array;
}

/** More distinct failures than this are not kept apart. */
export const FAILURES_MAX = 64;

export interface Tally {
  /** Executions begun; a strategy by chance goes on from this number. */
  readonly begun: number;
  /** Executions that came to their end. */
  readonly executions: number;
  /** Executions given up on the way, and those that belong to another shard. */
  readonly abandoned: number;
  readonly seconds: number;
  /** Steps of all executions together. */
  readonly points: number;
  readonly exhausted: boolean;
  readonly failingExecutions: number;
  readonly decisionsMost: number;
  readonly stepsMost: number;
  readonly handovers: number;
  readonly diverged: boolean;
  /** Distinct failures, in the order in which they were found. */
  readonly failures: readonly Found[];
}

/** Where an exploration stands, as data. */
export interface Standing extends Tally {
  /** Kernel messages of the failing execution that the result is about. */
  readonly dmesg: readonly string[];
  /** What the strategy's save() answered. */
  readonly strategy: unknown;
  /** Entries of the table of visited states. */
  readonly table: Int32Array | null;
}

/** The tally of one call, from its report. */
export function tallyFrom(report: Omit<Tally, 'begun'>): Tally {
  const { executions, abandoned, seconds, points, exhausted, failingExecutions } = report;
  const { decisionsMost, stepsMost, handovers, diverged, failures } = report;
  return {
    ...{ begun: executions + abandoned, executions, abandoned, seconds, points, exhausted, failingExecutions },
    ...{ decisionsMost, stepsMost, handovers, diverged, failures },
  };
}

type Length = Pick<Found, 'preemptions' | 'prescribed' | 'steps'>;

/** Fewer preemptions count most, then a shorter prescribed schedule, then fewer steps. */
export function isShorter(a: Length, b: Length): boolean {
  if (a.preemptions !== b.preemptions) return a.preemptions < b.preemptions;
  if (a.prescribed !== b.prescribed) return a.prescribed < b.prescribed;
  return a.steps < b.steps;
}

/** The failure that the result is about: the wanted one, else the first that the race claims, else the first. */
export function chooseFound(
  failures: readonly Found[],
  wanted: string | null,
  claimed: readonly Outcome[],
): Found | null {
  if (wanted !== null) return failures.find((f) => f.signature === wanted) ?? null;
  return failures.find((f) => claimed.includes(f.failure.outcome)) ?? failures[0] ?? null;
}

/** Failures of both, each once. @shortest: of two with the same signature the shorter one, not the first. */
function joinFailures(a: readonly Found[], b: readonly Found[], shortest: boolean): readonly Found[] {
  const joined = new Map(a.map((found) => [found.signature, found]));
  for (const found of b) {
    const before = joined.get(found.signature);
    const kept = before === undefined || (shortest && isShorter(found, before)) ? found : before;
    if (before === undefined && joined.size >= FAILURES_MAX) continue;
    joined.set(found.signature, { ...kept, count: found.count + (before?.count ?? 0) });
  }
  return [...joined.values()];
}

/** Both together, one after the other; exhausted only if both are. */
export function joinTallies(a: Tally, b: Tally, shortest = false): Tally {
  return {
    begun: a.begun + b.begun,
    executions: a.executions + b.executions,
    abandoned: a.abandoned + b.abandoned,
    seconds: a.seconds + b.seconds,
    points: a.points + b.points,
    exhausted: a.exhausted && b.exhausted,
    failingExecutions: a.failingExecutions + b.failingExecutions,
    decisionsMost: Math.max(a.decisionsMost, b.decisionsMost),
    stepsMost: Math.max(a.stepsMost, b.stepsMost),
    handovers: a.handovers + b.handovers,
    diverged: a.diverged || b.diverged,
    failures: joinFailures(a.failures, b.failures, shortest),
  };
}

/** What is known of the traces of all parts cannot be told from what is known of those of each. */
const OF_ONE_PART = ['distinctTraces', 'tracesAtLeast', 'unseenChance'];

/** Numbers of all parts. */
export function joinStats(parts: readonly StrategyStats[]): StrategyStats {
  const names = new Set(parts.flatMap((part) => Object.keys(part)));
  for (const name of OF_ONE_PART) names.delete(name);
  const joined: Record<string, number> = {};
  for (const name of names) {
    const values = parts.map((part) => part[name] ?? 0);
    const sum = values.reduce((a, b) => a + b, 0);
    if (name === 'exploredPart') joined[name] = sum / parts.length;
    else joined[name] = name === 'tableFull' ? Math.max(...values) : sum;
  }
  return joined;
}

/** Where no failure was found. @error: why there was no end to the search, which is then nothing clean, as run() has it. */
export const outcomeOfNone = (error: string | null): Outcome => (error === null ? 'clean' : 'report');

/** What a search has come to, as far as its claim is concerned. */
interface Ending {
  readonly outcome: Outcome;
  readonly claimed: readonly Outcome[] | null;
  readonly failure: Failure | null;
  readonly executions: number;
  readonly interrupted: boolean;
  readonly error: string | null;
}

/** Is it as claimed? Not after an error, and not when it was stopped before anything was explored. */
export const isExpected = ({ outcome, claimed, failure, executions, interrupted, error }: Ending): boolean =>
  error === null && (!interrupted || executions > 0) && isAsClaimed(outcome, claimed, failure);
