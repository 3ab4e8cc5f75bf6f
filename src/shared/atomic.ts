/** `atomic_t` and atomic bit operations. Source: asm/atomic.h, asm/bitops.h. Reading and setting are a load and a store, marked. */
import { How } from './access.js';
import type { KernelBase } from './kernel-base.js';
import { Point } from './point.js';
import type { Vaddr } from './types.js';

export function atomic_read(k: KernelBase, v: Vaddr): number {
  return k.loadAs(v, How.marked);
}

export function atomic_set(k: KernelBase, v: Vaddr, value: number): void {
  k.atomicSet(v, value);
}

/** Return: the new value. */
export function atomic_add_return(k: KernelBase, value: number, v: Vaddr): number {
  k.point(Point.Atomic, v);
  return (k.atomicAdd(v, value) + value) | 0;
}

/** As all that return nothing: atomic, and no barrier. Source: Documentation/atomic_ops.txt, Linux 2.6.30. */
function atomic_add(k: KernelBase, value: number, v: Vaddr): void {
  const mark = k.mark();
  k.pointAs(Point.Atomic, v, How.marked);
  k.atomicAdd(v, value);
  k.forget(mark);
}

export function atomic_inc(k: KernelBase, v: Vaddr): void {
  atomic_add(k, 1, v);
}

export function atomic_dec(k: KernelBase, v: Vaddr): void {
  atomic_add(k, -1, v);
}

export function atomic_dec_and_test(k: KernelBase, v: Vaddr): boolean {
  const mark = k.mark();
  const zero = atomic_add_return(k, -1, v) === 0;
  k.forget(mark, zero ? 1 : 0);
  return zero;
}

export function atomic_inc_return(k: KernelBase, v: Vaddr): number {
  return atomic_add_return(k, 1, v);
}

/** Return: the value found; @value is stored if that was @old. If not, it is no barrier from 4.x on: Documentation/atomic_ops.txt, Linux 4.9. */
export function atomic_cmpxchg(k: KernelBase, v: Vaddr, old: number, value: number): number {
  k.pointAs(Point.Atomic, v, How.conditional);
  const found = k.cmpxchg(v, old, value);
  k.compared(found === (old | 0));
  return found;
}

export function atomic_xchg(k: KernelBase, v: Vaddr, value: number): number {
  k.point(Point.Atomic, v);
  return k.xchg(v, value);
}

export function set_bit(k: KernelBase, nr: number, v: Vaddr): void {
  const mark = k.mark();
  k.pointAs(Point.Atomic, v, How.marked);
  k.atomicOr(v, 1 << nr);
  k.forget(mark);
}

export function clear_bit(k: KernelBase, nr: number, v: Vaddr): void {
  const mark = k.mark();
  k.pointAs(Point.Atomic, v, How.marked);
  k.atomicAnd(v, ~(1 << nr));
  k.forget(mark);
}

/** Return: whether the bit was set before. */
export function test_and_set_bit(k: KernelBase, nr: number, v: Vaddr): boolean {
  k.point(Point.Atomic, v);
  return (k.atomicOr(v, 1 << nr) & (1 << nr)) !== 0;
}

export function test_and_clear_bit(k: KernelBase, nr: number, v: Vaddr): boolean {
  k.point(Point.Atomic, v);
  return (k.atomicAnd(v, ~(1 << nr)) & (1 << nr)) !== 0;
}

export function test_bit(k: KernelBase, nr: number, v: Vaddr): boolean {
  return (k.loadAs(v, How.marked) & (1 << nr)) !== 0;
}
