import { describe, expect, it } from 'vitest';
import { local_bh_disable, local_bh_enable } from '../../src/cpu/irq.js';
import {
  HARDIRQ_OFFSET,
  in_atomic,
  in_interrupt,
  in_irq,
  in_softirq,
  irqs_disabled,
  local_irq_disable,
  local_irq_enable,
  local_irq_restore,
  local_irq_save,
  might_sleep,
  preempt_disable,
  preempt_enable,
} from '../../src/shared/irqflags.js';
import { localMachine, messagesOf } from '../machine.js';

const log = messagesOf;

describe('the interrupt mask', () => {
  it('nests by saved flags', () => {
    const { k } = localMachine('arm926');
    const outer = local_irq_save(k);
    const inner = local_irq_save(k);
    expect([outer, inner]).toEqual([0, 1]);
    local_irq_restore(k, inner);
    expect(irqs_disabled(k)).toBe(true);
    local_irq_restore(k, outer);
    expect(irqs_disabled(k)).toBe(false);
  });

  it('holds interrupts back until it is lifted', () => {
    const { k } = localMachine('arm926');
    const taken: number[] = [];
    k.irqHandlers = new Map([4, 2].map((line) => [line, () => taken.push(line)]));
    local_irq_disable(k);
    k.raise(0, 4);
    k.raise(0, 2);
    k.raise(0, 2);
    k.load(k.sym.race_data);
    expect(taken).toEqual([]);
    local_irq_enable(k);
    expect(taken).toEqual([2, 4]);
  });
});

describe('the context', () => {
  it('is read off preempt_count', () => {
    const { k } = localMachine('arm926');
    const context = (): boolean[] => [in_irq(k), in_softirq(k), in_interrupt(k), in_atomic(k)];
    expect(context()).toEqual([false, false, false, false]);
    preempt_disable(k);
    expect(context()).toEqual([false, false, false, true]);
    preempt_enable(k);
    local_bh_disable(k);
    expect(context()).toEqual([false, true, true, true]);
    local_bh_enable(k);
    let inHandler: boolean[] = [];
    k.irqHandlers = new Map([
      [
        1,
        () => {
          expect(k.preemptCount).toBe(HARDIRQ_OFFSET);
          inHandler = context();
        },
      ],
    ]);
    k.raise(0, 1);
    k.load(k.sym.race_data);
    expect(inHandler).toEqual([true, false, true, true]);
    expect(k.preemptCount).toBe(0);
  });

  it('lets might_sleep() complain where nobody may sleep', () => {
    const { k } = localMachine('arm926');
    might_sleep(k);
    expect(log(k)).toEqual([]);
    preempt_disable(k);
    might_sleep(k);
    expect(log(k)).toEqual([
      'BUG: sleeping function called from invalid context at include/linux/kernel.h:0',
      'in_atomic(): 1, irqs_disabled(): 0, pid: 0, name: thread0',
    ]);
  });
});
