/**
 * Reports in the kernel's form. Source: the print_...() functions of kernel/lockdep.c, Linux 2.6.22 and 2.6.30, and kernel/locking/lockdep.c,
 * Linux 4.9 and 5.10; spec/checkers.md §3.10.
 */
import { hex8 } from '../../shared/types.js';
import { Class, Edge } from './area.js';
import type { Hop } from './graph.js';
import type { Held, Lockdep } from './lockdep.js';
import {
  address,
  backtrace,
  className,
  classText,
  contexts,
  describe,
  framed,
  heldLocks,
  indented,
  irqEvents,
  lockLine,
  lockName,
  lockText,
  otherInfo,
  release,
  storedStack,
  type Text,
  task,
} from './report-parts.js';
import { LOCK_USED, stateName, usageName } from './usage.js';

export function recursive(d: Lockdep, next: Held, prev: Held): Text {
  const scenario = d.does.scenarios
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
    ...(d.does.scenarios ? circularScenario(d, next, prev, way) : []),
    ...heldLocks(d),
    ...backtrace(d),
  ]);
}

/** Source: print_circular_lock_scenario(), Linux 4.9: the lock between is the last before the target, of two locks the source itself. */
function circularScenario(d: Lockdep, next: Held, prev: Held, way: readonly Hop[]): string[] {
  const parent = (way[way.length - 2] as Hop).id;
  const [target, source, middle] = [className(d, prev.id), className(d, next.id), className(d, parent)];
  const chain = parent === next.id ? [] : ['Chain exists of:', `  ${source} --> ${middle} --> ${target}`, ''];
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
    `inconsistent {${usageName(old, d.does)}} -> {${usageName(now, d.does)}} usage.`,
    `${task(d)} ${contexts(d)} takes:`,
    describe(d, held),
    `{${usageName(old, d.does)}} state was registered at:`,
    ...storedStack(d, d.area.classWord(held.id, Class.stacks + old)).map((l) => l.slice(4)),
    ...irqEvents(d),
    ...otherInfo(d),
    ...(d.does.scenarios ? oneCpuScenario(d, held.id) : []),
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

/** @way: from the class of @held, root first, to the one that contradicts it by @bit. @forwards: along what was taken with it held. */
export function inversion(d: Lockdep, held: Held, way: readonly Hop[], forwards: boolean, bit: number): Text {
  const other = last(way);
  const state = `${stateName(bit, d.does)}${d.does.oldWords ? '-irq' : ''}`;
  const by = forwards
    ? `but this lock took another, ${state}-unsafe lock in the past:`
    : `but this lock was taken by another, ${state}-safe lock in the past:`;
  const second = (way[1] as Hop | undefined)?.id ?? other;
  return framed(d, 'possible irq lock inversion dependency detected', [
    `${task(d)} just changed the state of lock:`,
    describe(d, held),
    by,
    ` ${classText(d, other)}`,
    '',
    'and interrupts could create inverse lock ordering between them.',
    '',
    '',
    'other info that might help us debug this:',
    ...(forwards ? irqScenario(d, held.id, other, second, other) : irqScenario(d, other, held.id, second, held.id)),
    ...heldLocks(d),
    '',
    ...(d.does.scenarios
      ? ['the shortest dependencies between 2nd lock and 1st lock:', ...shortest(d, way)]
      : ["the first lock's dependencies:", ...dependencies(d, held.id)]),
    ...(d.does.scenarios ? [] : ['', "the second lock's dependencies:", ...dependencies(d, other)]),
    ...backtrace(d),
  ]);
}

const last = (way: readonly Hop[]): number => (way[way.length - 1] as Hop).id;

/** @prev: the lock between, unless it is the safe one: then @next. Source: print_irq_lock_scenario(), Linux 4.9. */
function irqScenario(d: Lockdep, safe: number, unsafe: number, prev: number, next: number): string[] {
  if (!d.does.scenarios) return [];
  const middle = prev === safe ? next : prev;
  const name = (id: number): string => className(d, id);
  const chain =
    middle === unsafe ? [] : ['Chain exists of:', `  ${name(safe)} --> ${name(middle)} --> ${name(unsafe)}`, ''];
  const column = ' '.repeat(31);
  return [
    ...chain,
    ' Possible interrupt unsafe locking scenario:',
    '',
    '       CPU0                    CPU1',
    '       ----                    ----',
    `  lock(${name(unsafe)});`,
    `${column}local_irq_disable();`,
    `${column}lock(${name(safe)});`,
    `${column}lock(${name(middle)});`,
    '  <Interrupt>',
    `    lock(${name(safe)});`,
    '',
    ' *** DEADLOCK ***',
    '',
  ];
}

/** A class with the place where each of its usage bits was set. */
function classHeader(d: Lockdep, id: number, depth: number): string[] {
  const pad = ' '.repeat(depth);
  const lines = [`${pad}-> ${classText(d, id)} ops: ${d.area.classWord(id, Class.ops)} {`];
  const usage = d.area.classWord(id, Class.usage);
  for (let bit = 0; bit <= LOCK_USED; bit++) {
    if ((usage & (1 << bit)) === 0) continue;
    lines.push(`${pad}   ${usageName(bit, d.does)} at:`, ...storedStack(d, d.area.classWord(id, Class.stacks + bit)));
  }
  return [...lines, `${pad} }`];
}

/** Until 2.6.31: the class with all that were taken with it held. Differs: each class stands there once. */
function dependencies(d: Lockdep, id: number, depth = 0, seen = new Set<number>()): string[] {
  seen.add(id);
  const lines = classHeader(d, id, depth);
  for (let edge = d.area.classWord(id, Class.after); edge !== 0; edge = d.area.edgeWord(edge, Edge.next)) {
    const target = d.area.edgeWord(edge, Edge.target);
    if (!seen.has(target)) lines.push(...dependencies(d, target, depth + 1, seen));
    lines.push(`${' '.repeat(depth)} ... acquired at:`, ...storedStack(d, d.area.edgeWord(edge, Edge.stack)), '');
  }
  return lines;
}

/** From 2.6.32 on: the classes of a way, from its end to its root. */
function shortest(d: Lockdep, way: readonly Hop[]): string[] {
  return way.flatMap((_, i) => {
    const depth = way.length - 1 - i;
    const { id, edge } = way[depth] as Hop;
    const stack = edge === 0 ? indented(d.stack()) : storedStack(d, d.area.edgeWord(edge, Edge.stack));
    return [...classHeader(d, id, depth), `${' '.repeat(depth)} ... acquired at:`, ...stack, ''];
  });
}

/** @safe: from the class of @prev, root first, to the one that is used in the state; @unsafe: from that of @next to the other. */
export function safeUnsafe(
  d: Lockdep,
  prev: Held,
  next: Held,
  safe: readonly Hop[],
  used: number,
  unsafe: readonly Hop[],
  enabled: number,
): Text {
  const state = stateName(used, d.does);
  const [from, to] = [last(safe), last(unsafe)];
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
    ` ${classText(d, from)}`,
    `... which became ${state}-irq-safe at:`,
    ...usage(from, used),
    '',
    `to a ${state}-irq-unsafe lock:`,
    ` ${classText(d, to)}`,
    `... which became ${state}-irq-unsafe at:`,
    ...usage(to, enabled),
    '',
    'other info that might help us debug this:',
    '',
    ...irqScenario(d, from, to, prev.id, next.id),
    ...heldLocks(d),
    '',
    ...(d.does.scenarios
      ? [
          `the dependencies between ${state}-irq-safe lock and the holding lock:`,
          ...shortest(d, safe),
          '',
          `the dependencies between the lock to be acquired and ${state}-irq-unsafe lock:`,
          ...shortest(d, unsafe),
        ]
      : [
          `the ${state}-irq-safe lock's dependencies:`,
          ...dependencies(d, from),
          '',
          `the ${state}-irq-unsafe lock's dependencies:`,
          ...dependencies(d, to),
        ]),
    ...backtrace(d),
  ]);
}

export function unlockImbalance(d: Lockdep, lock: number, id: number): Text {
  const name = id === 0 ? hex8(lock) : lockName(d, id);
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

export function badContention(d: Lockdep, lock: number, id: number): Text {
  return framed(
    d,
    'bad contention detected',
    [
      `${task(d)} is trying to contend lock (${id === 0 ? hex8(lock) : lockName(d, id)}) at:`,
      `${address()} ${d.stack()[0] ?? '?'}`,
      'but there are no locks held!',
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
  const [what, said] = d.does.scenarios
    ? [`${task(d)} still has locks held`, []]
    : ['lock held at task exit time', [`${task(d)} is exiting with locks still held!`]];
  return framed(d, what, [...said, ...heldLocks(d), ...backtrace(d)], true);
}

export function heldAtUserExit(d: Lockdep): Text {
  const said = `${task(d)} is leaving the kernel with locks still held!`;
  return framed(d, 'lock held when returning to user space', [said, ...heldLocks(d)], true);
}

export function nestedLockNotTaken(d: Lockdep, lock: number, id: number, nest: number): Text {
  const outer = d.area.classOf(nest);
  const text = framed(d, 'Nested lock was not taken', [
    `${task(d)} is trying to lock:`,
    lockLine(d, lock >>> 0, id, d.siteHere()),
    '',
    'but this task is not holding:',
    outer === 0 ? hex8(nest) : lockName(d, outer),
    ...backtrace(d),
    '',
    'other info that might help us debug this:',
    ...heldLocks(d),
    ...backtrace(d),
  ]);
  if (d.does.warnings) return text;
  // The one BUG without an exclamation mark.
  const headline = text.headline.replace('INFO', 'BUG');
  const rule = (line: string): string => (/^(=+|-+)$/.test(line) ? line.slice(1) : line);
  return { headline, lines: text.lines.map((l) => (l === text.headline ? headline : rule(l))) };
}

/** Of 5.10, and yet with the brackets of before. */
export function invalidWaitContext(d: Lockdep, next: Held): Text {
  const headline = '[ BUG: Invalid wait context ]';
  const wait = d.taskWait();
  return {
    headline,
    lines: [
      '',
      '='.repeat(headline.length),
      headline,
      release(d),
      '-'.repeat(headline.length),
      `${task(d)} is trying to lock:`,
      lockText(d, next, d.depth),
      'other info that might help us debug this:',
      `context-{${wait}:${wait}}`,
      ...heldLocks(d),
      ...backtrace(d).slice(1),
    ],
  };
}

/** DEBUG_LOCKS_WARN_ON(), include/linux/debug_locks.h: the condition is named from 3.7 on. */
export function allocWithIrqsOff(d: Lockdep): Text {
  const { k, does } = d;
  const headline = does.scenarios
    ? `WARNING: CPU: ${k.cpu} PID: ${k.slot} at kernel/locking/lockdep.c lockdep_trace_alloc()`
    : 'WARNING: at kernel/lockdep.c lockdep_trace_alloc()';
  const condition = does.scenarios ? ['DEBUG_LOCKS_WARN_ON(irqs_disabled_flags(flags))'] : [];
  return {
    headline,
    lines: ['------------[ cut here ]------------', headline, ...condition, ...backtrace(d).slice(2)],
  };
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
