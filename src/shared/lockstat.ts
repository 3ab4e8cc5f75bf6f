/**
 * Where locks tell of waiting, for those who measure it. Source: LOCK_CONTENDED(), include/linux/lockdep.h, Linux 2.6.30. Nothing here is a
 * step.
 */
import type { KernelBase } from './kernel-base.js';
import type { Vaddr } from './types.js';

/** The lock is busy: the wait begins. */
export function lock_contended(k: KernelBase, lock: Vaddr): void {
  if (k.lockWatch?.stat === true) k.lockWatch.contended(lock);
}

/** The lock is the caller's. */
export function lock_acquired(k: KernelBase, lock: Vaddr): void {
  if (k.lockWatch?.stat === true) k.lockWatch.acquired(lock);
}
