/**
 * Reports in the kernel's form. Source: the print_...() functions of kernel/lockdep.c, Linux 2.6.30, and kernel/locking/lockdep.c, Linux 5.10;
 * spec/checkers.md §3.10. Differs: code has no addresses, so there is a question mark where the kernel prints one.
 */
import { HARDIRQ_MASK, HARDIRQ_OFFSET, SOFTIRQ_MASK, SOFTIRQ_OFFSET } from '../../shared/irqflags.js';
import { hex8 } from '../../shared/types.js';
import { Class, Edge } from './area.js';
import type { Hop } from './graph.js';
import type { Held, Lockdep } from './lockdep.js';
import { READ, stateName, usageChars, usageName } from './usage.js';

export interface Text {
  readonly headline: string;
  readonly lines: readonly string[];
}

/** What a class is called needs no more of a validator. */
type Known = Pick<Lockdep, 'area' | 'rules'>;

const modern = (d: Pick<Lockdep, 'rules'>): boolean => d.rules === '5.10';
const task = (d: Lockdep): string => `thread${d.k.slot}/${d.k.slot}`;
const release = (d: Lockdep): string => `${d.k.config.kernel} #1${modern(d) ? ' Not tainted' : ''}`;
const address = (): string => '[<????????>]';
const frame = (name: string): string => ` ${address()} ${name}`;
const indented = (functions: readonly string[]): string[] => functions.map((f) => `      ${frame(f)}`);
const storedStack = (d: Lockdep, place: number): string[] =>
  indented(
    d.area
      .text(place)
      .split('\n')
      .filter((f) => f !== ''),
  );

/** "NAME#version/subclass": the parts that say nothing are left out. */
export function className(d: Pick<Lockdep, 'area'>, id: number): string {
  const version = d.area.classWord(id, Class.version);
  const subclass = d.area.classWord(id, Class.subclass);
  const name = d.area.text(d.area.classWord(id, Class.name));
  return `${name}${version > 1 ? `#${version}` : ''}${subclass > 0 ? `/${subclass}` : ''}`;
}

const chars = (d: Known, id: number): string => usageChars(d.area.classWord(id, Class.usage), modern(d) ? 2 : 3);
const classText = (d: Known, id: number): string =>
  `(${className(d, id)}){${chars(d, id)}}${modern(d) ? '-{0:0}' : ''}`;

function lockText(d: Lockdep, held: Held, index: number): string {
  return lockLine(d, held.lock, held.id, d.siteOf(held, index));
}

/** A lock with its class, as reports describe it. */
export function lockLine(d: Known, lock: number, id: number, site: string): string {
  const what = classText(d, id);
  const at = `at: ${address()} ${site}`;
  return modern(d) ? `${hex8(lock)} ${what}, ${at}` : ` ${what}, ${at}`;
}

const indexOf = (d: Lockdep, held: Held): number => {
  const index = d.held.indexOf(held);
  return index < 0 ? d.depth : index;
};

const describe = (d: Lockdep, held: Held): string => lockText(d, held, indexOf(d, held));

function heldLocks(d: Lockdep): string[] {
  if (d.depth === 0) return [`no locks held by ${task(d)}.`];
  const lines = [`${d.depth} lock${d.depth > 1 ? 's' : ''} held by ${task(d)}:`];
  for (let i = 0; i < d.depth; i++) lines.push(` #${i}: ${lockText(d, d.held[i] as Held, i)}`);
  return lines;
}

const otherInfo = (d: Lockdep): string[] => ['', 'other info that might help us debug this:', '', ...heldLocks(d)];

function backtrace(d: Lockdep): string[] {
  const { k } = d;
  const head = modern(d)
    ? `CPU: ${k.cpu} PID: ${k.slot} Comm: thread${k.slot} ${release(d).replace(/^(\S+) #1 (.*)$/, '$2 $1 #1')}`
    : `Pid: ${k.slot}, comm: thread${k.slot} Not tainted ${release(d)}`;
  return ['', 'stack backtrace:', head, 'Call Trace:', ...d.stack().map(frame)];
}

function framed(d: Lockdep, words: string, body: readonly string[], bug = false): Text {
  const kind = bug ? 'BUG' : 'INFO';
  const said = `${words}${bug ? '!' : ''}`;
  const headline = modern(d) ? `WARNING: ${said}` : `[ ${kind}: ${said} ]`;
  const rule = (c: string): string => c.repeat(headline.length);
  const kernel = bug && !modern(d) ? [] : [release(d)];
  return { headline, lines: ['', rule('='), headline, ...kernel, rule('-'), ...body] };
}

/** "[HC0[0]:SC0[0]:HE1:SE1]" */
function contexts(d: Lockdep): string {
  const count = d.k.preemptCount;
  const [hard, soft] = [(count & HARDIRQ_MASK) / HARDIRQ_OFFSET, (count & SOFTIRQ_MASK) / SOFTIRQ_OFFSET];
  const bit = (is: boolean): number => (is ? 1 : 0);
  return `[HC${bit(d.hardirqContext)}[${hard}]:SC${bit(d.softirqContext)}[${soft}]:HE${bit(!d.k.irqsOff)}:SE${bit(!d.softirqsOff)}]`;
}

function irqEvents(d: Lockdep): string[] {
  const { events, on, off } = d.stamps;
  return [
    `irq event stamp: ${events}`,
    `hardirqs last  enabled at (${on}): ${address()} ?`,
    `hardirqs last disabled at (${off}): ${address()} ?`,
  ];
}

/** debug_show_held_locks() and print_irqtrace_events() for reports of others. */
export const context = (d: Lockdep): string[] => [...heldLocks(d), ...(d.k.irqsOff ? irqEvents(d) : [])];

// ---- kinds of report -----------------------------------------------------------------------------------------------

export function recursive(d: Lockdep, next: Held, prev: Held): Text {
  const scenario = modern(d)
    ? [
        ' Possible unsafe locking scenario:',
        '',
        '       CPU0',
        '       ----',
        `  lock(${className(d, prev.id)});`,
        `  lock(${className(d, next.id)});`,
        '',
        ' *** DEADLOCK ***',
        '',
        ' May be due to missing lock nesting notation',
      ]
    : [];
  return framed(d, 'possible recursive locking detected', [
    `${task(d)} is trying to acquire lock:`,
    lockText(d, next, d.depth),
    '',
    'but task is already holding lock:',
    describe(d, prev),
    '',
    'other info that might help us debug this:',
    ...scenario,
    '',
    ...heldLocks(d),
    ...backtrace(d),
  ]);
}

/** @way: from @next, root first, to the class of @prev. */
export function circular(d: Lockdep, next: Held, prev: Held, way: readonly Hop[]): Text {
  const links: string[] = [];
  for (let i = way.length - 1; i > 0; i--) {
    const { id, edge } = way[i] as Hop;
    links.push('', `-> #${i} ${classText(d, id)}:`, ...storedStack(d, d.area.edgeWord(edge, Edge.stack)));
  }
  links.push('', `-> #0 ${classText(d, next.id)}:`, ...indented(d.stack()));
  return framed(d, 'possible circular locking dependency detected', [
    `${task(d)} is trying to acquire lock:`,
    lockText(d, next, d.depth),
    '',
    'but task is already holding lock:',
    describe(d, prev),
    '',
    'which lock already depends on the new lock.',
    '',
    '',
    'the existing dependency chain (in reverse order) is:',
    ...links,
    '',
    'other info that might help us debug this:',
    '',
    ...(modern(d) ? circularScenario(d, next, prev, way) : []),
    ...heldLocks(d),
    ...backtrace(d),
  ]);
}

function circularScenario(d: Lockdep, next: Held, prev: Held, way: readonly Hop[]): string[] {
  const [target, source] = [className(d, prev.id), className(d, next.id)];
  const middle = way.length > 2 ? className(d, (way[1] as Hop).id) : target;
  const chain = way.length > 2 ? ['Chain exists of:', `  ${source} --> ${middle} --> ${target}`, ''] : [];
  return [
    ...chain,
    ' Possible unsafe locking scenario:',
    '',
    '       CPU0                    CPU1',
    '       ----                    ----',
    `  lock(${target});`,
    `                               lock(${middle});`,
    `                               lock(${target});`,
    `  lock(${source});`,
    '',
    ' *** DEADLOCK ***',
    '',
  ];
}

export function inconsistent(d: Lockdep, held: Held, old: number, now: number): Text {
  return framed(d, 'inconsistent lock state', [
    `inconsistent {${usageName(old)}} -> {${usageName(now)}} usage.`,
    `${task(d)} ${contexts(d)} takes:`,
    describe(d, held),
    `{${usageName(old)}} state was registered at:`,
    ...storedStack(d, d.area.classWord(held.id, Class.stacks + old)).map((l) => l.slice(4)),
    ...irqEvents(d),
    ...otherInfo(d),
    ...(modern(d) ? oneCpuScenario(d, held.id) : []),
    ...backtrace(d),
  ]);
}

const oneCpuScenario = (d: Lockdep, id: number): string[] => [
  ' Possible unsafe locking scenario:',
  '',
  '       CPU0',
  '       ----',
  `  lock(${className(d, id)});`,
  '  <Interrupt>',
  `    lock(${className(d, id)});`,
  '',
  ' *** DEADLOCK ***',
];

export function inversion(d: Lockdep, held: Held, other: number, forwards: boolean, bit: number): Text {
  const state = stateName(bit & ~READ);
  const by = forwards
    ? `but this lock took another, ${state}-unsafe lock in the past:`
    : `but this lock was taken by another, ${state}-safe lock in the past:`;
  return framed(d, 'possible irq lock inversion dependency detected', [
    `${task(d)} just changed the state of lock:`,
    describe(d, held),
    by,
    ` ${classText(d, other)}`,
    '',
    'and interrupts could create inverse lock ordering between them.',
    '',
    ...otherInfo(d),
    '',
    'the shortest dependencies between 2nd lock and 1st lock:',
    ...dependencies(d, other),
    ...dependencies(d, held.id),
    ...backtrace(d),
  ]);
}

/** A class with the place where each of its usage bits was set. */
function dependencies(d: Lockdep, id: number): string[] {
  const lines = [` -> ${classText(d, id)} ops: ${d.area.classWord(id, Class.ops)} {`];
  const usage = d.area.classWord(id, Class.usage);
  for (let bit = 0; bit <= 12; bit++) {
    if ((usage & (1 << bit)) === 0) continue;
    lines.push(`    ${usageName(bit)} at:`, ...storedStack(d, d.area.classWord(id, Class.stacks + bit)));
  }
  return [...lines, ' }'];
}

export function safeUnsafe(
  d: Lockdep,
  prev: Held,
  next: Held,
  safe: number,
  used: number,
  unsafe: number,
  enabled: number,
): Text {
  const state = stateName(used);
  const usage = (id: number, bit: number): string[] => storedStack(d, d.area.classWord(id, Class.stacks + bit));
  return framed(d, `${state}-safe -> ${state}-unsafe lock order detected`, [
    `${task(d)} ${contexts(d)} is trying to acquire:`,
    lockText(d, next, d.depth),
    '',
    'and this task is already holding:',
    describe(d, prev),
    'which would create a new lock dependency:',
    ` ${classText(d, prev.id)} -> ${classText(d, next.id)}`,
    '',
    `but this new dependency connects a ${state}-irq-safe lock:`,
    ` ${classText(d, safe)}`,
    `... which became ${state}-irq-safe at:`,
    ...usage(safe, used),
    '',
    `to a ${state}-irq-unsafe lock:`,
    ` ${classText(d, unsafe)}`,
    `... which became ${state}-irq-unsafe at:`,
    ...usage(unsafe, enabled),
    ...otherInfo(d),
    '',
    `the dependencies between ${state}-irq-safe lock and the holding lock:`,
    ...dependencies(d, safe),
    '',
    `the dependencies between the lock to be acquired and ${state}-irq-unsafe lock:`,
    ...dependencies(d, unsafe),
    ...backtrace(d),
  ]);
}

export function unlockImbalance(d: Lockdep, lock: number, id: number): Text {
  const name = id === 0 ? hex8(lock) : className(d, id);
  return framed(
    d,
    'bad unlock balance detected',
    [
      `${task(d)} is trying to release lock (${name}) at:`,
      `${address()} ${d.stack()[0] ?? '?'}`,
      'but there are no more locks to release!',
      ...otherInfo(d),
      ...backtrace(d),
    ],
    true,
  );
}

export function heldLockFreed(d: Lockdep, held: Held, from: number, bytes: number): Text {
  return framed(
    d,
    'held lock freed',
    [
      `${task(d)} is freeing memory ${hex8(from)}-${hex8((from + bytes - 1) >>> 0)}, with a lock still held there!`,
      describe(d, held),
      ...heldLocks(d),
      ...backtrace(d),
    ],
    true,
  );
}

export function heldAtExit(d: Lockdep): Text {
  return framed(
    d,
    'lock held at task exit time',
    [`${task(d)} is exiting with locks still held!`, ...heldLocks(d), ...backtrace(d)],
    true,
  );
}

export function nestedLockNotTaken(d: Lockdep, id: number, nest: number): Text {
  const outer = d.area.classOf(nest);
  return framed(d, 'Nested lock was not taken', [
    `${task(d)} is trying to lock:`,
    ` ${classText(d, id)}`,
    '',
    'but this task is not holding:',
    outer === 0 ? hex8(nest) : className(d, outer),
    ...otherInfo(d),
    ...backtrace(d),
  ]);
}

export function nonStaticKey(d: Lockdep): Text {
  const headline = 'INFO: trying to register non-static key.';
  return {
    headline,
    lines: [
      headline,
      'the code is fine but needs lockdep annotation.',
      'turning off the locking correctness validator.',
      ...backtrace(d),
    ],
  };
}

export function tooLow(what: string): Text {
  const headline = `BUG: ${what} too low!`;
  return { headline, lines: [headline, 'turning off the locking correctness validator.'] };
}
