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

/**
 * A function's own name; empty for one that has none. @guess: as V8 has it, which for a function without a name is what stands around it in
 * the source, `race.threads` or `two.shared.data`; one that is exported has `exports.name`.
 */
const ownName = (guess: string): string => /^(?:(?:module\.)?exports\.)?([^.]+)$/.exec(guess)?.[1] ?? '';

/** Name a function that has none: stacks call it so. @name: of the context that it is the whole of. */
export function named<F extends (...args: never[]) => unknown>(fn: F, name: string): F {
  if (fn.name === '') Reflect.defineProperty(fn, 'name', { value: name, configurable: true });
  return fn;
}

/** What @act returns while V8 gives the places on a stack instead of a text about them: that has names from source maps, which are often others'. */
function raw<T>(act: () => T): T {
  const { prepareStackTrace } = Error;
  Error.prepareStackTrace = (_, sites) => sites;
  try {
    return act();
  } finally {
    if (prepareStackTrace === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace');
    else Error.prepareStackTrace = prepareStackTrace;
  }
}

/** The frames of a text, of an error that has been asked for it before: node's own assertions have. */
function framesOf(text: string): { name: string; file: string }[] {
  return text.split('\n').flatMap((line) => {
    const [, name, file] =
      /^\s*at (?:async )?(?:[A-Z]\w*\.)?([\w$.]+)(?: \[as \w+\])? \((.*?):\d+:\d+\)$/.exec(line) ?? [];
    return name === undefined || file === undefined ? [] : [{ name: ownName(name), file }];
  });
}

/** Functions on the stack of an error, innermost first. Its `stack` is no text any more afterwards. */
export function functionsOf(error: Error): string[] {
  const stack = raw(() => error.stack as string | NodeJS.CallSite[] | undefined) ?? '';
  const frames =
    typeof stack === 'string'
      ? framesOf(stack)
      : stack.map((site) => ({ name: ownName(site.getFunctionName() ?? ''), file: site.getFileName() ?? '' }));
  return frames.filter(({ name, file }) => name !== '' && belongs(name, file)).map(({ name }) => name);
}

/** What a race's function without a name is called where there is no other. */
const NAMELESS = 'anonymous';

/** Functions that the caller is in, innermost first. */
export function callers(): string[] {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES_MAX;
  const sites = raw(() => new Error('where').stack as unknown as NodeJS.CallSite[]);
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
