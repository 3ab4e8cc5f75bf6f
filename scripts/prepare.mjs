/**
 * Makes a checkout ready to run: installs what package-lock.json names, and builds `dist/`. Does nothing when both are
 * up to date, and nothing at all in an installed package, which carries `dist/` and no sources.
 *
 * Runs before anything is installed, so it imports Node's own modules only. Speaks on standard error.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

const at = (...parts) => join(ROOT, ...parts);
const SOURCE_FOLDERS = ['src', 'workers', 'experiments', 'stress', 'examples', 'bench'];
const SOURCE_FILES = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/compile.mjs',
];
const INSTALL_STAMP = at('node_modules', '.murphy-installed');
const BUILD_STAMP = at('dist', '.murphy-built');
const BUILD_INFO = at('dist', '.tsbuildinfo');
const MAIN = at('dist', 'src', 'cli', 'main.js');
const LOCK = at('.cache', 'prepare.lock');

/** The holder of the lock touches it this often; after `LOCK_STALE_MS` without a touch it is taken for dead. */
const LOCK_TOUCH_MS = 2_000;
const LOCK_STALE_MS = 20_000;

/** Cause and mend in one line. */
export class PrepareError extends Error {}

const say = (text) => process.stderr.write(`murphy: ${text}\n`);

/** Install and build what is missing; on failure say why in one line and exit 2. */
export async function ensureReady() {
  try {
    await prepare();
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error;
    say(error.message);
    process.exit(2);
  }
}

/** As `ensureReady()`, but throws PrepareError. */
export async function prepare() {
  if (!existsSync(at('src'))) {
    if (!existsSync(MAIN)) throw new PrepareError('this package has neither sources nor dist/; install it again');
    return;
  }
  if (isInstalled() && isBuilt(sourceHash())) return;
  await withLock(async () => {
    if (!isInstalled()) await install();
    const hash = sourceHash();
    if (!isBuilt(hash)) await build(hash);
  });
}

// --- installing

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(at('package-lock.json')))
    .digest('hex');
}

function isInstalled() {
  if (!existsSync(at('node_modules'))) return false;
  const hash = lockHash();
  if (readText(INSTALL_STAMP) === hash) return true;
  if (!npmInstalledTheSame()) return false;
  writeFileSync(INSTALL_STAMP, hash);
  return true;
}

/** Did somebody run npm by hand? It leaves a list of what it installed, which must name every version of the lock. */
function npmInstalledTheSame() {
  const installed = readText(at('node_modules', '.package-lock.json'));
  if (installed === null) return false;
  try {
    const there = JSON.parse(installed).packages;
    const wanted = Object.entries(JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages);
    return wanted.every(([path, entry]) => {
      if (path === '') return true;
      const found = there[path];
      return found === undefined ? entry.optional === true : found.version === entry.version;
    });
  } catch {
    return false;
  }
}

async function install() {
  say('installing dependencies (npm ci; once per checkout, about a minute) ...');
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env.npm_execpath;
  const viaNode = npm !== undefined && /^npm-cli\.c?js$/.test(basename(npm));
  const { code, output } = viaNode
    ? await runTool(process.execPath, [npm, ...args])
    : await runTool('npm', args, { shell: process.platform === 'win32' });
  if (code !== 0) {
    const cause = output.split('\n').filter((line) => /^npm (error|ERR!) (?!code|A complete log)/.test(line))[0];
    const why = cause?.replace(/^npm (error|ERR!) /, '') ?? output.trim().split('\n').pop() ?? '';
    throw new PrepareError(`npm ci failed (${why.trim() || `exit status ${code}`}); run "npm ci" by hand to see more`);
  }
  writeFileSync(INSTALL_STAMP, lockHash());
}

// --- building

function sourceHash() {
  const hash = createHash('sha256');
  for (const file of [...SOURCE_FILES.map((name) => at(name)), ...SOURCE_FOLDERS.flatMap((dir) => sources(at(dir)))]) {
    hash.update(`${file.slice(ROOT.length)}\0`);
    hash.update(readFileSync(file));
  }
  return hash.digest('hex');
}

function sources(dir) {
  if (!existsSync(dir)) return [];
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function isBuilt(hash) {
  return readText(BUILD_STAMP) === hash && existsSync(MAIN);
}

async function build(hash) {
  say('building ...');
  dropOrphans();
  // An incremental compiler trusts its notes, not the folder: without its output the notes are worthless.
  if (missingOutput().length > 0) rmSync(BUILD_INFO, { force: true });
  const pretty = process.stderr.isTTY ? 'true' : 'false';
  const { code, output } = await runTool(process.execPath, [at('scripts', 'compile.mjs'), '--pretty', pretty]);
  if (code !== 0) {
    process.stderr.write(output.endsWith('\n') ? output : `${output}\n`);
    throw new PrepareError('the sources do not compile; mend the errors above and run again');
  }
  writeFileSync(BUILD_STAMP, hash);
}

/** Remove the output of sources that are gone: an experiment that was deleted must not be listed. */
function dropOrphans() {
  for (const folder of SOURCE_FOLDERS) {
    if (!existsSync(at('dist', folder))) continue;
    for (const entry of readdirSync(at('dist', folder), { withFileTypes: true, recursive: true })) {
      const match = /^(.*?)(\.d\.ts|\.js|\.js\.map)$/.exec(entry.name);
      if (!entry.isFile() || match === null) continue;
      const inDist = entry.parentPath ?? entry.path;
      const source = join(ROOT, inDist.slice(at('dist').length), `${match[1]}.ts`);
      if (!existsSync(source)) rmSync(join(inDist, entry.name), { force: true });
    }
  }
}

function missingOutput() {
  return SOURCE_FOLDERS.flatMap((dir) => sources(at(dir)))
    .filter((file) => !file.endsWith('.d.ts'))
    .filter((file) => !existsSync(at('dist', file.slice(ROOT.length).replace(/\.ts$/, '.js'))));
}

// --- one at a time

/** Run @work while no other process of this checkout prepares it. */
async function withLock(work) {
  const token = `${hostname()} ${process.pid} ${Date.now()}`;
  mkdirSync(dirname(LOCK), { recursive: true });
  for (let waited = false; !takeLock(token); waited = true) {
    if (!waited) say('waiting for another process that is installing or building ...');
    await sleep(100);
  }
  const touch = setInterval(() => {
    try {
      utimesSync(LOCK, new Date(), new Date());
    } catch {
      // Taken for stale, or cleaned away: nothing to keep alive.
    }
  }, LOCK_TOUCH_MS);
  touch.unref();
  try {
    await work();
  } finally {
    clearInterval(touch);
    if (readText(join(LOCK, 'owner')) === token) rmSync(LOCK, { recursive: true, force: true });
  }
}

function takeLock(token) {
  try {
    mkdirSync(LOCK);
    writeFileSync(join(LOCK, 'owner'), token);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST' && error.code !== 'ENOENT')
      throw new PrepareError(`cannot write .cache: ${error.message}`);
  }
  const owner = readText(join(LOCK, 'owner'));
  if (lockIsStale(owner)) breakLock(owner);
  return false;
}

function lockIsStale(owner) {
  const age = ageMs(LOCK);
  if (age === null) return false;
  if (age > LOCK_STALE_MS) return true;
  const [host, pid] = (owner ?? '').split(' ');
  if (host !== hostname() || !(Number(pid) > 0)) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

/** Two waiters may both find the lock stale: the second must not break the one that the first has taken meanwhile. */
function breakLock(owner) {
  const aside = `${LOCK}.stale-${process.pid}`;
  try {
    renameSync(LOCK, aside);
    if (readText(join(aside, 'owner')) !== owner) renameSync(aside, LOCK);
    else rmSync(aside, { recursive: true, force: true });
  } catch {
    // Somebody else was faster.
  }
}

// --- small helpers

function ageMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return null;
  }
}

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function runTool(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    const keep = (chunk) => {
      output += chunk;
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error) => resolve({ code: 127, output: error.message }));
    child.on('close', (code, signal) => resolve({ code: code ?? 1, output: signal ? `${output}\n${signal}` : output }));
  });
}
