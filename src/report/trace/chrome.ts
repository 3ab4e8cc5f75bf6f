/**
 * An execution as a Chrome trace (Trace Event Format, JSON), which Perfetto and chrome://tracing open.
 *
 * A track for each CPU, with the thread that runs there, its functions and interrupts as nested slices; one for each device. Locks are asynchronous
 * slices, since holds need not nest. Arrows go from who raises an interrupt, rings a doorbell or wakes a thread to who takes it.
 *
 * Source: spec/checkers.md §8.2.
 */
import { Ev } from '../../cpu/tracer.js';
import { consequence, stepText } from '../../explore/explain/columns.js';
import { Recorded, type TraceEvent } from '../../lab/recorder.js';
import { zone_names } from '../../mm/mmzone.js';
import { type Execution, Frames, holdsOf, Nesting, TICK, taskOf, timesOf } from './execution.js';
import { LineStates } from './states.js';

const PID = 1;
const DEVICE_TID = 1000;

export interface ChromeEvent {
  readonly name?: string;
  readonly cat?: string;
  readonly ph: string;
  readonly ts: number;
  readonly pid: number;
  readonly tid: number;
  readonly dur?: number;
  readonly s?: string;
  readonly id?: number;
  readonly bp?: string;
  readonly args?: Readonly<Record<string, string | number>>;
}

export interface ChromeTrace {
  readonly traceEvents: readonly ChromeEvent[];
  readonly displayTimeUnit: 'ns';
  readonly metadata: Readonly<Record<string, string | number>>;
}

const tidOf = (e: { cpu: number; slot: number }): number => (e.cpu < 0 ? DEVICE_TID + e.slot : e.cpu + 1);

export function toChromeTrace(execution: Execution): ChromeTrace {
  const { events, result } = execution;
  const times = timesOf(events);
  const at = (e: TraceEvent): number => times.get(e) as number;
  const clock = events[0]?.time === undefined ? 'order of events, 1 us each' : 'clock of the host';
  const { experiment, core, kernel, cpus, outcome } = result;
  const message = result.failure?.message ?? '';
  return {
    traceEvents: [
      ...trackNames(execution),
      ...[
        ...slices(execution, at),
        ...locks(execution, at),
        ...instants(execution, at),
        ...counters(execution, at),
        ...arrows(events, at),
      ].sort((a, b) => a.ts - b.ts),
    ],
    displayTimeUnit: 'ns',
    metadata: { experiment, core, kernel, cpus, outcome, message, time: clock },
  };
}

function trackNames(execution: Execution): ChromeEvent[] {
  const named = (name: string, tid: number, args: ChromeEvent['args']): ChromeEvent => ({
    ...{ name, ph: 'M', ts: 0, pid: PID, tid },
    ...(args === undefined ? {} : { args }),
  });
  const out = [named('process_name', 0, { name: execution.result.experiment })];
  const first = new Map<number, TraceEvent>();
  for (const e of execution.events) if (!first.has(tidOf(e))) first.set(tidOf(e), e);
  for (const [tid, e] of [...first].sort(([a], [b]) => a - b)) {
    out.push(named('thread_name', tid, { name: e.cpu < 0 ? `device${e.slot}` : `CPU${e.cpu}` }));
    out.push(named('thread_sort_index', tid, { sort_index: tid }));
  }
  return out;
}

/** Threads, functions and interrupts: properly nested on each track, cut where another thread takes the CPU. */
function slices(execution: Execution, at: (e: TraceEvent) => number): ChromeEvent[] {
  const frames = new Frames();
  const tracks = new Map<number, Nesting>();
  for (const e of execution.events) {
    const tid = tidOf(e);
    const nesting = tracks.get(tid) ?? new Nesting();
    tracks.set(tid, nesting);
    nesting.see([taskOf(execution, e), ...frames.all(e)], at(e), e.time === undefined ? 1 : TICK);
    frames.see(e);
  }
  return [...tracks].flatMap(([tid, { spans }]) =>
    spans.map(({ what, depth, from, to }) => ({
      ...{ name: what, cat: depth === 0 ? 'sched' : what.startsWith('irq ') ? 'irq' : 'function' },
      ...{ ph: 'X', ts: from, dur: to - from, pid: PID, tid },
    })),
  );
}

function locks(execution: Execution, at: (e: TraceEvent) => number): ChromeEvent[] {
  const last = execution.events.at(-1);
  const end = last === undefined ? 0 : at(last) + 1;
  return holdsOf(execution.events).flatMap(({ lock, taken, released }, i) => {
    const event = { name: execution.names.virtual(lock), cat: 'lock', id: i + 1, pid: PID, tid: tidOf(taken) };
    const args = { by: taskOf(execution, taken), cpu: taken.cpu, step: taken.step };
    return [
      { ...event, ph: 'b', ts: at(taken), args },
      { ...event, ph: 'e', ts: released === null ? end : at(released) },
    ];
  });
}

function categoryOf(e: TraceEvent): string {
  if (e.what === Ev.step) return 'step';
  if (e.what === Ev.tlbFill || e.what === Ev.tlbFlush || e.what === Ev.fault) return 'tlb';
  if (e.what === Ev.dmaRead || e.what === Ev.dmaWrite) return 'dma';
  if (e.what >= Ev.pageAlloc && e.what <= Ev.cacheFree) return 'alloc';
  return e.what === Recorded.change ? 'data' : 'cache';
}

/** Steps and what came of them; the one that decided it on the whole height. */
function instants(execution: Execution, at: (e: TraceEvent) => number): ChromeEvent[] {
  const { names, events, explanation } = execution;
  const out: ChromeEvent[] = [];
  for (const e of events) {
    const event = { ph: 'i', ts: at(e), pid: PID, tid: tidOf(e) };
    const text = e.what === Ev.step ? stepText(names, e) : textOf(execution, e);
    if (text !== '') out.push({ ...event, name: text, cat: categoryOf(e), s: 't', args: { step: e.step } });
    if (e === explanation.event)
      out.push({ ...event, name: explanation.mark, cat: 'murphy', s: 'g', args: { step: e.step } });
  }
  return out;
}

function textOf({ names }: Execution, e: TraceEvent): string {
  if (e.what === Ev.dmaRead) return `reads ${names.physical(e.a)}`;
  if (e.what === Ev.dmaWrite) return `writes ${names.physical(e.a)}`;
  return e.what === Ev.irqEnter ? '' : consequence(names, e);
}

/** Free pkmap slots, free pages of each zone, dirty lines. */
function counters(execution: Execution, at: (e: TraceEvent) => number): ChromeEvent[] {
  const { names, events, result } = execution;
  const out: ChromeEvent[] = [];
  const counts = new Map<number, number>();
  const lines = new LineStates(result.machine.core.dcache);
  const count = (name: string, e: TraceEvent, series: string, value: number): void => {
    out.push({ name, ph: 'C', ts: at(e), pid: PID, tid: 0, args: { [series]: value } });
  };
  let dirty = 0;
  for (const e of events) {
    const slot = e.what === Recorded.change ? names.slotOfCount(e.a) : -1;
    if (slot >= 0) {
      counts.set(slot, e.c);
      const used = [...counts.values()].filter((n) => n !== 0).length;
      count('pkmap slots', e, 'free', result.machine.pkmapSlots - used);
    }
    const zone = e.what === Recorded.change ? names.zoneOfFree(e.a) : -1;
    if (zone >= 0) count(`free pages ${zone_names[zone]}`, e, 'pages', e.c >>> 0);
    lines.see(e);
    if (lines.dirty !== dirty) count('dirty lines', e, 'lines', lines.dirty);
    dirty = lines.dirty;
  }
  return out;
}

/** From each cause to the first thing that the other side does because of it. */
function arrows(events: readonly TraceEvent[], at: (e: TraceEvent) => number): ChromeEvent[] {
  const out: ChromeEvent[] = [];
  const waiting = new Map<string, { readonly e: TraceEvent; readonly cat: string }>();
  let id = 0;
  const arrive = (key: string, e: TraceEvent): void => {
    const from = waiting.get(key);
    if (from === undefined) return;
    waiting.delete(key);
    const arrow = { name: from.cat, cat: from.cat, id: ++id, pid: PID };
    out.push({ ...arrow, ph: 's', ts: at(from.e), tid: tidOf(from.e) });
    out.push({ ...arrow, ph: 'f', bp: 'e', ts: at(e), tid: tidOf(e) });
  };
  for (const e of events) {
    if (e.what === Ev.raise) waiting.set(`irq ${e.a} ${e.b}`, { e, cat: 'interrupt' });
    else if (e.what === Ev.doorbell) waiting.set(`device ${e.a}`, { e, cat: 'doorbell' });
    else if (e.what === Ev.wakeUp) waiting.set(`thread ${e.a}`, { e, cat: 'wake-up' });
    else if (e.what === Ev.irqEnter) arrive(`irq ${e.cpu} ${e.a}`, e);
    else arrive(e.cpu < 0 ? `device ${e.slot}` : `thread ${e.slot}`, e);
  }
  return out;
}
