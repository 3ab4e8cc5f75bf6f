/** The verdict of an execution: set once, by whoever finds the first failure, as text in shared memory. */

import type { MachineConfig } from '../cpu/config.js';
import { Control, type HwLayout, Verdict as V, VERDICT_WORDS, type Verdict } from '../cpu/hw.js';
import { stopAll } from '../cpu/kernel.js';
import type { Failure } from './types.js';

export type ShortFailure = Omit<Failure, 'execution'>;

interface Shared {
  readonly hw: Int32Array;
  readonly layout: HwLayout;
  readonly config: MachineConfig;
}

const textOf = (m: Shared): Uint8Array => {
  return new Uint8Array(m.hw.buffer, (m.layout.verdictText + 1) * 4, (VERDICT_WORDS - 1) * 4);
};

/** The first failure of an execution wins: record it and call everybody off. Return: whether this was the first. */
export function settle(m: Shared, verdict: Verdict, failure: ShortFailure): boolean {
  if (Atomics.compareExchange(m.hw, Control.verdict, V.none, verdict) !== V.none) return false;
  const room = textOf(m);
  let bytes = new TextEncoder().encode(JSON.stringify(failure));
  if (bytes.length > room.length) {
    const { state: _, ...short } = failure;
    bytes = new TextEncoder().encode(JSON.stringify({ ...short, message: short.message.slice(0, 500) }));
  }
  room.set(bytes);
  Atomics.store(m.hw, m.layout.verdictText, bytes.length);
  stopAll(m.hw, m.layout, m.config);
  return true;
}

/** What settle() recorded. */
export function settledFailure(m: Shared): ShortFailure {
  // The text follows the verdict by microseconds when another thread has just set it.
  while (Atomics.load(m.hw, m.layout.verdictText) === 0) Atomics.wait(m.hw, m.layout.verdictText, 0, 1);
  const length = Atomics.load(m.hw, m.layout.verdictText);
  return JSON.parse(new TextDecoder().decode(textOf(m).slice(0, length))) as ShortFailure;
}

/** Before the next execution. */
export function clearVerdict(m: Shared): void {
  if (m.hw[Control.verdict] === V.none) return;
  Atomics.store(m.hw, m.layout.verdictText, 0);
  Atomics.store(m.hw, Control.verdict, V.none);
}
