/** Which kernel functions are being executed, from the host's stack: an oops has no return addresses to print. */

const FRAMES = 24;
/** Functions of the oops itself. */
const PRINTING = ['show_regs', 'dump_backtrace', 'do_kernel_fault', 'parisc_terminate'];

/** Kernel names are in snake case, ours are not; frames of the laboratory end the list. */
export function kernelFunctions(): string[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 60;
  const lines = (new Error('here').stack ?? '').split('\n').slice(1);
  Error.stackTraceLimit = limit;
  const names: string[] = [];
  for (const line of lines) {
    if (/[/\\](lab|explore)[/\\]/.test(line)) break;
    const name = /^\s*at (?:Object\.|Module\.)?([\w$]+)(?: \[as [\w$]+\])? \(/.exec(line)?.[1];
    if (name === undefined || !/^_*[a-z0-9]+(_[A-Za-z0-9]+)+$/.test(name)) continue;
    // A function that passes on to another of its name, an architecture's, is one.
    if (PRINTING.includes(name) || names.at(-1) === name) continue;
    names.push(name);
  }
  return names.slice(0, FRAMES);
}
