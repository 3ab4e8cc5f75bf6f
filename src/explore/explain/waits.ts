/** Who waits for whom when nobody can go on: from the locks that were taken and where each context stood at the end. */
import { WaitKind } from '../../cpu/hw.js';
import { Ev } from '../../cpu/tracer.js';
import type { History, Standing, TraceEvent } from '../../lab/recorder.js';
import { Point } from '../../shared/point.js';
import { contextOf } from './columns.js';
import { type Names, where } from './names.js';

/** Locks that are held at the end, with the event that took each. */
function heldLocks(events: readonly TraceEvent[]): Map<number, TraceEvent[]> {
  const held = new Map<number, TraceEvent[]>();
  for (const e of events) {
    if (e.what === Ev.lockAcquired) held.set(e.a, [...(held.get(e.a) ?? []), e]);
    if (e.what !== Ev.lockReleased) continue;
    const holders = held.get(e.a) ?? [];
    const at = holders.findLastIndex((h) => h.slot === e.slot);
    held.set(e.a, holders.toSpliced(at < 0 ? holders.length - 1 : at, 1));
  }
  return held;
}

const spinsOn = (s: Standing): number | null =>
  s.point === Point.Lock || s.wait === WaitKind.lock || s.point === Point.Atomic ? s.addr : null;

/** The lock that the context sleeps for, if anybody holds it. */
function sleepsOn(s: Standing, held: Map<number, TraceEvent[]>): number | null {
  const sleeps = s.wait === WaitKind.sleep || s.wait === WaitKind.seat;
  return sleeps && (held.get(s.addr) ?? []).length > 0 ? s.addr : null;
}

/** Functions that are shown of a context: of one that sleeps for a lock all, since what led there is the point. */
const FUNCTIONS = 5;
const FUNCTIONS_OF_SLEEPER = 24;

interface Edge {
  readonly from: Standing;
  readonly to: readonly number[];
  readonly functions: number;
  readonly text: string;
}

/** Slots of the threads whose last step was to be preempted. */
function preempted(events: readonly TraceEvent[]): Set<number> {
  const last = new Map<number, number>();
  for (const e of events) if (e.what === Ev.step && e.cpu >= 0) last.set(e.slot, e.a);
  return new Set([...last].filter(([, point]) => point === Point.Preempt).map(([slot]) => slot));
}

/** What a context waits for that nobody has. */
function waitText(s: Standing, names: Names, wasPreempted: boolean): string {
  if (s.wait === WaitKind.none) return 'has not come to its end';
  if (s.wait === WaitKind.lock) return `waits for ${names.waitedFor(s.addr)}, and nobody will change it`;
  return s.wait === WaitKind.seat && wasPreempted
    ? `was preempted, and does not get CPU${s.cpu} back`
    : 'sleeps, and nobody will wake it';
}

function edgeOf(
  s: Standing,
  all: readonly Standing[],
  held: Map<number, TraceEvent[]>,
  names: Names,
  wasPreempted: boolean,
): Edge {
  const slept = sleepsOn(s, held);
  const lock = slept ?? spinsOn(s);
  const holders = lock === null ? [] : (held.get(lock) ?? []);
  if (lock !== null && holders.length > 0) {
    const by = holders.map((h) => {
      const own = h.slot === s.slot ? (s.irq > h.irq ? ', the context that it interrupted' : ', itself') : '';
      return `${contextOf(h)}${own} (taken at step ${h.step} in ${where(h.stack)})`;
    });
    return {
      from: s,
      to: holders.map((h) => h.slot),
      functions: slept === null ? FUNCTIONS : FUNCTIONS_OF_SLEEPER,
      text: `${slept === null ? 'spins' : 'sleeps'} on ${names.virtual(lock)}, held by ${by.join(' and ')}`,
    };
  }
  if (s.wait === WaitKind.ipi) {
    const deaf = all.filter((o) => o.cpu !== s.cpu && o.irqsOff);
    const who = deaf.map((o) => `CPU${o.cpu}`).join(', ');
    const text = `waits for other CPUs to answer its call${who === '' ? '' : `; ${who} cannot: interrupts are off`}`;
    return { from: s, to: deaf.map((o) => o.slot), functions: FUNCTIONS, text };
  }
  return { from: s, to: [], functions: FUNCTIONS, text: waitText(s, names, wasPreempted) };
}

/** Slots of a cycle, or none. */
function cycleOf(edges: readonly Edge[]): number[] {
  const next = new Map(edges.map((e) => [e.from.slot, e.to]));
  for (const { from } of edges) {
    const path: number[] = [];
    const visit = (slot: number): boolean => {
      if (path.includes(slot)) return slot === from.slot;
      path.push(slot);
      if ((next.get(slot) ?? []).some(visit)) return true;
      path.pop();
      return false;
    };
    if (visit(from.slot)) return path;
  }
  return [];
}

/** Lines: the cycle, if there is one, and what each context stands at. */
export function waitLines(history: History, names: Names): string[] {
  const standing = history.standing.filter((s) => s.stack.length > 0);
  const held = heldLocks(history.events);
  const out = preempted(history.events);
  const edges = standing.map((s) => edgeOf(s, standing, held, names, out.has(s.slot)));
  const cycle = cycleOf(edges);
  const context = (slot: number): string => {
    const one = standing.find((s) => s.slot === slot);
    return one === undefined ? `thread${slot}` : contextOf(one);
  };
  const interrupted = cycle.length === 1 ? edges.find((e) => e.from.slot === cycle[0] && e.from.irq > 0) : undefined;
  const back =
    interrupted === undefined
      ? context(cycle[0] ?? 0)
      : `CPU${interrupted.from.cpu} thread${interrupted.from.slot}, which it interrupted`;
  const head = cycle.length === 0 ? [] : [`cycle  ${[...cycle.map(context), back].join(' -> ')}`];
  const lines = edges.map(({ from, functions, text }) => {
    const irqs = from.irqsOff ? ', interrupts off' : '';
    return `${contextOf(from)}${irqs}, in ${where(from.stack, functions)}: ${text}`;
  });
  return [...head, ...lines, ...sleepLines(standing, history.events, names)];
}

/** For each sleeper: when somebody else last looked at, or changed, a queue through which it could be woken. */
function sleepLines(standing: readonly Standing[], events: readonly TraceEvent[], names: Names): string[] {
  const lines = new Set<string>();
  for (const sleeper of standing) {
    if (sleeper.wait !== WaitKind.sleep && sleeper.wait !== WaitKind.seat) continue;
    const queues = new Map<string, TraceEvent>();
    for (const e of events) {
      if (e.what !== Ev.step || e.step < 0 || (e.a !== Point.Load && e.a !== Point.Store)) continue;
      const queue = names.virtual(e.b).replace(/[+[].*/, '');
      if (/wait/.test(queue) && e.slot !== sleeper.slot) queues.set(queue, e);
    }
    const slept = sleeper.step;
    for (const [queue, e] of queues) {
      const when = e.step < slept ? `before it slept (after step ${slept})` : 'after that';
      lines.add(`${contextOf(e)} was last at ${queue} in step ${e.step}, ${when}, in ${where(e.stack)}`);
    }
  }
  return [...lines];
}
