import { isAbsolute } from 'node:path';

/** Is the name of a race the path of its module, and no experiment's? */
export const isPath = (race: string): boolean =>
  /^\.|\.[cm]?[jt]s(#[a-z0-9-]+)?$/.test(race) || race.includes('\\') || isAbsolute(race);
