/**
 * A PA-RISC CPU as kernel code sees it: byte order, LDCW locks, atomic operations under hashed locks.
 * Source: arch/parisc/include/asm/{system,spinlock,atomic}.h, arch/parisc/lib/bitops.c, Linux 2.6.30; spec/hardware.md §3.6, §3.7.
 *
 * Memory keeps words as the host does, whatever the byte order: byte n of a big-endian word is byte 3 - n of the host's.
 */
import type { ArchOps } from '../../cpu/arch.js';
import type { MachineConfig } from '../../cpu/config.js';
import { type Buffers, Kernel, type StaticLayout, type TaskOf } from '../../cpu/kernel.js';
import { How } from '../../shared/access.js';
import { Point } from '../../shared/point.js';
import type { SpinLock } from '../../shared/spinlock.js';
import { type Vaddr, vaddr } from '../../shared/types.js';
import { PariscMmu, Trap } from './mmu.js';

const FREE = 1;
const HELD = 0;
const ATOMIC_HASH_SIZE = 4;
/** Bytes of a `raw_spinlock_t` on PA-RISC 1.1, of which one word is used. */
export const LDCW_BYTES = 16;

export class PariscKernel extends Kernel {
  declare readonly mmu: PariscMmu;
  override readonly freeLock: number = FREE;
  readonly #pa20: boolean;
  readonly #hashShift: number;

  constructor(
    config: MachineConfig,
    buffers: Buffers,
    statics: StaticLayout,
    cpu: number,
    slot: number,
    taskOf: TaskOf,
    arch: ArchOps,
  ) {
    super(config, buffers, statics, cpu, slot, taskOf, arch, (hw, layout, c, nr, memory, owner) => {
      return new PariscMmu(hw, layout, c, nr, memory, owner as Kernel);
    });
    this.#pa20 = config.core.parisc?.pa20 === true;
    // L1_CACHE_BYTES: 64 for PA 2.0, else 32.
    this.#hashShift = this.#pa20 ? 6 : 5;
  }

  // ---- bytes and half words: an address in a big-endian word is the mirror image of that in a little-endian one --------

  override load8(addr: Vaddr): number {
    return super.load8((addr ^ 3) as Vaddr);
  }

  override load16(addr: Vaddr): number {
    return super.load16((addr ^ 2) as Vaddr);
  }

  override store8(addr: Vaddr, value: number): void {
    super.store8((addr ^ 3) as Vaddr, value);
  }

  override store16(addr: Vaddr, value: number): void {
    super.store16((addr ^ 2) as Vaddr, value);
  }

  /** Faults of the translation come first: misses, then access rights. */
  protected override unaligned(addr: number, write: boolean): never {
    this.mmu.translate(addr, write);
    return this.dataAbort(addr, Trap.unaligned, write);
  }

  // ---- locks -------------------------------------------------------------------------------------------------------

  /**
   * LDCW: load a word and leave zero in its place, atomically.
   *
   * Errors: PA-RISC 1.1 traps unless the word is 16-byte aligned.
   */
  ldcw(addr: Vaddr): number {
    if (!this.#pa20 && (addr & (LDCW_BYTES - 1)) !== 0) this.dataAbort(addr, Trap.unaligned, true);
    return Atomics.exchange(this.words, this.wordIndex(addr), 0);
  }

  /** __ldcw_align(): PA-RISC 1.1 uses the aligned one of a lock's four words. */
  override lockWord(addr: Vaddr): Vaddr {
    return this.#pa20 ? addr : vaddr((addr + LDCW_BYTES - 1) & -LDCW_BYTES);
  }

  /** The point is that of an atomic operation: LDCW goes ahead whether the lock is free or not. */
  override acquire(addr: Vaddr): boolean {
    const word = this.lockWord(addr);
    this.pointAs(Point.Atomic, word, How.lock);
    if (this.ldcw(word) === HELD) return false;
    this.lockHeld(word);
    return true;
  }

  override release(addr: Vaddr): void {
    const word = this.lockWord(addr);
    this.point(Point.Unlock, word);
    this.lockDropped(word);
    Atomics.store(this.words, this.wordIndex(word), FREE);
    this.lockReleased(word);
  }

  // ---- atomic operations ---------------------------------------------------------------------------------------------

  /** _atomic_spin_lock_irqsave(): interrupts off, and on SMP one of four locks, by cache line of the operand. */
  #lockHash(addr: number): number {
    const flags = this.saveIrqs();
    if (this.config.cpus === 1) return flags;
    const lock = this.#hashOf(addr);
    while (!this.acquire(lock)) this.waitForLock(lock, HELD);
    return flags;
  }

  #unlockHash(addr: number, flags: number): void {
    if (this.config.cpus > 1) this.release(this.#hashOf(addr));
    this.restoreIrqs(flags);
  }

  #hashOf(addr: number): SpinLock {
    const hash = (addr >>> this.#hashShift) & (ATOMIC_HASH_SIZE - 1);
    return (this.sym.__atomic_hash + hash * LDCW_BYTES) as SpinLock;
  }

  override atomicSet(addr: Vaddr, value: number): void {
    const flags = this.#lockHash(addr);
    this.storeAs(addr, value, How.marked);
    this.#unlockHash(addr, flags);
  }

  override atomicAdd(addr: Vaddr, value: number): number {
    const flags = this.#lockHash(addr);
    const old = this.loadAs(addr, How.marked);
    this.storeAs(addr, (old + value) | 0, How.marked);
    this.#unlockHash(addr, flags);
    return old;
  }

  override atomicOr(addr: Vaddr, value: number): number {
    const flags = this.#lockHash(addr);
    const old = this.loadAs(addr, How.marked);
    this.storeAs(addr, old | value, How.marked);
    this.#unlockHash(addr, flags);
    return old;
  }

  override atomicAnd(addr: Vaddr, value: number): number {
    const flags = this.#lockHash(addr);
    const old = this.loadAs(addr, How.marked);
    this.storeAs(addr, old & value, How.marked);
    this.#unlockHash(addr, flags);
    return old;
  }

  override cmpxchg(addr: Vaddr, old: number, value: number): number {
    const flags = this.#lockHash(addr);
    const seen = this.loadAs(addr, How.marked);
    if (seen === old) this.storeAs(addr, value, How.marked);
    this.#unlockHash(addr, flags);
    return seen;
  }

  override xchg(addr: Vaddr, value: number): number {
    const flags = this.#lockHash(addr);
    const old = this.loadAs(addr, How.marked);
    this.storeAs(addr, value, How.marked);
    this.#unlockHash(addr, flags);
    return old;
  }
}

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    /** ATOMIC_HASH_SIZE locks, 16 bytes apart. */
    __atomic_hash: SpinLock;
  }
}
