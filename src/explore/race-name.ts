/** How a file, or another thread, names a race that explore() was given. */
import { resolve } from 'node:path';
import { moduleOf, type RaceSpec } from '../lab/race.js';
import { isPath } from '../lab/race-path.js';
import { UsageError } from '../shared/errors.js';

export function raceName(race: string | RaceSpec): string {
  if (typeof race === 'string') return isPath(race) ? resolve(race) : race;
  const file = moduleOf(race);
  if (file === null) throw new UsageError(`race "${race.id}" was not made by race(), so no file can name it`);
  return `${file}#${race.id}`;
}
