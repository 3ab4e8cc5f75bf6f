/** The latency tracers: what the kernel's text has, and that the section is the longest there is. Source: spec/checkers.md §8.1. */
import { beforeAll, describe, expect, it } from 'vitest';
import { WaitKind } from '../../src/cpu/hw.js';
import { Ev } from '../../src/cpu/tracer.js';
import type { TraceEvent } from '../../src/lab/recorder.js';
import type { Execution } from '../../src/report/trace/execution.js';
import { type LatencyTracer, toLatency } from '../../src/report/trace/latency.js';
import { recycled } from './trace-sample.js';

const LINE = /^ *\S+-\d+ +(\d+)([dX.][Nnp.][ZzHhs.][0-9a-f.]) +(\d+)us[$@*#!+ ]: \S/;

let e1: Execution;
beforeAll(async () => {
  e1 = (await recycled()).execution;
});

/** The head of a trace, its records, and the stack below. */
function parsed(execution: Execution, tracer: LatencyTracer) {
  const lines = toLatency(execution, tracer).split('\n').slice(0, -1);
  const records = lines.filter((line) => LINE.test(line)).map((line) => LINE.exec(line) as RegExpExecArray);
  const stack = lines.filter((line) => line.startsWith(' => '));
  const head = lines.filter((line) => line.startsWith('#'));
  expect(head.length + records.length + stack.length).toBe(lines.length);
  const [, latency, entries, cpu] = /^# latency: (\d+) us, #(\d+)\/\2, CPU#(\d+) \|/.exec(head[4] ?? '') ?? [];
  return { lines, head, records, stack, latency: Number(latency), entries: Number(entries), cpu: Number(cpu) };
}

/** @times: microseconds of each event, the last one repeated. */
function timed(flags: readonly boolean[], times: readonly number[], kernel = '4.12'): Execution {
  const sample = e1.events.find((e) => e.cpu === 0 && e.stack.length > 1) as TraceEvent;
  const events = flags.map((off, i) => ({
    ...sample,
    what: 0 as never,
    irqsOff: off,
    preempt: off ? 1 : 0,
    time: times[i] ?? 0,
  }));
  return { ...e1, result: { ...e1.result, kernel }, events };
}

describe.each(['irqsoff', 'preemptoff'] as const)('the %s tracer', (tracer) => {
  it('has the head of the kernel', () => {
    const { head, latency, records, entries } = parsed(e1, tracer);
    expect(head.slice(0, 3)).toEqual([
      `# tracer: ${tracer}`,
      '#',
      `# ${tracer} latency trace v1.1.5 on ${e1.result.kernel}`,
    ]);
    expect(head[4]).toMatch(/^# latency: \d+ us, #\d+\/\d+, CPU#\d \| \(M:preempt VP:0, KP:0, SP:0 HP:0 #P:2\)$/);
    expect(head[6]).toMatch(/^# {4}\| task: \w+-\d+ \(uid:0 nice:0 policy:0 rt_prio:0\)$/);
    expect(head.filter((line) => line.startsWith('#  => '))).toHaveLength(2);
    expect(records).toHaveLength(entries);
    expect(Number(records.at(-1)?.[3])).toBe(latency);
  });

  it('shows one CPU, from zero on, until it is over, and where it is then', () => {
    const { records, cpu, stack, head } = parsed(e1, tracer);
    expect(new Set(records.map(([, of]) => Number(of)))).toEqual(new Set([cpu]));
    expect(Number(records[0]?.[3])).toBe(0);
    expect(head.find((line) => line.startsWith('#  => ended at:'))).toBe(`#  => ended at:   ${stack[0]?.slice(4)}`);
    expect(stack.length).toBeGreaterThan(0);
  });

  it('shows the longest section, of several that are as long the first', () => {
    const flags = [true, true, false, true, false, true, true, false];
    expect(parsed(timed(flags, [0, 5, 10, 20, 50, 60, 70, 90]), tracer).latency).toBe(30);
    expect(parsed(timed(flags, [0, 20, 30, 40, 70, 80, 90, 110]), tracer).records).toHaveLength(2);
  });

  it('does not count the time for which the CPU idles', () => {
    const whole = timed([true, true, true, false], [0, 10, 1000, 1020]);
    expect(parsed(whole, tracer).latency).toBe(1020);
    const [first, second, ...rest] = whole.events as [TraceEvent, TraceEvent, ...TraceEvent[]];
    const waits = (a: number): Execution => ({ ...whole, events: [first, { ...second, what: Ev.wait, a }, ...rest] });
    expect(parsed(waits(WaitKind.sleep), tracer).latency).toBe(20);
    expect(parsed(waits(WaitKind.lock), tracer).latency).toBe(1020);
  });

  it('has nothing to show where nothing was ever off', () => {
    expect(toLatency(timed([false, false], [0, 1]), tracer)).toBe(`# tracer: ${tracer}\n#\n`);
  });
});

describe('marks of what took long', () => {
  const marksOf = (kernel: string): string[] =>
    [1, 2, 11, 101, 1001, 10_001, 100_001, 1_000_001].map((distance) => {
      const { lines } = parsed(timed([true, false], [0, distance], kernel), 'irqsoff');
      return /us(.): /.exec(lines.find((line) => LINE.test(line)) ?? '')?.[1] ?? '';
    });

  it('are by the distance to the next record', () => {
    expect(marksOf('4.12')).toEqual([' ', ' ', '+', '!', '#', '*', '@', '$']);
  });

  it('were two before', () => {
    expect(marksOf('2.6.30')).toEqual([' ', '+', '+', '!', '!', '!', '!', '!']);
  });
});
