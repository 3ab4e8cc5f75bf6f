/**
 * Reader-writer locks of PA-RISC: a spinlock and a counter, -1 for a writer, who keeps the spinlock until it unlocks.
 * Source: arch/parisc/include/asm/spinlock.h, Linux 2.6.30. Differs: the counter is the word after the lock word, also on PA-RISC 1.1,
 * where the other words of the lock are unused.
 */
import { local_irq_restore, local_irq_save } from './irqflags.js';
import type { KernelBase } from './kernel-base.js';
import { lock_contended } from './lockstat.js';
import { type Vaddr, vaddr } from './types.js';
import { LINUX_2_6 } from './version.js';

const HELD = 0;
const WRITER = -1;

const counterOf = (k: KernelBase, lock: Vaddr): Vaddr => vaddr(k.lockWord(lock) + 4);

/** Until 2.6.22 a reader that waits for a writer does not let interrupts in. Source: include/asm-parisc/spinlock.h, Linux 2.5.53. */
const spinsWithIrqsOff = (k: KernelBase): boolean =>
  k.LINUX_VERSION_CODE < LINUX_2_6 || k.patched['mutant-rwlock-spins-irqs-off'];

/** The inner lock, with interrupts on while it spins if they were on in @flags. Interrupts are off on return. @told: a wait is one for the lock itself. */
export function ldcwLockFlags(k: KernelBase, lock: Vaddr, flags: number, told = false): void {
  for (let waits = false; !k.acquire(lock); waits = true) {
    if (told && !waits) lock_contended(k, lock);
    if (flags === 0 && !spinsWithIrqsOff(k)) k.restoreIrqs(0);
    k.waitForLock(k.lockWord(lock), HELD);
    k.saveIrqs();
  }
}

/** Interrupts are off around the counter. */
export function ldcwReadLock(k: KernelBase, lock: Vaddr): void {
  const flags = local_irq_save(k);
  ldcwLockFlags(k, lock, flags, true);
  const counter = counterOf(k, lock);
  k.store(counter, k.load(counter) + 1);
  k.release(lock);
  // Who waits for the readers to go waits on the counter.
  k.lockHeld(counter, 1);
  local_irq_restore(k, flags);
}

export function ldcwReadUnlock(k: KernelBase, lock: Vaddr): void {
  const flags = local_irq_save(k);
  ldcwLockFlags(k, lock, flags);
  const counter = counterOf(k, lock);
  k.store(counter, k.load(counter) - 1);
  k.lockDropped(counter, 1);
  k.release(lock);
  local_irq_restore(k, flags);
}

/** While readers are there the lock is let go of, and the counter watched. */
export function ldcwWriteLock(k: KernelBase, lock: Vaddr, counter: Vaddr = counterOf(k, lock)): void {
  for (;;) {
    const flags = local_irq_save(k);
    ldcwLockFlags(k, lock, flags);
    const readers = k.load(counter);
    if (readers === 0) {
      k.store(counter, WRITER);
      local_irq_restore(k, flags);
      return;
    }
    k.release(lock);
    local_irq_restore(k, flags);
    k.waitForLock(counter, readers);
  }
}

export function ldcwWriteUnlock(k: KernelBase, lock: Vaddr, counter: Vaddr = counterOf(k, lock)): void {
  k.store(counter, 0);
  k.release(lock);
}
