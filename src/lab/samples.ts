/**
 * What a race measures: points of a curve, taken while it runs and shown as a table and a plot. They are no part of the machine: taking one is no step,
 * and nobody can read them back.
 */
import { type HwLayout, SAMPLE_WORDS, SAMPLES_MAX } from '../cpu/hw.js';
import type { Kernel } from '../cpu/kernel.js';
import { UsageError } from '../shared/errors.js';

/** What is measured against what, in words with their unit: `{ x: 'MB allocated', y: 'free pages', series: ['Normal', 'HighMem'] }`. */
export interface Measures {
  readonly x: string;
  readonly y: string;
  /** Names of the curves, at most seven. */
  readonly series: readonly string[];
  /** 'log10' where the curves differ by powers of ten. */
  readonly yScale?: 'linear' | 'log10';
}

/** The curves of the last execution: each point is x and a value for each series. */
export interface Measured extends Measures {
  readonly points: readonly (readonly number[])[];
}

export const SERIES_MAX = SAMPLE_WORDS - 1;

/** Take a point. Whole numbers below 2^32. Points beyond the 256th are dropped. */
export function sample(k: Kernel, x: number, ...values: readonly number[]): void {
  if (values.length > SERIES_MAX) throw new UsageError(`sample() takes ${SERIES_MAX} values, not ${values.length}`);
  const { samples } = k.layout;
  const at = Atomics.add(k.hw, samples, 1);
  if (at >= SAMPLES_MAX) return;
  const words = samples + 1 + at * SAMPLE_WORDS;
  [x, ...values].forEach((value, i) => {
    k.hw[words + i] = value;
  });
}

/** What the last execution has measured; undefined where the race measures nothing. */
export function readSamples(hw: Int32Array, layout: HwLayout, measures: Measures | undefined): Measured | undefined {
  if (measures === undefined) return undefined;
  const count = Math.min(Atomics.load(hw, layout.samples), SAMPLES_MAX);
  const points = Array.from({ length: count }, (_, i) => {
    const words = layout.samples + 1 + i * SAMPLE_WORDS;
    return Array.from(hw.subarray(words, words + 1 + measures.series.length), (value) => value >>> 0);
  });
  return { ...measures, points };
}
