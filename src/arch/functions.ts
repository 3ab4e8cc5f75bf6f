/** Which kernel functions are being executed, from the host's stack: an oops has no return addresses to print. */
import type { Kernel } from '../cpu/kernel.js';
import { LINUX_4_4 } from '../shared/version.js';

const FRAMES = 24;
/** Functions of the oops itself. */
const PRINTING = ['show_regs', 'dump_backtrace', 'do_kernel_fault', 'parisc_terminate', 'dump_stack', 'backtrace'];
/** Static functions with one caller, which the compiler put into it: seed 001 returns from get_index() to prio_tree_next(). */
const INLINED = ['prio_tree_first', '__flush_dcache_aliases'];
/** The kernel's names of one word; others of one word are ours. */
const ONE_WORD =
  /^(vmalloc|vzalloc|vfree|vmap|vunmap|vread|vwrite|kmalloc|kzalloc|kfree|kvmalloc|kvzalloc|kvfree|kmap|kunmap|kswapd|schedule)$/;

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
    if (name === undefined) continue;
    if (!ONE_WORD.test(name) && !/^_*[a-z0-9]+(_[A-Za-z0-9]+)+$/.test(name)) continue;
    // A function that passes on to another of its name, an architecture's, is one.
    if (PRINTING.includes(name) || INLINED.includes(name) || names.at(-1) === name) continue;
    names.push(name);
  }
  return names.slice(0, FRAMES);
}

/** dump_stack_print_info(): from 3.x on a line in front says who it is. Source: lib/dump_stack.c, Linux 4.10. */
export function dump_stack_print_info(k: Kernel): void {
  if (k.LINUX_VERSION_CODE < LINUX_4_4) return;
  k.printk(`CPU: ${k.cpu} PID: ${k.slot} Comm: thread${k.slot} Not tainted ${k.config.kernel} #1`);
}
