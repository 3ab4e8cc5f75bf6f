/**
 * What a visible step says of itself beyond its kind and address, for whoever looks for data races: bits that go with a scheduling point.
 * Without any, an access is a plain one of four bytes, and an atomic operation orders everything before and after it.
 */
import type { KernelBase } from './kernel-base.js';
import type { Vaddr } from './types.js';

export const How = {
  plain: 0,
  /** One byte, two bytes. */
  byte: 1,
  half: 2,
  /** READ_ONCE(), WRITE_ONCE() and their like. Of an atomic operation: it orders nothing. */
  marked: 4,
  /** What comes after it happens after what comes before the release that it sees. */
  acquire: 8,
  release: 16,
  /** The word of a lock, which is no data: the lock itself says who holds it. */
  lock: 32,
} as const;

/** Kinds of memory barrier: bits. */
export const Barrier = { write: 1, read: 2, full: 3 } as const;
export type Barrier = (typeof Barrier)[keyof typeof Barrier];

/** A marked load: it does not race with other marked accesses. Source: include/asm-generic/rwonce.h, Linux 5.10; before it ACCESS_ONCE(). */
export function READ_ONCE(k: KernelBase, addr: Vaddr): number {
  return k.loadAs(addr, How.marked);
}

export function WRITE_ONCE(k: KernelBase, addr: Vaddr, value: number): void {
  k.storeAs(addr, value, How.marked);
}

/** Source: asm/barrier.h, Linux 4.4. */
export function smp_load_acquire(k: KernelBase, addr: Vaddr): number {
  return k.loadAs(addr, How.marked | How.acquire);
}

export function smp_store_release(k: KernelBase, addr: Vaddr, value: number): void {
  k.storeAs(addr, value, How.marked | How.release);
}

/**
 * The plain accesses of @look may race, and that is known: nobody reports them. Source: include/linux/compiler.h, Linux 5.8.
 * Differs: a function instead of an expression.
 */
export function data_race<T>(k: KernelBase, look: () => T): T {
  k.dataRace(true);
  const seen = look();
  k.dataRace(false);
  return seen;
}

// The machine is sequentially consistent: a barrier changes nothing of what happens, and everything of what may be relied on.

export function smp_mb(k: KernelBase): void {
  k.barrier(Barrier.full);
}

/** Marked stores after it publish what came before it. */
export function smp_wmb(k: KernelBase): void {
  k.barrier(Barrier.write);
}

/** What comes after it has seen what the marked loads before it found published. */
export function smp_rmb(k: KernelBase): void {
  k.barrier(Barrier.read);
}
