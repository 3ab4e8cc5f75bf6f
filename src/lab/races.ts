/** The race detector of a machine, as its configuration asks for it. */

import { DeviceRaces, Races, type RaceWatch } from '../check/races/races.js';
import type { RaceHost } from '../check/races/report.js';
import { Watchpoints } from '../check/races/watchpoints.js';
import { checksOf, type MachineConfig } from '../cpu/config.js';
import type { Kernel } from '../cpu/kernel.js';
import { isKnown } from './claims.js';
import { callers } from './stack.js';

const watches = (config: MachineConfig): boolean => checksOf(config.check).includes('races');

/** Null when the machine has none. @controlled: does one thread run at a time, or all at once? @reports: those that the case knows. */
export function racesOf(k: Kernel, controlled: boolean, reports: readonly string[]): RaceWatch | null {
  if (!watches(k.config)) return null;
  const options = { stack: callers, isKnown: (headline: string) => isKnown(reports, 'races', headline) };
  return controlled ? new Races(k, options) : new Watchpoints(k, options);
}

export function deviceRacesOf(host: RaceHost, index: number, reports: readonly string[]): DeviceRaces | null {
  const known = (headline: string): boolean => isKnown(reports, 'races', headline);
  return watches(host.config) ? new DeviceRaces(host, index, { stack: callers, isKnown: known }) : null;
}
