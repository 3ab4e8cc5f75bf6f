/**
 * Kernel threads on a CPU's seat: run queue, sleep, wake-up, preemption, idle.
 *
 * Models the outside of kernel/sched.c, Linux 2.6.30: a sleeping thread leaves the queue, a wake-up puts it back, the tick asks for a
 * reschedule, preemption happens where preempt_count is zero. Differs: first in, first out instead of the fair scheduler; threads
 * never change their CPU; the queue's lock is not a kernel lock and has no scheduling points.
 *
 * A thread is a worker; passing the seat is a hand-over between workers. A CPU with nothing to run idles on the stack of the thread
 * that ran last, takes interrupts there, and passes the seat on when somebody is woken.
 */
import { ExecutionStopped } from '../shared/errors.js';
import { Space } from '../shared/footprint.js';
import { schedule_debug } from '../shared/irqflags.js';
import { Point } from '../shared/point.js';
import type { Ptr, Vaddr } from '../shared/types.js';
import { struct_task_struct, TASK_RUNNING } from '../shared/wait.js';
import { deviceRung } from './device.js';
import { lockWord, unlockWord } from './hostlock.js';
import { Attention, Control, RUN_QUEUE_MAX, Seat, THREAD_ENDED, Thread, Verdict, WaitKind } from './hw.js';
import type { Kernel } from './kernel.js';
import { IPI_RESCHEDULE, TIMER_LINE } from './lines.js';
import { Ev } from './tracer.js';

const NOBODY = -1;
const SPINS = 100;
const SLEEP_MS = 2;
/** Rounds of SLEEP_MS that an idle CPU waits before it asks whether anything can happen any more. */
const QUIET_ROUNDS = 4;

export class Scheduler {
  /** Give up the CPU: sleep if the thread's state says so, else let others run. Context: process; see might_sleep(). */
  schedule(k: Kernel): void {
    k.point(Point.Sched, k.current);
    schedule_debug(k);
    this.#schedule(k, false);
  }

  /** Preemption: the thread stays runnable whatever its state. Does nothing where preemption is forbidden. */
  preemptSchedule(k: Kernel): void {
    if (!k.preemptible || k.preemptCount !== 0 || k.irqsOff || k.hw[seatOf(k) + Seat.idle] !== 0) return;
    const mark = k.mark();
    k.point(Point.Preempt, k.current);
    this.#schedule(k, true);
    k.recall(mark);
  }

  #schedule(k: Kernel, preempted: boolean): void {
    const irqsOff = k.irqsOff;
    const seat = seatOf(k);
    const thread = threadOf(k, k.slot);
    lockWord(k.hw, seat + Seat.rqLock);
    k.hw[seat + Seat.needResched] = 0;
    const runnable = preempted || stateOf(k) === TASK_RUNNING;
    if (runnable) enqueue(k, k.cpu, k.slot);
    else k.hw[thread + Thread.onRq] = 0;
    let next = dequeue(k, k.cpu);
    unlockWord(k.hw, seat + Seat.rqLock);
    if (!runnable) setWait(k, WaitKind.sleep);
    if (next === NOBODY) next = this.#idle(k, () => false);
    if (next !== k.slot) {
      this.#switchTo(k, next);
      this.waitForSeat(k);
    }
    setWait(k, WaitKind.none);
    k.irqsOff = irqsOff;
  }

  /**
   * Give the seat to @next. The caller no longer runs kernel code until it gets it back. Interrupts are masked until @next has set its
   * own mask: one in the middle of a change of address space would schedule again, with a thread that is on its way out.
   */
  #switchTo(k: Kernel, next: number): void {
    const seat = seatOf(k);
    k.irqsOff = true;
    const mm = k.hw[threadOf(k, next) + Thread.mm] as number;
    const active = k.hw[seat + Seat.activeMm] as number;
    if (mm !== 0 && mm !== active) {
      k.vectors?.switchMm(k, active, mm);
      k.hw[seat + Seat.activeMm] = mm;
    }
    k.count(Seat.switches);
    k.trace(Ev.switchTo, next);
    Atomics.store(k.hw, seat + Seat.current, next);
    const run = threadOf(k, next) + Thread.run;
    k.footprint?.touch(Space.hw, run, true);
    k.footprint?.touch(Space.stack, k.cpu, true);
    Atomics.store(k.hw, run, 1);
    Atomics.notify(k.hw, run);
  }

  /** Wait off the CPU until somebody passes the seat here. */
  waitForSeat(k: Kernel): void {
    const run = threadOf(k, k.slot) + Thread.run;
    k.trace(Ev.wait, WaitKind.seat, sleepsOn(k));
    k.controller?.waits?.waitWhile(k.hw, run, 0, k.current);
    for (let round = 0; Atomics.load(k.hw, run) === 0; round++) {
      if (Atomics.load(k.hw, Control.abort) !== 0) throw new ExecutionStopped('stopped');
      if (round > SPINS) Atomics.wait(k.hw, run, 0, SLEEP_MS * 5);
    }
    Atomics.store(k.hw, run, 0);
    k.trace(Ev.woken, WaitKind.seat, k.current);
  }

  /** The thread has ended: pass the seat on, or keep the CPU idle until the execution is over. */
  exit(k: Kernel): void {
    const seat = seatOf(k);
    k.irqsOff = false;
    k.hw[threadOf(k, k.slot) + Thread.onRq] = 0;
    k.hw[threadOf(k, k.slot) + Thread.state] = THREAD_ENDED;
    Atomics.add(k.hw, Control.progress, 1);
    // Who schedules knows of every CPU whether it idles.
    if (Atomics.sub(k.hw, Control.live, 1) === 1 && k.controller?.waits == null) wakeSeats(k);
    lockWord(k.hw, seat + Seat.rqLock);
    let next = dequeue(k, k.cpu);
    unlockWord(k.hw, seat + Seat.rqLock);
    if (next === NOBODY && k.controller?.waits != null) {
      // Who schedules knows that this CPU idles from here on, and calls its worker again for an interrupt.
      k.mmu.drain();
      Atomics.store(k.hw, seat + Seat.idle, 1);
      return;
    }
    if (next === NOBODY) next = this.#idle(k, () => Atomics.load(k.hw, Control.live) === 0);
    if (next !== NOBODY) this.#switchTo(k, next);
  }

  /** A CPU without a thread of the race: idle from the start. */
  idleUntilOver(k: Kernel): void {
    const next = this.#idle(k, () => Atomics.load(k.hw, Control.live) === 0);
    if (next !== NOBODY) this.#switchTo(k, next);
  }

  /**
   * Nothing to run: take interrupts until a thread becomes runnable or @over holds. Return: the thread, or NOBODY.
   * The write buffer empties by itself meanwhile.
   */
  #idle(k: Kernel, over: () => boolean): number {
    const seat = seatOf(k);
    k.mmu.drain();
    k.irqsOff = false;
    k.trace(Ev.wait, WaitKind.sleep, sleepsOn(k));
    Atomics.store(k.hw, seat + Seat.idle, 1);
    let quietSince = Atomics.load(k.hw, Control.progress);
    for (let round = 0, quiet = 0; ; round++) {
      const waits = k.controller?.waits;
      if (waits != null) waits.idle();
      else k.point(Point.Wait, k.current);
      lockWord(k.hw, seat + Seat.rqLock);
      const next = dequeue(k, k.cpu);
      unlockWord(k.hw, seat + Seat.rqLock);
      if (next !== NOBODY || over()) {
        Atomics.store(k.hw, seat + Seat.idle, 0);
        k.trace(Ev.woken, WaitKind.sleep, k.current);
        return next;
      }
      if (round < SPINS || waits != null) continue;
      const bits = Atomics.load(k.hw, seat + Seat.attention);
      if ((bits & ~(Attention.controlled | Attention.trace)) === 0)
        Atomics.wait(k.hw, seat + Seat.attention, bits, SLEEP_MS);
      const progress = Atomics.load(k.hw, Control.progress);
      quiet = progress === quietSince && this.#nothingCanHappen(k) ? quiet + 1 : 0;
      quietSince = progress;
      if (quiet >= QUIET_ROUNDS) k.onQuiet?.(k);
    }
  }

  /** Every CPU is idle, no interrupt but the tick is due, no device works, and threads of the race still live. */
  #nothingCanHappen(k: Kernel): boolean {
    if (Atomics.load(k.hw, Control.live) === 0 || Atomics.load(k.hw, Control.devicesBusy) !== 0) return false;
    if (deviceRung(k.hw, k.layout, k.config.devicesMax)) return false;
    for (let cpu = 0; cpu < k.config.cpus; cpu++) {
      const seat = k.layout.seats + cpu * Seat.words;
      const pending = Atomics.load(k.hw, seat + Seat.pending) & ~(1 << TIMER_LINE);
      if (Atomics.load(k.hw, seat + Seat.idle) === 0 || pending !== 0) return false;
      if (k.hw[seat + Seat.rqCount] !== 0 || k.hw[seat + Seat.irqDepth] !== 0) return false;
    }
    return Atomics.load(k.hw, Control.verdict) === Verdict.none;
  }

  /**
   * Make @task runnable. Context: any. Return: whether it was asleep, or about to be.
   * Source: try_to_wake_up(), kernel/sched.c, Linux 2.6.30.
   */
  tryToWakeUp(k: Kernel, task: Ptr<'task_struct'>): boolean {
    k.point(Point.Sched, task);
    const slot = k.words[(task + struct_task_struct.pid.offset - k.staticBase) >>> 2] as number;
    const cpu = k.words[(task + struct_task_struct.cpu.offset - k.staticBase) >>> 2] as number;
    const seat = k.layout.seats + cpu * Seat.words;
    const thread = threadOf(k, slot);
    lockWord(k.hw, seat + Seat.rqLock);
    const asleep = Atomics.exchange(k.words, k.wordIndex(task), TASK_RUNNING) !== TASK_RUNNING;
    const queued = asleep && k.hw[thread + Thread.onRq] === 0;
    if (queued) enqueue(k, cpu, slot);
    if (asleep) k.trace(Ev.wakeUp, slot, cpu);
    unlockWord(k.hw, seat + Seat.rqLock);
    if (asleep) Atomics.add(k.hw, Control.progress, 1);
    if (queued && cpu !== k.cpu) k.raise(cpu, IPI_RESCHEDULE);
    return asleep;
  }

  /** The timer tick: others on this CPU get their turn. */
  tick(k: Kernel): void {
    const seat = seatOf(k);
    if (k.hw[seat + Seat.rqCount] !== 0) k.hw[seat + Seat.needResched] = 1;
  }
}

const seatOf = (k: Kernel): number => k.layout.seats + k.cpu * Seat.words;
const threadOf = (k: Kernel, slot: number): number => k.layout.threads + slot * Thread.words;
/** What the thread sleeps for, if it has said so, else its task. */
const sleepsOn = (k: Kernel): number => (k.hw[threadOf(k, k.slot) + Thread.waitOn] as number) || k.current;
const stateOf = (k: Kernel): number => k.atomicLoad(k.current as Vaddr);

function setWait(k: Kernel, kind: WaitKind): void {
  k.hw[threadOf(k, k.slot) + Thread.waitKind] = kind;
}

/** At the tail. The queue's lock is held. */
export function enqueue(k: Kernel, cpu: number, slot: number): void {
  k.footprint?.touch(Space.seat, cpu, true);
  const seat = k.layout.seats + cpu * Seat.words;
  const count = k.hw[seat + Seat.rqCount] as number;
  const head = k.hw[seat + Seat.rqHead] as number;
  k.hw[seat + Seat.queue + ((head + count) % RUN_QUEUE_MAX)] = slot;
  k.hw[seat + Seat.rqCount] = count + 1;
  k.hw[Control.stirred] = 1;
  k.hw[threadOf(k, slot) + Thread.onRq] = 1;
}

function dequeue(k: Kernel, cpu: number): number {
  k.footprint?.touch(Space.seat, cpu, true);
  const seat = k.layout.seats + cpu * Seat.words;
  const count = k.hw[seat + Seat.rqCount] as number;
  if (count === 0) return NOBODY;
  const head = k.hw[seat + Seat.rqHead] as number;
  k.hw[seat + Seat.rqHead] = (head + 1) % RUN_QUEUE_MAX;
  k.hw[seat + Seat.rqCount] = count - 1;
  return k.hw[seat + Seat.queue + head] as number;
}

/** Have every idle CPU look up. */
export function wakeSeats(k: Kernel): void {
  for (let cpu = 0; cpu < k.config.cpus; cpu++) {
    const seat = k.layout.seats + cpu * Seat.words;
    Atomics.or(k.hw, seat + Seat.attention, Attention.wake);
    Atomics.notify(k.hw, seat + Seat.attention);
  }
}
