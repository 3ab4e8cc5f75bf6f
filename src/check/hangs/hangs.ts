/**
 * The watchdogs: CPUs that are stuck, tasks that are blocked, objects that are freed under readers of RCU.
 *
 * Models kernel/softlockup.c, Linux 2.6.22, 2.6.28 and 2.6.30, kernel/hung_task.c, Linux 2.6.30, 4.10 and 4.12, and kernel/watchdog.c, Linux 4.10;
 * spec/checkers.md §4. Time is that of jiffies, which goes by when a task waits for it. As the machine stands still for everybody else meanwhile, a tick counts only where nothing
 * else could have happened in it: every other CPU idles, waits for a time as well, or spins for what nobody gives it. What chance has not let
 * run is therefore never called stuck.
 */
import { deviceRung } from '../../cpu/device.js';
import { Control, RUN_QUEUE_MAX, Seat, Stage, Thread, WaitKind } from '../../cpu/hw.js';
import type { Kernel } from '../../cpu/kernel.js';
import { Ev, type Tracer } from '../../cpu/tracer.js';
import { Space } from '../../shared/footprint.js';
import { HZ } from '../../shared/jiffies.js';
import type { HangWatch } from '../../shared/kernel-base.js';
import { Point } from '../../shared/point.js';
import { struct_task_struct, TASK_UNINTERRUPTIBLE } from '../../shared/wait.js';
import type { Places } from '../places.js';
import { Cpu, HangArea, Head, Task } from './area.js';
import type { HangLimits, HangRules } from './limits.js';
import * as report from './report.js';

export const HANG_REPORTS = ['soft-lockup', 'hard-lockup', 'hung-task', 'rcu-free'] as const;
export type HangReportKind = (typeof HANG_REPORTS)[number];

export interface HangReport {
  readonly kind: HangReportKind;
  readonly headline: string;
  readonly lines: readonly string[];
}

export interface HangOptions {
  readonly rules: HangRules;
  readonly limits: HangLimits;
  readonly places: Places;
  /** What a thread waits for, and what it holds, in words. */
  readonly waiting: (slot: number) => readonly string[];
  /** The locks that a thread holds as lockdep knows them, or those of all threads; nothing where it does not watch. */
  readonly locks: (slot: number | null) => readonly string[];
  readonly onReport?: (report: HangReport) => void;
  /** They measure, but say nothing. */
  readonly silent?: boolean;
  /** Hears of @ticks that have gone by for a thread that kept its CPU and spun, and where it is. */
  readonly onSpun?: (slot: number, ticks: number, functions: readonly string[]) => void;
}

/** `Thread.state` of one that has begun and not ended. */
const THREAD_RUNS = 1;

export class Hangs implements HangWatch, Tracer {
  readonly name = 'hangs';
  declare readonly k: Kernel;
  declare readonly area: HangArea;
  readonly rules: HangRules;
  declare readonly limits: HangLimits;
  readonly #options: HangOptions;
  readonly #words: Int32Array;
  /** Locks that contexts below on this worker's stack stand in front of. */
  readonly #below: number[] = [];

  constructor(k: Kernel, options: HangOptions) {
    this.k = k;
    this.area = new HangArea(k.hw, k.layout.hangs, k.config.cpus, k.config.threadsMax);
    this.rules = options.rules;
    this.limits = options.limits;
    this.#options = options;
    this.#words = k.hw;
  }

  restart(): void {
    this.area.restart();
  }

  end(): void {}

  get headline(): string {
    return this.area.headline;
  }

  // ---- what this worker does ---------------------------------------------------------------------------------------

  event(what: Ev, a: number, b: number): void {
    const task = this.area.task(this.k.slot);
    switch (what) {
      case Ev.point:
        this.#stands(task, a as Point, b);
        return;
      case Ev.step:
        if (this.#words[task + Task.lock] !== 0) this.#set(task + Task.lock, 0);
        // What a CPU has come to when time goes by decides what is reported.
        this.k.footprint?.touch(Space.hw, this.area.index, false);
        return;
      case Ev.wait:
        if (a === WaitKind.lock || a === WaitKind.ipi || a === WaitKind.sleep) this.#remember(task);
        return;
      case Ev.irqEnter:
        this.#below.push(this.#words[task + Task.lock] as number);
        return;
      case Ev.irqExit:
        this.#set(task + Task.lock, this.#below.pop() ?? 0);
        return;
      case Ev.woken:
        this.#ran(task);
    }
  }

  /** This thread stands before a step: if its CPU's watchdog could run by now, it has. */
  #stands(task: number, kind: Point, addr: number): void {
    const { k } = this;
    if (kind === Point.Lock) {
      this.#set(task + Task.lock, addr);
      if (!this.#isFree(addr)) this.#remember(task);
      return;
    }
    const own = kind === Point.Sched && addr === k.current;
    if (own) this.#ran(task);
    const cpu = this.area.cpu(k.cpu);
    if (this.#words[cpu + Cpu.soft] === 0 && this.#words[cpu + Cpu.hard] === 0) return;
    if (k.irqsOff && !own) return;
    this.#tick(k.cpu);
    this.#set(cpu + Cpu.hard, 0);
    this.#set(cpu + Cpu.hardSaid, 0);
    if (own || this.#preemptible(k.cpu)) this.#touched(cpu);
  }

  #touched(cpu: number): void {
    this.#set(cpu + Cpu.soft, 0);
    this.#set(cpu + Cpu.softSaid, 0);
  }

  /** The task has the CPU, or is about to give it away. */
  #ran(task: number): void {
    this.#set(task + Task.blocked, 0);
    this.#set(task + Task.seen, 0);
  }

  /** Where the thread is, before it waits. */
  #remember(task: number): void {
    this.#set(task + Task.stack, this.area.keep(this.stack().join('\n')));
  }

  stack(): readonly string[] {
    return this.#options.places.functions(this.#options.places.capture());
  }

  #set(at: number, value: number): void {
    if (this.#words[at] === value) return;
    this.#words[at] = value;
    this.k.footprint?.hwChanged(at, 1);
  }

  waitsForTime(on: boolean): void {
    this.#set(this.area.task(this.k.slot) + Task.timed, on ? 1 : 0);
  }

  // ---- the machine as it is ----------------------------------------------------------------------------------------

  #seat(cpu: number): number {
    return this.k.layout.seats + cpu * Seat.words;
  }

  #thread(slot: number): number {
    return this.k.layout.threads + slot * Thread.words;
  }

  #current(cpu: number): number {
    return this.#words[this.#seat(cpu) + Seat.current] as number;
  }

  #word(addr: number): number {
    return this.k.words[((addr >>> 0) - this.k.staticBase) >>> 2] as number;
  }

  #isFree(lock: number): boolean {
    return this.#word(lock) === this.k.freeLock;
  }

  /** Could the watchdog's thread, which no other precedes, have the CPU at the next tick? */
  #preemptible(cpu: number): boolean {
    const { k } = this;
    if (!k.config.preempt || this.#words[this.#seat(cpu) + Seat.irqsOff] !== 0) return false;
    return k.preemptCountOf(this.#current(cpu)) === 0;
  }

  /** Does the CPU spin for what it has not got? */
  #spins(cpu: number): boolean {
    const slot = this.#current(cpu);
    const standsAt = this.#words[this.area.task(slot) + Task.lock] as number;
    if (standsAt !== 0) return !this.#isFree(standsAt);
    const thread = this.#thread(slot);
    const kind = this.#words[thread + Thread.waitKind];
    if (kind === WaitKind.ipi) return !this.#answers(cpu);
    return (
      kind === WaitKind.lock &&
      this.#word(this.#words[thread + Thread.waitOn] as number) === this.#words[thread + Thread.waitSeen]
    );
  }

  /** Is there a CPU that has a call of @cpu pending and can take it? */
  #answers(cpu: number): boolean {
    for (let other = 0; other < this.k.config.cpus; other++) {
      const seat = this.#seat(other);
      const pending = ((this.#words[seat + Seat.callFrom] as number) >>> cpu) & 1;
      if (pending === 1 && this.#words[seat + Seat.irqsOff] === 0) return true;
    }
    return false;
  }

  /** It has nothing to run: so is a CPU for which the race has no thread, or whose threads have ended. */
  #idle(cpu: number): boolean {
    if (this.#words[this.#seat(cpu) + Seat.idle] !== 0) return true;
    return this.#words[this.#thread(this.#current(cpu)) + Thread.state] !== THREAD_RUNS;
  }

  #timed(slot: number): boolean {
    return this.#words[this.area.task(slot) + Task.timed] !== 0;
  }

  /** Is there a thread in the queue of @cpu that waits for nothing but the CPU? */
  #queued(cpu: number): boolean {
    const seat = this.#seat(cpu);
    const count = this.#words[seat + Seat.rqCount] as number;
    const head = this.#words[seat + Seat.rqHead] as number;
    for (let i = 0; i < count; i++) {
      const slot = this.#words[seat + Seat.queue + ((head + i) % RUN_QUEUE_MAX)] as number;
      if (!this.#timed(slot)) return true;
    }
    return false;
  }

  /** Could anything else have happened on @cpu while time went by for this worker's thread? */
  #isQuiet(cpu: number): boolean {
    const { k } = this;
    const seat = this.#seat(cpu);
    const masked = this.#words[seat + Seat.irqsOff] !== 0;
    if (!masked && this.#words[seat + Seat.pending] !== 0) return false;
    const stuck = cpu !== k.cpu && !this.#idle(cpu) && this.#spins(cpu);
    if (cpu !== k.cpu && !stuck && !this.#idle(cpu) && !this.#timed(this.#current(cpu))) return false;
    return (stuck && !this.#preemptible(cpu)) || !this.#queued(cpu);
  }

  /** Nobody but this worker's thread has anything to do. */
  #allQuiet(): boolean {
    const { k } = this;
    if (this.#words[Control.devicesBusy] !== 0) return false;
    if (deviceRung(this.#words, k.layout, k.config.devicesMax)) return false;
    for (let cpu = 0; cpu < k.config.cpus; cpu++) if (!this.#isQuiet(cpu)) return false;
    return true;
  }

  // ---- time --------------------------------------------------------------------------------------------------------

  timePassed(ticks: number): void {
    const { k } = this;
    k.footprint?.touch(Space.hw, this.area.index, true);
    if (this.#words[Control.stage] !== Stage.threads || !this.#allQuiet()) return;
    for (let cpu = 0; cpu < k.config.cpus; cpu++) this.#pass(cpu, ticks);
    this.#passTasks(ticks);
  }

  /** @ticks go by on a CPU. */
  #pass(cpu: number, ticks: number): void {
    const { area } = this;
    const at = area.cpu(cpu);
    // Who waits for a time has given up its CPU; who only says that time goes by keeps it.
    const kept = cpu === this.k.cpu ? !this.#timed(this.k.slot) : !this.#idle(cpu) && this.#spins(cpu);
    const masked = this.#words[this.#seat(cpu) + Seat.irqsOff] !== 0;
    if (!kept || this.#preemptible(cpu)) {
      this.#touched(at);
      this.#set(at + Cpu.hard, 0);
      return;
    }
    this.#set(at + Cpu.soft, (this.#words[at + Cpu.soft] as number) + ticks);
    if (masked) this.#set(at + Cpu.hard, (this.#words[at + Cpu.hard] as number) + ticks);
    const slot = this.#current(cpu);
    if (cpu !== this.k.cpu) this.#options.onSpun?.(slot, ticks, this.stackOf(slot));
    if (masked) this.#nmi(cpu);
    else this.#tick(cpu);
  }

  /** The timer interrupt of a CPU: is its watchdog's thread overdue? */
  #tick(cpu: number): void {
    const at = this.area.cpu(cpu);
    const ticks = this.#words[at + Cpu.soft] as number;
    const limit = this.limits.soft;
    if (limit === 0 || ticks <= limit || this.#words[at + Cpu.softSaid] !== 0) return;
    this.#set(at + Cpu.softSaid, 1);
    this.#report('soft-lockup', report.softLockup(this, cpu, this.#current(cpu), ticks));
  }

  /** What no mask keeps away: has the timer of the CPU stood still? */
  #nmi(cpu: number): void {
    const at = this.area.cpu(cpu);
    const limit = this.limits.hard;
    if (limit === 0 || (this.#words[at + Cpu.hard] as number) <= limit || this.#words[at + Cpu.hardSaid] !== 0) return;
    this.#set(at + Cpu.hardSaid, 1);
    this.#report('hard-lockup', report.hardLockup(this, cpu, this.#current(cpu)));
  }

  /** Does the task sleep until somebody wakes it, and not for a signal either? */
  #isBlocked(slot: number): boolean {
    const thread = this.#thread(slot);
    if (this.#words[thread + Thread.state] !== THREAD_RUNS || this.#words[thread + Thread.onRq] !== 0) return false;
    if (this.#words[thread + Thread.waitKind] !== WaitKind.sleep) return false;
    return this.#word(this.k.sym.tasks + slot * struct_task_struct.sizeof) === TASK_UNINTERRUPTIBLE;
  }

  #passTasks(ticks: number): void {
    const { hung, look } = this.limits;
    if (hung === 0 || look === 0) return;
    const { area } = this;
    for (let slot = 0; slot < this.k.config.threadsMax; slot++) {
      const at = area.task(slot) + Task.blocked;
      this.#set(at, this.#isBlocked(slot) ? (this.#words[at] as number) + ticks : 0);
    }
    let due = area.head(Head.sinceScan) + ticks;
    for (; due >= look; due -= look) this.#scan(hung, due - look);
    area.setHead(Head.sinceScan, due);
  }

  /** Somebody looked at every task, @ago ticks ago. */
  #scan(limit: number, ago: number): void {
    let told = false;
    for (let slot = 0; slot < this.k.config.threadsMax; slot++) {
      if (!this.#isBlocked(slot)) continue;
      const at = this.area.task(slot);
      const blocked = (this.#words[at + Task.blocked] as number) - ago;
      if (blocked < 0 || !this.#isHung(at, blocked, limit) || this.area.head(Head.hungTasks) >= this.limits.warnings)
        continue;
      this.area.setHead(Head.hungTasks, this.area.head(Head.hungTasks) + 1);
      told = true;
      this.#report('hung-task', report.hungTask(this, slot, limit));
      if (this.rules === '4.10') this.#showAllLocks();
    }
    if (told && this.rules === '4.12') this.#showAllLocks();
  }

  /**
   * A look at a task that has been blocked for @blocked: hung is who was so at the look before, on 2.6.28 who has been for the limit since he was
   * first seen so or last told of. `Task.seen` has, plus one, for how long he had been then.
   */
  #isHung(at: number, blocked: number, limit: number): boolean {
    const seen = this.#words[at + Task.seen] as number;
    const hung = seen !== 0 && (this.rules !== '2.6.28' || blocked - (seen - 1) >= limit);
    if (seen === 0 || hung) this.#set(at + Task.seen, blocked + 1);
    return hung;
  }

  #showAllLocks(): void {
    if (this.#options.silent === true) return;
    for (const line of this.#options.locks(null)) this.k.printk(line);
  }

  // ---- RCU ---------------------------------------------------------------------------------------------------------

  rcuReader(): void {
    const at = this.area.cpu(this.k.cpu) + Cpu.rcu;
    this.#set(at, (this.#words[at] as number) + 1);
  }

  rcuQueued(object: number): void {
    this.area.lock();
    this.area.queue(object, this.k.config.cpus);
    this.area.unlock();
  }

  rcuFreed(object: number): void {
    this.area.lock();
    const cpu = this.area.unqueue(object, this.k.config.cpus);
    this.area.unlock();
    if (cpu >= 0) this.#report('rcu-free', report.rcuFree(this, object, cpu));
  }

  // ---- reports -----------------------------------------------------------------------------------------------------

  waiting(slot: number): readonly string[] {
    return this.#options.waiting(slot);
  }

  /** Locks that a hung task holds. */
  locksOf(slot: number): readonly string[] {
    return this.#options.locks(slot);
  }

  /** Where a thread was when it began to wait. */
  stackOf(slot: number): readonly string[] {
    return slot === this.k.slot
      ? this.stack()
      : this.area.stack(this.#words[this.area.task(slot) + Task.stack] as number);
  }

  /** Nothing can happen any more: what the watchdogs would say of it as time goes by. */
  foreseen(): string[] {
    if (this.#options.silent === true) return [];
    const texts: report.Text[] = [];
    for (let cpu = 0; cpu < this.k.config.cpus; cpu++) {
      if (this.#idle(cpu) || !this.#spins(cpu)) continue;
      const masked = this.#words[this.#seat(cpu) + Seat.irqsOff] !== 0;
      const slot = this.#current(cpu);
      if (masked && this.limits.hard > 0) texts.push(report.hardLockup(this, cpu, slot));
      else if (!masked && this.limits.soft > 0 && !this.#preemptible(cpu)) {
        texts.push(report.softLockup(this, cpu, slot, this.limits.soft + HZ));
      }
    }
    for (let slot = 0; slot < this.k.config.threadsMax; slot++) {
      if (this.limits.hung > 0 && this.#isBlocked(slot)) texts.push(report.hungTask(this, slot, this.limits.hung));
    }
    return texts.flatMap((text) => text.lines);
  }

  #report(kind: HangReportKind, { headline, lines }: report.Text): void {
    if (this.#options.silent === true) return;
    this.area.setHeadline(headline);
    for (const line of lines) this.k.printk(line);
    this.#options.onReport?.({ kind, headline, lines });
  }
}
