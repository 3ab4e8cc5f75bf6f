/** An execution as a timeline: a lane for each context, for the byte that was lost, for pkmap slots and for cache lines. */
import { Stage, WaitKind } from '../../cpu/hw.js';
import { Ev } from '../../cpu/tracer.js';
import { consequence, contextOf } from '../../explore/explain/columns.js';
import type { Explanation } from '../../explore/explain/explain.js';
import { copySpans } from '../../explore/explain/loss.js';
import type { TraceEvent } from '../../lab/recorder.js';
import { hex2 } from '../../shared/types.js';
import type { Box, Drawing, Lane, Mark } from './drawing.js';
import { type Execution, Frames, holdsOf, Nesting, type Replayed, type Span, taskOf } from './execution.js';
import { type LineState, LineStates, SlotStates } from './states.js';

/** More lanes of one kind are shown only when the reader asks for everything. */
const SLOTS_SHOWN = 6;
const COLOURS = 6;

/** The same name has the same colour everywhere. */
function colourOf(name: string): string {
  let sum = 0;
  for (const c of name) sum = (sum * 31 + c.charCodeAt(0)) >>> 0;
  return `c${sum % COLOURS}`;
}

/** Setup and check as much of the picture as they need to be seen. */
class Scale {
  readonly steps: number;
  readonly margin: number;

  constructor(steps: number) {
    this.steps = steps;
    this.margin = Math.max(1, Math.round(steps * 0.05));
  }

  at(e: TraceEvent): number {
    if (e.stage === Stage.setup) return -this.margin;
    return e.stage === Stage.check ? this.steps + this.margin / 2 : e.step;
  }

  get end(): number {
    return this.steps + this.margin;
  }
}

const lane = (title: string, sub: string, rows: number, boxes: readonly Box[], folded = false): Lane => ({
  ...{ title, sub, rows, boxes, folded, heading: '' },
});

// ---- contexts ----------------------------------------------------------------------------------------------------

interface Row {
  readonly from: number;
  readonly to: number;
  readonly text: string;
  readonly kind: string;
}

/** Boxes one below the other where they overlap. @first: the first row that may be used. */
function stacked(rows: readonly Row[], first: number): { boxes: Box[]; rows: number } {
  const ends: number[] = [];
  const boxes = rows.map(({ from, to, text, kind }) => {
    const free = ends.findIndex((end) => end <= from);
    const row = free < 0 ? ends.length : free;
    ends[row] = to;
    return { row: first + row, from, to, text, tip: `${text}: steps ${from} to ${to - 1}`, kind };
  });
  return { boxes, rows: ends.length };
}

/** Parts of a span in which the context ran, and those in which others did. */
function piecesOf(span: Span, ran: readonly (readonly [number, number])[]): Box[] {
  const { what: text, depth: row, from, to } = span;
  const tip = `${text}(): steps ${from} to ${to - 1}`;
  const boxes: Box[] = [];
  let at = from;
  for (const [start, end] of ran) {
    const [a, b] = [Math.max(start, from), Math.min(end, to)];
    if (b <= a) continue;
    if (a > at)
      boxes.push({ row, from: at, to: a, text, tip: `${tip}, not running here`, kind: `off ${colourOf(text)}` });
    boxes.push({ row, from: a, to: b, text, tip, kind: colourOf(text) });
    at = b;
  }
  if (at < to) boxes.push({ row, from: at, to, text, tip: `${tip}, not running here`, kind: `off ${colourOf(text)}` });
  return boxes;
}

/** Functions that the context was in when it began to wait, @last: it is in them still. */
const toTheEnd = (spans: readonly Span[], last: number | undefined, { steps }: Scale): Span[] =>
  spans.map((span) => (span.to === last ? { ...span, to: steps } : span));

/** Steps in a row of each context. */
function stretchesOf(events: readonly TraceEvent[]): Map<string, [number, number][]> {
  const out = new Map<string, [number, number][]>();
  for (const e of events) {
    if (e.what !== Ev.step || e.stage !== Stage.threads) continue;
    const own = out.get(contextOf(e)) ?? [];
    out.set(contextOf(e), own);
    const last = own.at(-1);
    if (last !== undefined && last[1] >= e.step) last[1] = Math.max(last[1], e.step + 1);
    else own.push([e.step, e.step + 1]);
  }
  return out;
}

function functionsOf(events: readonly TraceEvent[]): Map<string, Span[]> {
  const frames = new Frames();
  const all = new Map<string, Nesting>();
  for (const e of events) {
    if (e.what === Ev.step && e.stage === Stage.threads) {
      const nesting = all.get(contextOf(e)) ?? new Nesting();
      all.set(contextOf(e), nesting);
      nesting.see(frames.own(e), e.step);
    }
    frames.see(e);
  }
  return new Map([...all].map(([context, { spans }]) => [context, spans]));
}

/** Not a wait of whoever ran last. */
const IDLE = 'CPU idle';
const WAITS: Readonly<Record<number, string>> = {
  [WaitKind.ipi]: 'waits for other CPUs',
  [WaitKind.sleep]: IDLE,
  [WaitKind.seat]: 'off the CPU',
  [WaitKind.bit]: 'waits for a bit',
  [WaitKind.device]: 'waits for its doorbell',
};

function waitRows({ events, names }: Execution, scale: Scale): Map<string, Row[]> {
  const out = new Map<string, Row[]>();
  const open = new Map<string, TraceEvent>();
  const close = (context: string, end: number): void => {
    const e = open.get(context);
    open.delete(context);
    if (e === undefined || end <= e.step + 1) return;
    const text = e.a === WaitKind.lock ? `spins on ${names.virtual(e.b)}` : (WAITS[e.a] ?? 'waits');
    out.set(context, [...(out.get(context) ?? []), { from: e.step + 1, to: end, text, kind: 'wait' }]);
  };
  for (const e of events) {
    if (e.stage !== Stage.threads) continue;
    const context = contextOf(e);
    if (e.what === Ev.wait && !open.has(context)) open.set(context, e);
    else if (e.what === Ev.woken || e.what === Ev.step) close(context, e.step);
  }
  for (const context of open.keys()) close(context, scale.steps);
  return out;
}

function lockRows({ events, names }: Execution, scale: Scale): Map<string, Row[]> {
  const out = new Map<string, Row[]>();
  for (const { lock, taken, released } of holdsOf(events)) {
    if (taken.stage !== Stage.threads) continue;
    const to = released === null ? scale.steps : Math.max(scale.at(released), taken.step) + 1;
    const row = { from: taken.step, to, text: names.virtual(lock), kind: 'lock' };
    out.set(contextOf(taken), [...(out.get(contextOf(taken)) ?? []), row]);
  }
  return out;
}

function contextLanes(execution: Execution, scale: Scale): Lane[] {
  const { events } = execution;
  const functions = functionsOf(events);
  const ran = stretchesOf(events);
  const waits = waitRows(execution, scale);
  const locks = lockRows(execution, scale);
  return [...functions.keys()].sort().map((context) => {
    const spans = functions.get(context) ?? [];
    const deep = spans.reduce((most, s) => Math.max(most, s.depth + 1), 1);
    const own = ran.get(context) ?? [];
    const stuck = (waits.get(context) ?? []).some(({ to, text }) => to === scale.steps && text !== IDLE);
    const boxes = (stuck ? toTheEnd(spans, own.at(-1)?.[1], scale) : spans).flatMap((span) => piecesOf(span, own));
    const beneath = stacked([...(locks.get(context) ?? []), ...(waits.get(context) ?? [])], deep);
    const first = events.find((e) => contextOf(e) === context) as TraceEvent;
    const name = taskOf(execution, first);
    const sub = context.endsWith(name) || context.endsWith('interrupt') ? '' : name;
    return lane(context, sub, deep + beneath.rows, [...boxes, ...beneath.boxes]);
  });
}

// ---- states ------------------------------------------------------------------------------------------------------

/** Boxes of one row, from the moments at which a state changed. */
class Track {
  readonly boxes: Box[] = [];
  #open: { from: number; text: string; kind: string } | null = null;
  /** Has it changed while the threads ran? */
  touched = false;

  set(at: number, text: string, kind: string): void {
    if (this.#open !== null && this.#open.text === text && this.#open.kind === kind) return;
    this.close(at);
    this.#open = { from: at, text, kind };
  }

  close(at: number): void {
    if (this.#open === null) return;
    const { from, text, kind } = this.#open;
    if (at > from && text !== '') this.boxes.push({ row: 0, from, to: at, text, tip: text, kind });
    this.#open = null;
  }
}

function trackOf<K>(tracks: Map<K, Track>, key: K): Track {
  const track = tracks.get(key) ?? new Track();
  tracks.set(key, track);
  return track;
}

/** A state that an event makes holds from the step after it. */
const since = (scale: Scale, e: TraceEvent): number => (e.stage === Stage.threads ? e.step + 1 : scale.at(e));

function byteLanes({ explanation, events, result, names }: Execution, scale: Scale): Lane[] {
  const { byte } = explanation;
  if (byte === null) return [];
  const tracks = new Map<string, Track>();
  for (const { place, from, to, value } of copySpans(events, byte, result.machine.core.dcache)) {
    const line = /^line (\d+)/.exec(place)?.[1];
    const name =
      place === 'memory'
        ? 'in memory'
        : line === undefined
          ? 'in the outer cache'
          : `in ${names.cacheOf(Number(line))}`;
    const track = trackOf(tracks, line === undefined ? name : `${name}, line ${line}`);
    const right = value === byte.expected;
    const text = value === null ? `old (0x${hex2(byte.seen)})` : `0x${hex2(value)}${right ? ', the byte stored' : ''}`;
    track.set(from === null ? -scale.margin : since(scale, from), text, right ? 'right' : 'old');
    const end = to === null ? scale.end : since(scale, to);
    track.close(end);
    if (to !== null && to === explanation.event && right)
      track.boxes.push({ ...{ row: 0, from: end, to: scale.end }, ...GONE });
  }
  const lanes = [...tracks].map(([name, track]) => lane(name, '', 1, track.boxes));
  return headed(lanes, `the byte at ${names.physical(byte.pa)}: should be 0x${hex2(byte.expected)}`);
}

const GONE = { text: 'gone', tip: 'the only copy was thrown away', kind: 'gone' };

function slotLanes({ events, names, result }: Execution, scale: Scale): Lane[] {
  const states = new SlotStates(names);
  const tracks = new Map<number, Track>();
  for (const e of events) {
    const slot = states.see(e);
    if (slot < 0) continue;
    const track = trackOf(tracks, slot);
    const { pfn, count } = states.of(slot);
    track.set(
      since(scale, e),
      `${pfn === 0 ? 'no page' : names.physical(pfn * 4096)}, count ${count}`,
      pfn === 0 ? 'free' : colourOf(String(pfn)),
    );
    if (e.stage === Stage.threads) track.touched = true;
  }
  const base = names.sym.PKMAP_BASE as number;
  const lanes = [...tracks]
    .sort(([a], [b]) => a - b)
    .map(([slot, track], i) => {
      track.close(scale.end);
      const address = `0x${(base + slot * 4096).toString(16)}`;
      return lane(`slot ${slot}`, address, 1, track.boxes, !track.touched || i >= SLOTS_SHOWN);
    });
  return headed(lanes, `kmap slots (${result.machine.pkmapSlots}): which page the address gives`);
}

const lineText = (execution: Execution, state: LineState): string =>
  `${state.dirty === 0 ? 'clean' : 'dirty'}: ${execution.names.physical(state.pa)}`;

function lineLanes(execution: Execution, scale: Scale): Lane[] {
  const { events, names, result, explanation } = execution;
  const states = new LineStates(result.machine.core.dcache);
  const tracks = new Map<number, Track>();
  const places = new Map<number, string>();
  for (const e of events) {
    const line = states.see(e);
    if (line < 0) continue;
    const state = states.of(line);
    const track = trackOf(tracks, line);
    if (state === undefined) track.set(since(scale, e), '', 'free');
    else {
      track.set(since(scale, e), lineText(execution, state), state.dirty === 0 ? 'clean' : 'dirty');
      places.set(line, state.va === state.pa ? names.physical(state.pa) : names.virtual(state.va));
    }
    if (e.stage === Stage.threads) track.touched = true;
  }
  const concerned = concernedLines(
    explanation.event,
    explanation.moments.map((m) => m.event),
  );
  const lanes = [...tracks]
    .sort(([a], [b]) => Number(concerned.has(b)) - Number(concerned.has(a)) || a - b)
    .map(([line, track]) => {
      track.close(scale.end);
      return lane(places.get(line) ?? `line ${line}`, names.cacheOf(line), 1, track.boxes, !concerned.has(line));
    });
  return headed(lanes, 'cache lines');
}

/** Lines that the story tells of. */
function concernedLines(event: TraceEvent | null, others: readonly (TraceEvent | null)[]): Set<number> {
  const lines = new Set<number>();
  for (const e of [event, ...others]) {
    if (e === null) continue;
    if (e.what === Ev.lineFill || e.what === Ev.lineDrop || e.what === Ev.lineWriteBack) lines.add(e.a);
    if ((e.what === Ev.load || e.what === Ev.store) && e.d >= 0) lines.add(e.d);
  }
  return lines;
}

const headed = (lanes: readonly Lane[], heading: string): Lane[] =>
  lanes.toSorted((a, b) => Number(a.folded) - Number(b.folded)).map((one, i) => (i === 0 ? { ...one, heading } : one));

// ---- all ---------------------------------------------------------------------------------------------------------

/** A sentence of the story. */
export interface Sentence {
  /** Its badge, or 0 for a sentence about no step. */
  readonly number: number;
  readonly step: number | null;
  readonly text: string;
  readonly lost: boolean;
}

/** The sentences of the report, those about events in the order of these. */
export function storyOf({ explanation }: Execution): Sentence[] {
  const general = explanation.moments.filter((m) => m.event === null);
  return [
    ...general.map(({ text }) => ({ number: 0, step: null, text, lost: false })),
    ...momentsInOrder(explanation).map(({ text, event }, i) => ({
      ...{ number: i + 1, step: event.step, text },
      lost: event === explanation.event,
    })),
  ];
}

/** What the report tells about events, in their order. */
function momentsInOrder({ moments }: Explanation): { readonly text: string; readonly event: TraceEvent }[] {
  const known = moments.flatMap(({ text, event }) => (event === null ? [] : [{ text, event }]));
  return known.sort((a, b) => a.event.seq - b.event.seq);
}

function marksOf({ explanation }: Execution, scale: Scale, contexts: readonly Lane[]): Mark[] {
  return momentsInOrder(explanation).map(({ text, event: e }, i) => {
    const inThreads = e.stage === Stage.threads;
    const at = inThreads ? e.step + 0.5 : scale.at(e);
    const index = inThreads ? contexts.findIndex((c) => c.title === contextOf(e)) : -1;
    return { at, number: i + 1, text, lost: e === explanation.event, lane: index };
  });
}

export function drawingOf(execution: Replayed): Drawing {
  const scale = new Scale(execution.result.steps);
  const contexts = contextLanes(execution, scale);
  const lanes = [
    ...headed(contexts, 'who runs, in which functions (outermost first), with which locks held'),
    ...byteLanes(execution, scale),
    ...slotLanes(execution, scale),
    ...lineLanes(execution, scale),
  ];
  const { event, mark } = execution.explanation;
  return {
    ...{ from: -scale.margin, to: scale.end, steps: scale.steps, lanes },
    marks: marksOf(execution, scale, contexts),
    markText: event === null ? mark : `step ${event.step}: ${mark}`,
  };
}

/** A step of the table. */
export interface StepRow {
  readonly step: number;
  readonly context: string;
  readonly event: TraceEvent;
  readonly effects: readonly string[];
  readonly lost: boolean;
}

/** Every step of the threads, with what came of it. */
export function stepRows({ events, names, explanation }: Execution): StepRow[] {
  const rows: (StepRow & { effects: string[]; lost: boolean })[] = [];
  for (const e of events) {
    if (e.stage !== Stage.threads) continue;
    if (e.what === Ev.step) rows.push({ step: e.step, context: contextOf(e), event: e, effects: [], lost: false });
    const row = rows.at(-1);
    if (row === undefined) continue;
    const text = e.what === Ev.step ? '' : consequence(names, e);
    if (text !== '') row.effects.push(text);
    if (e === explanation.event) row.lost = true;
  }
  return rows;
}
