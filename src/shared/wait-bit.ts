/**
 * Locks that are a bit of a word. Source: include/linux/wait_bit.h (before 4.13 wait.h), kernel/sched/wait.c, Linux 4.12. Differs: one queue for all bits,
 * where the kernel has a hash table of them.
 */
import { clear_bit, test_and_set_bit, test_bit } from './atomic.js';
import { might_sleep } from './irqflags.js';
import type { KernelBase, SymbolSpec } from './kernel-base.js';
import type { Vaddr } from './types.js';
import { init_waitqueue_head, struct_wait_queue_head, type WaitQueueHead, wait_event, wake_up_all } from './wait.js';

declare module './kernel-base.js' {
  interface Symbols {
    bit_wait_table: WaitQueueHead;
  }
}

export const waitBitSymbols: Record<string, SymbolSpec> = {
  bit_wait_table: { bytes: struct_wait_queue_head.sizeof, align: 16 },
};

/** Boot. */
export function wait_bit_init(k: KernelBase): void {
  init_waitqueue_head(k, k.sym.bit_wait_table);
}

/** Set the bit, which is the lock; while it is set, sleep. Context: process, may sleep. */
export function wait_on_bit_lock(k: KernelBase, word: Vaddr, bit: number): void {
  might_sleep(k, 'include/linux/wait.h:0');
  while (test_and_set_bit(k, bit, word)) {
    k.sleepsOn(word);
    wait_event(k, k.sym.bit_wait_table, () => !test_bit(k, bit, word));
    k.sleepsOn(0);
  }
  k.lockHeld(word);
}

/** Context: any. */
export function clear_and_wake_up_bit(k: KernelBase, bit: number, word: Vaddr): void {
  k.lockDropped(word);
  clear_bit(k, bit, word);
  wake_up_all(k, k.sym.bit_wait_table);
}
