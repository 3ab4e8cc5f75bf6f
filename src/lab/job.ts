/** What the main thread sends to a worker for a run. Structured-clonable; the shared areas go by reference. */
import type { MachineConfig } from '../cpu/config.js';
import type { Buffers } from '../cpu/kernel.js';
import type { PlacedThread } from './configure.js';
import type { EventRings } from './event-ring.js';
import type { Outcome } from './types.js';

export interface Job {
  readonly config: MachineConfig;
  readonly buffers: Buffers;
  /** URL of the race module. */
  readonly module: string;
  readonly threads: readonly PlacedThread[];
  /** Thread slot of a CPU worker, number of a device. */
  readonly slot: number;
  readonly cpu: number;
  /** Device workers that take part. */
  readonly devices: number;
  /** All who meet at the barriers. */
  readonly participants: number;
  readonly seconds: number;
  /** Seconds that a run may take while a failure that the race claims has not been seen. */
  readonly patienceSeconds: number;
  readonly executions: number;
  readonly stopAtFailure: boolean;
  /** Outcomes that the race claims for this configuration. */
  readonly claimed: readonly Outcome[];
  /** What the case has every execution say. */
  readonly says: readonly string[];
  /** What the case knows that checkers report. */
  readonly reports: readonly string[];
  /** Host time of boot, milliseconds since the epoch: zero of the machine's clock. */
  readonly bootTime: number;
  /** Word offset of the race's shared variables. */
  readonly raceVars: number;
  /** Parallel mode: whether what happens is recorded. */
  readonly events: EventRings | null;
}
