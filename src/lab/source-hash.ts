/** Has what was recorded changed since? Hashes of a race module with what it imports, and of the model itself. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { builtFile } from './modules.js';

const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*['"](\.[^'"]+)['"]/g;
const SOURCE_MAP = /^\/\/# sourceMappingURL=.*$/gm;
/** What a bundle says of the names of the files that it was made of. */
const PART = /^\/\/ .+\.[cm]?[jt]s$/gm;
const DEFAULT = /^ {2}(\w+_default) as default,?$/m;

/** Code without what differs from one checkout of the library to another, or with the name of its file. */
const portable = (code: string): string =>
  unnamed(code)
    .replace(SOURCE_MAP, '')
    .replaceAll(pathToFileURL(builtFile('src', 'index.js')).href, '#murphy')
    .trimEnd();

function unnamed(code: string): string {
  const name = DEFAULT.exec(code)?.[1];
  const parts = code.replace(PART, '//');
  return name === undefined ? parts : parts.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), 'default_');
}

/** The module and the modules that it imports by relative path, the library aside; each once. */
function filesOf(file: string, seen: Set<string>): Set<string> {
  if (seen.has(file) || !existsSync(file) || !relative(builtFile('src'), file).startsWith('..')) return seen;
  seen.add(file);
  if (!/\.[cm]?js$/.test(file)) return seen;
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
    filesOf(resolve(dirname(file), specifier as string), seen);
  }
  return seen;
}

/** Hash of a race: the module at @url, bundled or not, with its local imports. */
export function sourceHash(url: string): string {
  const file = fileURLToPath(url);
  const hash = createHash('sha256');
  for (const part of filesOf(file, new Set())) hash.update(`${portable(readFileSync(part, 'utf8'))}\0`);
  return hash.digest('hex').slice(0, 16);
}

const hashes = new Map<string, string>();

/** Hash of the code in folders of the library. */
function folderHash(...names: string[]): string {
  const before = hashes.get(names.join());
  if (before !== undefined) return before;
  const hash = createHash('sha256');
  for (const folder of names.map((name) => builtFile('src', name)).filter((path) => existsSync(path))) {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.js'));
    for (const file of files.sort()) hash.update(`${file}\0${portable(readFileSync(join(folder, file), 'utf8'))}\0`);
  }
  const digest = hash.digest('hex').slice(0, 16);
  hashes.set(names.join(), digest);
  return digest;
}

/** Hash of the emulated hardware and the kernel code: another one may run a schedule differently. */
export const modelHash = (): string => folderHash('shared', 'cpu', 'arch', 'mm', 'drivers');

/** Hash of what runs a race and searches its schedules: another one may search in another order. */
export const explorerHash = (): string => folderHash('lab', 'explore');
