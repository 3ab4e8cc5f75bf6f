/**
 * Spinlocks and reader-writer locks on Atomics.
 *
 * Models asm/spinlock.h and include/linux/spinlock.h: the plain form (word 0 free, 1 held; ARM until 3.5) and the ticket form
 * (next ticket in the upper half, owner in the lower; x86 from 2.6.25, ARM from 3.6). A contended lock spins briefly and then
 * sleeps on the host's futex, since hosts have fewer cores than we simulate: `waitForLock` of the CPU.
 * On PA-RISC the plain form is 1 when free, and reader-writer locks are those of rwlock-ldcw.ts.
 * Left out: memory barriers; controlled mode is sequentially consistent and Atomics are.
 */

import { How } from './access.js';
import {
  type IrqFlags,
  local_irq_restore,
  local_irq_save,
  preempt_enable,
  SOFTIRQ_DISABLE_OFFSET,
  SOFTIRQ_MASK,
} from './irqflags.js';
import type { KernelBase } from './kernel-base.js';
import { defineStruct } from './layout.js';
import { lock_acquired, lock_contended } from './lockstat.js';
import { Point } from './point.js';
import { ldcwLockFlags, ldcwReadLock, ldcwReadUnlock, ldcwWriteLock, ldcwWriteUnlock } from './rwlock-ldcw.js';
import { type Ptr, ptr } from './types.js';
import { WaitType } from './wait-type.js';

/** `spinlock_t` without lock debugging, SMP. */
export const struct_spinlock = defineStruct('spinlock', 4, { raw_lock: 0 });
/** `rwlock_t`, SMP: the sign bit is the writer, the rest counts readers. Source: arch/arm/include/asm/spinlock.h, Linux 2.6.30. */
export const struct_rwlock = defineStruct('rwlock', 4, { raw_lock: 0 });

export type SpinLock = Ptr<'spinlock'>;
export type RwLock = Ptr<'rwlock'>;

const WRITER = 0x80000000 | 0;
const TICKET = 0x10000;

/** @name: the lock as the C source writes it, where it is no static object: locks that are initialised in one place are of one class. */
export function spin_lock_init(k: KernelBase, lock: SpinLock, name?: string): void {
  if (k.lockWatch !== null) k.lockWatch.init(lock, name);
  initWord(k, lock);
}

/**
 * The same of a raw_spinlock_t, which spins in every kernel: no spinlock_t may be taken with it held, as lockdep has it by the rules of 5.10.
 * It is taken and given back like any other. Source: include/linux/spinlock.h, Linux 5.10.
 */
export function raw_spin_lock_init(k: KernelBase, lock: SpinLock, name?: string): void {
  if (k.lockWatch !== null) k.lockWatch.init(lock, name, undefined, WaitType.spin);
  initWord(k, lock);
}

function initWord(k: KernelBase, lock: SpinLock): void {
  if (k.spinlockWatch !== null) k.spinlockWatch.init(lock);
  k.storeAs(k.lockWord(lock), k.freeLock, How.lock);
}

export function spin_is_locked(k: KernelBase, lock: SpinLock): boolean {
  k.pointAs(Point.Load, lock, How.lock);
  const word = k.atomicLoad(k.lockWord(lock));
  return k.ticketLocks ? word >>> 16 !== (word & 0xffff) : word !== k.freeLock;
}

/** Context: any; preemption and interrupts are the caller's business. */
export function _raw_spin_lock(k: KernelBase, lock: SpinLock): void {
  if (k.ticketLocks) ticketLock(k, lock);
  else if (k.acquire(lock)) lock_acquired(k, lock);
  else plainLockSlow(k, lock);
}

function plainLockSlow(k: KernelBase, lock: SpinLock): void {
  lock_contended(k, lock);
  do k.waitForLock(k.lockWord(lock), k.freeLock ^ 1);
  while (!k.acquire(lock));
  lock_acquired(k, lock);
}

function ticketLock(k: KernelBase, lock: SpinLock): void {
  k.point(Point.Lock, lock);
  let word = k.atomicAdd(lock, TICKET);
  const mine = word >>> 16;
  if ((word & 0xffff) !== mine) lock_contended(k, lock);
  while ((word & 0xffff) !== mine) {
    k.waitForLock(lock, word);
    k.point(Point.Wait, lock);
    word = k.atomicLoad(lock);
  }
  k.lockHeld(lock);
  lock_acquired(k, lock);
}

/** Take the lock if it is free. Return: whether it was. */
export function _raw_spin_trylock(k: KernelBase, lock: SpinLock): boolean {
  if (k.freeLock !== 0) return k.acquire(lock);
  k.pointAs(Point.Atomic, lock, How.lock);
  const word = k.atomicLoad(lock);
  const free = k.ticketLocks ? word >>> 16 === (word & 0xffff) : word === 0;
  if (!free || k.cmpxchg(lock, word, k.ticketLocks ? (word + TICKET) | 0 : 1) !== word) return false;
  k.lockHeld(lock);
  return true;
}

export function _raw_spin_unlock(k: KernelBase, lock: SpinLock): void {
  if (k.ticketLocks) ticketUnlock(k, lock);
  else k.release(lock);
}

/** The owner half is 16 bits wide and must not carry into the tickets. */
function ticketUnlock(k: KernelBase, lock: SpinLock): void {
  k.point(Point.Unlock, lock);
  k.lockDropped(lock);
  let word = k.atomicLoad(lock);
  for (;;) {
    const next = (word & 0xffff0000) | ((word + 1) & 0xffff);
    const seen = k.cmpxchg(lock, word, next);
    if (seen === word) break;
    word = seen;
  }
  k.lockReleased(lock);
}

/** k.lock() did not get it: it is busy, or no plain lock. Preemption is disabled already. */
function lockSlow(k: KernelBase, lock: SpinLock): void {
  const address = ptr<'spinlock'>(lock);
  if (k.plainLocks) plainLockSlow(k, address);
  else _raw_spin_lock(k, address);
  if (k.spinlockWatch !== null) k.spinlockWatch.locked(lock, false);
}

/**
 * On PA-RISC interrupts are on while it spins, if they were; with CONFIG_LOCKDEP they stay off, since to lockdep the lock is held by then.
 * Source: __spin_lock_irqsave(), include/linux/spinlock_api_smp.h, Linux 2.6.30.
 */
function lockSlowIrqsave(k: KernelBase, lock: SpinLock, flags: IrqFlags): void {
  if (k.freeLock === 0 || k.lockWatch !== null) lockSlow(k, lock);
  else {
    ldcwLockFlags(k, ptr<'spinlock'>(lock), flags, true);
    lock_acquired(k, lock);
    if (k.spinlockWatch !== null) k.spinlockWatch.locked(lock, false);
  }
}

/** k.unlock() of a lock that is no plain one. */
function unlockSlow(k: KernelBase, lock: SpinLock, irqs: number): void {
  if (k.lockWatch !== null) k.lockWatch.release(lock);
  if (k.spinlockWatch !== null) k.spinlockWatch.unlocking(lock);
  _raw_spin_unlock(k, ptr<'spinlock'>(lock));
  if (irqs >= 0) k.restoreIrqs(irqs);
  preempt_enable(k);
}

/** Context: process or softirq; not for locks that an interrupt handler takes. Disables preemption. */
export function spin_lock(k: KernelBase, lock: SpinLock): void {
  if (!k.lock((lock | 0) as SpinLock)) lockSlow(k, lock);
}

/**
 * spin_lock() of a lock whose class is held already, at another level. Source: include/linux/spinlock.h, Linux 2.6.30.
 *
 * @param subclass 0 to 7: what lockdep calls this level
 */
export function spin_lock_nested(k: KernelBase, lock: SpinLock, subclass: number): void {
  if (k.lockWatch !== null) k.lockWatch.subclass = subclass;
  spin_lock(k, lock);
}

/** spin_lock() of one of many locks of a class, which the held lock @nest serialises. */
export function spin_lock_nest_lock(k: KernelBase, lock: SpinLock, nest: SpinLock): void {
  if (k.lockWatch !== null) k.lockWatch.nestLock = nest;
  spin_lock(k, lock);
}

export function spin_unlock(k: KernelBase, lock: SpinLock): void {
  if (k.plainLocks) k.unlock((lock | 0) as SpinLock, -1);
  else unlockSlow(k, lock, -1);
}

/** Return: 1 with the lock held and preemption disabled, or 0. */
export function spin_trylock(k: KernelBase, lock: SpinLock): boolean {
  k.preemptCount += 1;
  if (_raw_spin_trylock(k, lock)) {
    if (k.lockWatch !== null) k.lockWatch.acquire(lock, 0, true);
    lock_acquired(k, lock);
    if (k.spinlockWatch !== null) k.spinlockWatch.locked(lock, true);
    return true;
  }
  if (k.spinlockWatch !== null) k.spinlockWatch.missed(lock);
  preempt_enable(k);
  return false;
}

/** Context: process, interrupts enabled. */
export function spin_lock_irq(k: KernelBase, lock: SpinLock): void {
  k.saveIrqs();
  if (!k.lock((lock | 0) as SpinLock)) lockSlow(k, lock);
}

/** Enables interrupts whatever they were. */
export function spin_unlock_irq(k: KernelBase, lock: SpinLock): void {
  if (k.plainLocks) k.unlock((lock | 0) as SpinLock, 0);
  else unlockSlow(k, lock, 0);
}

/** Context: any. Return: the state for spin_unlock_irqrestore(). On PA-RISC interrupts are on while it spins, if they were. */
export function spin_lock_irqsave(k: KernelBase, lock: SpinLock): IrqFlags {
  const flags = k.saveIrqs();
  if (!k.lock((lock | 0) as SpinLock)) lockSlowIrqsave(k, lock, flags);
  return flags;
}

export function spin_unlock_irqrestore(k: KernelBase, lock: SpinLock, flags: IrqFlags): void {
  if (k.plainLocks) k.unlock((lock | 0) as SpinLock, flags);
  else unlockSlow(k, lock, flags);
}

/** Context: process or softirq. Keeps soft interrupts from running on this CPU. */
export function spin_lock_bh(k: KernelBase, lock: SpinLock): void {
  const first = (k.preemptCount & SOFTIRQ_MASK) === 0;
  k.preemptCount += SOFTIRQ_DISABLE_OFFSET(k);
  if (first && k.lockWatch !== null) k.lockWatch.softirqsOff();
  spin_lock(k, lock);
}

/** Context: interrupts enabled. Pending soft interrupts run here. */
export function spin_unlock_bh(k: KernelBase, lock: SpinLock): void {
  if (k.lockWatch !== null) k.lockWatch.release(lock);
  if (k.spinlockWatch !== null) k.spinlockWatch.unlocking(lock);
  _raw_spin_unlock(k, lock);
  k.preemptCount -= 1;
  k.localBhEnable();
}

/** Context: any; may be taken recursively by readers, also from an interrupt of a reader. */
export function read_lock(k: KernelBase, lock: RwLock): void {
  k.preemptCount += 1;
  if (k.lockWatch !== null) k.lockWatch.acquire(lock, 2, false);
  if (k.freeLock !== 0) {
    ldcwReadLock(k, lock);
    lock_acquired(k, lock);
    return;
  }
  for (let waits = false; ; ) {
    k.pointAs(Point.Atomic, lock, How.lock);
    const word = k.atomicLoad(lock);
    if (word >= 0) {
      if (k.cmpxchg(lock, word, word + 1) === word) break;
      continue;
    }
    if (!waits) lock_contended(k, lock);
    waits = true;
    k.waitForLock(lock, word);
  }
  k.lockHeld(lock, 1);
  lock_acquired(k, lock);
}

export function read_unlock(k: KernelBase, lock: RwLock): void {
  if (k.lockWatch !== null) k.lockWatch.release(lock);
  if (k.freeLock !== 0) ldcwReadUnlock(k, lock);
  else {
    k.point(Point.Unlock, lock);
    k.lockDropped(lock, 1);
    k.atomicAdd(lock, -1);
    k.lockReleased(lock);
  }
  preempt_enable(k);
}

/** Waits for all readers; a stream of readers can starve it, as on the machine. */
export function write_lock(k: KernelBase, lock: RwLock): void {
  k.preemptCount += 1;
  if (k.lockWatch !== null) k.lockWatch.acquire(lock, 0, false);
  if (k.freeLock !== 0) {
    ldcwWriteLock(k, lock);
    lock_acquired(k, lock);
    return;
  }
  for (let waits = false; ; waits = true) {
    k.pointAs(Point.Atomic, lock, How.lock);
    const seen = k.cmpxchg(lock, 0, WRITER);
    if (seen === 0) break;
    if (!waits) lock_contended(k, lock);
    k.waitForLock(lock, seen);
  }
  k.lockHeld(lock);
  lock_acquired(k, lock);
}

export function write_unlock(k: KernelBase, lock: RwLock): void {
  if (k.lockWatch !== null) k.lockWatch.release(lock);
  if (k.freeLock !== 0) ldcwWriteUnlock(k, lock);
  else {
    k.point(Point.Unlock, lock);
    k.lockDropped(lock);
    k.atomicStore(lock, 0);
    k.lockReleased(lock);
  }
  preempt_enable(k);
}

export function read_lock_irqsave(k: KernelBase, lock: RwLock): IrqFlags {
  const flags = local_irq_save(k);
  read_lock(k, lock);
  return flags;
}

export function read_unlock_irqrestore(k: KernelBase, lock: RwLock, flags: IrqFlags): void {
  read_unlock(k, lock);
  local_irq_restore(k, flags);
}

export function write_lock_irqsave(k: KernelBase, lock: RwLock): IrqFlags {
  const flags = local_irq_save(k);
  write_lock(k, lock);
  return flags;
}

export function write_unlock_irqrestore(k: KernelBase, lock: RwLock, flags: IrqFlags): void {
  write_unlock(k, lock);
  local_irq_restore(k, flags);
}

export {
  spin_lock as raw_spin_lock,
  spin_lock_bh as raw_spin_lock_bh,
  spin_lock_irq as raw_spin_lock_irq,
  spin_lock_irqsave as raw_spin_lock_irqsave,
  spin_lock_nested as raw_spin_lock_nested,
  spin_trylock as raw_spin_trylock,
  spin_unlock as raw_spin_unlock,
  spin_unlock_bh as raw_spin_unlock_bh,
  spin_unlock_irq as raw_spin_unlock_irq,
  spin_unlock_irqrestore as raw_spin_unlock_irqrestore,
};
