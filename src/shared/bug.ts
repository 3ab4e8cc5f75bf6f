/** Assertions of kernel code, as include/asm-generic/bug.h. Numbers are arguments: a template on the passing path costs 60 ns. */
import { KernelBug } from './errors.js';
import type { KernelBase } from './kernel-base.js';
import { hex8 } from './types.js';

/** The kernel dies if @condition holds. The locks it holds stay held. */
export function BUG_ON(k: KernelBase, condition: boolean, what: string, addr = 0): void {
  if (condition) BUG(k, what, addr);
}

export function BUG(k: KernelBase, what: string, addr = 0): never {
  k.printk(`kernel BUG at ${what}! (${hex8(addr)})`);
  throw new KernelBug('bug', what, addr);
}

/** A dmesg record; the run goes on. Returns the condition, as in C. */
export function WARN_ON(k: KernelBase, condition: boolean, what: string): boolean {
  if (condition) {
    k.printk('------------[ cut here ]------------');
    k.printk(`WARNING: at ${what}`);
  }
  return condition;
}
