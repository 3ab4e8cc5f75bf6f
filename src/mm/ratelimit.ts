/** Not more than so many messages in a time. Source: lib/ratelimit.c, Linux 2.6.30. Differs: messages that were held back are not counted aloud. */

import { HZ, jiffies } from '../shared/jiffies.js';
import type { KernelBase, SymbolSpec } from '../shared/kernel-base.js';
import { defineStruct } from '../shared/layout.js';
import type { Ptr } from '../shared/types.js';

export const struct_ratelimit_state = defineStruct('ratelimit_state', 8, { begin: 0, printed: 4 });

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** Of "page allocation failure", and of the memory dump that follows it. */
    nopage_rs: Ptr<'ratelimit_state'>;
    show_mem_rs: Ptr<'ratelimit_state'>;
    /** Of printk_ratelimit(), which all its callers share. */
    printk_ratelimit_state: Ptr<'ratelimit_state'>;
  }
}

export const ratelimitSymbols: Record<string, SymbolSpec> = {
  nopage_rs: { bytes: 8, align: 4 },
  show_mem_rs: { bytes: 8, align: 4 },
  printk_ratelimit_state: { bytes: 8, align: 4 },
};

export const DEFAULT_RATELIMIT_INTERVAL = 5 * HZ;
export const DEFAULT_RATELIMIT_BURST = 10;

/** Return: may the message be printed? */
export function __ratelimit(k: KernelBase, rs: Ptr<'ratelimit_state'>, interval: number, burst: number): boolean {
  const now = jiffies(k);
  const begin = k.read(rs, struct_ratelimit_state.begin);
  if (begin === 0 || now - begin > interval) {
    k.write(rs, struct_ratelimit_state.begin, now);
    k.write(rs, struct_ratelimit_state.printed, 0);
  }
  const printed = k.read(rs, struct_ratelimit_state.printed);
  if (printed >= burst) return false;
  k.write(rs, struct_ratelimit_state.printed, printed + 1);
  return true;
}

/** __ratelimit() for messages that have no limit of their own. Source: kernel/printk.c, Linux 2.6.22, 2.6.30. */
export const printk_ratelimit = (k: KernelBase): boolean =>
  __ratelimit(k, k.sym.printk_ratelimit_state, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST);
