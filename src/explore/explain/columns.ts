/** The interleaving, a column for each context: CPU threads, interrupts, devices. In short, a row for each stretch; in full, a row for each step. */
import { Stage } from '../../cpu/hw.js';
import { Cause, Ev } from '../../cpu/tracer.js';
import { Recorded, type TraceEvent } from '../../lab/recorder.js';
import { type Point, Point as Points, pointName } from '../../shared/point.js';
import { showVaddr } from '../../shared/types.js';
import { type Names, where } from './names.js';

const CAUSES = Object.entries(Cause);
/** Why a line was written back or dropped, in a word: from the fourth number of its event. */
export const causeOf = (d: number): string => CAUSES.find(([, value]) => value === d >>> 8)?.[0] ?? '';

/** Name of the context that an event belongs to. */
export const contextOf = (e: { cpu: number; slot: number; irq: number }): string => {
  if (e.cpu < 0) return `device${e.slot}`;
  return e.irq > 0 ? `CPU${e.cpu} interrupt` : `CPU${e.cpu} thread${e.slot}`;
};

/** Contexts in the order of their CPUs. */
const contextsOf = (events: readonly TraceEvent[]): string[] => [...new Set(events.map(contextOf))].sort();

const stepsOf = (events: readonly TraceEvent[]): TraceEvent[] =>
  events.filter((e) => (e.what === Ev.step || e.what === Ev.irqEnter) && e.stage === Stage.threads);

/** Steps of one context in a row. */
interface Stretch {
  readonly context: string;
  readonly first: TraceEvent;
  last: TraceEvent;
}

function stretchesOf(events: readonly TraceEvent[]): Stretch[] {
  const out: Stretch[] = [];
  for (const e of stepsOf(events)) {
    const open = out.at(-1);
    if (open !== undefined && open.context === contextOf(e)) open.last = e;
    else out.push({ context: contextOf(e), first: e, last: e });
  }
  return out;
}

/** From where to where: the outermost functions that differ are what the context did. */
function doing(stretch: Stretch): string {
  const irq = stretch.first.what === Ev.irqEnter ? `interrupt ${stretch.first.a}` : '';
  if (irq !== '' && stretch.first === stretch.last) return irq;
  const from = irq || where(stretch.first.stack, 1);
  const to = where(stretch.last.stack, 2);
  return stretch.first === stretch.last || to.startsWith(from) ? to : `${from} ... ${to}`;
}

const pad = (cells: readonly string[], widths: readonly number[]): string =>
  cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join('  ')
    .trimEnd();

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, i) =>
    rows.reduce((widest, row) => Math.max(widest, (row[i] ?? '').length), title.length),
  );
  return [head, ...rows].map((row) => pad(row, widths));
}

/** A row for each stretch, at most @most of them. @marked: the step to point at. */
export function shortColumns(
  events: readonly TraceEvent[],
  marked: number | null,
  mark: string,
  most: number,
): string[] {
  const stretches = stretchesOf(events);
  const contexts = contextsOf(stretches.map((s) => s.first));
  const rows = stretches.map((s) => {
    const range = s.first === s.last ? `${s.first.step}` : `${s.first.step}-${s.last.step}`;
    const here = marked !== null && marked >= s.first.step && marked <= s.last.step;
    return [range, ...contexts.map((c) => (c === s.context ? `${doing(s)}${here ? `  <== ${mark}` : ''}` : ''))];
  });
  const left = rows.length - most;
  const half = Math.floor((most - 1) / 2);
  const shown =
    left <= 0 ? rows : [...rows.slice(0, most - 1 - half), ['...', `${left + 1} more stretches`], ...rows.slice(-half)];
  return tableOf(['steps', ...contexts], shown);
}

/** What a step touches. */
function touched(names: Names, kind: number, addr: number): string {
  switch (kind) {
    case Points.WriteBack:
    case Points.Fill:
    case Points.Dma:
      return names.physical(addr);
    case Points.Raise:
      return `CPU${addr}`;
    case Points.Sched:
    case Points.Preempt:
    case Points.Wait:
    case Points.IrqEnable:
    case Points.IrqDisable:
      return '';
    default:
      return names.virtual(addr);
  }
}

/** A step in a few words: what it does, to what. */
export const stepText = (names: Names, e: TraceEvent): string =>
  `${pointName(e.a as Point)} ${e.cpu < 0 && e.a === Points.Raise ? `interrupt ${e.b}` : touched(names, e.a, e.b)}`.trim();

/** What came of a step, where that is worth a word. */
export function consequence(names: Names, e: TraceEvent): string {
  const line = (): string => `line ${names.virtual(e.b)} of ${names.physical(e.c >>> 0)}`;
  switch (e.what) {
    case Recorded.change:
      return `${names.virtual(e.a)}: ${(e.b >>> 0).toString(16)} -> ${(e.c >>> 0).toString(16)}`;
    case Ev.lineFill:
      return `fills ${line()}`;
    case Ev.lineWriteBack:
      return `writes back ${line()} (${causeOf(e.d)})`;
    case Ev.lineDrop:
      return (e.d & 0xff) === 0 ? '' : `DROPS DIRTY ${line()} (${causeOf(e.d)})`;
    case Ev.tlbFill:
      return `TLB: ${names.virtual((e.a & ~0xfff) >>> 0)} is ${names.physical((e.b & ~0xfff) >>> 0)}`;
    case Ev.fault:
      return `FAULT at ${names.mapped(e.a)}`;
    case Ev.irqEnter:
      return `takes interrupt ${e.a}`;
    case Ev.pageAlloc:
      return e.a === 0 ? 'gets no pages' : `gets ${names.page(names.pfnOf(e.a))}, order ${e.b}`;
    case Ev.pageFree:
      return `gives back ${names.page(names.pfnOf(e.a))}, order ${e.b}`;
    case Ev.kmalloc:
    case Ev.cacheAlloc:
      return e.a === 0 ? 'gets no object' : `gets an object at ${showVaddr(e.a)}`;
    case Ev.kfree:
    case Ev.cacheFree:
      return `gives back the object at ${showVaddr(e.a)}`;
    case Ev.load:
    case Ev.store:
      return e.named === e.b ? '' : `STALE TRANSLATION: ${names.physical(e.b)}`;
    default:
      return '';
  }
}

/** Locks held by each context after each event. */
class Holds {
  readonly #held = new Map<string, number[]>();

  see(e: TraceEvent): void {
    const held = this.#held.get(contextOf(e)) ?? [];
    this.#held.set(contextOf(e), held);
    if (e.what === Ev.lockAcquired) held.push(e.a);
    if (e.what !== Ev.lockReleased) return;
    for (const locks of [held, ...this.#held.values()]) {
      const at = locks.lastIndexOf(e.a);
      if (at < 0) continue;
      locks.splice(at, 1);
      return;
    }
  }

  of(context: string): readonly number[] {
    return this.#held.get(context) ?? [];
  }
}

/** A row for each step of the threads, and one for each consequence. @marked: the event to point at. */
export function fullColumns(
  events: readonly TraceEvent[],
  names: Names,
  marked: TraceEvent | null,
  mark: string,
): string[] {
  const threads = events.filter((e) => e.stage === Stage.threads);
  const contexts = contextsOf(threads.filter((e) => e.what === Ev.step));
  const holds = new Holds();
  const rows: string[][] = [];
  const row = (first: string, context: string, text: string): void => {
    rows.push([first, ...contexts.map((c) => (c === context ? text : ''))]);
  };
  for (const e of events) {
    holds.see(e);
    if (e.stage !== Stage.threads) continue;
    const context = contextOf(e);
    if (e.what === Ev.step) {
      const locks = holds.of(context).map((lock) => names.virtual(lock));
      const held = locks.length === 0 ? '' : ` {${locks.join(', ')}}`;
      row(String(e.step), context, `${stepText(names, e)}  ${where(e.stack, 2)}${held}`);
    } else {
      const text = consequence(names, e);
      if (text !== '') row('', context, `  ${text}`);
    }
    if (e === marked) row('==>', context, `  ${mark}`);
  }
  return tableOf(['step', ...contexts], rows);
}
