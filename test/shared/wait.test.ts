import { describe, expect, it } from 'vitest';
import { Seat } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { ptr } from '../../src/shared/types.js';
import {
  add_wait_queue,
  add_wait_queue_exclusive,
  type Completion,
  complete,
  DECLARE_WAITQUEUE,
  init_completion,
  init_waitqueue_head,
  remove_wait_queue,
  set_current_state,
  struct_completion,
  struct_task_struct,
  TASK_RUNNING,
  TASK_UNINTERRUPTIBLE,
  type WaitQueueHead,
  wait_event,
  wait_for_completion,
  waitqueue_active,
  wake_up,
  wake_up_all,
} from '../../src/shared/wait.js';
import { localMachine } from '../machine.js';

const CPUS = 5;

/** CPU 0 wakes; a thread of each other CPU has queued itself and says that it sleeps. */
function sleepers(exclusive: readonly boolean[]) {
  const { cpus, k } = localMachine('cortex-a9', { cpus: CPUS, threadsMax: CPUS });
  const queue: WaitQueueHead = ptr(k.sym.race_data);
  init_waitqueue_head(k, queue);
  exclusive.forEach((isExclusive, i) => {
    const sleeper = cpus[i + 1]!;
    sleeper.write(sleeper.current, struct_task_struct.cpu, i + 1);
    const wait = DECLARE_WAITQUEUE(sleeper);
    if (isExclusive) add_wait_queue_exclusive(sleeper, queue, wait);
    else add_wait_queue(sleeper, queue, wait);
    set_current_state(sleeper, TASK_UNINTERRUPTIBLE);
  });
  const stateOf = (cpu: number): number => k.read(cpus[cpu]!.current, struct_task_struct.state);
  const awake = (): number[] => exclusive.map((_, i) => i + 1).filter((cpu) => stateOf(cpu) === TASK_RUNNING);
  return { k, cpus, queue, awake };
}

/** Threads in a CPU's run queue. */
const queued = (k: Kernel, cpu: number): number => k.hw[k.layout.seats + cpu * Seat.words + Seat.rqCount] as number;

describe('wake_up()', () => {
  it('wakes every waiter that is not exclusive, and one that is: the one that came first', () => {
    const { k, queue, awake } = sleepers([true, false, true, false]);
    wake_up(k, queue);
    expect(awake()).toEqual([1, 2, 4]);
    wake_up(k, queue);
    expect(awake()).toEqual([1, 2, 3, 4]);
  });

  it('puts who was asleep into the queue of its CPU, once', () => {
    const { k, queue } = sleepers([false, false]);
    wake_up(k, queue);
    wake_up(k, queue);
    expect([1, 2].map((cpu) => queued(k, cpu))).toEqual([1, 1]);
  });

  it('does not count an exclusive waiter that is awake already', () => {
    const { k, cpus, queue, awake } = sleepers([true, true]);
    set_current_state(cpus[1]!, TASK_RUNNING);
    wake_up(k, queue);
    expect(awake()).toEqual([1, 2]);
    expect(queued(k, 1)).toBe(0);
  });

  it('wakes all with wake_up_all()', () => {
    const { k, queue, awake } = sleepers([true, true, true, false]);
    wake_up_all(k, queue);
    expect(awake()).toEqual([1, 2, 3, 4]);
  });

  it('leaves the queue to the waiters, who remove themselves', () => {
    const { k, cpus, queue } = sleepers([false]);
    wake_up(k, queue);
    expect(waitqueue_active(k, queue)).toBe(true);
    remove_wait_queue(cpus[1]!, queue, ptr(cpus[1]!.current + struct_task_struct.wait.offset));
    expect(waitqueue_active(k, queue)).toBe(false);
  });
});

describe('wait_event()', () => {
  it('returns at once when the condition holds, and joins no queue', () => {
    const { k, queue } = sleepers([]);
    let looked = 0;
    wait_event(k, queue, () => {
      looked++;
      return true;
    });
    expect(looked).toBe(1);
    expect(waitqueue_active(k, queue)).toBe(false);
  });

  it('looks again between saying that it sleeps and sleeping', () => {
    const { k, queue } = sleepers([]);
    const states: number[] = [];
    wait_event(k, queue, () => {
      states.push(k.read(k.current, struct_task_struct.state));
      return states.length === 2;
    });
    expect(states).toEqual([TASK_RUNNING, TASK_UNINTERRUPTIBLE]);
    expect(k.read(k.current, struct_task_struct.state)).toBe(TASK_RUNNING);
    expect(waitqueue_active(k, queue)).toBe(false);
  });
});

describe('a completion', () => {
  const made = () => {
    const { k, cpus } = localMachine('cortex-a9', { cpus: 2 });
    const x: Completion = ptr(k.sym.race_data);
    init_completion(k, x);
    return { k, cpus, x, done: () => k.read(x, struct_completion.done) };
  };

  it('that is complete before the wait makes nobody sleep', () => {
    const { k, x, done } = made();
    complete(k, x);
    expect(done()).toBe(1);
    wait_for_completion(k, x);
    expect(done()).toBe(0);
  });

  it('counts how often it was completed', () => {
    const { k, x, done } = made();
    for (let i = 0; i < 3; i++) complete(k, x);
    for (const left of [2, 1, 0]) {
      wait_for_completion(k, x);
      expect(done()).toBe(left);
    }
  });
});
