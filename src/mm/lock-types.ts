/**
 * spinlock_t and rwlock_t inside structs, as the configuration makes them: nothing on one CPU, a word on several, with magic and owner
 * under DEBUG_SPINLOCK.
 *
 * Source: include/linux/spinlock{,_up,_types}.h, lib/spinlock_debug.c, include/linux/bit_spinlock.h, Linux 2.6.22; spec/slab-dma.md §1.1.
 * Locks that stand alone, as kmap_lock does, are those of shared/spinlock.ts in every configuration.
 */
import type { Kernel } from '../cpu/kernel.js';
import { How } from '../shared/access.js';
import { local_irq_disable, local_irq_enable, preempt_enable } from '../shared/irqflags.js';
import { lock_acquired } from '../shared/lockstat.js';
import { Point } from '../shared/point.js';
import { ldcwWriteLock, ldcwWriteUnlock } from '../shared/rwlock-ldcw.js';
import {
  _raw_spin_lock,
  _raw_spin_unlock,
  type RwLock,
  type SpinLock,
  spin_lock,
  spin_unlock,
  write_lock,
  write_unlock,
} from '../shared/spinlock.js';
import type { LockLayout } from '../shared/structs/configured.js';
import { hex8, type Vaddr, vaddr } from '../shared/types.js';

const SPINLOCK_MAGIC = 0xdead4ead;
const RWLOCK_MAGIC = 0xdeaf1eed;
const NOBODY = 0xffffffff;
const WRITER = 0x80000000 | 0;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** 1 until the first complaint about a lock: later ones would tell nothing. */
    debug_locks: Vaddr;
  }
}

export const lockSymbols = { debug_locks: { bytes: 4 } };

const field = (lock: Vaddr, offset: number): Vaddr => vaddr(lock + offset);

/** The lock is free, as after spin_lock_init(). @name: as the C source writes it. */
export function initSpin(k: Kernel, lock: SpinLock, name: string): void {
  if (k.lockWatch !== null) k.lockWatch.init(lock, name);
  if (k.spinlockWatch !== null) k.spinlockWatch.init(lock);
  const layout = k.structs.spinlock;
  const free = k.structs.smp ? k.freeLock : 1;
  for (let at = 0; at < layout.rawBytes; at += 4) k.storeAs(field(lock, at), free, How.marked);
  initDebug(k, lock, layout, SPINLOCK_MAGIC);
}

export function initRw(k: Kernel, lock: RwLock, name: string): void {
  if (k.lockWatch !== null) k.lockWatch.init(lock, name);
  const layout = k.structs.rwlock;
  // PA-RISC: a spinlock, and behind it the counter.
  for (let at = 0; at < layout.rawBytes; at += 4)
    k.storeAs(field(lock, at), at + 4 < layout.rawBytes ? k.freeLock : 0, How.marked);
  initDebug(k, lock, layout, RWLOCK_MAGIC);
}

function initDebug(k: Kernel, lock: Vaddr, layout: LockLayout, magic: number): void {
  if (layout.break_lock >= 0) k.storeAs(field(lock, layout.break_lock), 0, How.marked);
  if (layout.magic < 0) return;
  k.storeAs(field(lock, layout.magic), magic, How.marked);
  k.storeAs(field(lock, layout.owner_cpu), NOBODY, How.marked);
  k.storeAs(field(lock, layout.owner), NOBODY, How.marked);
}

/** spin_lock(). Context: as the lock wants it; interrupts are the caller's business. */
export function lockSpin(k: Kernel, lock: SpinLock): void {
  const layout = k.structs.spinlock;
  if (layout.sizeof === 0) k.preemptCount += 1;
  else if (layout.magic < 0) spin_lock(k, lock);
  else debugSpinLock(k, lock, layout);
}

export function unlockSpin(k: Kernel, lock: SpinLock): void {
  const layout = k.structs.spinlock;
  if (layout.sizeof === 0) preempt_enable(k);
  else if (layout.magic < 0) spin_unlock(k, lock);
  else debugSpinUnlock(k, lock, layout);
}

function debugSpinLock(k: Kernel, lock: SpinLock, layout: LockLayout): void {
  k.preemptCount += 1;
  if (k.lockWatch !== null) k.lockWatch.acquire(lock, 0, false);
  complain(k, 'spinlock', lock, layout, SPINLOCK_MAGIC);
  if (k.structs.smp) _raw_spin_lock(k, lock);
  else {
    // One CPU: 1 is free. Whoever finds it taken spins for ever.
    while (k.load(lock) === 0) k.waitForLock(lock, 0);
    k.store(lock, 0);
    k.lockHeld(lock);
    lock_acquired(k, lock);
  }
  setOwner(k, lock, layout);
}

function debugSpinUnlock(k: Kernel, lock: SpinLock, layout: LockLayout): void {
  if (k.lockWatch !== null) k.lockWatch.release(lock);
  if (k.loadAs(field(lock, layout.magic), How.marked) >>> 0 !== SPINLOCK_MAGIC)
    lockBug(k, 'spinlock', lock, 'bad magic');
  k.storeAs(field(lock, layout.owner), NOBODY, How.marked);
  k.storeAs(field(lock, layout.owner_cpu), NOBODY, How.marked);
  if (k.structs.smp) _raw_spin_unlock(k, lock);
  else {
    k.lockDropped(lock);
    k.store(lock, 1);
    k.lockReleased(lock);
  }
  preempt_enable(k);
}

/** PA-RISC: the last word of the raw lock. */
const counterOf = (lock: RwLock, layout: LockLayout): Vaddr => field(lock, layout.rawBytes - 4);

/** write_lock_irq(). */
export function writeLockIrq(k: Kernel, lock: RwLock): void {
  const layout = k.structs.rwlock;
  local_irq_disable(k);
  if (layout.sizeof === 0) k.preemptCount += 1;
  else if (k.freeLock !== 0) {
    k.preemptCount += 1;
    ldcwWriteLock(k, lock, counterOf(lock, layout));
  } else if (layout.magic < 0) write_lock(k, lock);
  else {
    k.preemptCount += 1;
    if (k.lockWatch !== null) k.lockWatch.acquire(lock, 0, false);
    complain(k, 'rwlock', lock, layout, RWLOCK_MAGIC);
    if (layout.rawBytes > 0) while (k.cmpxchg(lock, 0, WRITER) !== 0) k.waitForLock(lock, k.atomicLoad(lock));
    lock_acquired(k, lock);
    setOwner(k, lock, layout);
  }
}

/** write_unlock_irq(): interrupts are on afterwards, whatever they were. */
export function writeUnlockIrq(k: Kernel, lock: RwLock): void {
  const layout = k.structs.rwlock;
  if (layout.sizeof !== 0 && layout.magic < 0) {
    if (k.freeLock === 0) write_unlock(k, lock);
    else {
      ldcwWriteUnlock(k, lock, counterOf(lock, layout));
      preempt_enable(k);
    }
    local_irq_enable(k);
    return;
  }
  if (layout.magic >= 0) {
    if (k.lockWatch !== null) k.lockWatch.release(lock);
    k.storeAs(field(lock, layout.owner), NOBODY, How.marked);
    k.storeAs(field(lock, layout.owner_cpu), NOBODY, How.marked);
    if (layout.rawBytes > 0) k.atomicStore(lock, 0);
  }
  local_irq_enable(k);
  preempt_enable(k);
}

function setOwner(k: Kernel, lock: Vaddr, layout: LockLayout): void {
  k.storeAs(field(lock, layout.owner_cpu), k.cpu, How.marked);
  k.storeAs(field(lock, layout.owner), k.current, How.marked);
}

/** debug_spin_lock_before(), debug_write_lock_before(). */
function complain(k: Kernel, kind: 'spinlock' | 'rwlock', lock: Vaddr, layout: LockLayout, magic: number): void {
  if (k.loadAs(field(lock, layout.magic), How.marked) >>> 0 !== magic) lockBug(k, kind, lock, 'bad magic');
  if (k.loadAs(field(lock, layout.owner), How.marked) >>> 0 === k.current) lockBug(k, kind, lock, 'recursion');
  if (k.loadAs(field(lock, layout.owner_cpu), How.marked) === k.cpu) lockBug(k, kind, lock, 'cpu recursion');
}

/** spin_bug(), rwlock_bug(): once, then debug_locks is off. Left out: names of tasks, the stack. */
function lockBug(k: Kernel, kind: 'spinlock' | 'rwlock', lock: Vaddr, what: string): void {
  if (k.xchg(k.sym.debug_locks, 0) === 0) return;
  const pid = k.slot;
  const where = `on CPU#${k.cpu}, thread${pid}/${pid}`;
  if (kind === 'rwlock') k.printk(`BUG: rwlock ${what} ${where}, ${hex8(lock)}`);
  else {
    const { magic, owner, owner_cpu } = k.structs.spinlock;
    const word = (offset: number): string => hex8(k.loadAs(field(lock, offset), How.marked));
    k.printk(`BUG: spinlock ${what} ${where}`);
    k.printk(
      ` lock: ${hex8(lock)}, .magic: ${word(magic)}, .owner: ${word(owner)}, .owner_cpu: ${k.loadAs(field(lock, owner_cpu), How.marked)}`,
    );
  }
}

// ---- a bit as a lock ----------------------------------------------------------------------------------------------

/** Without several CPUs and without DEBUG_SPINLOCK the bit is never set. */
const bitLocked = (k: Kernel): boolean => k.structs.smp || k.config.debugSpinlock;

/** Context: the caller masks interrupts if a handler takes the lock. */
export function bit_spin_lock(k: Kernel, nr: number, word: Vaddr): void {
  k.preemptCount += 1;
  if (!bitLocked(k)) return;
  const bit = 1 << nr;
  for (;;) {
    k.point(Point.Lock, word);
    const seen = k.atomicOr(word, bit);
    if ((seen & bit) === 0) break;
    k.waitForLock(word, seen);
  }
  k.lockHeld(word);
}

/** Return: true with the lock held and preemption disabled. */
export function bit_spin_trylock(k: Kernel, nr: number, word: Vaddr): boolean {
  k.preemptCount += 1;
  if (!bitLocked(k)) return true;
  k.pointAs(Point.Atomic, word, How.lock);
  if ((k.atomicOr(word, 1 << nr) & (1 << nr)) === 0) {
    k.lockHeld(word);
    return true;
  }
  preempt_enable(k);
  return false;
}

export function bit_spin_unlock(k: Kernel, nr: number, word: Vaddr): void {
  if (bitLocked(k)) {
    k.point(Point.Unlock, word);
    k.lockDropped(word);
    k.atomicAnd(word, ~(1 << nr));
    k.lockReleased(word);
  }
  preempt_enable(k);
}
