import { beforeAll, describe, expect, it } from 'vitest';
import { Ev } from '../../src/cpu/tracer.js';
import { toChromeTrace } from '../../src/report/trace/chrome.js';
import type { Execution } from '../../src/report/trace/execution.js';
import { toPerfetto } from '../../src/report/trace/perfetto.js';
import { EventType, encodePackets } from '../../src/report/trace/track-events.js';
import {
  COUNTER,
  decodePerfetto,
  INSTANT,
  SLICE_BEGIN,
  SLICE_END,
  type TracePacket,
  type TrackEvent,
  unbalanced,
} from './perfetto-format.js';
import { fetchedAhead, recycled, type Sample } from './trace-sample.js';

let e1: Sample;
let e10: Sample;

beforeAll(async () => {
  e1 = await recycled();
  e10 = await fetchedAhead();
});

const packetsOf = (execution: Execution): readonly TracePacket[] => decodePerfetto(toPerfetto(execution));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase();

/** Tracks by number, under the name that a viewer gives them. */
const tracksOf = (packets: readonly TracePacket[]): Map<number, string> =>
  new Map(
    packets.flatMap(({ track_descriptor: t }): [number, string][] =>
      t === undefined ? [] : [[t.uuid, t.name ?? t.thread?.thread_name ?? t.process?.process_name ?? '']],
    ),
  );
const eventsOf = (packets: readonly TracePacket[], type: number): TrackEvent[] =>
  packets.flatMap(({ track_event: e }) => (e?.type === type ? [e] : []));

describe('packets of track events', () => {
  it('are bytes as Perfetto writes them', () => {
    const begin = { type: EventType.sliceBegin, trackUuid: 5, name: 'A' };
    expect(hex(encodePackets([{ timestamp: 1000, event: begin }]))).toBe('0A0F40E80750015A0848015805BA010141');
  });

  it('can be appended to a file one by one', () => {
    const begin = { timestamp: 1, event: { type: EventType.sliceBegin, trackUuid: 5, name: 'A' } };
    const end = { timestamp: 2, event: { type: EventType.sliceEnd, trackUuid: 5 } };
    expect(hex(encodePackets([begin, end]))).toBe(hex(encodePackets([begin])) + hex(encodePackets([end])));
  });

  it('keep every field, also numbers that no 32 bits hold, and numbers below zero', () => {
    const tracks = [
      { uuid: 1, process: { pid: 1, name: 'race' } },
      { uuid: 2, parentUuid: 1, thread: { pid: 1, tid: 7, name: 'CPU6' } },
      { uuid: 2 ** 40, parentUuid: 1, name: 'lines', counter: true },
    ];
    const at = { type: EventType.instant, trackUuid: 2, name: 'ä', categories: ['irq', 'tlb'] };
    const event = { ...at, annotations: { step: -3, by: 'writer' }, flowIds: [2 ** 40, 3], terminatingFlowIds: [4] };
    const count = { type: EventType.counter, trackUuid: 2 ** 40, counterValue: -12 };
    const packets = [
      { sequenceFlags: 1, track: tracks[0] },
      ...tracks.slice(1).map((track) => ({ track })),
      { timestamp: 2 ** 42 + 1, event },
      { timestamp: 0, event: count },
    ];
    const id = { trusted_packet_sequence_id: 1 };
    expect(decodePerfetto(encodePackets(packets as Parameters<typeof encodePackets>[0]))).toEqual([
      { ...id, sequence_flags: 1, track_descriptor: { uuid: 1, process: { pid: 1, process_name: 'race' } } },
      {
        ...id,
        track_descriptor: { uuid: 2, thread: { pid: 1, tid: 7, thread_name: 'CPU6' }, parent_uuid: 1 },
      },
      { ...id, track_descriptor: { uuid: 2 ** 40, name: 'lines', parent_uuid: 1, counter: {} } },
      {
        ...id,
        timestamp: 2 ** 42 + 1,
        track_event: {
          ...{ type: INSTANT, track_uuid: 2, name: 'ä', categories: ['irq', 'tlb'] },
          debug_annotations: [
            { name: 'step', int_value: -3 },
            { name: 'by', string_value: 'writer' },
          ],
          ...{ flow_ids: [2 ** 40, 3], terminating_flow_ids: [4] },
        },
      },
      { ...id, timestamp: 0, track_event: { type: COUNTER, track_uuid: 2 ** 40, counter_value: -12 } },
    ]);
  });
});

describe('an execution as a Perfetto trace', () => {
  it('describes each track before its events, which come in the order of time', () => {
    for (const { execution } of [e1, e10]) {
      const packets = packetsOf(execution);
      const known = new Set<number>();
      for (const { track_descriptor: track, track_event: e } of packets) {
        if (track !== undefined) {
          expect(known.has(track.uuid)).toBe(false);
          expect(track.parent_uuid === undefined || known.has(track.parent_uuid)).toBe(true);
          known.add(track.uuid);
        }
        if (e !== undefined) expect(known.has(e.track_uuid)).toBe(true);
      }
      const times = packets.flatMap((p) => p.timestamp ?? []);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(packets.every((p) => p.trusted_packet_sequence_id === 1)).toBe(true);
      expect(packets[0]?.sequence_flags).toBe(1);
    }
  });

  it('has a track for each CPU and each device, by its number', () => {
    const threads = packetsOf(e10.execution).flatMap((p) => p.track_descriptor?.thread ?? []);
    expect(threads.map((t) => `${t.tid} ${t.thread_name}`)).toEqual([
      '1 CPU0',
      '1000 device0',
      '1001 device1',
      '1002 device2',
    ]);
  });

  it('begins and ends each slice on its track, none across another', () => {
    for (const { execution } of [e1, e10]) {
      const packets = packetsOf(execution);
      expect(unbalanced(packets)).toEqual([]);
      const { traceEvents } = toChromeTrace(execution);
      const slices = traceEvents.filter((e) => e.ph === 'X' || e.ph === 'b');
      const named = (list: readonly { name?: string }[]): string[] => list.map((e) => e.name ?? '').sort();
      expect(named(eventsOf(packets, SLICE_BEGIN))).toEqual(named(slices));
      expect(eventsOf(packets, SLICE_END)).toHaveLength(slices.length);
    }
  });

  it('gives each slice the length that it has in a Chrome trace', () => {
    const packets = packetsOf(e10.execution);
    const cpu0 = [...tracksOf(packets)].find(([, name]) => name === 'CPU0')?.[0];
    const open: { at: number; name: string }[] = [];
    const slices: string[] = [];
    for (const { timestamp = 0, track_event: e } of packets) {
      if (e?.track_uuid !== cpu0) continue;
      if (e?.type === SLICE_BEGIN) open.push({ at: timestamp, name: e.name ?? '' });
      const begun = e?.type === SLICE_END ? open.pop() : undefined;
      if (begun !== undefined) slices.push(`${begun.name} ${begun.at} ${timestamp - begun.at}`);
    }
    const ns = (micros = 0): number => micros * 1000;
    const expected = toChromeTrace(e10.execution).traceEvents.filter((e) => e.ph === 'X' && e.tid === 1);
    expect(slices.sort()).toEqual(expected.map((e) => `${e.name} ${ns(e.ts)} ${ns(e.dur)}`).sort());
  });

  it('points from doorbell, interrupt and wake-up to who takes it', () => {
    const packets = packetsOf(e10.execution);
    const tracks = tracksOf(packets);
    const events = eventsOf(packets, INSTANT);
    const arrows = events.flatMap((e) =>
      (e.flow_ids ?? []).map((id) => {
        const end = events.find((other) => other.terminating_flow_ids?.includes(id));
        return `${e.name}: ${tracks.get(e.track_uuid)} to ${tracks.get(end?.track_uuid ?? 0)}`;
      }),
    );
    expect(arrows).toEqual(
      expect.arrayContaining(['doorbell: CPU0 to device0', 'interrupt: device0 to CPU0', 'wake-up: CPU0 to CPU0']),
    );
  });

  it('counts dirty lines and free pkmap slots, and marks the step that lost the bytes', () => {
    const packets = packetsOf(e1.execution);
    const tracks = tracksOf(packets);
    const of = (name: string): (number | undefined)[] =>
      eventsOf(packets, COUNTER).flatMap((e) => (tracks.get(e.track_uuid) === name ? [e.counter_value] : []));
    expect(of('pkmap slots')).toContain(0);
    expect(Math.max(...(of('dirty lines') as number[]))).toBeGreaterThan(0);
    const { event, mark } = e1.execution.explanation;
    const marks = eventsOf(packets, INSTANT).filter((e) => tracks.get(e.track_uuid) === e1.execution.result.experiment);
    expect(marks).toMatchObject([{ name: mark, debug_annotations: [{ name: 'step', int_value: event?.step }] }]);
  });
});

describe('locks in a Perfetto trace', () => {
  const [A, B] = [0xc0001000, 0xc0002000];

  /** E1's first taking of a lock, over and over: acquire (+) and release (-) in a row. */
  function locking(...what: readonly (readonly ['+' | '-', number])[]): Execution {
    const one = e1.execution.events.find((e) => e.what === Ev.lockAcquired);
    if (one === undefined) throw new Error('no lock in the sample');
    const events = what.map(([sign, lock], i) => ({
      ...{ ...one, step: i, seq: i, stack: [] },
      ...{ what: sign === '+' ? Ev.lockAcquired : Ev.lockReleased, a: lock },
    }));
    return { ...e1.execution, events };
  }

  const lanesOf = (execution: Execution): Record<string, string[]> => {
    const packets = packetsOf(execution);
    expect(unbalanced(packets)).toEqual([]);
    const lanes: Record<string, string[]> = {};
    for (const [uuid, name] of tracksOf(packets)) {
      const begun = eventsOf(packets, SLICE_BEGIN).filter((e) => e.track_uuid === uuid);
      if (begun.some((e) => e.categories?.includes('lock'))) lanes[name] = begun.map((e) => e.name ?? '');
    }
    return lanes;
  };
  const nameOf = (lock: number): string => e1.execution.names.virtual(lock);

  it('have one track of their CPU when each ends before those that it is inside', () => {
    const [a, b] = [nameOf(A), nameOf(B)];
    expect(lanesOf(locking(['+', A], ['+', B], ['-', B], ['-', A], ['+', B], ['-', B]))).toEqual({
      'CPU0 locks': [a, b, b],
    });
  });

  it('have a track more when one is handed over to the next', () => {
    const [a, b] = [nameOf(A), nameOf(B)];
    expect(lanesOf(locking(['+', A], ['+', B], ['-', A], ['+', A], ['-', B], ['-', A]))).toEqual({
      'CPU0 locks': [a, a],
      'CPU0 locks 2': [b],
    });
  });

  it('belong to the track of the CPU that took them, and say who did', () => {
    const packets = packetsOf(e1.execution);
    const tracks = tracksOf(packets);
    const rows = packets.flatMap((p) => p.track_descriptor ?? []).filter((t) => t.name?.includes(' locks'));
    expect(rows.map((t) => `${tracks.get(t.parent_uuid ?? 0)} locks`)).toEqual(rows.map((t) => t.name));
    const kmap = eventsOf(packets, SLICE_BEGIN).filter((e) => e.name === 'kmap_lock');
    expect(kmap.flatMap((e) => e.debug_annotations ?? [])).toContainEqual({ name: 'by', string_value: 'writer' });
  });
});
