/**
 * The longest time for which a CPU had its interrupts off, or preemption, as the latency tracers of ftrace show it: `irqsoff` and `preemptoff`.
 *
 * Source: kernel/trace/trace_irqsoff.c, print_trace_header() and print_lat_fmt() of kernel/trace/trace.c and trace_output.c, Linux 2.6.30 and 4.9;
 * spec/checkers.md §8.1. In controlled mode, which has no clock, a microsecond stands for the next event of any CPU.
 */
import { WaitKind } from '../../cpu/hw.js';
import { Ev } from '../../cpu/tracer.js';
import type { TraceEvent } from '../../lab/recorder.js';
import { PREEMPT_MASK } from '../../shared/irqflags.js';
import { KERNEL_VERSION, versionCode } from '../../shared/version.js';
import { type Execution, Frames, taskOf, timesOf } from './execution.js';
import { EventLines, flagsOf, pidOf } from './ftrace.js';

export const LATENCY_TRACERS = ['irqsoff', 'preemptoff'] as const;
export type LatencyTracer = (typeof LATENCY_TRACERS)[number];

const COMM = 8;
const RULE = `# ${'-'.repeat(68)}`;
const BOX = '#    -----------------';

/** Longest distance to the next record that has no mark of a shorter one, microseconds. */
const MARKS = [
  [1_000_000, '$'],
  [100_000, '@'],
  [10_000, '*'],
  [1000, '#'],
  [100, '!'],
  [10, '+'],
] as const;
const MARKS_2_6_30 = [
  [100, '!'],
  [1, '+'],
] as const;

const LEGEND = [
  '#                  _------=> CPU#            ',
  '#                 / _-----=> irqs-off        ',
  '#                | / _----=> need-resched    ',
  '#                || / _---=> hardirq/softirq ',
  '#                ||| / _--=> preempt-depth   ',
  '#                |||| /     delay             ',
  '#  cmd     pid   ||||| time  |   caller      ',
  '#     \\   /      |||||  \\    |   /         ',
];
const LEGEND_2_6_30 = [
  '#                _------=> CPU#            ',
  '#               / _-----=> irqs-off        ',
  '#              | / _----=> need-resched    ',
  '#              || / _---=> hardirq/softirq ',
  '#              ||| / _--=> preempt-depth   ',
  '#              |||| /                      ',
  '#              |||||     delay             ',
  '#  cmd     pid ||||| time  |   caller      ',
  '#     \\   /    |||||   \\   |   /           ',
];

/** A time for which a CPU had them off: its events from the first to the one that found them on again. */
interface Section {
  readonly cpu: number;
  readonly events: readonly TraceEvent[];
  readonly latency: number;
}

/** The CPU idles from here on. That ends a section, as stop_critical_timings() does, whatever is off. Source: cpu_idle_poll(), kernel/sched/idle.c, Linux 4.10. */
const isIdle = (e: TraceEvent): boolean => e.what === Ev.wait && e.a === WaitKind.sleep;

/** The longest; of several that are as long the first, as only a new maximum replaces what was saved. */
function longest(execution: Execution, isOff: (e: TraceEvent) => boolean): Section | null {
  const times = timesOf(execution.events);
  const at = (e: TraceEvent | undefined): number => (e === undefined ? 0 : (times.get(e) ?? 0));
  const open = new Map<number, TraceEvent[]>();
  let best: Section | null = null;
  const close = (cpu: number, events: readonly TraceEvent[]): void => {
    const latency = at(events.at(-1)) - at(events[0]);
    if (best === null || latency > best.latency) best = { cpu, events, latency };
  };
  for (const e of execution.events) {
    if (e.cpu < 0) continue;
    const events = open.get(e.cpu);
    events?.push(e);
    const off = isOff(e) && !isIdle(e);
    if (events === undefined && off) open.set(e.cpu, [e]);
    if (events === undefined || off) continue;
    open.delete(e.cpu);
    close(e.cpu, events);
  }
  for (const [cpu, events] of open) close(cpu, events);
  return best;
}

/** The trace; only its first two lines when nothing was ever off. */
export function toLatency(execution: Execution, tracer: LatencyTracer): string {
  const isOff = (e: TraceEvent): boolean => (tracer === 'irqsoff' ? e.irqsOff : (e.preempt & PREEMPT_MASK) !== 0);
  const section = longest(execution, isOff);
  const head = [`# tracer: ${tracer}`, '#'];
  if (section === null) return `${head.join('\n')}\n`;
  const { records, functions } = recordsOf(execution, section);
  const [started, ended] = [functions[0]?.at(-1) ?? '', functions.at(-1)?.at(-1) ?? ''];
  const lines = [
    ...head,
    ...headOf(execution, tracer, section, records.length),
    `#  => started at: ${started}`,
    `#  => ended at:   ${ended}`,
    '#',
    '#',
    ...(isOld(execution) ? LEGEND_2_6_30 : LEGEND),
    ...linesOf(execution, records),
    ...(functions.at(-1) ?? []).toReversed().map((name) => ` => ${name}`),
  ];
  return `${lines.join('\n')}\n`;
}

const isOld = ({ result }: Execution): boolean => versionCode(result.kernel) < KERNEL_VERSION(3, 0, 0);

function headOf(execution: Execution, tracer: LatencyTracer, section: Section, records: number): string[] {
  const { result } = execution;
  const mode = result.machine.preempt ? 'preempt' : 'server';
  const first = section.events[0] as TraceEvent;
  const latency = Math.floor(section.latency);
  return [
    `# ${tracer} latency trace v1.1.5 on ${result.kernel}`,
    RULE,
    `# latency: ${latency} us, #${records}/${records}, CPU#${section.cpu} | (M:${mode} VP:0, KP:0, SP:0 HP:0 #P:${result.cpus})`,
    BOX,
    `#    | task: ${taskOf(execution, first)}-${pidOf(first)} (uid:0 nice:0 policy:0 rt_prio:0)`,
    BOX,
  ];
}

interface Record {
  readonly e: TraceEvent;
  /** Microseconds since the section began. */
  readonly time: number;
  readonly text: string;
}

/** What is in the section: where it begins, its events, where it ends. And the functions of each of its events, outermost first. */
function recordsOf(execution: Execution, section: Section): { records: Record[]; functions: string[][] } {
  const times = timesOf(execution.events);
  const inside = new Set(section.events);
  const [first, last] = [section.events[0], section.events.at(-1)];
  const start = first === undefined ? 0 : (times.get(first) ?? 0);
  const records: Record[] = [];
  const functions: string[][] = [];
  const frames = new Frames();
  const texts = new EventLines(execution, (_, text) => text, false);
  for (const e of execution.events) {
    const before = texts.lines.length;
    texts.see(e);
    if (inside.has(e)) {
      const stack = frames.all(e);
      functions.push(stack);
      const time = Math.floor((times.get(e) ?? 0) - start);
      const where = { e, time, text: `${stack.at(-1) ?? ''} <-${stack.at(-2) ?? ''}` };
      if (e === first) records.push(where);
      records.push(...texts.lines.slice(before).map((text) => ({ e, time, text })));
      if (e === last) records.push(where);
    }
    frames.see(e);
  }
  return { records, functions };
}

function linesOf(execution: Execution, records: readonly Record[]): string[] {
  const marks = isOld(execution) ? MARKS_2_6_30 : MARKS;
  return records.map(({ e, time, text }, i) => {
    const distance = (records[i + 1]?.time ?? time) - time;
    const mark = marks.find(([above]) => distance > above)?.[1] ?? ' ';
    const task = taskOf(execution, e).slice(0, COMM).padStart(COMM);
    return `${task}-${String(pidOf(e)).padEnd(5)} ${String(e.cpu).padStart(3)}${flagsOf(e)} ${String(time).padStart(4)}us${mark}: ${text}`;
  });
}
