/**
 * /proc/lockdep, /proc/lockdep_chains and /proc/lockdep_stats; lock_stat is in lockstat.ts. Source: kernel/lockdep_proc.c, Linux 2.6.30; spec/checkers.md §3.12.
 * Differs: a class whose locks are no static objects has the address of the first of them for a key.
 */
import { hex8 } from '../../shared/types.js';
import { CHAINS_MAX, Chain, CLASSES_MAX, Class, EDGES_MAX, Edge, Head, TEXT_WORDS_MAX } from './area.js';
import type { Lockdep } from './lockdep.js';
import { lockStatText } from './lockstat.js';
import { className } from './report-parts.js';
import { READ, usageChars } from './usage.js';

/** The files as text. */
export interface ProcTexts {
  readonly lockdep: string;
  readonly lockdep_chains: string;
  readonly lockdep_stats: string;
  /** Empty where waits and holds are not measured: property lockStat of a machine. */
  readonly lock_stat: string;
}

export const procTexts = (d: Lockdep): ProcTexts => ({
  lockdep: lockdepText(d),
  lockdep_chains: chainsText(d),
  lockdep_stats: statsText(d),
  lock_stat: lockStatText(d),
});

/** Classes that were taken. */
function classesOf(d: Lockdep): number[] {
  const ids: number[] = [];
  for (let id = 1; id < d.area.head(Head.classes); id++) if (d.area.classWord(id, Class.usage) !== 0) ids.push(id);
  return ids;
}

const keyOf = (d: Lockdep, id: number): string => hex8(d.area.classWord(id, Class.key));

function edgesOf(d: Lockdep, id: number): { target: number; distance: number }[] {
  const edges: { target: number; distance: number }[] = [];
  for (let edge = d.area.classWord(id, Class.after); edge !== 0; edge = d.area.edgeWord(edge, Edge.next)) {
    edges.push({ target: d.area.edgeWord(edge, Edge.target), distance: d.area.edgeWord(edge, Edge.distance) });
  }
  return edges;
}

const width = (value: number, columns: number): string => String(value).padStart(columns);

export function lockdepText(d: Lockdep): string {
  const lines = ['all lock classes:'];
  for (const id of classesOf(d)) {
    const chars = usageChars(d.area.classWord(id, Class.usage), d.does);
    const fd = width(d.graph.closure(id, Class.after), 5);
    const bd = width(d.graph.closure(id, Class.before), 5);
    lines.push(`${keyOf(d, id)} FD:${fd} BD:${bd} ${chars}: ${className(d, id)}`);
    for (const { target, distance } of edgesOf(d, id)) {
      if (distance === 1) lines.push(` -> [${keyOf(d, target)}] ${className(d, target)}`);
    }
    lines.push('');
  }
  return `${lines.join('\n')}\n`;
}

export function chainsText(d: Lockdep): string {
  const { words, at } = d.area;
  const lines = ['all lock chains:'];
  for (const chain of d.area.chains()) {
    lines.push(`irq_context: ${words[chain + Chain.context]}`);
    for (let i = 0; i < (words[chain + Chain.depth] as number); i++) {
      const id = words[at.chainLocks + (words[chain + Chain.first] as number) + i] as number;
      lines.push(`[${keyOf(d, id)}] ${className(d, id)}`);
    }
    lines.push('');
  }
  return `${lines.join('\n')}\n`;
}

export function statsText(d: Lockdep): string {
  const ids = classesOf(d);
  const usage = (id: number): number => d.area.classWord(id, Class.usage);
  const using = (mask: number): number => ids.filter((id) => (usage(id) & mask) !== 0).length;
  const edges = ids.map((id) => edgesOf(d, id));
  const direct = edges.reduce((sum, list) => sum + list.length, 0);
  const indirect = ids.reduce((sum, id) => sum + d.graph.closure(id, Class.after) - 1, 0);
  const factor = (id: number): number => d.graph.closure(id, Class.before) * d.graph.closure(id, Class.after);
  const chains = d.area.chains().map((chain) => d.area.words[chain + Chain.context] as number);
  const hard = chains.filter((c) => (c & 2) !== 0).length;
  const soft = chains.filter((c) => c === 1).length;
  const process = chains.length - hard - soft;
  const line = (label: string, value: number, max?: number): string =>
    `${` ${label}:`.padEnd(32)}${width(value, 11)}${max === undefined ? '' : ` [max: ${max}]`}`;
  const safe = (state: number, read: number): number => using(1 << (4 * state + read));
  const unsafe = (state: number, read: number): number => using(1 << (4 * state + 2 + read));
  const either = (read: number, direction: number): number =>
    using((1 << (direction + read)) | (1 << (4 + direction + read)));
  const forms = (read: number, word: string): string[] => [
    line(`hardirq-${word}safe locks`, safe(0, read)),
    line(`hardirq-${word}unsafe locks`, unsafe(0, read)),
    line(`softirq-${word}safe locks`, safe(1, read)),
    line(`softirq-${word}unsafe locks`, unsafe(1, read)),
    line(`irq-${word}safe locks`, either(read, 0)),
    line(`irq-${word}unsafe locks`, either(read, 2)),
  ];
  const lines = [
    line('lock-classes', ids.length, CLASSES_MAX),
    line('direct dependencies', direct, EDGES_MAX),
    line('indirect dependencies', indirect),
    line(
      'all direct dependencies',
      ids.reduce((sum, id) => sum + factor(id), 0),
    ),
    line('dependency chains', chains.length, CHAINS_MAX),
    line('in-hardirq chains', hard),
    line('in-softirq chains', soft),
    line('in-process chains', process),
    line('stack-trace entries', d.area.head(Head.textWords), TEXT_WORDS_MAX),
    line(
      'combined max dependencies',
      [hard, soft, process].reduce((all, n) => all * (n + 1), 1),
    ),
    ...forms(0, ''),
    ...forms(READ, 'read-'),
    line('uncategorized locks', ids.filter((id) => (usage(id) & 0xfff) === 0).length),
    // Classes without a usage bit: a class is there from its first acquisition on, which leaves one.
    line('unused locks', 0),
    line('max locking depth', d.area.head(Head.depthMax)),
    line('max recursion depth', 0),
    line('debug_locks', d.area.head(Head.debugLocks)),
  ];
  return `${lines.join('\n')}\n`;
}
