/** The race detector of a machine, as its configuration asks for it. */

import { DeviceRaces, Races, type RaceWatch } from '../check/races/races.js';
import type { RaceHost } from '../check/races/report.js';
import { Watchpoints } from '../check/races/watchpoints.js';
import { checksOf, type MachineConfig } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import { callers } from './stack.js';

const watches = (config: MachineConfig): boolean => checksOf(config.check).includes('races');

/** Null when the machine has none. @controlled: does one thread run at a time, or all at once? */
export function racesOf(k: Kernel, controlled: boolean): RaceWatch | null {
  if (!watches(k.config)) return null;
  return controlled ? new Races(k, { stack: callers }) : new Watchpoints(k, { stack: callers });
}

export function deviceRacesOf(host: RaceHost, index: number): DeviceRaces | null {
  return watches(host.config) ? new DeviceRaces(host, index, { stack: callers }) : null;
}
