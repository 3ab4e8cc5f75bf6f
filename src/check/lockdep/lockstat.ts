/**
 * CONFIG_LOCK_STAT: how often and how long locks of a class are waited for and held, in the shared area, and the text of /proc/lock_stat.
 * Source: lock_stats(), lock_contended(), lock_acquired(), kernel/lockdep.c; seq_stats(), kernel/lockdep_proc.c, Linux 2.6.30; spec/checkers.md
 * §3.12. Differs: one table for all CPUs; the place of a holder is that which first took the lock in its chain of held locks.
 */
import { type Area, Class, Head, POINTS, STAT_WORDS, STATS_PER_CLASS } from './area.js';
import type { Lockdep } from './lockdep.js';
import { className } from './report-parts.js';

/** Numbers of one form of a class, exclusive or by readers: waits, and behind them holds. */
const Num = { conBounces: 0, wait: 1, acqBounces: 5, hold: 6, words: 10 } as const;
/** Of a kind of time: how many, and nanoseconds. */
const Time = { count: 0, min: 1, max: 2, total: 3 } as const;
const CONTENTION = 2 * Num.words;
const CONTENDING = CONTENTION + 2 * POINTS;

export class LockStat {
  readonly #area: Area;
  readonly #numbers: Float64Array;

  constructor(area: Area) {
    this.#area = area;
    const { words, at } = area;
    this.#numbers = new Float64Array(words.buffer, words.byteOffset + at.stats * 4, STAT_WORDS / 2);
  }

  number(id: number, index: number): number {
    return this.#numbers[id * STATS_PER_CLASS + index] as number;
  }

  #set(id: number, index: number, value: number): void {
    this.#numbers[id * STATS_PER_CLASS + index] = value;
  }

  /** A time of @ns. A least time of 0 counts as none. The area's lock is held. */
  #time(id: number, first: number, ns: number): void {
    const min = this.number(id, first + Time.min);
    this.#set(id, first + Time.max, Math.max(this.number(id, first + Time.max), ns));
    if (ns < min || min === 0) this.#set(id, first + Time.min, ns);
    this.#set(id, first + Time.total, this.number(id, first + Time.total) + ns);
    this.#set(id, first + Time.count, this.number(id, first + Time.count) + 1);
  }

  /** Count at a place, by its text, if it has one of the few rows. */
  #point(id: number, first: number, place: number): void {
    for (let at = first; at < first + 2 * POINTS; at += 2) {
      if (this.number(id, at) !== place && this.number(id, at + 1) !== 0) continue;
      this.#set(id, at, place);
      this.#set(id, at + 1, this.number(id, at + 1) + 1);
      return;
    }
  }

  #bounced(id: number, index: number, bounced: boolean): void {
    if (bounced) this.#set(id, index, this.number(id, index) + 1);
  }

  #change(act: () => void): void {
    this.#area.lock();
    this.#area.setHead(Head.statsUsed, 1);
    act();
    this.#area.unlock();
  }

  /** Somebody begins to wait, @here. @cpu: his; @slot: where the area keeps who had the lock last. */
  contended(id: number, read: number, cpu: number, slot: number, here: string): void {
    this.#change(() => {
      this.#point(id, CONTENTION, this.#area.keep(here));
      this.#point(id, CONTENDING, this.#area.lastPlace(slot));
      this.#bounced(id, formOf(read) + Num.conBounces, this.#area.lastCpu(slot) !== cpu);
    });
  }

  /** Somebody has the lock. @waited: nanoseconds, 0 if he had not to; @place: text of where he took it. */
  acquired(id: number, read: number, cpu: number, slot: number, waited: number, place: number): void {
    this.#change(() => {
      if (waited > 0) this.#time(id, formOf(read) + Num.wait, waited);
      this.#bounced(id, formOf(read) + Num.acqBounces, this.#area.lastCpu(slot) !== cpu);
      this.#area.setLast(slot, cpu, place);
    });
  }

  /** A lock is initialised. */
  initialised(cpu: number, slot: number): void {
    this.#change(() => this.#area.setLast(slot, cpu, 0));
  }

  released(id: number, read: number, ns: number): void {
    this.#change(() => this.#time(id, formOf(read) + Num.hold, ns));
  }
}

const formOf = (read: number): number => (read === 0 ? 0 : Num.words);

// ---- the text ------------------------------------------------------------------------------------------------------

const WIDTH = 40 + 1 + 10 * (14 + 1);
const HEADER = [
  ...['con-bounces', 'contentions', 'waittime-min', 'waittime-max', 'waittime-total'],
  ...['acq-bounces', 'acquisitions', 'holdtime-min', 'holdtime-max', 'holdtime-total'],
];

/** Microseconds with two decimals. Source: snprint_time(). */
function micros(ns: number): string {
  const rounded = Math.round(ns) + 5;
  const hundredths = Math.floor((rounded % 1000) / 10);
  return `${Math.floor(rounded / 1000)}.${String(hundredths).padStart(2, '0')}`;
}

const column = (text: string | number): string => String(text).padStart(14);

function row(stat: LockStat, id: number, form: number, name: string): string {
  const time = (first: number): string[] => [
    column(stat.number(id, first + Time.count)),
    ...[Time.min, Time.max, Time.total].map((field) => column(micros(stat.number(id, first + field)))),
  ];
  const columns = [
    column(stat.number(id, form + Num.conBounces)),
    ...time(form + Num.wait),
    column(stat.number(id, form + Num.acqBounces)),
    ...time(form + Num.hold),
  ];
  return `${name}:${columns.join(' ')}`;
}

function points(d: Lockdep, stat: LockStat, id: number, first: number, name: string, rule: number): string[] {
  const lines: string[] = [];
  for (let at = first; at < first + 2 * POINTS; at += 2) {
    const count = stat.number(id, at + 1);
    if (count === 0) break;
    if (lines.length === 0) lines.push(`${' '.repeat(Math.max(0, 40 - rule))}${'-'.repeat(rule)}`);
    const place = d.area.text(stat.number(id, at)) || '?';
    lines.push(`${name.padStart(40)} ${column(count)} ${'[<????????>]'.padStart(29)} ${place}`);
  }
  return lines;
}

function classRows(d: Lockdep, stat: LockStat, id: number): string[] {
  const name = className(d, id).slice(0, 38);
  const holds = (form: number): number => stat.number(id, form + Num.hold + Time.count);
  const [writes, reads] = [holds(0), holds(Num.words)];
  const lines: string[] = [];
  if (writes > 0) lines.push(row(stat, id, 0, reads > 0 ? `${name.padStart(38)}-W` : name.padStart(40)));
  if (reads > 0) lines.push(row(stat, id, Num.words, `${name.padStart(38)}-R`));
  if (contentions(stat, id) === 0) return lines;
  const rule = name.length + (reads > 0 ? 2 : 0);
  lines.push(...points(d, stat, id, CONTENTION, name, rule), ...points(d, stat, id, CONTENDING, name, rule));
  return [...lines, '', '.'.repeat(WIDTH), ''];
}

const contentions = (stat: LockStat, id: number): number =>
  stat.number(id, Num.wait + Time.count) + stat.number(id, Num.words + Num.wait + Time.count);

/** /proc/lock_stat. Empty where nothing is measured. */
export function lockStatText(d: Lockdep): string {
  const { lockStat } = d;
  if (lockStat === null) return '';
  const ids: number[] = [];
  for (let id = 1; id < d.area.head(Head.classes); id++) if (d.area.classWord(id, Class.usage) !== 0) ids.push(id);
  ids.sort((a, b) => contentions(lockStat, b) - contentions(lockStat, a));
  const off = '*WARNING* lock debugging disabled!! - possibly due to a lockdep warning';
  const lines = [
    'lock_stat version 0.3',
    ...(d.area.head(Head.debugLocks) === 0 ? [off] : []),
    '-'.repeat(WIDTH),
    `${'class name'.padStart(40)} ${HEADER.map(column).join(' ')}`,
    '-'.repeat(WIDTH),
    '',
    ...ids.flatMap((id) => classRows(d, lockStat, id)),
  ];
  return `${lines.join('\n')}\n`;
}
