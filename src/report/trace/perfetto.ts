/**
 * An execution as a Perfetto trace: track events in protobuf, the format of Perfetto's own.
 *
 * It shows what the Chrome trace shows. That has slices with a length and asynchronous ones; here everything is begun and ended, nested on its
 * track. So locks have tracks of their own below that of their CPU, one more wherever a hold ends inside another that it began before.
 *
 * Source: spec/checkers.md §8.3, trap 12.
 */
import { type ChromeEvent, toChromeTrace } from './chrome.js';
import type { Execution } from './execution.js';
import { EventType, encodePackets, type Packet, SEQ_INCREMENTAL_STATE_CLEARED, type Track } from './track-events.js';

const PID = 1;
const PROCESS: Track['uuid'] = 1;

type Content = Omit<NonNullable<Packet['event']>, 'type' | 'trackUuid'>;

/** Something on a track, times in microseconds. */
interface Item {
  readonly from: number;
  /** Null for a moment. */
  readonly to: number | null;
  readonly content: Content;
}

interface Row {
  readonly track: Track;
  readonly items: Item[];
}

/** Tracks in the order in which they are first named. */
class Rows {
  readonly #rows = new Map<string, Row>();

  constructor(name: string) {
    this.#rows.set('process', { track: { uuid: PROCESS, process: { pid: PID, name } }, items: [] });
  }

  /** The row @key, made with @how when it is new. */
  of(key: string, how: () => Omit<Track, 'uuid'> = () => ({ parentUuid: PROCESS, name: key })): Row {
    const known = this.#rows.get(key);
    if (known !== undefined) return known;
    const row = { track: { uuid: PROCESS + this.#rows.size, ...how() }, items: [] };
    this.#rows.set(key, row);
    return row;
  }

  get all(): readonly Row[] {
    return [...this.#rows.values()];
  }
}

const contentOf = ({ name, cat, args }: ChromeEvent): Content => ({
  ...(name === undefined ? {} : { name }),
  ...(cat === undefined ? {} : { categories: [cat] }),
  ...(args === undefined ? {} : { annotations: args }),
});

/** Asynchronous slices, each with its two ends. */
function holdsOf(events: readonly ChromeEvent[]): { readonly begin: ChromeEvent; readonly to: number }[] {
  const ends = new Map(events.filter((e) => e.ph === 'e').map((e) => [e.id, e.ts]));
  return events.filter((e) => e.ph === 'b').map((begin) => ({ begin, to: ends.get(begin.id) ?? begin.ts }));
}

/** Each hold on the first track of its CPU on which it nests. */
function addLocks(rows: Rows, events: readonly ChromeEvent[], nameOf: (tid: number) => string): void {
  /** Per track: ends of the holds that last, the innermost last. */
  const open = new Map<string, number[]>();
  for (const { begin, to } of holdsOf(events)) {
    const fits = (key: string): boolean => {
      const lasting = (open.get(key) ?? []).filter((end) => end > begin.ts);
      open.set(key, lasting);
      return (lasting.at(-1) ?? to) >= to;
    };
    const keyOf = (n: number): string => `${nameOf(begin.tid)} locks${n === 1 ? '' : ` ${n}`}`;
    let n = 1;
    while (!fits(keyOf(n))) n++;
    open.get(keyOf(n))?.push(to);
    const parent = rows.of(`${begin.tid}`).track.uuid;
    const row = rows.of(keyOf(n), () => ({ parentUuid: parent, name: keyOf(n) }));
    row.items.push({ from: begin.ts, to, content: contentOf(begin) });
  }
}

/** Everything else. */
function addEvent(rows: Rows, e: ChromeEvent): void {
  const add = (row: Row, content: Content, to: number | null = null): void =>
    void row.items.push({ from: e.ts, to, content });
  const thread = (): Row => rows.of(`${e.tid}`);
  if (e.ph === 'X') add(thread(), contentOf(e), e.ts + (e.dur ?? 0));
  else if (e.ph === 'i') add(e.s === 'g' ? rows.of('process') : thread(), contentOf(e));
  else if (e.ph === 's') add(thread(), { ...contentOf(e), flowIds: [e.id ?? 0] });
  else if (e.ph === 'f') add(thread(), { ...contentOf(e), terminatingFlowIds: [e.id ?? 0] });
  else if (e.ph === 'C') {
    const row = rows.of(e.name ?? '', () => ({ parentUuid: PROCESS, name: e.name ?? '', counter: true }));
    add(row, { counterValue: Number(Object.values(e.args ?? {})[0]) });
  }
}

const nanoseconds = (micros: number): number => Math.round(micros * 1000);

/** What is on a track, in order: at one time, first what ends, the inner before the outer, then what begins, the outer before the inner. */
function packetsOf({ track, items }: Row): Packet[] {
  const out: Packet[] = [];
  const ends: number[] = [];
  const put = (at: number, type: EventType, content: Content = {}): void =>
    void out.push({ timestamp: nanoseconds(at), event: { type, trackUuid: track.uuid, ...content } });
  const endUntil = (at: number): void => {
    for (let end = ends.at(-1); end !== undefined && end <= at; end = ends.at(-1)) {
      put(end, EventType.sliceEnd);
      ends.pop();
    }
  };
  const length = ({ from, to }: Item): number => (to ?? from) - from;
  for (const item of items.toSorted((a, b) => a.from - b.from || length(b) - length(a))) {
    endUntil(item.from);
    if (track.counter === true) put(item.from, EventType.counter, item.content);
    else if (item.to === null) put(item.from, EventType.instant, item.content);
    else {
      put(item.from, EventType.sliceBegin, item.content);
      ends.push(item.to);
    }
  }
  endUntil(Number.POSITIVE_INFINITY);
  return out;
}

function rowsOf(execution: Execution): readonly Row[] {
  const { traceEvents } = toChromeTrace(execution);
  const rows = new Rows(execution.result.experiment);
  const names = new Map<number, string>();
  for (const { ph, name, tid, args } of traceEvents)
    if (ph === 'M' && name === 'thread_name') names.set(tid, String(args?.name));
  const nameOf = (tid: number): string => names.get(tid) ?? '';
  for (const [tid, name] of names) rows.of(`${tid}`, () => ({ parentUuid: PROCESS, thread: { pid: PID, tid, name } }));
  addLocks(rows, traceEvents, nameOf);
  for (const e of traceEvents) addEvent(rows, e);
  return rows.all;
}

/** Return: the file, tracks first, then their events in the order of time. */
export function toPerfetto(execution: Execution): Uint8Array {
  const rows = rowsOf(execution);
  const tracks = rows.map(
    ({ track }, i): Packet => ({
      ...(i === 0 ? { sequenceFlags: SEQ_INCREMENTAL_STATE_CLEARED } : {}),
      track,
    }),
  );
  const events = rows.flatMap(packetsOf).sort((a, b) => (a.timestamp ?? 0) - (b.timestamp ?? 0));
  return encodePackets([...tracks, ...events]);
}
