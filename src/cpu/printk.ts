/**
 * The kernel's log: a ring of text records in shared memory, so that it survives the worker that wrote it. The main thread
 * formats the records as dmesg lines.
 */
import { lockWord, unlockWord } from './hostlock.js';
import { Control, type HwLayout, LOG_BYTES } from './hw.js';

/** One line of dmesg. */
export interface LogRecord {
  readonly cpu: number;
  /** Microseconds of machine time. */
  readonly time: number;
  readonly text: string;
}

const HEAD_WORDS = 3; // bytes of text, cpu, time
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Records that no longer fit are dropped: the first of an execution tell most. */
export function appendLog(hw: Int32Array, layout: HwLayout, cpu: number, micros: number, text: string): void {
  const bytes = encoder.encode(text);
  const words = HEAD_WORDS + ((bytes.length + 3) >>> 2);
  lockWord(hw, Control.logLock);
  const head = hw[Control.logHead] as number;
  if ((head + words) * 4 <= LOG_BYTES) {
    const at = layout.log + head;
    hw[at] = bytes.length;
    hw[at + 1] = cpu;
    hw[at + 2] = micros;
    new Uint8Array(hw.buffer, (at + HEAD_WORDS) * 4, bytes.length).set(bytes);
    hw[Control.logHead] = head + words;
  }
  unlockWord(hw, Control.logLock);
}

/** @ring: word offset of the log or of its kept copy; @head: the control word that says how much of it is used. */
export function readLog(hw: Int32Array, ring: number, head: number): LogRecord[] {
  const records: LogRecord[] = [];
  const end = Math.min(Atomics.load(hw, head), LOG_BYTES / 4);
  for (let at = 0; at < end; ) {
    const base = ring + at;
    const length = hw[base] as number;
    const text = new Uint8Array(hw.buffer, (base + HEAD_WORDS) * 4, length).slice();
    records.push({ cpu: hw[base + 1] as number, time: (hw[base + 2] as number) >>> 0, text: decoder.decode(text) });
    at += HEAD_WORDS + ((length + 3) >>> 2);
  }
  return records;
}

/** As dmesg prints it. Differs: the CPU is named, since the order between CPUs matters here. */
export const formatRecord = (r: LogRecord): string => {
  const seconds = Math.floor(r.time / 1e6);
  return `[${String(seconds).padStart(5)}.${String(r.time % 1e6).padStart(6, '0')}] CPU${r.cpu}: ${r.text}`;
};
