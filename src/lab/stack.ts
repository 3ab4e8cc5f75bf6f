/** Which functions of the kernel and of the race module a context is in: from the stack of the worker that runs it. */
import { pathToFileURL } from 'node:url';
import { builtFile } from './modules.js';

/** The library's own modules, as a stack names them. */
const LIBRARY_PATH = `${builtFile('src')}/`;
const LIBRARY_URL = pathToFileURL(LIBRARY_PATH).href;
/** Folders whose functions in snake_case are the kernel's. */
const KERNEL_FILES = /^(mm|arch|drivers|shared)\/|^cpu\/(irq|smp)\./;
/** Where the kernel dies, not where it went wrong; where checkers are told; and what makes `k.shared.counter` a load. */
const OTHER_FILES = /^arch\/\w+\/oops\.|^shared\/(bug|declared)\.|^mm\/(kasan|lockdep)\./;
const KERNEL_NAME = /^_{0,3}[a-z0-9]+(_[a-z0-9]+)*$/;
/** A race module that had to be bundled is in here. */
const BUNDLES = 'node_modules/.cache/murphy/';
const FRAMES_MAX = 40;

/** Does a frame belong to what a user calls the code: the kernel's functions, and the race module's? */
function belongs(name: string, file: string): boolean {
  const inside = file.startsWith(LIBRARY_URL)
    ? file.slice(LIBRARY_URL.length)
    : file.startsWith(LIBRARY_PATH)
      ? file.slice(LIBRARY_PATH.length)
      : null;
  if (inside !== null) return KERNEL_FILES.test(inside) && !OTHER_FILES.test(inside) && KERNEL_NAME.test(name);
  if (file.includes('/node_modules/')) return file.includes(BUNDLES);
  return file !== '' && !file.startsWith('node:') && !/\/(dist\/)?workers\/|native|<anonymous>/.test(file);
}

/** Lists of functions that a race has. V8 calls those without a name by their list, `race.threads`, but not all of them: the first goes without. */
const LISTS = /\.(threads|devices|shrinkers|ctors)$/;

/** A function's own name; empty for one that has none. @guess: as V8 has it, which may be `exports.name`. */
const ownName = (guess: string): string => (LISTS.test(guess) ? '' : guess.slice(guess.lastIndexOf('.') + 1));

/** Functions on the stack of an error, innermost first. @stack: `error.stack`. */
export function functionsOf(stack: string | undefined): string[] {
  const names: string[] = [];
  for (const line of (stack ?? '').split('\n')) {
    const frame = /^\s*at (?:async )?([\w$.]+)(?: \[as \w+\])? \((.*?):\d+:\d+\)$/.exec(line);
    const name = ownName(frame?.[1] ?? '');
    if (name !== '' && belongs(name, frame?.[2] as string)) names.push(name);
  }
  return names;
}

/** What a race's function without a name is called where there is no other. */
const NAMELESS = 'anonymous';

/** Functions that the caller is in, innermost first. */
export function callers(): string[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES_MAX;
  Error.prepareStackTrace = (_, sites) => sites;
  const sites = new Error('where').stack as unknown as NodeJS.CallSite[];
  if (prepareStackTrace === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace');
  else Error.prepareStackTrace = prepareStackTrace;
  Error.stackTraceLimit = stackTraceLimit;
  const names: string[] = [];
  let nameless = false;
  for (const site of sites) {
    const name = ownName(site.getFunctionName() ?? '');
    if (!belongs(name, site.getFileName() ?? '')) continue;
    if (name === '') nameless = true;
    else names.push(name);
  }
  return names.length === 0 && nameless ? [NAMELESS] : names;
}
