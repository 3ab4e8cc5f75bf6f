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
  /** An atomic operation that may find something else than it wants: `k.compared()` says afterwards whether it has. */
  conditional: 64,
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

/** What an assertion says of a word: nobody else writes it, nobody else accesses it. Bits. */
export const Exclusive = { writer: 1, access: 2, scoped: 4, end: 8 } as const;

/**
 * From here on nobody else writes the word at @addr while nothing orders him, not even by a marked access; others may read it.
 *
 * Context: any. No step: without a race detector it is nothing.
 * Source:  include/linux/kcsan-checks.h, Linux 5.5. Differs: a word in memory instead of a variable.
 */
export function ASSERT_EXCLUSIVE_WRITER(k: KernelBase, addr: Vaddr): void {
  k.assertExclusive(addr, Exclusive.writer, -1);
}

/** Nobody else accesses it at all. Source, context: as ASSERT_EXCLUSIVE_WRITER(). */
export function ASSERT_EXCLUSIVE_ACCESS(k: KernelBase, addr: Vaddr): void {
  k.assertExclusive(addr, Exclusive.access, -1);
}

/** Nobody else changes the bits of @mask; the others may be changed by marked accesses. What others did before is not looked at. */
export function ASSERT_EXCLUSIVE_BITS(k: KernelBase, addr: Vaddr, mask: number): void {
  k.assertExclusive(addr, Exclusive.writer, mask | 0);
}

/** The same as long as @block runs: whoever writes meanwhile is reported, whatever orders him. Differs: a function instead of the rest of a block. */
export function ASSERT_EXCLUSIVE_WRITER_SCOPED<T>(k: KernelBase, addr: Vaddr, block: () => T): T {
  return scoped(k, addr, Exclusive.writer | Exclusive.scoped, block);
}

export function ASSERT_EXCLUSIVE_ACCESS_SCOPED<T>(k: KernelBase, addr: Vaddr, block: () => T): T {
  return scoped(k, addr, Exclusive.access | Exclusive.scoped, block);
}

function scoped<T>(k: KernelBase, addr: Vaddr, what: number, block: () => T): T {
  k.assertExclusive(addr, what, -1);
  const result = block();
  k.assertExclusive(addr, what | Exclusive.end, -1);
  return result;
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
