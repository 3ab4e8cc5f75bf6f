/**
 * `struct mutex`. Source: kernel/mutex.c, Linux 2.6.22, in its plainest form. Differs: no owner, no optimistic spinning; the lock passes to whoever
 * comes first after a wake-up.
 */
import { atomic_cmpxchg, atomic_xchg } from './atomic.js';
import { might_sleep } from './irqflags.js';
import type { KernelBase } from './kernel-base.js';
import { defineStruct } from './layout.js';
import { type Ptr, type Vaddr, vaddr } from './types.js';
import { init_waitqueue_head, type WaitQueueHead, wait_event, wake_up } from './wait.js';

/** count: 0 free, 1 held. */
export const struct_mutex = defineStruct('mutex', 16, { count: 0, wait: [4, 12] });
export type Mutex = Ptr<'mutex'>;

const countOf = (lock: Mutex): Vaddr => vaddr(lock + struct_mutex.count.offset);
const waitOf = (lock: Mutex): WaitQueueHead => vaddr(lock + struct_mutex.wait.offset) as WaitQueueHead;

export function mutex_init(k: KernelBase, lock: Mutex): void {
  k.store(countOf(lock), 0);
  init_waitqueue_head(k, waitOf(lock));
}

/** Context: any. Return: whether it was free. */
export function mutex_trylock(k: KernelBase, lock: Mutex): boolean {
  if (atomic_cmpxchg(k, countOf(lock), 0, 1) !== 0) return false;
  k.lockHeld(countOf(lock));
  return true;
}

/** Context: process, may sleep. */
export function mutex_lock(k: KernelBase, lock: Mutex): void {
  might_sleep(k);
  wait_event(k, waitOf(lock), () => mutex_trylock(k, lock));
}

/** Context: process; by whoever holds it. */
export function mutex_unlock(k: KernelBase, lock: Mutex): void {
  k.lockDropped(countOf(lock));
  atomic_xchg(k, countOf(lock), 0);
  wake_up(k, waitOf(lock));
}
