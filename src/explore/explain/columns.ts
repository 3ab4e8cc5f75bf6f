/** The interleaving, a column for each context: CPU threads, interrupts, devices. In short, a row for each stretch; in full, a row for each step. */
import { Stage, WaitKind } from '../../cpu/hw.js';
import { Cause, Ev } from '../../cpu/tracer.js';
import { Recorded, type TraceEvent } from '../../lab/recorder.js';
import { type Point, Point as Points, pointName } from '../../shared/point.js';
import { showVaddr } from '../../shared/types.js';
import { Choice, STEP_WORDS } from '../shared-state.js';
import { accessOf, changeText, doingsOf } from './accesses.js';
import { type Names, where, wordText } from './names.js';

const CAUSES = Object.entries(Cause);
/** Why a line was written back or dropped, in a word: from the fourth number of its event. */
export const causeOf = (d: number): string => CAUSES.find(([, value]) => value === d >>> 8)?.[0] ?? '';

/** Name of the context that an event belongs to. */
export const contextOf = (e: { cpu: number; slot: number; irq: number }): string => {
  if (e.cpu < 0) return `device${e.slot}`;
  return e.irq > 0 ? `CPU${e.cpu} interrupt` : `CPU${e.cpu} thread${e.slot}`;
};

/** An event that is the beginning of a step. */
const isStep = (e: TraceEvent): boolean => (e.what === Ev.step || e.what === Ev.irqEnter) && e.stage === Stage.threads;

/** Steps of one context in a row. */
interface Stretch {
  readonly context: string;
  readonly first: TraceEvent;
  last: TraceEvent;
  readonly events: TraceEvent[];
}

function stretchesOf(events: readonly TraceEvent[]): Stretch[] {
  const out: Stretch[] = [];
  for (const e of events) {
    const open = out.at(-1);
    const context = contextOf(e);
    if (open !== undefined && open.context === context) {
      open.events.push(e);
      if (isStep(e)) open.last = e;
    } else if (isStep(e)) out.push({ context, first: e, last: e, events: [e] });
  }
  return out;
}

/** From where to where: the outermost functions that differ are what the context did. */
function wherefrom(stretch: Stretch): string {
  const irq = stretch.first.what === Ev.irqEnter ? `interrupt ${stretch.first.a}` : '';
  if (irq !== '' && stretch.first === stretch.last) return irq;
  const from = irq || where(stretch.first.stack, 1);
  const to = where(stretch.last.stack, 2);
  return stretch.first === stretch.last || to.startsWith(from) ? to : `${from} ... ${to}`;
}

/** More than there is ever room for. */
const DOINGS_MAX = 40;

/**
 * What the context did to the variables and locks of the race, until the event to point at, in at most @lines: the last of it where there is
 * no room for all. Where it did nothing to them, where it was.
 */
function doing(stretch: Stretch, { names, marked }: Shown, room: number, lines: number): string[] {
  const until = marked === null ? -1 : stretch.events.indexOf(marked);
  const whole = doingsOf(until < 0 ? stretch.events : stretch.events.slice(0, until + 1), names);
  const all = whole.slice(-DOINGS_MAX);
  if (all.every((text) => text.startsWith('interrupt '))) return [wherefrom(stretch)];
  const head = `${where(stretch.last.stack, 1)}: `;
  for (let from = 0; ; from++) {
    const told = [...(from === 0 && all.length === whole.length ? [] : ['...']), ...all.slice(from)];
    const wrapped = wrap(head, told, room);
    if (wrapped.length <= lines || from >= all.length - 1) return wrapped.slice(0, lines);
  }
}

/** Texts with commas between them, in lines of at most @room where that is possible. */
function wrap(head: string, texts: readonly string[], room: number): string[] {
  const out: string[] = [];
  let line = head;
  texts.forEach((text, i) => {
    const more = i < texts.length - 1 ? `${text},` : text;
    if (line.trim() !== '' && line !== head && line.length + more.length > room) {
      out.push(line.trimEnd());
      line = '  ';
    }
    line += `${more} `;
  });
  return [...out, line.trimEnd()];
}

/** A table of more contexts that is wider than this has one column for all of them, and one for whose row it is. */
const COLUMNS_ANYHOW = 3;
const WIDTH = 120;
const WIDTH_IN_FULL = 160;
/** Least room for what a context did. */
const CELL = 34;

/** A row of a table: its number, the context that it is about, what it says, and what points at it, for which no room is kept. */
interface Row {
  readonly first: string;
  readonly context: string;
  readonly text: string;
  readonly mark: string;
}

const widthOf = (texts: readonly string[]): number => texts.reduce((widest, text) => Math.max(widest, text.length), 0);

/** A column for each context, or where these are too many for @width one for all. */
function tableOf(head: string, contexts: readonly Heading[], rows: readonly Row[], width: number): string[] {
  const first = widthOf([head, ...rows.map((r) => r.first)]);
  const widths = contexts.map(({ context, title }) =>
    widthOf([title, ...rows.filter((r) => r.context === context).map((r) => r.text)]),
  );
  const indent = (text: string): string => text.padEnd(first + 2);
  if (first + widths.reduce((sum, w) => sum + w + 2, 0) <= width || contexts.length <= COLUMNS_ANYHOW) {
    const titles = contexts.map(({ title }, i) => title.padEnd((widths[i] as number) + 2));
    const line = (row: Row): string => {
      const at = contexts.findIndex(({ context }) => context === row.context);
      const left = widths.slice(0, Math.max(0, at)).reduce((sum, w) => sum + w + 2, 0);
      return `${indent(row.first)}${' '.repeat(left)}${row.text}${row.mark}`.trimEnd();
    };
    return [`${indent(head)}${titles.join('')}`.trimEnd(), ...rows.map(line)];
  }
  const titles = new Map(contexts.map(({ context, title }) => [context, title]));
  const widest = widthOf([...titles.values()]);
  return [
    `${indent(head)}context`,
    ...rows.map((r) =>
      `${indent(r.first)}${(titles.get(r.context) ?? '').padEnd(widest + 2)}${r.text}${r.mark}`.trimEnd(),
    ),
  ];
}

/** A context and what stands above its column. */
interface Heading {
  readonly context: string;
  readonly title: string;
}

/** Contexts in the order of their CPUs, with the names that the race gives its threads. */
function headingsOf(events: readonly TraceEvent[], threads: ReadonlyMap<number, string>): Heading[] {
  const first = new Map<string, TraceEvent>();
  for (const e of events) if (!first.has(contextOf(e))) first.set(contextOf(e), e);
  const order = new Intl.Collator('en', { numeric: true });
  return [...first.keys()].sort(order.compare).map((context) => {
    const { cpu, slot, irq } = first.get(context) as TraceEvent;
    const name = cpu < 0 || irq > 0 ? undefined : threads.get(slot);
    return { context, title: name === undefined || /^thread\d+$/.test(name) ? context : `${context} ${name}` };
  });
}

/** What columns show of an execution. */
export interface Shown {
  readonly events: readonly TraceEvent[];
  readonly names: Names;
  /** What the race calls its threads, by slot. */
  readonly threads: ReadonlyMap<number, string>;
  /** Of each step: choice, kind, address. */
  readonly trace: Int32Array;
  /** The event to point at, and what to say of it. */
  readonly marked: TraceEvent | null;
  readonly mark: string;
}

/** A row for each stretch, at most @most of them. */
export function shortColumns(shown: Shown, most: number): string[] {
  const { events, threads, marked, mark } = shown;
  const stretches = stretchesOf(events);
  const headings = headingsOf(
    stretches.map((s) => s.first),
    threads,
  );
  const fits = Math.floor((WIDTH - 10) / Math.max(1, headings.length)) - 2;
  const room = fits < CELL ? WIDTH - 40 : fits;
  const step = marked?.stage === Stage.threads ? marked.step : null;
  const lines = Math.max(1, Math.floor(most / Math.max(1, stretches.length)));
  const rows = stretches.map((s, i): Row[] => {
    const from = (stretches[i - 1]?.last.step ?? s.first.step - 1) + 1;
    const here = step !== null && step >= from && step <= s.last.step;
    const texts = doing(s, shown, room, lines);
    return texts.map((text, nr) => ({
      first: nr > 0 ? '' : from >= s.last.step ? `${s.last.step}` : `${from}-${s.last.step}`,
      context: s.context,
      text,
      mark: here && nr === texts.length - 1 ? `  <== ${mark}` : '',
    }));
  });
  const left = rows.length - most;
  const half = Math.floor((most - 1) / 2);
  const gap: Row = { first: '...', context: headings[0]?.context ?? '', text: `${left + 1} more stretches`, mark: '' };
  const told = left <= 0 ? rows : [...rows.slice(0, most - 1 - half), [gap], ...rows.slice(-half)];
  return tableOf('steps', headings, told.flat(), WIDTH);
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
      return changeText(names.virtual(e.a), e.b, e.c);
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

/** A step with what it has read; what it has changed is a row of its own. */
function stepWithWord(names: Names, e: TraceEvent): string {
  const text = stepText(names, e);
  if (e.word === undefined || e.word.before !== e.word.after) return text;
  if (e.a === Points.Load) return `${text} == ${wordText(e.word.before)}`;
  return accessOf(e, names) === null ? text : `${text} = ${wordText(e.word.after)}, as it was`;
}

/** What a step is that no event tells of. */
function silentStep(trace: Int32Array, step: number, headings: readonly Heading[], running: readonly string[]): Row {
  const choice = trace[step * STEP_WORDS] ?? 0;
  const preempted = choice >= Choice.preempt && choice < Choice.device;
  const named = (end: string): string => headings.find(({ context }) => context.endsWith(end))?.context ?? '';
  const device = choice >= Choice.device ? `device${choice - Choice.device}` : ` thread${choice}`;
  const context = preempted ? (running[choice - Choice.preempt] ?? '') : named(device);
  return { first: String(step), context, text: preempted ? 'is to be preempted' : 'goes on', mark: '' };
}

/** What a waiter goes on with. */
function wokenText(names: Names, e: TraceEvent): string {
  if (e.a === WaitKind.seat) return `has CPU${e.cpu} again`;
  return e.a === WaitKind.lock ? `goes on: ${names.waitedFor(e.b)} has changed` : 'goes on';
}

/** A row for each step of the threads, and one for each consequence. */
export function fullColumns({ events, names, threads, trace, marked, mark }: Shown): string[] {
  const ofThreads = events.filter((e) => e.stage === Stage.threads);
  const headings = headingsOf(
    ofThreads.filter((e) => e.what === Ev.step),
    threads,
  );
  const told = new Set(ofThreads.filter((e) => e.what === Ev.step).map((e) => e.step));
  const holds = new Holds();
  const rows: Row[] = [];
  const running: string[] = [];
  let next = 0;
  const row = (first: string, context: string, text: string): void => {
    rows.push({ first, context, text, mark: '' });
  };
  for (const e of events) {
    holds.see(e);
    if (e.stage !== Stage.threads) continue;
    const context = contextOf(e);
    for (; next < e.step; next++) if (!told.has(next)) rows.push(silentStep(trace, next, headings, running));
    const isNew = e.step === next && !told.has(next);
    if (e.what === Ev.step) {
      const locks = holds.of(context).map((lock) => names.virtual(lock));
      const held = locks.length === 0 ? '' : ` {${locks.join(', ')}}`;
      row(String(e.step), context, `${stepWithWord(names, e)}  ${where(e.stack, 2)}${held}`);
    } else if (isNew && e.what === Ev.woken) row(String(e.step), context, wokenText(names, e));
    else {
      const text = consequence(names, e);
      const numbered = isNew && e.what === Ev.irqEnter;
      if (text !== '') row(numbered ? String(e.step) : '', context, `${numbered ? '' : '  '}${text}`);
    }
    if (e.what === Ev.step || (isNew && (e.what === Ev.woken || e.what === Ev.irqEnter))) next = e.step + 1;
    if (e.cpu >= 0) running[e.cpu] = context;
    if (e === marked) rows.push({ first: '==>', context, text: '', mark: `  ${mark}` });
  }
  return tableOf('step', headings, rows, WIDTH_IN_FULL);
}
