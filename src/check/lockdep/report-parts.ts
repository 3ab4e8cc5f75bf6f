/**
 * What reports in the kernel's form are made of. Source: the print_...() functions of kernel/lockdep.c, Linux 2.6.22 and 2.6.30, and kernel/locking/lockdep.c,
 * Linux 4.9 and 5.10; spec/checkers.md §3.10. Differs: code has no addresses, so there is a question mark where the kernel prints one.
 */
import { HARDIRQ_MASK, HARDIRQ_OFFSET, SOFTIRQ_MASK, SOFTIRQ_OFFSET } from '../../shared/irqflags.js';
import { hex8 } from '../../shared/types.js';
import { Class } from './area.js';
import type { Held, Lockdep } from './lockdep.js';
import { usageChars } from './usage.js';

export interface Text {
  readonly headline: string;
  readonly lines: readonly string[];
}

/** What a class is called needs no more of a validator. */
type Known = Pick<Lockdep, 'area' | 'does'>;

export const task = (d: Lockdep): string => `thread${d.k.slot}/${d.k.slot}`;
export const release = (d: Lockdep): string => `${d.k.config.kernel} #1${d.does.scenarios ? ' Not tainted' : ''}`;
export const address = (): string => '[<????????>]';
export const frame = (name: string): string => ` ${address()} ${name}`;
export const indented = (functions: readonly string[]): string[] => functions.map((f) => `      ${frame(f)}`);
export const storedStack = (d: Lockdep, place: number): string[] =>
  indented(
    d.area
      .text(place)
      .split('\n')
      .filter((f) => f !== ''),
  );

/** The name of its locks. */
export const lockName = (d: Pick<Lockdep, 'area'>, id: number): string => d.area.text(d.area.classWord(id, Class.name));

/** "NAME#version/subclass": the parts that say nothing are left out. */
export function className(d: Pick<Lockdep, 'area'>, id: number): string {
  const version = d.area.classWord(id, Class.version);
  const subclass = d.area.classWord(id, Class.subclass);
  return `${lockName(d, id)}${version > 1 ? `#${version}` : ''}${subclass > 0 ? `/${subclass}` : ''}`;
}

const chars = (d: Known, id: number): string => usageChars(d.area.classWord(id, Class.usage), d.does);
/** "-{2:2}": outer and inner wait type, which are one of all locks that are modelled. */
function waitText({ area, does }: Known, id: number): string {
  if (does.waits === null) return '';
  const wait = does.waits[area.classWord(id, Class.wait)];
  return `-{${wait}:${wait}}`;
}
export const classText = (d: Known, id: number): string => `(${className(d, id)}){${chars(d, id)}}${waitText(d, id)}`;

export function lockText(d: Lockdep, held: Held, index: number): string {
  return lockLine(d, held.lock, held.id, d.siteOf(held, index));
}

/** A lock with its class, as reports describe it. */
export function lockLine(d: Known, lock: number, id: number, site: string): string {
  const what = classText(d, id);
  const at = `at: ${address()} ${site}`;
  return d.does.warnings ? `${hex8(lock)} ${what}, ${at}` : ` ${what}, ${at}`;
}

const indexOf = (d: Lockdep, held: Held): number => {
  const index = d.held.indexOf(held);
  return index < 0 ? d.depth : index;
};

export const describe = (d: Lockdep, held: Held): string => lockText(d, held, indexOf(d, held));

export function heldLocks(d: Lockdep): string[] {
  if (d.depth === 0) return [`no locks held by ${task(d)}.`];
  const lines = [`${d.depth} lock${d.depth > 1 ? 's' : ''} held by ${task(d)}:`];
  for (let i = 0; i < d.depth; i++) lines.push(` #${i}: ${lockText(d, d.held[i] as Held, i)}`);
  return lines;
}

export const otherInfo = (d: Lockdep): string[] => [
  '',
  'other info that might help us debug this:',
  '',
  ...heldLocks(d),
];

export function backtrace(d: Lockdep): string[] {
  const { k } = d;
  const head = d.does.scenarios
    ? `CPU: ${k.cpu} PID: ${k.slot} Comm: thread${k.slot} ${release(d).replace(/^(\S+) #1 (.*)$/, '$2 $1 #1')}`
    : `Pid: ${k.slot}, comm: thread${k.slot} Not tainted ${release(d)}`;
  return ['', 'stack backtrace:', head, 'Call Trace:', ...d.stack().map(frame)];
}

export function framed(d: Lockdep, words: string, body: readonly string[], bug = false): Text {
  const kind = bug ? 'BUG' : 'INFO';
  const said = `${words}${bug ? '!' : ''}`;
  const headline = d.does.warnings ? `WARNING: ${said}` : `[ ${kind}: ${said} ]`;
  const rule = (c: string): string => c.repeat(headline.length);
  const kernel = bug && !d.does.scenarios ? [] : [release(d)];
  return { headline, lines: ['', rule('='), headline, ...kernel, rule('-'), ...body] };
}

/** "[HC0[0]:SC0[0]:HE1:SE1]" */
export function contexts(d: Lockdep): string {
  const count = d.k.preemptCount;
  const [hard, soft] = [(count & HARDIRQ_MASK) / HARDIRQ_OFFSET, (count & SOFTIRQ_MASK) / SOFTIRQ_OFFSET];
  const bit = (is: boolean): number => (is ? 1 : 0);
  return `[HC${bit(d.hardirqContext)}[${hard}]:SC${bit(d.softirqContext)}[${soft}]:HE${bit(!d.k.irqsOff)}:SE${bit(!d.bhDisabled)}]`;
}

export function irqEvents(d: Lockdep): string[] {
  const { events, on, off, softOn, softOff } = d.stamps;
  return [
    `irq event stamp: ${events}`,
    `hardirqs last  enabled at (${on}): ${address()} ?`,
    `hardirqs last disabled at (${off}): ${address()} ?`,
    `softirqs last  enabled at (${softOn}): ${address()} ?`,
    `softirqs last disabled at (${softOff}): ${address()} ?`,
  ];
}

/** debug_show_held_locks() and print_irqtrace_events() for reports of others. */
export const context = (d: Lockdep): string[] => [...heldLocks(d), ...(d.k.irqsOff ? irqEvents(d) : [])];
