/**
 * How long a lock lets its waiters wait, and so what may be taken with it held. Source: enum lockdep_wait_type,
 * include/linux/lockdep_types.h, Linux 5.10. Older kernels did not ask.
 */
export const WaitType = {
  /** As the lock was initialised with before. */
  same: -1,
  /** It is not looked at: fs_reclaim. */
  inv: 0,
  free: 1,
  /** raw_spinlock_t. */
  spin: 2,
  /** spinlock_t and rwlock_t: what sleeps in a kernel with PREEMPT_RT. */
  config: 3,
  /** Mutexes and semaphores. */
  sleep: 4,
  /** A task that holds nothing. */
  max: 5,
} as const;
