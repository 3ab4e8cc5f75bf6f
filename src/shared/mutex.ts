/**
 * A lock that its waiters sleep on. Source: kernel/mutex.c, include/linux/mutex.h, Linux 2.6.22, the slow path for all; before there were
 * mutexes, a semaphore that starts at 1. A waiter's entry is its task's wait entry, so it waits for one thing at a time.
 */
import { How } from './access.js';
import { atomic_cmpxchg, atomic_read, atomic_xchg } from './atomic.js';
import { might_sleep } from './irqflags.js';
import type { KernelBase } from './kernel-base.js';
import { defineStruct } from './layout.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add_tail,
  list_del,
  list_empty,
  list_next,
  list_of,
} from './list.js';
import { lock_acquired, lock_contended } from './lockstat.js';
import { type SpinLock, spin_lock, spin_lock_init, spin_unlock } from './spinlock.js';
import { type Ptr, ptr, type Vaddr, vaddr } from './types.js';
import { LINUX_3_13 } from './version.js';
import { __set_current_state, struct_task_struct, TASK_RUNNING, TASK_UNINTERRUPTIBLE } from './wait.js';
import { WaitType } from './wait-type.js';

/** 1: free, 0: held, negative: held, and somebody may wait. */
export const struct_mutex = defineStruct('mutex', 16, { count: 0, wait_lock: 4, wait_list: [8, 8] });
export const struct_mutex_waiter = defineStruct('mutex_waiter', 12, { list: [0, 8], task: 8 });

export type Mutex = Ptr<'mutex'>;
type Waiter = Ptr<'mutex_waiter'>;

const countOf = (lock: Mutex): Vaddr => vaddr(lock + struct_mutex.count.offset);
const waitLockOf = (lock: Mutex): SpinLock => ptr<'spinlock'>(lock + struct_mutex.wait_lock.offset);
const waitListOf = (lock: Mutex): List => list_of(lock, struct_mutex.wait_list.offset);

export function mutex_init(k: KernelBase, lock: Mutex, name?: string): void {
  if (k.lockWatch !== null) k.lockWatch.init(lock, name, undefined, WaitType.sleep);
  k.storeAs(countOf(lock), 1, How.marked);
  spin_lock_init(k, waitLockOf(lock), '&lock->wait_lock');
  INIT_LIST_HEAD(k, waitListOf(lock));
}

/** Is it held, by whomever? */
export const mutex_is_locked = (k: KernelBase, lock: Mutex): boolean => atomic_read(k, countOf(lock)) !== 1;

/** Context: process. Return: whether the lock was free, and is the caller's now. */
export function mutex_trylock(k: KernelBase, lock: Mutex): boolean {
  const got = fastLock(k, lock);
  if (got && k.lockWatch !== null) {
    k.lockWatch.acquire(lock, 0, true);
    lock_acquired(k, lock);
  }
  return got;
}

function fastLock(k: KernelBase, lock: Mutex): boolean {
  if (atomic_cmpxchg(k, countOf(lock), 1, 0) !== 1) return false;
  k.lockHeld(lock);
  return true;
}

/** Where mutex_lock() is, for complaints of its context. */
export const mutexFile = (k: KernelBase): string =>
  k.LINUX_VERSION_CODE < LINUX_3_13 ? 'kernel/mutex.c:0' : 'kernel/locking/mutex.c:0';

/** Context: process, may sleep. Who holds it already waits for itself. */
export function mutex_lock(k: KernelBase, lock: Mutex): void {
  might_sleep(k, mutexFile(k));
  if (k.lockWatch !== null) k.lockWatch.acquire(lock, 0, false);
  if (fastLock(k, lock)) {
    lock_acquired(k, lock);
    return;
  }
  lock_contended(k, lock);
  spin_lock(k, waitLockOf(lock));
  const waiter = ptr<'mutex_waiter'>(k.current + struct_task_struct.wait.offset) as Waiter;
  k.write(waiter, struct_mutex_waiter.task, k.current);
  list_add_tail(k, list_of(waiter, 0), waitListOf(lock));
  while (atomic_xchg(k, countOf(lock), -1) !== 1) {
    __set_current_state(k, TASK_UNINTERRUPTIBLE);
    spin_unlock(k, waitLockOf(lock));
    k.sleepsOn(lock);
    k.schedule();
    k.sleepsOn(0);
    spin_lock(k, waitLockOf(lock));
  }
  __set_current_state(k, TASK_RUNNING);
  list_del(k, list_of(waiter, 0));
  if (list_empty(k, waitListOf(lock))) k.storeAs(countOf(lock), 0, How.marked);
  k.lockHeld(lock);
  lock_acquired(k, lock);
  spin_unlock(k, waitLockOf(lock));
}

/** Context: process. The first waiter is woken; whoever comes first gets the lock. */
export function mutex_unlock(k: KernelBase, lock: Mutex): void {
  if (k.lockWatch !== null) k.lockWatch.release(lock);
  k.lockDropped(lock);
  spin_lock(k, waitLockOf(lock));
  atomic_xchg(k, countOf(lock), 1);
  const list = waitListOf(lock);
  if (!list_empty(k, list)) {
    const waiter = container_of<'mutex_waiter'>(list_next(k, list), 0);
    k.tryToWakeUp(ptr<'task_struct'>(k.read(waiter, struct_mutex_waiter.task)));
  }
  spin_unlock(k, waitLockOf(lock));
}
