/**
 * Wait queues and completions. Source: include/linux/wait.h, kernel/wait.c, kernel/sched.c (`__wake_up_common`, `complete`),
 * Linux 2.6.30. A wait entry lives on the sleeper's kernel stack: here in its task's own entry.
 */

import { might_sleep } from './irqflags.js';
import type { KernelBase } from './kernel-base.js';
import { defineStruct } from './layout.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add,
  list_add_tail,
  list_del,
  list_empty,
  list_next,
  list_of,
} from './list.js';
import { Point } from './point.js';
import { type SpinLock, spin_lock_init, spin_lock_irqsave, spin_unlock_irqrestore } from './spinlock.js';
import { type Ptr, ptr, vaddr } from './types.js';
import { LINUX_2_6, LINUX_3_13, LINUX_4_4 } from './version.js';

export const TASK_RUNNING = 0;
export const TASK_INTERRUPTIBLE = 1;
export const TASK_UNINTERRUPTIBLE = 2;
/** TASK_WAKEKILL | TASK_UNINTERRUPTIBLE, from 2.6.25 on. */
export const TASK_KILLABLE = 0x82;

/** The part of task_struct that is modelled. Differs: offsets are ours, but for `state`, which comes first in every version. */
export const struct_task_struct = defineStruct('task_struct', 64, {
  state: 0,
  flags: 4,
  /** CPU that it is bound to. */
  cpu: 8,
  /** Thread slot. */
  pid: 12,
  /** Address space; 0 for a kernel thread. */
  mm: 16,
  /** thread_info.flags */
  thread_flags: 20,
  /** Wait entry of the one queue that a thread of ours sleeps on. */
  wait: [24, 20],
  /** Pages that the task has, for the OOM killer. */
  total_vm: 44,
});

/** `wait_queue_head_t`. Source: include/linux/wait.h, Linux 2.6.30, no lock debugging. */
export const struct_wait_queue_head = defineStruct('wait_queue_head', 12, { lock: 0, task_list: [4, 8] });
/** `wait_queue_t`. Same source. */
export const struct_wait_queue = defineStruct('wait_queue', 20, { flags: 0, private: 4, func: 8, task_list: [12, 8] });

export const WQ_FLAG_EXCLUSIVE = 1;

export type WaitQueueHead = Ptr<'wait_queue_head'>;
export type WaitQueue = Ptr<'wait_queue'>;

const lockOf = (q: WaitQueueHead): SpinLock => ptr<'spinlock'>(q + struct_wait_queue_head.lock.offset);
const listOf = (q: WaitQueueHead): List => list_of(q, struct_wait_queue_head.task_list.offset);
const entryList = (wait: WaitQueue): List => list_of(wait, struct_wait_queue.task_list.offset);

export function init_waitqueue_head(k: KernelBase, q: WaitQueueHead): void {
  spin_lock_init(k, lockOf(q), '&q->lock');
  INIT_LIST_HEAD(k, listOf(q));
}

/** DECLARE_WAITQUEUE(wait, current): the wait entry of the running thread, filled in. */
export function DECLARE_WAITQUEUE(k: KernelBase): WaitQueue {
  const wait = ptr<'wait_queue'>(k.current + struct_task_struct.wait.offset);
  k.write(wait, struct_wait_queue.flags, 0);
  k.write(wait, struct_wait_queue.private, k.current);
  return wait;
}

/** Plain store, no barrier. */
export function __set_current_state(k: KernelBase, state: number): void {
  k.write(k.current, struct_task_struct.state, state);
}

export function set_current_state(k: KernelBase, state: number): void {
  const at = vaddr(k.current + struct_task_struct.state.offset);
  k.point(Point.Atomic, at);
  k.xchg(at, state);
}

/** At the head, non-exclusive. Takes and releases the queue's lock (irqsave). */
export function add_wait_queue(k: KernelBase, q: WaitQueueHead, wait: WaitQueue): void {
  k.write(wait, struct_wait_queue.flags, 0);
  const flags = spin_lock_irqsave(k, lockOf(q));
  list_add(k, entryList(wait), listOf(q));
  spin_unlock_irqrestore(k, lockOf(q), flags);
}

/** At the tail; a wake-up stops after the first of these. */
export function add_wait_queue_exclusive(k: KernelBase, q: WaitQueueHead, wait: WaitQueue): void {
  k.write(wait, struct_wait_queue.flags, WQ_FLAG_EXCLUSIVE);
  const flags = spin_lock_irqsave(k, lockOf(q));
  list_add_tail(k, entryList(wait), listOf(q));
  spin_unlock_irqrestore(k, lockOf(q), flags);
}

export function remove_wait_queue(k: KernelBase, q: WaitQueueHead, wait: WaitQueue): void {
  const flags = spin_lock_irqsave(k, lockOf(q));
  list_del(k, entryList(wait));
  spin_unlock_irqrestore(k, lockOf(q), flags);
}

/** Bare list test, without the queue's lock. */
export function waitqueue_active(k: KernelBase, q: WaitQueueHead): boolean {
  return !list_empty(k, listOf(q));
}

/** All non-exclusive waiters and up to @nr exclusive ones (0: all). The queue's lock is held. */
function __wake_up_common(k: KernelBase, q: WaitQueueHead, nr: number): void {
  const head = listOf(q);
  let left = nr;
  let entry = list_next(k, head);
  while (entry !== head) {
    const next = list_next(k, entry);
    const wait = container_of<'wait_queue'>(entry, struct_wait_queue.task_list.offset);
    const flags = k.read(wait, struct_wait_queue.flags);
    const woken = k.tryToWakeUp(ptr<'task_struct'>(k.read(wait, struct_wait_queue.private)));
    if (woken && (flags & WQ_FLAG_EXCLUSIVE) !== 0 && --left === 0) break;
    entry = next;
  }
}

/** Context: any. Takes and releases the queue's lock (irqsave). Wakes all non-exclusive waiters and one exclusive one. */
export function wake_up(k: KernelBase, q: WaitQueueHead): void {
  const flags = spin_lock_irqsave(k, lockOf(q));
  __wake_up_common(k, q, 1);
  spin_unlock_irqrestore(k, lockOf(q), flags);
}

export function wake_up_all(k: KernelBase, q: WaitQueueHead): void {
  const flags = spin_lock_irqsave(k, lockOf(q));
  __wake_up_common(k, q, 0);
  spin_unlock_irqrestore(k, lockOf(q), flags);
}

/**
 * Sleep until @condition holds; it is evaluated before each sleep and after each wake-up.
 *
 * Context: process, may sleep; no locks held. 4.x asks that of a condition that holds already, too.
 * Source:  include/linux/wait.h, Linux 2.6.32, 4.10, 4.12.
 */
export function wait_event(k: KernelBase, q: WaitQueueHead, condition: () => boolean): void {
  if (k.LINUX_VERSION_CODE >= LINUX_4_4) might_sleep(k, 'include/linux/wait.h:0');
  if (condition()) return;
  const wait = DECLARE_WAITQUEUE(k);
  add_wait_queue(k, q, wait);
  for (;;) {
    set_current_state(k, TASK_UNINTERRUPTIBLE);
    if (condition()) break;
    k.schedule();
  }
  __set_current_state(k, TASK_RUNNING);
  remove_wait_queue(k, q, wait);
}

/** `struct completion`. Source: include/linux/completion.h, Linux 2.6.30. */
export const struct_completion = defineStruct('completion', 16, { done: 0, wait: [4, 12] });
export type Completion = Ptr<'completion'>;

const waitOf = (x: Completion): WaitQueueHead => ptr<'wait_queue_head'>(x + struct_completion.wait.offset);

export function init_completion(k: KernelBase, x: Completion): void {
  k.write(x, struct_completion.done, 0);
  init_waitqueue_head(k, waitOf(x));
}

/** Context: any. Wakes one waiter. */
export function complete(k: KernelBase, x: Completion): void {
  const q = waitOf(x);
  const flags = spin_lock_irqsave(k, lockOf(q));
  k.write(x, struct_completion.done, k.read(x, struct_completion.done) + 1);
  __wake_up_common(k, q, 1);
  spin_unlock_irqrestore(k, lockOf(q), flags);
}

/** Context: process, may sleep, though it may be complete already. Takes and releases the completion's lock. */
export function wait_for_completion(k: KernelBase, x: Completion): void {
  const version = k.LINUX_VERSION_CODE;
  if (version >= LINUX_2_6) might_sleep(k, version < LINUX_3_13 ? 'kernel/sched.c:0' : 'kernel/sched/completion.c:0');
  const q = waitOf(x);
  let flags = spin_lock_irqsave(k, lockOf(q));
  if (k.read(x, struct_completion.done) === 0) {
    const wait = DECLARE_WAITQUEUE(k);
    k.write(wait, struct_wait_queue.flags, WQ_FLAG_EXCLUSIVE);
    list_add_tail(k, entryList(wait), listOf(q));
    do {
      __set_current_state(k, TASK_UNINTERRUPTIBLE);
      spin_unlock_irqrestore(k, lockOf(q), flags);
      k.schedule();
      flags = spin_lock_irqsave(k, lockOf(q));
    } while (k.read(x, struct_completion.done) === 0);
    list_del(k, entryList(wait));
  }
  k.write(x, struct_completion.done, k.read(x, struct_completion.done) - 1);
  spin_unlock_irqrestore(k, lockOf(q), flags);
}
