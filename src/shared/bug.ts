/** Assertions of kernel code, as include/asm-generic/bug.h. Numbers are arguments: a template on the passing path costs 60 ns. */
import { KernelBug } from './errors.js';
import type { KernelBase, SymbolSpec } from './kernel-base.js';
import { hex8, type Vaddr, vaddr } from './types.js';
import { KERNEL_VERSION } from './version.js';

declare module './kernel-base.js' {
  interface Symbols {
    /** A bit for each WARN_ON_ONCE() that has warned, by the hash of its text. */
    warned_once: Vaddr;
  }
}

export const bugSymbols: Record<string, SymbolSpec> = { warned_once: { bytes: 64, align: 4 } };

/** The kernel dies if @condition holds. The locks it holds stay held. */
export function BUG_ON(k: KernelBase, condition: boolean, what: string, addr = 0): void {
  if (condition) BUG(k, what, addr);
}

export function BUG(k: KernelBase, what: string, addr = 0): never {
  k.printk(`kernel BUG at ${what}! (${hex8(addr)})`);
  throw new KernelBug('bug', what, addr);
}

/**
 * A dmesg record; the run goes on. Returns the condition, as in C.
 *
 * Source: include/asm-generic/bug.h, Linux 2.6.22; kernel/panic.c, Linux 2.6.28 (the cut), 4.12 (CPU and task). Differs: no line number.
 */
export function WARN_ON(k: KernelBase, condition: boolean, what: string): boolean {
  if (condition) {
    const version = k.LINUX_VERSION_CODE;
    if (version >= WARN_CUTS) k.printk('------------[ cut here ]------------');
    k.printk(version >= WARN_NAMES_CPU ? `WARNING: CPU: ${k.cpu} PID: ${k.slot} at ${what}` : `WARNING: at ${what}`);
  }
  return condition;
}

const WARN_CUTS = KERNEL_VERSION(2, 6, 26);
const WARN_NAMES_CPU = KERNEL_VERSION(3, 12, 0);

/** WARN_ON() with a text, which follows its line; before there was a WARN() the text was printed first. Source: as WARN_ON(); from 2.6.27 on. */
export function WARN(k: KernelBase, what: string, text: string): void {
  const old = k.LINUX_VERSION_CODE < KERNEL_VERSION(2, 6, 27);
  if (old) k.printk(text);
  WARN_ON(k, true, what);
  if (!old) k.printk(text);
}

const hash = (text: string): number => {
  let h = 0;
  for (let i = 0; i < text.length; i++) h = (Math.imul(h, 31) + text.charCodeAt(i)) | 0;
  return h & 511;
};

/** Has nothing been said of this site yet? Differs: sites are told apart by the hash of @what. */
function firstTime(k: KernelBase, what: string): boolean {
  const bit = hash(what);
  const word = vaddr(k.sym.warned_once + (bit >>> 5) * 4);
  const old = k.load(word);
  if ((old & (1 << (bit & 31))) !== 0) return false;
  k.store(word, old | (1 << (bit & 31)));
  return true;
}

/** A WARN_ON() whose second time says nothing. Returns the condition. */
export function WARN_ON_ONCE(k: KernelBase, condition: boolean, what: string): boolean {
  if (condition && firstTime(k, what)) WARN_ON(k, true, what);
  return condition;
}

/** A WARN() whose second time says nothing. Return: whether it was the first. */
export function WARN_ONCE(k: KernelBase, what: string, text: string): boolean {
  const first = firstTime(k, what);
  if (first) WARN(k, what, text);
  return first;
}

/** The kernel stops for good. */
export function panic(k: KernelBase, what: string): never {
  k.printk(`Kernel panic - not syncing: ${what}`);
  throw new KernelBug('bug', what, 0);
}
