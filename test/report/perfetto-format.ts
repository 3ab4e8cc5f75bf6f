/** What a Perfetto trace is made of, as far as track events go, written from its description; and what its viewer asks of a track. */
import protobuf from 'protobufjs';

/** spec/checkers.md §8.3. */
const { root } = protobuf.parse(
  `syntax = "proto2";
  message Trace { repeated TracePacket packet = 1; }
  message TracePacket {
    optional uint64 timestamp = 8;
    optional uint32 trusted_packet_sequence_id = 10;
    optional TrackEvent track_event = 11;
    optional uint32 sequence_flags = 13;
    optional TrackDescriptor track_descriptor = 60;
  }
  message TrackDescriptor {
    optional uint64 uuid = 1;
    optional string name = 2;
    optional ProcessDescriptor process = 3;
    optional ThreadDescriptor thread = 4;
    optional uint64 parent_uuid = 5;
    optional CounterDescriptor counter = 8;
  }
  message ProcessDescriptor { optional int32 pid = 1; optional string process_name = 6; }
  message ThreadDescriptor { optional int32 pid = 1; optional int32 tid = 2; optional string thread_name = 5; }
  message CounterDescriptor { }
  message TrackEvent {
    repeated DebugAnnotation debug_annotations = 4;
    optional int32 type = 9;
    optional uint64 track_uuid = 11;
    repeated string categories = 22;
    optional string name = 23;
    optional int64 counter_value = 30;
    repeated fixed64 flow_ids = 47;
    repeated fixed64 terminating_flow_ids = 48;
  }
  message DebugAnnotation { optional int64 int_value = 4; optional string string_value = 6; optional string name = 10; }`,
  { keepCase: true },
);
root.resolveAll();

export interface TrackEvent {
  readonly type: number;
  readonly track_uuid: number;
  readonly name?: string;
  readonly categories?: readonly string[];
  readonly debug_annotations?: readonly { name: string; int_value?: number; string_value?: string }[];
  readonly counter_value?: number;
  readonly flow_ids?: readonly number[];
  readonly terminating_flow_ids?: readonly number[];
}

export interface TrackDescriptor {
  readonly uuid: number;
  readonly name?: string;
  readonly process?: { readonly pid: number; readonly process_name: string };
  readonly thread?: { readonly pid: number; readonly tid: number; readonly thread_name: string };
  readonly parent_uuid?: number;
  readonly counter?: object;
}

export interface TracePacket {
  readonly timestamp?: number;
  readonly trusted_packet_sequence_id?: number;
  readonly track_event?: TrackEvent;
  readonly sequence_flags?: number;
  readonly track_descriptor?: TrackDescriptor;
}

/** The packets of a file. Throws where a byte belongs to no field of a message, which a decoder would pass over. */
export function decodePerfetto(bytes: Uint8Array): readonly TracePacket[] {
  const Trace = root.lookupType('Trace');
  const trace = Trace.decode(bytes);
  const again = Trace.encode(trace).finish();
  if (again.length !== bytes.length) throw new Error(`${bytes.length} bytes, ${again.length} of them known`);
  return (Trace.toObject(trace, { longs: Number }) as { packet?: readonly TracePacket[] }).packet ?? [];
}

export const SLICE_BEGIN = 1;
export const SLICE_END = 2;
export const INSTANT = 3;
export const COUNTER = 4;

/** Ends of what was not begun, and what was begun and not ended, track by track. */
export function unbalanced(packets: readonly TracePacket[]): string[] {
  const open = new Map<number, string[]>();
  const bad: string[] = [];
  for (const { timestamp, track_event: e } of packets) {
    if (e === undefined) continue;
    const stack = open.get(e.track_uuid) ?? [];
    open.set(e.track_uuid, stack);
    if (e.type === SLICE_BEGIN) stack.push(e.name ?? '');
    if (e.type === SLICE_END && stack.pop() === undefined) bad.push(`end on ${e.track_uuid} at ${timestamp}`);
  }
  return [...bad, ...[...open.values()].flat()];
}
