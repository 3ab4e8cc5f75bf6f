import { describe, expect, it } from 'vitest';
import {
  atomic_add_return,
  atomic_cmpxchg,
  atomic_dec,
  atomic_dec_and_test,
  atomic_inc,
  atomic_inc_return,
  atomic_read,
  atomic_set,
  atomic_xchg,
  clear_bit,
  set_bit,
  test_and_clear_bit,
  test_and_set_bit,
  test_bit,
} from '../../src/shared/atomic.js';
import { localMachine } from '../machine.js';

function word() {
  const { k } = localMachine('arm926');
  return { k, v: k.sym.race_data };
}

describe('atomic_t', () => {
  it('answers with the new value of an addition, in 32 signed bits', () => {
    const { k, v } = word();
    atomic_set(k, v, 0x7fffffff);
    expect(atomic_add_return(k, 1, v)).toBe(-0x80000000);
    atomic_set(k, v, 5);
    expect(atomic_inc_return(k, v)).toBe(6);
    atomic_inc(k, v);
    atomic_dec(k, v);
    expect(atomic_read(k, v)).toBe(6);
  });

  it('is zero after the decrement that says so', () => {
    const { k, v } = word();
    atomic_set(k, v, 2);
    expect([atomic_dec_and_test(k, v), atomic_dec_and_test(k, v)]).toEqual([false, true]);
  });

  it('is exchanged against the value found, and by atomic_cmpxchg() only if that was the expected one', () => {
    const { k, v } = word();
    atomic_set(k, v, 3);
    expect(atomic_xchg(k, v, 4)).toBe(3);
    expect(atomic_cmpxchg(k, v, 3, 9)).toBe(4);
    expect(atomic_read(k, v)).toBe(4);
    expect(atomic_cmpxchg(k, v, 4, 9)).toBe(4);
    expect(atomic_read(k, v)).toBe(9);
  });
});

describe('bit operations', () => {
  it('set, clear and test one bit and leave the others', () => {
    const { k, v } = word();
    for (const nr of [0, 7, 31]) set_bit(k, nr, v);
    expect(k.load32(v)).toBe(0x80000081);
    clear_bit(k, 7, v);
    expect([test_bit(k, 31, v), test_bit(k, 7, v)]).toEqual([true, false]);
    expect([test_and_set_bit(k, 7, v), test_and_set_bit(k, 7, v)]).toEqual([false, true]);
    expect([test_and_clear_bit(k, 31, v), test_and_clear_bit(k, 31, v)]).toEqual([true, false]);
    expect(k.load32(v)).toBe(0x00000081);
  });
});
