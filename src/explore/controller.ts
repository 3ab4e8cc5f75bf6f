/**
 * Baton scheduling: of all contexts of a controlled execution one runs, from one scheduling point to the next.
 *
 * At each point the running worker publishes what it is about to do, works out who could go next, asks the strategy, and hands the baton
 * over only if that is somebody else. A wait is known to the scheduler as a condition on a word, so a context that waits is not a choice,
 * and a deadlock is the situation without a choice. Interrupts and preemptions are choices of their own; they run on the stack of the
 * thread that holds the CPU's seat, as on hardware.
 */
import { Control, Seat, Thread, Verdict, WaitKind } from '../cpu/hw.js';
import type { Controller, Kernel, Waits } from '../cpu/kernel.js';
import { TIMER_LINE } from '../cpu/lines.js';
import { describeMachine } from '../lab/deadlock.js';
import { settle } from '../lab/verdict.js';
import { ExecutionStopped } from '../shared/errors.js';
import { Point } from '../shared/point.js';
import {
  Block,
  Choice,
  CONTEXTS_MAX,
  Ctx,
  CtxState,
  DECISION_WORDS,
  Ex,
  type ExLayout,
  STEP_WORDS,
  Turn,
} from './shared-state.js';
import type { Situation, Strategy } from './strategy.js';

const SPINS = 300;
const SLEEP_MS = 50;
/** How long a worker without the baton sleeps before it looks for interrupts of a setup. */
const SERVE_MS = 2;

export class BatonController implements Controller, Waits, Situation {
  decision = 0;
  step = 0;
  readonly choices = new Int32Array(Choice.count);
  count = 0;
  currentEnabled = false;
  preemptions = 0;
  readonly #k: Kernel;
  readonly #ex: Int32Array;
  readonly #layout: ExLayout;
  readonly #strategy: Strategy;
  readonly #shared: Int32Array;
  readonly #contexts: number;
  readonly #own: number;
  readonly #me: number;
  /** What the first point after a wake-up is told without asking. */
  #told: Turn = Turn.none;

  constructor(k: Kernel, ex: Int32Array, layout: ExLayout, strategy: Strategy) {
    this.#k = k;
    this.#ex = ex;
    this.#layout = layout;
    this.#strategy = strategy;
    this.#shared = ex.subarray(layout.strategy);
    this.#contexts = k.config.threadsMax;
    this.#me = k.slot;
    this.#own = layout.contexts + k.slot * Ctx.words;
  }

  // ---- what the kernel object calls --------------------------------------------------------------------------------

  get waits(): Waits | null {
    return this.#ex[Ex.running] === 0 ? null : this;
  }

  point(kind: Point, addr: number): boolean {
    if (this.#ex[Ex.running] === 0) return false;
    // A plain spinlock can be taken only while it is free; until then its contender is no choice.
    if (kind === Point.Lock && !this.#k.ticketLocks) this.#park(kind, addr, Block.word, this.#k.wordIndex(addr), 1);
    else this.#park(kind, addr, Block.none, 0, 0);
    return true;
  }

  waitWhile(memory: Int32Array, index: number, value: number, on: number): void {
    const block = memory === this.#k.hw ? Block.hwWord : Block.word;
    this.#park(Point.Wait, on, block, index, value);
  }

  idle(): void {
    this.#park(Point.Wait, this.#k.current, Block.idle, 0, 0);
  }

  // ---- what the worker's loop calls --------------------------------------------------------------------------------

  /** Before an execution, in one worker: every thread stands before its first step. */
  reset(threads: readonly number[]): void {
    const ex = this.#ex;
    const { contexts } = this.#layout;
    ex.fill(0, 0, Ex.handovers);
    ex.fill(0, Ex.traceHash, Ex.head);
    ex[Ex.current] = -1;
    for (let slot = 0; slot < this.#contexts; slot++) {
      const at = contexts + slot * Ctx.words;
      ex.fill(0, at, at + Ctx.words);
      const isThread = threads.includes(slot);
      ex[at + Ctx.state] = CtxState.waiting;
      ex[at + Ctx.kind] = Point.Sched;
      ex[at + Ctx.addr] = slot;
      // An extra thread waits for its CPU's seat; a CPU without a thread only takes interrupts.
      if (slot >= this.#k.config.cpus) this.#setBlock(at, Block.hwWord, this.#k.runWord(slot), 0);
      else if (!isThread) this.#setBlock(at, Block.idle, slot, 0);
    }
  }

  /** Hand the baton to whoever the strategy wants first. Return: true when that is this worker. */
  start(): boolean {
    this.#ex[Ex.running] = 1;
    const choice = this.#choose(false);
    return choice < 0 ? false : this.#give(choice);
  }

  /** What start() has chosen for this worker. */
  first(): Turn {
    return this.#turnOf(this.#ex[Ex.last] as number);
  }

  /** A thread stands before its first step, and has been told to make it. */
  firstStep(): void {
    this.#park(Point.Sched, this.#k.current, Block.none, 0, 0);
  }

  /** No further execution: a follower's loop ends. */
  dismiss(slot: number): void {
    this.#tell(slot, Turn.over);
  }

  /** Wait for the baton outside an execution's code. @serve: take interrupts meanwhile. Return: what to do. */
  waitTurn(serve: () => boolean): Turn {
    const at = this.#own + Ctx.turn;
    const ex = this.#ex;
    for (let round = 0; ; round++) {
      const turn = Atomics.load(ex, at) as Turn;
      if (turn !== Turn.none) {
        Atomics.store(ex, at, Turn.none);
        return turn;
      }
      if (round > SPINS && !serve()) Atomics.wait(ex, at, Turn.none, SERVE_MS);
    }
  }

  /** This worker has been chosen for the first time in this execution: its first point does not ask again. */
  begin(turn: Turn): void {
    Atomics.add(this.#ex, Ex.active, 1);
    this.#told = turn;
    this.#ex[this.#own + Ctx.state] = CtxState.parked;
  }

  /** This worker's part is over. The last one ends the execution; else the baton goes on. */
  end(): void {
    const ex = this.#ex;
    ex[this.#own + Ctx.state] = CtxState.ended;
    if (Atomics.load(this.#k.hw, Control.abort) === 0) {
      const choice = this.#choose(false);
      if (choice >= 0) {
        Atomics.sub(ex, Ex.active, 1);
        this.#give(choice);
        return;
      }
    }
    this.#wakeParked();
    if (Atomics.sub(ex, Ex.active, 1) === 1) this.over();
  }

  /** The execution has been called off: those that wait for the baton shall notice now. */
  #wakeParked(): void {
    for (let slot = 0; slot < this.#contexts; slot++) {
      Atomics.notify(this.#ex, this.#layout.contexts + slot * Ctx.words + Ctx.turn);
    }
  }

  /** Tell slot 0 that the execution is over. */
  over(): void {
    this.#ex[Ex.running] = 0;
    this.#tell(0, Turn.over);
  }

  // ---- the point ---------------------------------------------------------------------------------------------------

  #setBlock(at: number, block: number, index: number, value: number): void {
    this.#ex[at + Ctx.block] = block;
    this.#ex[at + Ctx.blockIndex] = index;
    this.#ex[at + Ctx.blockValue] = value;
  }

  #park(kind: Point, addr: number, block: number, index: number, value: number): void {
    const ex = this.#ex;
    const own = this.#own;
    for (;;) {
      ex[own + Ctx.kind] = kind;
      ex[own + Ctx.addr] = addr;
      this.#setBlock(own, block, index, value);
      let turn = this.#told;
      if (turn === Turn.none) {
        const choice = this.#choose(true);
        turn = this.#give(choice) ? this.#turnOf(choice) : this.#waitBaton();
      }
      this.#told = Turn.none;
      if (turn === Turn.run) return;
      if (turn === Turn.irq) this.#k.takeInterrupts();
      else this.#k.scheduler?.preemptSchedule(this.#k);
    }
  }

  #turnOf(choice: number): Turn {
    if (choice >= Choice.preempt) return Turn.preempt;
    return choice >= Choice.irq ? Turn.irq : Turn.run;
  }

  /** Pass the baton to the worker that carries the choice out. Return: true when that is this one. */
  #give(choice: number): boolean {
    const target = choice < Choice.irq ? choice : this.#seatHolder((choice - Choice.irq) & 15);
    if (target === this.#me) return true;
    this.#ex[Ex.handovers] = ((this.#ex[Ex.handovers] as number) + 1) | 0;
    this.#tell(target, this.#turnOf(choice));
    return false;
  }

  #tell(target: number, turn: Turn): void {
    const at = this.#layout.contexts + target * Ctx.words + Ctx.turn;
    Atomics.store(this.#ex, at, turn);
    Atomics.notify(this.#ex, at);
  }

  #waitBaton(): Turn {
    const at = this.#own + Ctx.turn;
    const ex = this.#ex;
    for (let round = 0; ; round++) {
      const turn = Atomics.load(ex, at) as Turn;
      if (turn !== Turn.none) {
        Atomics.store(ex, at, Turn.none);
        return turn;
      }
      if (Atomics.load(this.#k.hw, Control.abort) !== 0) throw new ExecutionStopped('stopped');
      if (round > SPINS) Atomics.wait(ex, at, Turn.none, SLEEP_MS);
    }
  }

  #seatHolder(cpu: number): number {
    return this.#k.hw[this.#k.layout.seats + cpu * Seat.words + Seat.current] as number;
  }

  // ---- who could go next, and who does -----------------------------------------------------------------------------

  /** Choose and record. @inside: a context waits for the answer. Return: -1 when nobody can go and none has to. */
  #choose(inside: boolean): number {
    const ex = this.#ex;
    const threads = this.#enabledThreads();
    if (Atomics.load(this.#k.hw, Control.live) === 0) {
      // All have ended; idle CPUs notice one after the other, in no order that matters.
      return threads === 0 ? -1 : 31 - Math.clz32(threads & -threads);
    }
    const others = this.#enabledOthers();
    const current = ex[Ex.current] as number;
    const count = this.#list(threads, others, current);
    if (count === 0) return this.#nobody(inside);
    const choice = count === 1 ? (this.choices[0] as number) : this.#decide(threads, others, current);
    this.#record(choice);
    return choice;
  }

  #decide(threads: number, others: number, current: number): number {
    const ex = this.#ex;
    const decision = ex[Ex.decisions] as number;
    this.decision = decision;
    this.step = ex[Ex.steps] as number;
    this.preemptions = ex[Ex.preemptions] as number;
    let choice = -1;
    if (decision < (ex[Ex.prefixLength] as number)) {
      choice = ex[this.#layout.prefix + decision] as number;
      if (!this.#offered(choice)) {
        ex[Ex.diverged] = 1;
        choice = this.choices[0] as number;
      }
    } else choice = this.#strategy.choose(this.#shared, this);
    const at = this.#layout.decisions + decision * DECISION_WORDS;
    ex[at] = this.step;
    ex[at + 1] = threads;
    ex[at + 2] = others;
    ex[at + 3] = current;
    ex[at + 4] = choice;
    ex[at + 5] = this.preemptions;
    ex[Ex.decisions] = decision + 1;
    if (this.currentEnabled && choice !== this.choices[0]) ex[Ex.preemptions] = this.preemptions + 1;
    return choice;
  }

  #offered(choice: number): boolean {
    for (let i = 0; i < this.count; i++) if (this.choices[i] === choice) return true;
    return false;
  }

  #record(choice: number): void {
    const ex = this.#ex;
    const target = choice < Choice.irq ? choice : this.#seatHolder((choice - Choice.irq) & 15);
    ex[Ex.last] = choice;
    ex[Ex.current] = target;
    const step = ex[Ex.steps] as number;
    if (step >= this.#layout.stepsMax - 1) this.#tooLong();
    const from = this.#layout.contexts + target * Ctx.words;
    const kind = ex[from + Ctx.kind] as number;
    const addr = ex[from + Ctx.addr] as number;
    const at = this.#layout.steps + step * STEP_WORDS;
    ex[at] = choice;
    ex[at + 1] = kind;
    ex[at + 2] = addr;
    ex[Ex.steps] = step + 1;
    let hash = ex[Ex.traceHash] as number;
    hash = Math.imul(hash ^ choice, 0x01000193);
    hash = Math.imul(hash ^ kind, 0x01000193);
    ex[Ex.traceHash] = Math.imul(hash ^ addr, 0x01000193);
  }

  #list(threads: number, others: number, current: number): number {
    const out = this.choices;
    let n = 0;
    this.currentEnabled = current >= 0 && ((threads >>> current) & 1) === 1;
    if (this.currentEnabled) {
      out[n++] = current;
      threads &= ~(1 << current);
    }
    for (; threads !== 0; threads &= threads - 1) out[n++] = 31 - Math.clz32(threads & -threads);
    for (; others !== 0; others &= others - 1) out[n++] = Choice.irq + (31 - Math.clz32(others & -others));
    this.count = n;
    return n;
  }

  #enabledThreads(): number {
    let mask = 0;
    for (let slot = 0; slot < this.#contexts; slot++) if (this.#canRun(slot)) mask |= 1 << slot;
    return mask;
  }

  #canRun(slot: number): boolean {
    const ex = this.#ex;
    const at = this.#layout.contexts + slot * Ctx.words;
    const state = ex[at + Ctx.state] as number;
    if (state !== CtxState.parked && state !== CtxState.waiting) return false;
    const index = ex[at + Ctx.blockIndex] as number;
    switch (ex[at + Ctx.block]) {
      case Block.none:
        return true;
      case Block.word:
        return this.#k.words[index] !== ex[at + Ctx.blockValue];
      case Block.hwWord:
        return this.#k.hw[index] !== ex[at + Ctx.blockValue];
      default:
        return state === CtxState.parked && this.#idleCanLeave(slot);
    }
  }

  /** An idle CPU goes on when a thread is runnable there, or the execution is over. */
  #idleCanLeave(slot: number): boolean {
    const { hw, layout } = this.#k;
    const cpu = this.#k.cpuOfSlot(slot);
    if (Atomics.load(hw, Control.live) === 0) return true;
    return hw[layout.seats + cpu * Seat.words + Seat.rqCount] !== 0;
  }

  /** Bits 0 to 15: CPUs that can take an interrupt; 16 to 31: CPUs that can preempt their thread. */
  #enabledOthers(): number {
    const { hw, layout, config, preemptible } = this.#k;
    let mask = 0;
    for (let cpu = 0; cpu < config.cpus; cpu++) {
      const seat = layout.seats + cpu * Seat.words;
      if (hw[seat + Seat.irqsOff] !== 0 || this.#takesSeat(hw[seat + Seat.current] as number)) continue;
      const pending = (hw[seat + Seat.pending] as number) & ~(1 << TIMER_LINE);
      if (pending !== 0) mask |= 1 << cpu;
      if (preemptible && hw[seat + Seat.rqCount] !== 0 && this.#preemptible(seat)) mask |= 1 << (16 + cpu);
    }
    return mask;
  }

  /** Has the thread been given its CPU's seat and not taken it yet? It is in the middle of schedule(), where nothing nests. */
  #takesSeat(slot: number): boolean {
    const at = this.#layout.contexts + slot * Ctx.words;
    return this.#ex[at + Ctx.block] === Block.hwWord && this.#ex[at + Ctx.blockIndex] === this.#k.runWord(slot);
  }

  #preemptible(seat: number): boolean {
    const { hw } = this.#k;
    if (hw[seat + Seat.idle] !== 0 || hw[seat + Seat.irqDepth] !== 0) return false;
    const slot = hw[seat + Seat.current] as number;
    const state = this.#ex[this.#layout.contexts + slot * Ctx.words + Ctx.state] as number;
    return state === CtxState.parked && this.#k.preemptCountOf(slot) === 0;
  }

  /** No choice: the end, or a deadlock. */
  #nobody(inside: boolean): number {
    const k = this.#k;
    if (Atomics.load(k.hw, Control.live) === 0 && !inside) return -1;
    if (Atomics.load(k.hw, Control.abort) !== 0) throw new ExecutionStopped('stopped');
    this.#nameLockWaits();
    const state = describeMachine(k);
    const locks = state.some((line) => /spins on|inter-processor/.test(line));
    k.printk(
      locks ? 'INFO: deadlock: these wait for each other for ever' : 'INFO: no task can run any more: blocked for ever',
    );
    for (const line of state) k.printk(line);
    const outcome = locks ? 'deadlock' : 'hang';
    settle(k, locks ? Verdict.deadlock : Verdict.hang, {
      outcome,
      message: state.find((line) => /spins on|sleeps|inter-processor/.test(line)) ?? 'nobody can go on',
      cpu: k.cpu,
      state,
    });
    if (inside) throw new ExecutionStopped('stopped');
    return -1;
  }

  /** A context that stands before a held lock waits for it: say so where reports look. */
  #nameLockWaits(): void {
    const { hw, layout } = this.#k;
    for (let slot = 0; slot < this.#contexts; slot++) {
      const at = this.#layout.contexts + slot * Ctx.words;
      if (this.#ex[at + Ctx.state] !== CtxState.parked || this.#ex[at + Ctx.kind] !== Point.Lock) continue;
      hw[layout.threads + slot * Thread.words + Thread.waitKind] = WaitKind.lock;
      hw[layout.threads + slot * Thread.words + Thread.waitOn] = this.#ex[at + Ctx.addr] as number;
    }
  }

  #tooLong(): void {
    const k = this.#k;
    this.#ex[Ex.tooLong] = 1;
    settle(k, Verdict.hang, {
      outcome: 'hang',
      message: `livelock: no end after ${this.#layout.stepsMax} steps`,
      cpu: k.cpu,
      state: describeMachine(k),
    });
    throw new ExecutionStopped('stopped');
  }

  kindOf(thread: number): number {
    return this.#ex[this.#layout.contexts + thread * Ctx.words + Ctx.kind] as number;
  }

  addrOf(thread: number): number {
    return this.#ex[this.#layout.contexts + thread * Ctx.words + Ctx.addr] as number;
  }
}

export const contextsFit = (threads: number): boolean => threads <= CONTEXTS_MAX;
