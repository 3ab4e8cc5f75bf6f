/**
 * A race about variables of its own, as it failed: what the oracle has read, who has written that, which update was lost, and who acted on what
 * it had read while another one changed it.
 */
import { Stage } from '../../cpu/hw.js';
import { Ev } from '../../cpu/tracer.js';
import { Recorded, type TraceEvent } from '../../lab/recorder.js';
import { Point } from '../../shared/point.js';
import { type Access, accessesOf, changeText } from './accesses.js';
import { contextOf } from './columns.js';
import { type Names, where, wordText } from './names.js';

/** An update of a word that was lost: loaded, changed by another context, stored. */
export interface LostUpdate {
  readonly load: TraceEvent;
  readonly between: TraceEvent;
  readonly store: TraceEvent;
  /** Was nothing else done between load and store? Then what is stored was made of what was loaded. */
  readonly atOnce: boolean;
}

/** When and where. */
export const at = (e: TraceEvent): string => {
  const when = e.step < 0 ? 'in setup' : e.stage === Stage.check ? 'afterwards' : `step ${e.step}`;
  return `${when}, ${contextOf(e)}, in ${where(e.stack)}`;
};

const isChange = (a: Access): boolean => a.kind !== 'load' && a.word.before !== a.word.after;

/** What whoever has found the failure has read last of each variable, the latest first. */
export function oracleReads(events: readonly TraceEvent[], names: Names): Access[] {
  const steps = events.filter((e) => e.what === Ev.step);
  const last = steps.at(-1);
  if (last === undefined) return [];
  const looks = events.filter((e) => e.what === Ev.look && e.seq > last.seq);
  const own =
    looks.length > 0
      ? looks
      : events.filter((e) => e.stage === last.stage && contextOf(e) === contextOf(last) && e.what === Ev.step);
  const latest = new Map<number, Access>();
  for (const access of accessesOf(own, names).toReversed()) {
    if (access.kind !== 'store' && !latest.has(access.addr)) latest.set(access.addr, access);
  }
  return [...latest.values()];
}

/** Since when a variable holds what @read has found in it, and who has changed it since then. */
export function sinceText(read: Access, accesses: readonly Access[], names: Names): string {
  const change = lastChange(read, accesses);
  const next = nextChange(read, accesses);
  const name = names.virtual(read.addr);
  const until =
    next === undefined
      ? ''
      : `; ${contextOf(next.event)} makes it ${wordText(next.word.after)} at step ${next.event.step}`;
  if (change === undefined) return `${name} is ${wordText(read.word.before)}, as in the beginning${until}`;
  const { event, word } = change;
  return `${name} is ${wordText(word.after)} since ${at(event)} (it was ${wordText(word.before)})${until}`;
}

/** The first change by another context of what @read has found, while the threads run. */
export const nextChange = (read: Access, accesses: readonly Access[]): Access | undefined =>
  accesses.find(
    (a) =>
      a.addr === read.addr &&
      a.event.seq > read.event.seq &&
      a.event.stage === Stage.threads &&
      contextOf(a.event) !== contextOf(read.event) &&
      isChange(a),
  );

/** The change that has made what @read has found. */
export const lastChange = (read: Access, accesses: readonly Access[]): Access | undefined =>
  accesses.findLast((a) => a.addr === read.addr && a.event.seq < read.event.seq && isChange(a));

/** All updates of words that were lost, in order. */
export function lostUpdates(events: readonly TraceEvent[]): LostUpdate[] {
  const loads = new Map<string, { load: TraceEvent; steps: number }>();
  const changes = new Map<number, TraceEvent>();
  const steps = new Map<string, number>();
  const found: LostUpdate[] = [];
  for (const e of events) {
    if (e.step < 0 || e.stage !== Stage.threads) continue;
    if (e.what === Recorded.change) changes.set(e.a, e);
    if (e.what !== Ev.step) continue;
    const context = contextOf(e);
    const key = `${context} ${e.b}`;
    const made = (steps.get(context) ?? 0) + (e.a === Point.Preempt || e.a === Point.Sched ? 0 : 1);
    steps.set(context, made);
    if (e.a === Point.Load) loads.set(key, { load: e, steps: made });
    if (e.a !== Point.Store) continue;
    const [loaded, between] = [loads.get(key), changes.get(e.b)];
    if (loaded !== undefined && between !== undefined && contextOf(between) !== context) {
      const { load } = loaded;
      if (between.seq > load.seq) found.push({ load, between, store: e, atOnce: made === loaded.steps + 1 });
    }
    loads.delete(key);
  }
  return found;
}

/** The one that tells most of a failure: of a variable that the oracle has read, and of a store that was made of what was loaded. */
export function telling(updates: readonly LostUpdate[], reads: readonly Access[], names: Names): LostUpdate | null {
  if (!names.hasVariables) return updates.at(-1) ?? null;
  const read = new Set(reads.map(({ addr }) => addr));
  const worth = ({ store, atOnce }: LostUpdate): number => (atOnce ? 2 : 0) + (read.has(store.b) ? 1 : 0);
  const best = updates
    .filter((u) => names.isVariable(u.store.b))
    .reduce<LostUpdate | null>((b, u) => (b === null || worth(u) >= worth(b) ? u : b), null);
  return best === null || worth(best) === 0 ? null : best;
}

/** Something that a context had read when others came in and changed it, and that it did not read again before it went on. */
interface Outdated {
  readonly read: Access;
  readonly change: Access;
  readonly on: TraceEvent;
  /** How many of its own accesses lie between its look and the others. */
  readonly distance: number;
}

/** How far back a look is taken for the reason of what its context does next, in its own accesses. */
const BACK = 16;

/** Looks that were out of date when their context went on, the latest and closest first. */
function outdated(accesses: readonly Access[], events: readonly TraceEvent[]): Outdated[] {
  const found: Outdated[] = [];
  const threads = accesses.filter(({ event }) => event.stage === Stage.threads && event.what === Ev.step);
  const waits = events.filter((e) => e.what === Ev.wait);
  /** Of each context its accesses, by their places in `threads`. */
  const own = new Map<string, number[]>();
  threads.forEach((next, place) => {
    const context = contextOf(next.event);
    const places = own.get(context) ?? [];
    own.set(context, places);
    const last = places.at(-1);
    places.push(place);
    if (last === undefined || last === place - 1 || next.kind === 'load') return;
    const before = threads[last] as Access;
    const waited = (w: TraceEvent): boolean => w.seq > before.event.seq && w.seq < next.event.seq;
    if (waits.some((w) => waited(w) && contextOf(w) === context)) return;
    const between = threads.slice(last + 1, place);
    const back = places.slice(-1 - BACK, -1).reverse();
    found.push(
      ...outdatedAt(
        next,
        back.map((p) => threads[p] as Access),
        between,
      ),
    );
  });
  return found.sort((a, b) => a.distance - b.distance || b.on.seq - a.on.seq);
}

/** @back: what the context of @next did before, the latest first. @between: what others did after that. */
function outdatedAt(next: Access, back: readonly Access[], between: readonly Access[]): Outdated[] {
  const seen = new Set([next.addr]);
  return back.flatMap((read, distance) => {
    if (seen.has(read.addr)) return [];
    seen.add(read.addr);
    const change = between.findLast((a) => a.addr === read.addr && isChange(a));
    if (read.kind === 'store' || change === undefined || change.word.after === read.word.before) return [];
    return [{ read, change, on: next.event, distance }];
  });
}

/** The look that explains most, in a line; null where nobody acted on what was not so any more. */
export function outdatedText(
  events: readonly TraceEvent[],
  accesses: readonly Access[],
  names: Names,
): { readonly text: string; readonly read: Access } | null {
  const best = outdated(accesses, events)[0];
  if (best === undefined) return null;
  const { read, change, on } = best;
  const name = names.virtual(read.addr);
  const changed = `${contextOf(change.event)} has made it ${wordText(change.word.after)} at step ${change.event.step}`;
  return {
    read,
    text: `acted  on ${name} == ${wordText(read.word.before)}, read at ${at(read.event)}: ${changed}, and ${contextOf(on)} went on at step ${on.step}`,
  };
}

/** `inside: 1 -> 2`. */
export const accessChange = ({ addr, word }: Access, names: Names): string =>
  changeText(names.virtual(addr), word.before, word.after);
