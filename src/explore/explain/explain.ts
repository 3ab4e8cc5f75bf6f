/**
 * A failure in words: what went wrong, who did it, and the interleaving that led there. Everything is found in the history of a replayed execution.
 */
import { Stage, WaitKind } from '../../cpu/hw.js';
import { Cause, Ev } from '../../cpu/tracer.js';
import { type History, Recorded, type TraceEvent } from '../../lab/recorder.js';
import type { Failure } from '../../lab/types.js';
import { layoutStatics } from '../../mm/boot.js';
import { hex2, showVaddr } from '../../shared/types.js';
import type { ExploreResult } from '../explore.js';
import { type Access, accessesOf, changeText } from './accesses.js';
import { contextOf, fullColumns, type Shown, shortColumns } from './columns.js';
import { type Hands, inShort, type Pause } from './in-short.js';
import { findLoss, type Loss, type LossKind, type WrongByte } from './loss.js';
import { Names, where, wordText } from './names.js';
import {
  accessChange,
  at,
  type LostUpdate,
  lastChange,
  lostUpdates,
  nextChange,
  oracleReads,
  outdatedText,
  sinceText,
  telling,
} from './variables.js';
import { waitLines } from './waits.js';

/** The step that decided it, as data. */
export interface Culprit {
  /** How the byte was lost; `fault` and `change` for other outcomes. */
  readonly kind: LossKind | 'fault' | 'change';
  readonly step: number;
  readonly cpu: number;
  readonly context: string;
  /** Functions, innermost first. */
  readonly functions: readonly string[];
  /** What it did: `invalidate`, `evict`, `store`, ... */
  readonly operation: string;
  /** Virtual address that it used, its pkmap slot, and the address of the cache line, where they apply. */
  readonly addr: number | null;
  readonly slot: number | null;
  readonly line: number | null;
  readonly text: string;
}

/** A line of the report, and the event that it tells of. */
export interface Moment {
  readonly text: string;
  readonly event: TraceEvent | null;
}

export interface Explanation {
  /** Under 20 lines. */
  readonly report: readonly string[];
  /** Every step, in columns. */
  readonly trace: readonly string[];
  readonly culprit: Culprit | null;
  /** What happened, in a sentence or two, for somebody who has seen neither code nor machine; empty where that is not known. */
  readonly inShort: string;
  /** What the report tells between its first line and the columns. */
  readonly moments: readonly Moment[];
  /** The event that decided it, and what to write beside it. */
  readonly event: TraceEvent | null;
  readonly mark: string;
  /** The byte that was wrong, where one was. */
  readonly byte: WrongByte | null;
}

const ROWS_MAX = 7;
const LINES_MAX = 19;

interface Story {
  readonly inShort?: string;
  readonly moments: readonly Moment[];
  readonly culprit: Culprit | null;
  readonly event: TraceEvent | null;
  readonly mark: string;
  readonly byte?: WrongByte;
}

const told = (text: string, event: TraceEvent | null = null): Moment => ({ text, event });
const NOTHING: Story = { moments: [], culprit: null, event: null, mark: '' };

/** Of an execution that is shown without one. */
export const NO_EXPLANATION: Explanation = { report: [], trace: [], inShort: '', ...NOTHING, byte: null };

/** Explain a failing execution. @result: of a replay with its history. */
export function explain(result: ExploreResult): Explanation {
  const { failure, history } = result;
  const names = new Names(result.machine, layoutStatics(result.machine).sym);
  if (failure === null) return { ...NO_EXPLANATION, report: ['no failure'] };
  const story = tell(failure, result, names);
  const { event: marked, mark, moments } = story;
  const { threads = new Map<number, string>() } = history;
  const shown: Shown = { events: history.events, names, threads, trace: result.trace, marked, mark };
  const room = Math.max(4, Math.min(ROWS_MAX, LINES_MAX - 2 - moments.length));
  const report = [
    `${failure.outcome}: ${failure.message}`,
    ...moments.slice(0, LINES_MAX - 2 - room).map((m) => m.text),
    ...shortColumns(shown, room),
  ];
  return { report, trace: fullColumns(shown), inShort: '', byte: null, ...story };
}

function tell(failure: Failure, result: ExploreResult, names: Names): Story {
  const { history } = result;
  switch (failure.outcome) {
    case 'wrong-bytes':
      return failure.pfn === undefined ? NOTHING : lostByte(failure, failure.pfn, result, names);
    case 'deadlock':
    case 'hang': {
      const story = inVain(history, names);
      const waits = [...waitLines(history, names), ...devicesOf(failure)].map((line) => told(line));
      return { ...story, moments: [...waits, ...story.moments] };
    }
    case 'oops':
      return fault(failure, history.events, names);
    case 'bug':
      return bug(failure, history.events, names);
    default:
      return violation(failure, history.events, names);
  }
}

/** Devices have no stack to tell of: what the machine's state says of them. */
const devicesOf = ({ state = [] }: Failure): string[] => state.filter((line) => line.startsWith('device'));

// ---- bytes -------------------------------------------------------------------------------------------------------

const OPERATIONS: Readonly<Record<number, string>> = {
  [Cause.evict]: 'evict',
  [Cause.clean]: 'clean',
  [Cause.invalidate]: 'invalidate',
  [Cause.flush]: 'flush',
  [Cause.snoop]: 'snoop',
};

function operationOf(e: TraceEvent): string {
  if (e.what === Ev.lineDrop || e.what === Ev.lineWriteBack) return OPERATIONS[e.d >>> 8] ?? '';
  if (e.what === Ev.load) return 'load';
  if (e.what === Ev.lineFill) return 'fill';
  return e.what === Ev.dmaWrite ? 'transfer' : 'store';
}

function culpritOf(kind: Culprit['kind'], e: TraceEvent, names: Names, text: string): Culprit {
  const isLine = e.what === Ev.lineDrop || e.what === Ev.lineWriteBack || e.what === Ev.lineFill;
  const addr = isLine ? e.b : e.a;
  const slot = names.slotOf(addr);
  return {
    ...{
      kind,
      step: e.step,
      cpu: e.cpu,
      context: contextOf(e),
      functions: e.stack,
      operation: operationOf(e),
      addr,
      text,
    },
    slot: slot < 0 ? null : slot,
    line: isLine ? e.b : null,
  };
}

function lostByte(failure: Failure, pfn: number, result: ExploreResult, names: Names): Story {
  const { core } = result.machine;
  const { offset = 0, expected = 0, seen = 0 } = failure;
  const bigEndian = core.arch === 'parisc';
  let byte: WrongByte = { pa: pfn * 4096 + offset, expected, seen, bigEndian };
  let loss = findLoss(result.history.events, byte, core.dcache);
  // A race may count the bytes of a word from the other end.
  if (loss.read === null && bigEndian) {
    byte = { ...byte, bigEndian: false };
    loss = findLoss(result.history.events, byte, core.dcache);
  }
  const line = offset & -core.dcache.lineBytes;
  const moments = [
    told(
      `byte   ${names.page(pfn)}, offset 0x${offset.toString(16)}, cache line 0x${line.toString(16)} to 0x${(line + core.dcache.lineBytes - 1).toString(16)}: expected 0x${hex2(expected)}, saw 0x${hex2(seen)}`,
    ),
  ];
  const { stored, culprit, read } = loss;
  if (stored !== null) moments.push(told(`stored ${at(stored)}: at ${placeOf(stored, names)}`, stored));
  const text = lossText(loss, names);
  let hands: Hands | null = null;
  if (culprit !== null) {
    moments.push(told(`${loss.kind === 'stale-line' ? 'stale ' : 'lost  '} ${at(culprit)}: ${text}`, culprit));
    const changes = changesOfHands(culprit, stored, result.history.events, names);
    const pause = pauseOf(culprit, changes, result.history.events);
    if (pause !== null) moments.push(told(`paused ${at(pause.from)}: went on at step ${pause.until.step}`, pause.from));
    moments.push(...slotStory(changes, names));
    moments.push(...translationStory(culprit, result.history.events, names));
    hands = handsOf(changes, pause, names);
  } else if (text !== '') moments.push(told(`lost   ${text}`));
  if (read !== null && read !== culprit) moments.push(told(`read   ${at(read)}: at ${placeOf(read, names)}`, read));
  return {
    ...{ moments, byte, event: culprit },
    inShort: inShort(loss, hands),
    mark: loss.kind === 'stale-line' ? 'old line fetched' : `bytes lost: ${loss.kind}`,
    culprit: culprit === null ? null : culpritOf(loss.kind, culprit, names, text),
  };
}

/** Where an access went. */
function placeOf(e: TraceEvent, names: Names): string {
  if (e.what === Ev.dmaRead || e.what === Ev.dmaWrite) return `${names.physical(e.a)}, by a device`;
  const into = e.d < 0 ? 'past the cache' : `in a line of ${names.cacheOf(e.d)}`;
  return `${names.mapped(e.a)}, ${into}`;
}

function lossText(loss: Loss, names: Names): string {
  const { kind, culprit: e } = loss;
  if (kind === 'not-seen' && loss.stored !== null) {
    const inCache = loss.stored.what === Ev.store && loss.stored.d >= 0;
    const place = inCache ? `${names.cacheOf(loss.stored.d)} under ${names.mapped(loss.stored.a)}` : 'memory';
    return `nowhere: the byte is still in ${place}; the reader looked elsewhere`;
  }
  if (e === null) return '';
  // Lines of physically tagged caches have no other address.
  const tag = e.b === e.c >>> 0 ? '' : `${names.mapped(e.b)} `;
  const owner = `the line ${tag}of ${names.physical(e.c >>> 0)} in ${names.cacheOf(e.a)}`;
  switch (kind) {
    case 'discarded':
      return `${operationOf(e)} threw away ${owner}, dirty and not written back`;
    case 'overwritten':
      return `${operationOf(e)} wrote ${owner} over newer memory`;
    case 'stale-line':
      return `brought ${owner}, with older bytes; nothing threw it away before the read`;
    case 'stored-elsewhere':
    case 'read-elsewhere': {
      const verb = kind === 'stored-elsewhere' ? 'stored to' : 'read';
      return `${verb} ${names.physical(e.b)} at ${names.mapped(e.a)}, which the page tables give to ${names.physical(e.named)}`;
    }
    default: {
      const misled = e.what === Ev.store && e.named !== e.b;
      const meant = misled && e.named !== 0xffffffff ? `, meant for ${names.physical(e.named)}` : '';
      const by =
        names.config.core.dcache.tagBy === 'VA' ? 'an old line, still in the cache: ' : 'a stale translation: ';
      return `${misled ? by : ''}stored over it at ${names.mapped(e.a)}${meant}`;
    }
  }
}

/** A pkmap slot, -1 for none, and the last changes of its entry before the loss. */
interface SlotChanges {
  readonly slot: number;
  readonly changes: readonly TraceEvent[];
}

/** Whose the pkmap slot of the address was: its last changes of hands before the loss. */
function slotStory({ slot, changes }: SlotChanges, names: Names): Moment[] {
  return changes.map((e) => {
    const [before, now] = [e.b >>> 12, (e.c >>> 0) >>> 12];
    const what = e.c === 0 ? `taken from ${names.page(before)}` : `given to ${names.page(now)}`;
    return told(`slot ${slot} ${what}: ${at(e)}`, e);
  });
}

/** The last two changes of the entry of the address by which the byte was lost. */
function changesOfHands(
  culprit: TraceEvent,
  stored: TraceEvent | null,
  events: readonly TraceEvent[],
  names: Names,
): SlotChanges {
  const addr = culprit.what === Ev.lineDrop || culprit.what === Ev.lineWriteBack ? culprit.b : (stored?.a ?? culprit.a);
  const slot = names.slotOf(addr);
  if (slot < 0) return { slot, changes: [] };
  const changes = events.filter(
    (e) => e.what === Recorded.change && e.seq < culprit.seq && names.slotOfEntry(e.a) === slot,
  );
  return { slot, changes: changes.slice(-2) };
}

/** The last step of the context that lost the byte before the address changed hands, if its next one came afterwards only. */
function pauseOf(culprit: TraceEvent, { changes }: SlotChanges, events: readonly TraceEvent[]): Pause | null {
  const [taken, given] = changes;
  if (taken === undefined || given === undefined) return null;
  const context = contextOf(culprit);
  const steps = events.filter((e) => e.what === Ev.step && e.stage === Stage.threads && contextOf(e) === context);
  const from = steps.findLast((e) => e.seq < taken.seq);
  const until = steps.find((e) => e.seq > taken.seq);
  return from === undefined || until === undefined || until.seq < given.seq ? null : { from, until };
}

/** How the address came from another page to that of the byte; null where it did not. */
function handsOf({ slot, changes }: SlotChanges, pause: Pause | null, names: Names): Hands | null {
  const [taken, given] = changes;
  if (taken === undefined || given === undefined || taken.c !== 0 || given.c === 0) return null;
  return { nr: slot, from: names.page(taken.b >>> 12), to: names.page((given.c >>> 0) >>> 12), given, pause };
}

/** Why the translation was stale: when it was remembered, when its entry changed, and whom the flushes reached. */
function translationStory(e: TraceEvent, events: readonly TraceEvent[], names: Names): Moment[] {
  if ((e.what !== Ev.load && e.what !== Ev.store) || e.named === e.b) return [];
  if (e.d >= 0 && names.config.core.dcache.tagBy === 'VA') return [];
  const page = e.a & ~0xfff;
  const before = events.filter((o) => o.seq < e.seq);
  const filled = before.findLast((o) => o.what === Ev.tlbFill && o.cpu === e.cpu && (o.a & ~0xfff) === page);
  const flush = before.findLast(
    (o) => o.what === Ev.tlbFlush && o.b === 0 && o.cpu !== e.cpu && ((o.a & ~0xfff) === page || o.a === 0xffffffff),
  );
  const found: Moment[] = [];
  if (filled !== undefined) found.push(told(`TLB    of CPU${e.cpu} has it since ${at(filled)}`, filled));
  if (flush !== undefined && flush.seq > (filled?.seq ?? -1))
    found.push(told(`flush  reached only CPU${flush.cpu}: ${at(flush)}`, flush));
  const slot = ` (${names.virtual(page >>> 0)}) < `;
  return found.map(({ text, event }) => told(text.replace(' < ', slot), event));
}

// ---- other outcomes ----------------------------------------------------------------------------------------------

function fault(failure: Failure, events: readonly TraceEvent[], names: Names): Story {
  const event = events.findLast((e) => e.what === Ev.fault) ?? null;
  if (event === null) return NOTHING;
  const slot = names.slotOf(event.a);
  const access = event.c === 1 ? 'write' : 'read or cache operation';
  const moments = [told(`fault  ${at(event)}: ${access} at ${names.mapped(event.a)}`, event)];
  const change = events.findLast((e) => e.what === Recorded.change && slot >= 0 && names.slotOfEntry(e.a) === slot);
  if (change !== undefined) {
    const page = names.page((change.c === 0 ? change.b : change.c >>> 0) >>> 12);
    const what = change.c === 0 ? 'cleared' : 'set';
    moments.push(told(`entry  of slot ${slot} ${what}, ${page}: ${at(change)}`, change));
  }
  moments.push(...pointer(event.a, events, names));
  const text = `fault at ${showVaddr(failure.addr ?? event.a)}`;
  return { moments, event, mark: 'fault', culprit: culpritOf('fault', change ?? event, names, text) };
}

/** The variable of the race that the address was read from by whoever used it. */
function pointer(addr: number, events: readonly TraceEvent[], names: Names): Moment[] {
  const accesses = accessesOf(events, names);
  const from = oracleReads(events, names).find(({ word }) => {
    const offset = addr - (word.before >>> 0);
    return offset >= 0 && offset < 4096;
  });
  return from === undefined ? [] : [told(`read   ${at(from.event)}: ${sinceText(from, accesses, names)}`, from.event)];
}

/** The last changes of the words that belong to the address that the assertion names. */
function bug(failure: Failure, events: readonly TraceEvent[], names: Names): Story {
  const moments = [
    told(`died   in ${where(failure.functions ?? [], 4)} on CPU${failure.cpu}`),
    ...pointer(failure.addr ?? 0, events, names),
  ];
  const slot = slotOfBug(failure.addr ?? 0, events, names);
  const changes = events.filter((e) => e.what === Recorded.change && slot >= 0 && changesSlot(e, slot, names));
  for (const e of changes.slice(-4)) {
    moments.push(told(`${changeText(names.virtual(e.a), e.b, e.c)}: ${at(e)}`, e));
  }
  const last = changes.at(-1) ?? null;
  return {
    ...{ moments, event: last, mark: 'last change' },
    culprit: last === null ? null : culpritOf('change', last, names, (moments.at(-1) as Moment).text),
  };
}

const changesSlot = (e: TraceEvent, slot: number, names: Names): boolean =>
  names.slotOfEntry(e.a) === slot || names.slotOfCount(e.a) === slot;

/** The slot of the address, or the one that last had the page. */
function slotOfBug(addr: number, events: readonly TraceEvent[], names: Names): number {
  const slot = names.slotOf(addr);
  if (slot >= 0) return slot;
  const pfn = (addr - names.sym.mem_map) / 32 + (names.config.core.physBase >>> 12);
  const entry = events.findLast(
    (e) =>
      e.what === Recorded.change && names.slotOfEntry(e.a) >= 0 && (e.b >>> 12 === pfn || (e.c >>> 0) >>> 12 === pfn),
  );
  return entry === undefined ? -1 : names.slotOfEntry(entry.a);
}

/** An oracle has failed: what it read, the update that was lost, or who acted on what was not so any more. */
function violation({ checker, outcome }: Failure, events: readonly TraceEvent[], names: Names): Story {
  const accesses = accessesOf(events, names);
  // A checker has seen it, not somebody who read.
  const reads = checker === undefined && outcome === 'report' ? oracleReads(events, names) : [];
  const update = telling(lostUpdates(events), reads, names);
  const old = update === null ? outdatedText(events, accesses, names) : null;
  const found = reads
    .filter(({ event }) => event !== old?.read.event)
    .slice(0, update === null ? READS_SHOWN : 1)
    .map((read) => told(`read   ${atRead(read)}: ${sinceText(read, accesses, names)}`, read.event));
  if (update !== null) {
    const story = lostStory(update, events, names);
    return { ...story, moments: [...story.moments, ...found] };
  }
  const [read] = reads;
  const moments = [...(old === null ? [] : [told(old.text, old.read.event)]), ...found.toReversed()];
  if (read === undefined) return { ...NOTHING, moments };
  const change = reads
    .flatMap((r) => [lastChange(r, accesses) ?? [], nextChange(r, accesses) ?? []].flat())
    .filter(({ event }) => event.stage === Stage.threads)
    .reduce<Access | null>((last, c) => (last === null || c.event.seq > last.event.seq ? c : last), null);
  if (change === null) return { ...NOTHING, moments };
  const what = accessChange(change, names);
  const event = events.find((e) => e.what === Recorded.change && e.seq > change.event.seq) as TraceEvent;
  return {
    ...{
      moments,
      event,
      mark: read.event.what === Ev.look ? `breaks the invariant, ${what}` : `the last change, ${what}`,
    },
    culprit: culpritOf('change', event, names, what),
  };
}

/** Variables of the oracle that are told of. */
const READS_SHOWN = 3;

/** An invariant looks by itself, in no context. */
const atRead = ({ event }: Access): string =>
  event.what === Ev.look ? `by the invariant after step ${event.step}` : at(event);

/** Who changed last what a context waits for in vain, and the update that was lost, if that is why. */
function inVain({ events, standing }: History, names: Names): Story {
  const accesses = accessesOf(events, names);
  const words = new Set(
    standing.filter((s) => s.wait === WaitKind.lock && names.isVariable(s.addr)).map((s) => s.addr),
  );
  const changes = [...words].flatMap((addr) => {
    const last = accesses.findLast((a) => a.addr === addr && a.kind !== 'load' && a.word.before !== a.word.after);
    return last === undefined ? [] : [told(`last   ${at(last.event)}: ${accessChange(last, names)}`, last.event)];
  });
  const updates = names.hasVariables ? lostUpdates(events).filter((u) => u.atOnce) : [];
  const update = telling(updates, [], names);
  if (update === null) return { ...NOTHING, moments: changes };
  const story = lostStory(update, events, names);
  return { ...story, moments: [...story.moments, ...changes] };
}

function lostStory({ load, between, store }: LostUpdate, events: readonly TraceEvent[], names: Names): Story {
  const name = names.virtual(store.b);
  const change = events.find((e) => e.what === Recorded.change && e.seq > store.seq && e.a === store.b);
  // No change of that step: the store was of what was there.
  const stored = wordText(change !== undefined && change.step === store.step ? change.c : between.c);
  const whose = `the ${wordText(between.c)} of ${contextOf(between)}, step ${between.step}`;
  const lost = `lost   ${at(store)}: stores ${stored} to ${name} over ${whose}`;
  const moments = [
    told(`loaded ${at(load)}: ${load.word === undefined ? '' : `${wordText(load.word.before)} from `}${name}`, load),
    told(`change ${at(between)}: ${changeText(name, between.b, between.c)}`, between),
    told(lost, store),
  ];
  return {
    ...{ moments, event: store, mark: `update lost: stores ${stored} over ${whose}` },
    culprit: { ...culpritOf('superseded', store, names, lost), addr: store.b, operation: 'store' },
  };
}
