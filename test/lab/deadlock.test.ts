/** Cycles of waits, by what the words of the machine say. */
import { describe, expect, it } from 'vitest';
import { Seat, Thread, WaitKind } from '../../src/cpu/hw.js';
import { findCycle, type MachineView } from '../../src/lab/deadlock.js';
import { localMachine } from '../machine.js';

/** Thread 0 on CPU 0 holds a lock and calls CPU 1, whose thread 1 waits for the lock in the way given. */
function called(waits: WaitKind, irqsOff: boolean): number[] | null {
  const { k } = localMachine('cortex-a9', { cpus: 2 });
  const { hw, layout } = k;
  const seat = layout.seats + Seat.words;
  const [caller, other] = [layout.threads, layout.threads + Thread.words];
  const lock = k.sym.race_data;
  Object.assign(hw, {
    [caller + Thread.held]: lock,
    [caller + Thread.waitKind]: WaitKind.ipi,
    [caller + Thread.cpu]: 0,
  });
  Object.assign(hw, { [other + Thread.waitKind]: waits, [other + Thread.waitOn]: lock, [other + Thread.cpu]: 1 });
  Object.assign(hw, { [seat + Seat.callFrom]: 1, [seat + Seat.irqsOff]: irqsOff ? 1 : 0, [seat + Seat.current]: 1 });
  const view: MachineView = { hw, layout, words: k.words, config: k.config, sym: k.sym };
  return findCycle(view, 0);
}

describe('a CPU that is called with a lock held', () => {
  it('never answers while it spins on the lock with interrupts masked', () => {
    expect(called(WaitKind.lock, true)).toEqual([0, 1]);
    expect(called(WaitKind.lock, false)).toBe(null);
  });

  it('answers when its thread has gone to sleep on the lock, though interrupts are masked on the way', () => {
    expect(called(WaitKind.sleep, true)).toBe(null);
  });
});
