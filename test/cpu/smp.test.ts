import { describe, expect, it } from 'vitest';
import { CallFunction, smp_call_function_many } from '../../src/cpu/smp.js';
import { dmesgOf, localMachine } from '../machine.js';

describe('smp_call_function_many() with interrupts masked', () => {
  const warnings = (kernel: string): number => {
    const { k } = localMachine('cortex-a9', { kernel });
    k.irqsOff = true;
    for (let call = 0; call < 3; call++) smp_call_function_many(k, CallFunction.flush_tlb_all, 0, 0);
    return dmesgOf(k).filter((line) => line.includes('smp_call_function_many()')).length;
  };

  it('warns each time before 2.6.30, and once from there', () => {
    expect(warnings('2.6.29')).toBe(3);
    expect(warnings('2.6.30')).toBe(1);
  });
});
