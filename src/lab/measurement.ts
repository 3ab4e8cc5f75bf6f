/**
 * Measurements: what a row of the specification asks to be shown as a table and a plot, where an experiment would only say yes or no.
 *
 * Most are races that take samples while they run (samples.ts). Those here count something that no race sees, over machines of many sizes.
 */
import { IRQS_OFF } from './measure/irqs-off.js';

/** A plot, without how it is drawn: `report/plot.ts` does that. */
export interface Plot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

export interface Axis {
  readonly label: string;
  /** Powers of ten, or of two, instead of equal steps. Values of 0 get a place of their own below the lowest power. */
  readonly scale?: 'linear' | 'log10' | 'log2';
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** What is shown of a measurement, of whichever kind. */
export interface Figures {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  readonly plot: Plot;
}

export interface Measurement {
  readonly id: string;
  readonly title: string;
  /** The thread or source that it stems from. */
  readonly source: string;
  /** Rows of the specification that it shows. */
  readonly spec: readonly string[];
  /** Boots the machines that it needs in this thread. @most: the largest size, for a quicker look. Deterministic. */
  measure(most?: number): Figures;
}

export const MEASUREMENTS: readonly Measurement[] = [IRQS_OFF];

/** By id or row of a specification. */
export const findMeasurement = (name: string): Measurement | undefined =>
  MEASUREMENTS.find((m) => m.id === name || m.spec.includes(name));
