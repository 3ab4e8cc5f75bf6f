/**
 * Reports in the kernel's form. Source: kernel/kcsan/report.c, Linux 5.10; spec/checkers.md §5.2. Differs: functions have no offsets; two
 * lines say to which variable the address belongs, as KASAN's reports do.
 */
import { Thread } from '../../cpu/hw.js';
import type { Kernel } from '../../cpu/kernel.js';
import { hex8 } from '../../shared/types.js';
import { type Area, Head } from './area.js';
import type { Contexts } from './contexts.js';
import { isAssertion, type Race, type Side } from './detector.js';
import type { RacesOptions } from './races.js';
import { COUNTS, type Counts, raceRulesOf } from './rules.js';

/** A report, as the kernel prints it. */
export interface RaceReport {
  /** "BUG: KCSAN: data-race in f / g". */
  readonly headline: string;
  /** Static object on which the accesses raced, or empty. */
  readonly variable: string;
  readonly lines: readonly string[];
}

/** The machine, as far as a report needs it. */
export type RaceHost = Pick<Kernel, 'hw' | 'layout' | 'config' | 'sym' | 'printk'>;

const ACCESS_NAMES = [
  ...['read', 'read (marked)', 'write', 'write (marked)', 'read-write (marked)'],
  ...['assert no writes', 'assert no accesses', 'assert no writes (scoped)', 'assert no accesses (scoped)'],
] as const;
/** What the functions of a table by number are called, and those without any name. */
const NAMELESS = /^\d+$|^anonymous$/;
const RULE = '='.repeat(66);
/** What takes locks, masks interrupts or marks accesses for others is not where an access is made. */
const HELPER =
  /^(ASSERT_EXCLUSIVE_\w+|scoped|READ_ONCE|WRITE_ONCE|smp_load_acquire|smp_store_release|atomic_\w+|(test_and_)?(set|clear)_bit|test_bit)$/;

export const headlineOf = (one: string, other: string, kind = 'data-race'): string =>
  `BUG: KCSAN: ${kind} in ${[one, other].sort().join(' / ')}`;

/** CPU of a context; a device has none. */
export function cpuOf({ hw, layout }: Pick<Kernel, 'hw' | 'layout'>, contexts: Contexts, context: number): number {
  const { kind, number } = contexts.of(context);
  if (kind === 'device') return -1;
  return kind === 'task' ? (hw[layout.threads + number * Thread.words + Thread.cpu] as number) : number;
}

/** "counter", "fork[2]", "mem_map+0x40": a place in static memory, empty for any other. */
export function variableOf({ sym, config }: RaceHost, key: number): string {
  const addr = key * 4 - config.core.physBase + config.pageOffset;
  let best = '';
  let bestAt = 0;
  let end = 0;
  for (const [name, value] of Object.entries(sym) as [string, number][]) {
    if (value > addr && (end === 0 || value < end)) end = value;
    if (value <= addr && value >= bestAt) [best, bestAt] = [name, value];
  }
  if (best === '' || end === 0) return '';
  const offset = addr - bestAt;
  if (best.endsWith('[]')) return `${best.slice(0, -2)}[${offset >>> 2}]`;
  return offset === 0 ? best : `${best}+0x${offset.toString(16)}`;
}

export class Reporter {
  readonly #host: RaceHost;
  readonly #area: Area;
  readonly #contexts: Contexts;
  readonly #options: Pick<RacesOptions, 'isKnown' | 'onReport'>;
  readonly #counts: Counts;

  constructor(host: RaceHost, area: Area, contexts: Contexts, options: Pick<RacesOptions, 'isKnown' | 'onReport'>) {
    this.#host = host;
    this.#area = area;
    this.#contexts = contexts;
    this.#options = options;
    this.#counts = COUNTS[raceRulesOf(host.config)];
  }

  /** Print what is new. @changed: lines about the value. */
  report({ key, before, now }: Race, changed: readonly string[] = []): void {
    const seen = this.#seen(before, now);
    if (seen === null)
      this.#say(key, now, this.#headline(before, now), [...this.#side(before), ...this.#side(now), ...changed]);
    else this.#say(key, seen, `BUG: KCSAN: data-race in ${this.#functionOf(seen)}`, this.#unknownOrigin(seen));
  }

  /** Of an access and one of a device, the one that is known where devices are not; null where all are known. */
  #seen(before: Side, now: Side): Side | null {
    if (!this.#counts.devicesUnknown) return null;
    if (this.#contexts.of(before.context).kind === 'device') return now;
    return this.#contexts.of(now.context).kind === 'device' ? before : null;
  }

  #headline(before: Side, now: Side): string {
    const kind = isAssertion(before.access) || isAssertion(now.access) ? 'assert: race' : 'data-race';
    return headlineOf(this.#functionOf(before), this.#functionOf(now), kind);
  }

  #unknownOrigin(seen: Side): string[] {
    const [, what, ...functions] = this.#side(seen);
    return ['', `race at unknown origin, with ${what}`, ...functions];
  }

  #say(key: number, now: Side, headline: string, sides: readonly string[]): void {
    const area = this.#area;
    const variable = variableOf(this.#host, key);
    if (!area.says(`${headline} ${variable}`)) return;
    const known = this.#options.isKnown?.(headline) ?? false;
    if (!known && area.head(Head.headline) === 0) area.setHead(Head.headline, area.texts.keep(headline));
    const lines = [RULE, headline, ...sides, ...this.#end(variable, now)];
    for (const line of lines) this.#host.printk(line);
    this.#options.onReport?.({ headline, variable, lines });
  }

  #functionOf({ stack, context }: Side): string {
    const name = stack.find((one) => !HELPER.test(one));
    // Below a handler without a name is what it interrupted.
    return name === undefined || NAMELESS.test(name) ? this.#contexts.title(context) : name;
  }

  #cpuOf(context: number): number {
    return Math.max(0, cpuOf(this.#host, this.#contexts, context));
  }

  #name(context: number): string {
    const { kind, number } = this.#contexts.of(context);
    if (kind === 'device') return `device ${number}`;
    return `${kind === 'task' ? `task ${number}` : 'interrupt'} on cpu ${this.#cpuOf(context)}`;
  }

  #side({ access, address, bytes, context, stack }: Side): string[] {
    const what = `${ACCESS_NAMES[access]} to 0x${hex8(address)} of ${bytes} bytes by ${this.#name(context)}:`;
    const title = this.#contexts.title(context);
    const functions = stack.length === 0 ? [title] : stack.map((name) => (NAMELESS.test(name) ? title : name));
    return ['', what, ...functions.map((name) => ` ${name}`)];
  }

  #end(variable: string, { context }: Side): string[] {
    const place = variable === '' ? [] : ['', 'The buggy address belongs to the variable:', ` ${variable}`];
    const { kind, number } = this.#contexts.of(context);
    const pid = kind === 'task' ? number : 0;
    const comm = this.#contexts.title(context);
    return [
      ...place,
      '',
      'Reported by Kernel Concurrency Sanitizer on:',
      `CPU: ${this.#cpuOf(context)} PID: ${pid} Comm: ${comm} Not tainted ${this.#host.config.kernel} #1`,
      RULE,
    ];
  }
}
