/** What contexts do to the variables and locks that a race declares, one after the other, in the words of the race. */
import { Stage, WaitKind } from '../../cpu/hw.js';
import { Ev } from '../../cpu/tracer.js';
import type { TraceEvent, Word } from '../../lab/recorder.js';
import { Point } from '../../shared/point.js';
import { type Names, wordText } from './names.js';

/** A load, a store or an atomic operation, with what the word held. */
export interface Access {
  readonly event: TraceEvent;
  readonly addr: number;
  readonly kind: 'load' | 'store' | 'atomic';
  readonly word: Word;
}

const KINDS: Readonly<Record<number, Access['kind']>> = {
  [Point.Load]: 'load',
  [Point.Store]: 'store',
  [Point.Atomic]: 'atomic',
};

/** The access that an event is, to a variable of the race; null for any other event. A look of the invariant is a load. */
export function accessOf(e: TraceEvent, names: Names): Access | null {
  const [kind, addr] = e.what === Ev.look ? (['load', e.a] as const) : [KINDS[e.a], e.b];
  if ((e.what !== Ev.step && e.what !== Ev.look) || e.word === undefined || kind === undefined) return null;
  return names.isVariable(addr) ? { event: e, addr, kind, word: e.word } : null;
}

export const accessesOf = (events: readonly TraceEvent[], names: Names): Access[] =>
  events.flatMap((e) => accessOf(e, names) ?? []);

/** `flag[1] == 0`, `turn = 1`, `inside 0 -> 1`. @from: what it held when the context looked, where it has looked just before. */
function accessText({ addr, kind, word }: Access, names: Names, from: number | null): string {
  const name = names.virtual(addr);
  if (kind === 'load') return `${name} == ${wordText(word.before)}`;
  if (kind === 'store') return from === null ? `${name} = ${wordText(word.after)}` : changeText(name, from, word.after);
  return word.before === word.after ? `${name} == ${wordText(word.before)}` : changeText(name, word.before, word.after);
}

/** `inside: 0 -> 1`. */
export const changeText = (name: string, before: number, after: number): string =>
  `${name}: ${wordText(before)} -> ${wordText(after)}`;

function otherText(e: TraceEvent, names: Names): string {
  switch (e.what) {
    case Ev.lockAcquired:
      return names.isOwnLock(e.a) ? `takes ${names.virtual(e.a)}` : '';
    case Ev.lockReleased:
      return names.isOwnLock(e.a) ? `releases ${names.virtual(e.a)}` : '';
    case Ev.wait:
      return e.a === WaitKind.lock && names.isVariable(e.b) ? `waits for ${names.virtual(e.b)}` : '';
    case Ev.irqEnter:
      return `interrupt ${e.a}`;
    default:
      return '';
  }
}

/** What one context does, in order: a load and a store to the same variable in a row are one change, a look again with the same answer is none. */
export function doingsOf(events: readonly TraceEvent[], names: Names): string[] {
  const out: string[] = [];
  let loaded: Access | null = null;
  for (const e of events) {
    if (e.stage !== Stage.threads) continue;
    const access = e.what === Ev.look ? null : accessOf(e, names);
    const again = access?.kind === 'store' && loaded?.addr === access.addr ? loaded.word.before : null;
    const text = access === null ? otherText(e, names) : accessText(access, names, again);
    if (again !== null) out.pop();
    if (access !== null || e.what === Ev.step) loaded = access?.kind === 'load' ? access : null;
    if (text !== '' && text !== out.at(-1)) out.push(text);
  }
  return out;
}
