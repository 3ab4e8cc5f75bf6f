/** The built library without the places that ask whether a checker watches: what those cost while none does. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { builtFile } from '../src/lab/modules.js';

const WATCH = '\\b(?:this|k)\\.(?:lockWatch|spinlockWatch|memoryWatch|dmaWatch|hangWatch|contextWatch)';
/** As if each were known to be null. */
const KNOWN: readonly [RegExp, string][] = [
  [new RegExp(`${WATCH} !== null`, 'g'), 'false'],
  [new RegExp(`${WATCH} === null`, 'g'), 'true'],
  [new RegExp(`${WATCH}\\?\\.`, 'g'), 'null?.'],
];

/** Make the copy. Return: path of a file of it, and how many places were taken out. */
export function unwatched(file: string): { path: string; places: number } {
  const folder = join(builtFile('bench'), '..', 'unwatched');
  rmSync(folder, { recursive: true, force: true });
  for (const part of ['src', 'bench']) cpSync(builtFile(part), join(folder, part), { recursive: true });
  let places = 0;
  for (const name of readdirSync(join(folder, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (extname(name) === '.js') places += takeOut(join(folder, 'src', name));
  }
  return { path: join(folder, 'bench', file), places };
}

function takeOut(path: string): number {
  const text = readFileSync(path, 'utf8');
  let places = 0;
  let changed = text;
  for (const [pattern, value] of KNOWN) {
    changed = changed.replace(pattern, () => {
      places++;
      return value;
    });
  }
  if (places > 0) writeFileSync(path, changed);
  return places;
}

export function removeUnwatched(): void {
  rmSync(join(builtFile('bench'), '..', 'unwatched'), { recursive: true, force: true });
}
