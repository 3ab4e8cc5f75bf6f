/**
 * Track events as Perfetto keeps them: a file is a protobuf message of packets, one behind the other.
 *
 * Source: protos/perfetto/trace (trace.proto, trace_packet.proto, track_event/) of Perfetto; spec/checkers.md §8.3. Nothing is interned: names are
 * written out with each event.
 */
import { PbfWriter } from 'pbf';

/** `TrackEvent.Type`. */
export const EventType = { sliceBegin: 1, sliceEnd: 2, instant: 3, counter: 4 } as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

/** `TracePacket.SequenceFlags`: what was said before this packet does not count. */
export const SEQ_INCREMENTAL_STATE_CLEARED = 1;

/** There is one writer; its number must not be 0. */
const SEQUENCE_ID = 1;

/** `TrackDescriptor`: a row of the picture. */
export interface Track {
  readonly uuid: number;
  readonly name?: string;
  readonly parentUuid?: number;
  readonly process?: { readonly pid: number; readonly name: string };
  readonly thread?: { readonly pid: number; readonly tid: number; readonly name: string };
  /** Its events give numbers. */
  readonly counter?: boolean;
}

/** `TrackEvent`. */
export interface TrackEvent {
  readonly type: EventType;
  readonly trackUuid: number;
  readonly name?: string;
  readonly categories?: readonly string[];
  readonly annotations?: Readonly<Record<string, string | number>>;
  readonly counterValue?: number;
  /** Arrows that begin here, or go on from here; and those that end here. */
  readonly flowIds?: readonly number[];
  readonly terminatingFlowIds?: readonly number[];
}

/** `TracePacket`. */
export interface Packet {
  /** Nanoseconds. */
  readonly timestamp?: number;
  readonly event?: TrackEvent;
  readonly sequenceFlags?: number;
  readonly track?: Track;
}

function writeProcess({ pid, name }: NonNullable<Track['process']>, out: PbfWriter): void {
  out.writeVarintField(1, pid);
  out.writeStringField(6, name);
}

function writeThread({ pid, tid, name }: NonNullable<Track['thread']>, out: PbfWriter): void {
  out.writeVarintField(1, pid);
  out.writeVarintField(2, tid);
  out.writeStringField(5, name);
}

function writeTrack(track: Track, out: PbfWriter): void {
  out.writeVarintField(1, track.uuid);
  if (track.name !== undefined) out.writeStringField(2, track.name);
  if (track.process !== undefined) out.writeMessage(3, writeProcess, track.process);
  if (track.thread !== undefined) out.writeMessage(4, writeThread, track.thread);
  if (track.parentUuid !== undefined) out.writeVarintField(5, track.parentUuid);
  if (track.counter === true) out.writeMessage(8, () => undefined, track);
}

/** `DebugAnnotation`: a name and a whole number or a text. */
function writeAnnotation([name, value]: readonly [string, string | number], out: PbfWriter): void {
  if (typeof value === 'number') out.writeVarintField(4, value);
  else out.writeStringField(6, value);
  out.writeStringField(10, name);
}

function writeEvent(event: TrackEvent, out: PbfWriter): void {
  for (const pair of Object.entries(event.annotations ?? {})) out.writeMessage(4, writeAnnotation, pair);
  out.writeVarintField(9, event.type);
  out.writeVarintField(11, event.trackUuid);
  for (const category of event.categories ?? []) out.writeStringField(22, category);
  if (event.name !== undefined) out.writeStringField(23, event.name);
  if (event.counterValue !== undefined) out.writeVarintField(30, event.counterValue);
  for (const id of event.flowIds ?? []) out.writeFixed64Field(47, id);
  for (const id of event.terminatingFlowIds ?? []) out.writeFixed64Field(48, id);
}

function writePacket(packet: Packet, out: PbfWriter): void {
  if (packet.timestamp !== undefined) out.writeVarintField(8, packet.timestamp);
  out.writeVarintField(10, SEQUENCE_ID);
  if (packet.event !== undefined) out.writeMessage(11, writeEvent, packet.event);
  if (packet.sequenceFlags !== undefined) out.writeVarintField(13, packet.sequenceFlags);
  if (packet.track !== undefined) out.writeMessage(60, writeTrack, packet.track);
}

/** The packets as a file, or as what is appended to one. */
export function encodePackets(packets: readonly Packet[]): Uint8Array {
  const out = new PbfWriter();
  for (const packet of packets) out.writeMessage(1, writePacket, packet);
  return out.finish();
}
