/** All threads of an execution wait for each other. Nobody else wakes them: one that is not woken stops the execution for good. */
import {
  init_waitqueue_head,
  type Kernel,
  ptr,
  READ_ONCE,
  type SpinLock,
  spin_lock,
  spin_lock_init,
  spin_unlock,
  type Vaddr,
  vaddr,
  type WaitQueueHead,
  WRITE_ONCE,
  wait_event,
  wake_up_all,
} from '../../src/index.js';

/** Bytes of a meeting point: wait queue, lock at 12, arrived at 16, generation at 20. */
export const MEETING_BYTES = 24;

const QUEUE = { wait_event, wake_up_all, spin_lock, spin_unlock };

export const meetingQueue = (at: Vaddr): WaitQueueHead => ptr<'wait_queue_head'>(at);

const meetingLock = (at: Vaddr): SpinLock => ptr<'spinlock'>(at + 12);

/** For setup. The words are zero. */
export function initMeeting(k: Kernel, at: Vaddr): void {
  init_waitqueue_head(k, meetingQueue(at));
  spin_lock_init(k, meetingLock(at), '&meeting->lock');
}

/** Go on when @threads have come here; the last one wakes them all. Context: process, may sleep. */
export function meet(k: Kernel, at: Vaddr, threads: number, f: typeof QUEUE = QUEUE): void {
  const lock = meetingLock(at);
  const arrived = vaddr(at + 16);
  const generation = vaddr(at + 20);
  f.spin_lock(k, lock);
  const mine = k.load(generation);
  const here = k.load(arrived) + 1;
  const last = here === threads;
  k.store(arrived, last ? 0 : here);
  if (last) WRITE_ONCE(k, generation, mine + 1);
  f.spin_unlock(k, lock);
  if (last) f.wake_up_all(k, meetingQueue(at));
  else f.wait_event(k, meetingQueue(at), () => READ_ONCE(k, generation) !== mine);
}
