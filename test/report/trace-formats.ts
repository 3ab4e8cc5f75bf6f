/** What the formats of traces ask for, written from their descriptions. */
import { z } from 'zod';
import type { ChromeEvent } from '../../src/report/trace/chrome.js';

/** As kernel/trace/trace_output.c, Linux 4.9, prints an event: 16 columns of name, pid, CPU, flags, time, event. */
const ENTRY =
  /^(?<comm>.{16})-(?<pid>\d+) *\[(?<cpu>\d{3})\] (?<flags>[d.X][Nnp.][ZzHhs.][0-9a-f.]) +(?<time>\d+\.\d{6}): (?<event>[a-z_]+): (?<text>.*)$/;
/** How Perfetto finds the parts of a line. */
export const PERFETTO = /-(\d+)\s+(\(\s*[\d-]+\)\s+)?\[(\d+)\]\s+([a-zA-Z0-9.]{0,5}\s+)?(\d+\.\d+):\s+(\S+):/;

export interface Entry {
  readonly comm: string;
  readonly pid: string;
  readonly cpu: string;
  readonly flags: string;
  readonly time: string;
  readonly event: string;
  readonly text: string;
}

export const linesOf = (text: string): string[] => text.trimEnd().split('\n');
export const entriesOf = (text: string): Entry[] =>
  linesOf(text)
    .filter((line) => !line.startsWith('#'))
    .map((line) => (ENTRY.exec(line)?.groups ?? { event: `not an entry: ${line}` }) as unknown as Entry);

/** Functions that are begun and not ended, and ends of what was not begun. */
export function unpaired(entries: readonly Entry[]): string[] {
  const open = new Map<string, string[]>();
  const ends: string[] = [];
  for (const { event, text } of entries) {
    if (event !== 'tracing_mark_write') continue;
    const [what, pid = '', name = ''] = text.split('|');
    const stack = open.get(pid) ?? [];
    open.set(pid, stack);
    if (what === 'B') stack.push(name);
    else if (stack.pop() === undefined) ends.push(text);
  }
  return [...ends, ...[...open.values()].flat()];
}

const number = z.number().min(0);
const base = { pid: z.literal(1), tid: number, ts: number };
const args = z.record(z.string(), z.union([z.string(), z.number()]));
/** Trace Event Format: what each phase has to have. */
const chromeEvent = z.discriminatedUnion('ph', [
  z.strictObject({
    ...base,
    ph: z.literal('M'),
    name: z.enum(['process_name', 'thread_name', 'thread_sort_index']),
    args,
  }),
  z.strictObject({ ...base, ph: z.literal('X'), name: z.string().min(1), cat: z.string(), dur: z.number().positive() }),
  z.strictObject({ ...base, ph: z.literal('b'), name: z.string(), cat: z.string(), id: number, args }),
  z.strictObject({ ...base, ph: z.literal('e'), name: z.string(), cat: z.string(), id: number }),
  z.strictObject({
    ...base,
    ph: z.literal('i'),
    name: z.string().min(1),
    cat: z.string(),
    s: z.enum(['t', 'p', 'g']),
    args,
  }),
  z.strictObject({ ...base, ph: z.literal('C'), name: z.string(), args: z.record(z.string(), z.number()) }),
  z.strictObject({ ...base, ph: z.literal('s'), name: z.string(), cat: z.string(), id: number }),
  z.strictObject({ ...base, ph: z.literal('f'), name: z.string(), cat: z.string(), id: number, bp: z.literal('e') }),
]);
export const chromeTrace = z.strictObject({
  traceEvents: z.array(chromeEvent),
  displayTimeUnit: z.enum(['ns', 'ms']),
  metadata: args,
});

/** Slices that begin inside another one of their track and end after it. */
export function crossing(events: readonly ChromeEvent[]): ChromeEvent[] {
  const open = new Map<number, ChromeEvent[]>();
  const bad: ChromeEvent[] = [];
  const end = (e: ChromeEvent): number => e.ts + (e.dur ?? 0);
  const slices = events.filter((e) => e.ph === 'X');
  for (const e of slices.toSorted((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0))) {
    const stack = (open.get(e.tid) ?? []).filter((outer) => end(outer) > e.ts);
    if (stack.some((outer) => end(e) > end(outer))) bad.push(e);
    open.set(e.tid, [...stack, e]);
  }
  return bad;
}
