/** LDCW locks, reader-writer locks and atomic operations of PA-RISC: spec/hardware.md §3.6. */
import { describe, expect, it } from 'vitest';
import type { PariscKernel } from '../../../src/arch/parisc/cpu.js';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { atomic_inc, atomic_set, set_bit } from '../../../src/shared/atomic.js';
import { Point } from '../../../src/shared/point.js';
import {
  read_lock,
  read_unlock,
  spin_is_locked,
  spin_lock,
  spin_lock_init,
  spin_trylock,
  spin_unlock,
  write_lock,
  write_unlock,
} from '../../../src/shared/spinlock.js';
import { ptr, vaddr } from '../../../src/shared/types.js';
import { localMachine } from '../../machine.js';

const lockAt = (k: Kernel, offset: number) => ptr<'spinlock'>(k.sym.race_data + offset);
const wordAt = (k: Kernel, offset: number): number => k.load(vaddr(k.sym.race_data + offset));
const pa = (core: string, options = {}): PariscKernel => localMachine(core, options).k as PariscKernel;

describe('a spinlock', () => {
  it('is 1 when free and 0 when held', () => {
    const k = pa('pcxu');
    const lock = lockAt(k, 256);
    expect(spin_is_locked(k, lock)).toBe(true);
    spin_lock_init(k, lock);
    expect([wordAt(k, 256), spin_is_locked(k, lock)]).toEqual([1, false]);
    spin_lock(k, lock);
    expect([wordAt(k, 256), spin_trylock(k, lock)]).toEqual([0, false]);
    spin_unlock(k, lock);
    expect([wordAt(k, 256), k.preemptCount]).toEqual([1, 0]);
    expect(spin_trylock(k, lock)).toBe(true);
  });

  it('is the 16-byte aligned word of four on PA-RISC 1.1, the word itself on 2.0', () => {
    const [old, young] = [pa('pcxl'), pa('pcxu')];
    for (const k of [old, young]) spin_lock_init(k, lockAt(k, 260));
    expect([wordAt(old, 260), wordAt(old, 272)]).toEqual([0, 1]);
    expect([wordAt(young, 260), wordAt(young, 272)]).toEqual([1, 0]);
    spin_lock(old, lockAt(old, 260));
    expect(wordAt(old, 272)).toBe(0);
  });

  it('cannot be taken by LDCW of a word that is not aligned, on 1.1', () => {
    const [old, young] = [pa('pcxl'), pa('pcxu')];
    expect(() => old.ldcw(lockAt(old, 260))).toThrow('Unaligned data reference: Code=28');
    expect(young.ldcw(lockAt(young, 260))).toBe(0);
  });

  it('is free from boot where the kernel has it initialised statically', () => {
    const k = pa('pcxl');
    const { pa_tlb_lock, pcxl_res_lock, init_mm_page_table_lock } = k.sym;
    for (const lock of [pa_tlb_lock, pcxl_res_lock, init_mm_page_table_lock])
      expect(spin_is_locked(k, lock)).toBe(false);
    expect(spin_is_locked(k, lockAt(k, 0))).toBe(false);
  });
});

describe('a reader-writer lock', () => {
  it('counts readers beside its spinlock, and a writer keeps the spinlock', () => {
    const k = pa('pcxu');
    const lock = ptr<'rwlock'>(k.sym.race_data + 256);
    spin_lock_init(k, lockAt(k, 256));
    read_lock(k, lock);
    read_lock(k, lock);
    expect([wordAt(k, 256), wordAt(k, 260)]).toEqual([1, 2]);
    read_unlock(k, lock);
    read_unlock(k, lock);
    write_lock(k, lock);
    expect([wordAt(k, 256), wordAt(k, 260)]).toEqual([0, -1]);
    write_unlock(k, lock);
    expect([wordAt(k, 256), wordAt(k, 260), k.preemptCount, k.irqsOff]).toEqual([1, 0, 0, false]);
  });
});

/** Addresses of the locks that @act takes, in order, and whether interrupts were off then. */
function locksOf(k: Kernel, act: () => void): [number, boolean][] {
  const taken: [number, boolean][] = [];
  const point = k.point;
  k.point = (kind, addr) => {
    if (kind === Point.Unlock) taken.push([addr, k.irqsOff]);
    point.call(k, kind, addr);
  };
  act();
  k.point = point;
  return taken;
}

describe('an atomic operation on SMP', () => {
  const smp = { cpus: 2 };

  it('takes one of four locks with interrupts off, by cache line; so does atomic_set()', () => {
    const k = pa('pcxu', smp);
    const at = (line: number) => vaddr(k.sym.race_data + 64 * line);
    const hash = (line: number): number => k.sym.__atomic_hash + ((at(line) >>> 6) & 3) * 16;
    for (const act of [
      (line: number) => atomic_inc(k, at(line)),
      (line: number) => atomic_set(k, at(line), 7),
      (line: number) => set_bit(k, 3, at(line)),
    ]) {
      for (const line of [1, 2, 3, 4, 5]) expect(locksOf(k, () => act(line))).toEqual([[hash(line), true]]);
    }
    expect(hash(1)).toBe(hash(5));
    expect(k.irqsOff).toBe(false);
  });

  it('waits while the lock is held for an unrelated word of the same hash', () => {
    const k = pa('pcxu', smp);
    const [one, other] = [vaddr(k.sym.race_data + 64), vaddr(k.sym.race_data + 64 + 4 * 64)];
    k.ldcw(vaddr(k.sym.__atomic_hash + ((one >>> 6) & 3) * 16));
    k.waitForLock = () => {
      throw new Error('waits');
    };
    expect(() => atomic_inc(k, other)).toThrow('waits');
  });
});

describe('an atomic operation on one CPU', () => {
  it('takes no lock', () => {
    const k = pa('pcxl');
    expect(locksOf(k, () => atomic_inc(k, vaddr(k.sym.race_data + 64)))).toEqual([]);
    expect(wordAt(k, 64)).toBe(1);
  });
});
