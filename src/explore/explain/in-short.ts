/** A lost byte in a sentence or two, for somebody who has seen neither the code nor the machine. */
import type { TraceEvent } from '../../lab/recorder.js';
import { contextOf } from './columns.js';
import type { Loss } from './loss.js';

const whoOf = (e: TraceEvent): string => contextOf(e).replace(/^(CPU\d+) .*$/, '$1');
const when = (e: TraceEvent): string => (e.step < 0 ? 'in setup' : e.stage === 2 ? 'afterwards' : `step ${e.step}`);
/** "step 184, in dma_inv_range()". */
const whenAndWhere = (e: TraceEvent): string => (e.stack[0] === undefined ? when(e) : `${when(e)}, in ${e.stack[0]}()`);

/** What to call two contexts: by their CPUs, unless both are of one. */
function bothOf(one: TraceEvent, other: TraceEvent): readonly [string, string] {
  const [a, b] = [contextOf(one), contextOf(other)];
  return a !== b && whoOf(one) === whoOf(other) ? [a, b] : [whoOf(one), whoOf(other)];
}

function lostBy(loss: Loss, culprit: TraceEvent, who: string): string {
  switch (loss.kind) {
    case 'discarded':
      return `Nothing but a cache line had it when ${who} threw that line away (${whenAndWhere(culprit)}).`;
    case 'overwritten':
      return `Then ${who} wrote an older cache line over it (${whenAndWhere(culprit)}).`;
    case 'superseded':
      return `Then ${who} stored something else over it (${whenAndWhere(culprit)}).`;
    case 'stale-line':
      return `Memory has it, but the reader's cache had an older copy, which ${who} had fetched (${whenAndWhere(culprit)}).`;
    case 'stored-elsewhere':
      return 'But the store went to another page than the page tables say.';
    case 'read-elsewhere':
      return `It is still there: ${who} read another page than the page tables say (${whenAndWhere(culprit)}).`;
    default:
      return '';
  }
}

/** Two steps of a context between which others went. */
export interface Pause {
  readonly from: TraceEvent;
  readonly until: TraceEvent;
}

/** How an address came from one page to another: the slot of kmap(), the pages in words, the change of its entry; who lost the byte stood still meanwhile, or null. */
export interface Hands {
  readonly nr: number;
  readonly from: string;
  readonly to: string;
  readonly given: TraceEvent;
  readonly pause: Pause | null;
}

function handsText({ nr, from, to, given, pause }: Hands): string {
  const stood =
    pause === null ? '' : ` ${whoOf(pause.from)} did not run from ${when(pause.from)} to ${when(pause.until)}.`;
  return `The address at which it did so, kmap slot ${nr}, had been that of ${from}; since ${when(given)} it is that of ${to}, the page of the byte.${stood}`;
}

export function inShort(loss: Loss, hands: Hands | null): string {
  const { stored, culprit } = loss;
  if (stored === null || culprit === null) return '';
  const [storer, loser] = bothOf(stored, culprit);
  const lost = lostBy(loss, culprit, loser);
  if (lost === '') return '';
  const first = `${storer} stored a byte (${when(stored)}).`;
  const other = hands !== null && whoOf(hands.given) !== whoOf(culprit);
  const misled = other && (loss.kind === 'discarded' || loss.kind === 'overwritten');
  return [first, lost, ...(misled ? [handsText(hands)] : [])].join(' ');
}
