/**
 * Where an execution left the one that was recorded. A replay file has one byte for each step, a hash of what the step does; two different steps have the
 * same byte once in 256 times, and then one of the next differs.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { type Point, pointName } from '../shared/point.js';
import { hex8 } from '../shared/types.js';
import { choiceName, STEP_WORDS } from './shared-state.js';

/** Where, and in words what happened there instead of the recorded step. */
export interface Divergence {
  readonly step: number;
  readonly text: string;
}

/** What makes a race go another way at the same choices. */
export const SAME_EACH_TIME = 'keep Math.random(), Date and variables that outlive an execution out of it';

const byteOf = (trace: Int32Array, step: number): number => {
  let hash = 0x811c9dc5;
  for (let word = 0; word < STEP_WORDS; word++) {
    hash = Math.imul(hash ^ (trace[step * STEP_WORDS + word] as number), 0x01000193);
    hash ^= hash >>> 15;
  }
  return (hash ^ (hash >>> 8)) & 0xff;
};

const bytesOf = (trace: Int32Array): Uint8Array =>
  Uint8Array.from({ length: trace.length / STEP_WORDS }, (_, step) => byteOf(trace, step));

/** The steps, as a replay file keeps them. */
export const stepsText = (trace: Int32Array): string => deflateRawSync(bytesOf(trace)).toString('base64');

/** What stepsText() has written, or null when it is something else. @count: of steps. */
function stepsOf(text: string, count: number): Uint8Array | null {
  try {
    const bytes = inflateRawSync(Buffer.from(text, 'base64'), { maxOutputLength: count + 1 });
    return bytes.length === count ? bytes : null;
  } catch {
    return null;
  }
}

/** @text: of the recorded steps, @count of them; @trace: of what happened now. Null when they are the same, or nothing is known of the recorded ones. */
export function divergenceOf(text: string, count: number, trace: Int32Array): Divergence | null {
  const recorded = stepsOf(text, count);
  if (recorded === null) return null;
  const now = bytesOf(trace);
  const both = Math.min(count, now.length);
  let step = 0;
  while (step < both && recorded[step] === now[step]) step++;
  if (step === count && step === now.length) return null;
  return {
    step,
    text: step === now.length ? `it ends there, and ${count} steps were recorded` : stepNow(trace, step, count),
  };
}

function stepNow(trace: Int32Array, step: number, count: number): string {
  const [choice = 0, kind = 0, addr = 0] = trace.subarray(step * STEP_WORDS);
  const does = `${choiceName(choice)} does ${pointName(kind as Point)} ${hex8(addr)}`;
  return step === count ? `${does}, and the recorded execution has ended` : `${does}, which is not what was recorded`;
}
