/**
 * Baton scheduling: of all contexts of a controlled execution one runs, from one scheduling point to the next.
 *
 * At each point the running worker publishes what it is about to do, works out who could go next, asks the strategy, and hands the baton
 * over only if that is somebody else. A wait is known to the scheduler as a condition on a word, so a context that waits is not a choice,
 * and a deadlock is the situation without a choice. Interrupts and preemptions are choices of their own; they run on the stack of the
 * thread that holds the CPU's seat, as on hardware. Devices are contexts like threads.
 */
import { availableParallelism } from 'node:os';
import { Control, Seat, Thread, Verdict, WaitKind } from '../cpu/hw.js';
import { type Controller, type Knowledge, stopAll, type Waits } from '../cpu/kernel.js';
import { TIMER_LINE } from '../cpu/lines.js';
import type { PhysicalMemory } from '../cpu/memory.js';
import { anyCycle, describeMachine, type MachineView } from '../lab/deadlock.js';
import { settle } from '../lab/verdict.js';
import { ExecutionStopped } from '../shared/errors.js';
import { type Footprint, Space } from '../shared/footprint.js';
import type { Mark } from '../shared/knowledge.js';
import { Point } from '../shared/point.js';
import {
  BARREN,
  Block,
  Choice,
  Ctx,
  CtxState,
  choiceOf,
  choiceOfContext,
  DECIDED,
  DEVICE_CONTEXT,
  Detail,
  Ex,
  type ExLayout,
  Head,
  kindOfStep,
  LEAVES,
  OTHERS_DEVICE,
  OTHERS_PREEMPT,
  Step,
  Told,
  Turn,
  trailAt,
  type Wants,
} from './shared-state.js';
import type { StateHash } from './state-hash.js';
import type { Situation, Strategy } from './strategy.js';

/** Rounds of a wait for the baton before it sleeps: many for as many workers as there are cores that nobody else needs. */
const SPINS = 50_000;
const SPINS_CROWDED = 200;
const SLEEP_MS = 50;
/** How long a worker without the baton sleeps before it looks for interrupts of a setup. */
const SERVE_MS = 2;

/**
 * Rounds in which a loop of cpu_relax() has done the same, with nobody else able to go on, after which it is taken for one that has no other end: the last
 * of these numbers. After the others it is the turn of loops that have gone round less.
 */
const ROUNDS = [8, 64, 1000];

/** The machine as a context sees it, and what only its own worker can do. */
export interface BatonHost extends MachineView {
  /** Thread slot, or DEVICE_CONTEXT and the device's number. */
  readonly context: number;
  /** How many take part: threads and devices of the race. */
  readonly contexts: number;
  readonly devices: number;
  readonly cpu: number;
  /** What its own steps that have no address are named by: the thread's task, the device's number. */
  readonly task: number;
  /** Words of kernel static data, from `pageOffset` on. */
  readonly staticWords: number;
  readonly footprint: Footprint | null;
  /** It knows what has been written. */
  readonly memory: PhysicalMemory;
  /** preempt_count of a thread. */
  preemptCountOf(slot: number): number;
  takeInterrupts(): void;
  preempt(): void;
  printk(text: string): void;
  /** What checkers have said in this execution: a line each. */
  reported?(): string[];
}

const STOPPED = new ExecutionStopped('stopped');
const NO_WORDS: Int32Array = new Int32Array(0);

/**
 * What an execution has come to so far is in the fields of the one that has the baton: `Head` says which. They go with the baton, and into
 * `Ex.ended` when it goes to nobody.
 *
 * Fields have a value from the start, and flags on the way of a point are compared with true: V8 knows what they hold then, and converts nothing.
 */
export class Baton implements Controller, Knowledge, Waits, Situation {
  decision = 0;
  step = 0;
  readonly choices = new Int32Array(Choice.count);
  count = 0;
  currentEnabled = false;
  preemptions = 0;
  delays = 0;
  carried = 0;
  #traceHash = 0;
  #alike = 0;
  #trail = 0;
  #active = 0;
  /** Context that ran last, or -1; with a number as `Choice` for a device. */
  #current = -1;
  /** What start() has chosen. */
  #first = -1;
  /** There is no other choice than the one made. */
  #alone = false;
  /** Threads that `choices` has, with this one at first and nothing else; 0 where it is otherwise. */
  #listed = 0;
  /** It has the baton: choices are recorded from the first step of the threads until all have ended. */
  #holds = false;
  /** The last turn that it was told of, and the last of all while it has the baton. */
  #turn = 0;
  #sequence = 0;
  /** From whom it has the baton. */
  #giver = -1;
  /** Number of the execution that it takes part in. */
  #execution = 0;
  readonly #host: BatonHost;
  readonly #hw = NO_WORDS;
  readonly #words = NO_WORDS;
  readonly #ex = NO_WORDS;
  readonly #layout: ExLayout;
  readonly #strategy: Strategy;
  readonly #wants: Wants;
  readonly #detailed: boolean = false;
  readonly #stateHash: StateHash | null;
  readonly #shared = NO_WORDS;
  readonly #contexts: number = 0;
  readonly #own: number = 0;
  readonly #me: number = 0;
  readonly #meAsChoice: number = 0;
  /** Itself among threads. */
  readonly #bit: number = 0;
  // What the way through a point needs of configuration and layout, at hand.
  readonly #cpus: number = 0;
  readonly #preempt: boolean = false;
  readonly #plainLocks: boolean = false;
  readonly #staticWords: number = 0;
  readonly #written = NO_WORDS;
  readonly #devices: number = 0;
  readonly #everyStep: boolean = false;
  readonly #stepsMax: number = 0;
  readonly #contextsAt: number = 0;
  /** Its own words, and its own trail. */
  readonly #mine = NO_WORDS;
  readonly #steps = NO_WORDS;
  readonly #barrenAt: number = 0;
  /** Other threads that can go on whatever happens, and those that wait for something: they change while somebody else has the baton. */
  #ready = 0;
  #waiting = 0;
  /** Cores beside the one of whoever has the baton. */
  readonly #spareCores: number = 0;
  readonly #crowded: boolean = false;
  #spinning = false;
  readonly #seats: number = 0;
  readonly #staticBase: number = 0;
  /** What the first point after a wake-up is told without asking. */
  #told: Turn = Turn.none;
  /** What runs on this worker: its thread, or a handler that has interrupted it. */
  nested = 0;
  #interludes = 0;
  /** As `Detail.within`: the innermost interrupt or preemption that it is in, and in how many it is. */
  #within = 0;
  /** A step of this context has begun, and what it touches has not been noted yet. */
  #open = false;
  /** What that step announced has been noted, but it goes on. */
  #noted = false;

  constructor(
    host: BatonHost,
    ex: Int32Array,
    layout: ExLayout,
    strategy: Strategy,
    wants: Wants,
    stateHash: StateHash | null,
  ) {
    const { config } = host;
    this.#host = host;
    this.#hw = host.hw;
    this.#words = host.words;
    this.#ex = ex;
    this.#layout = layout;
    this.#strategy = strategy;
    this.#wants = wants;
    this.#detailed = wants.footprints || wants.states;
    this.#stateHash = stateHash;
    this.#shared = ex.subarray(layout.strategy, layout.footprints);
    this.#contexts = config.threadsMax;
    this.#me = host.context;
    this.#meAsChoice = choiceOfContext(this.#me);
    this.#bit = this.#me < DEVICE_CONTEXT ? 1 << this.#me : 0;
    this.#own = layout.contexts + host.context * Ctx.words;
    this.#seats = host.layout.seats;
    this.#cpus = config.cpus;
    this.#preempt = config.preempt;
    this.#plainLocks = !config.ticketLocks;
    this.#staticWords = host.staticWords;
    this.#written = host.memory.written;
    this.#devices = host.devices;
    this.#everyStep = wants.everyStep;
    this.#stepsMax = layout.stepsMax;
    this.#contextsAt = layout.contexts;
    this.#mine = ex.subarray(this.#own, this.#own + Ctx.words);
    const trail = trailAt(layout, host.context);
    this.#steps = ex.subarray(trail, trail + layout.stepsMax * Step.words);
    this.#barrenAt = Ex.barren + host.cpu;
    this.#staticBase = config.pageOffset | 0;
    this.#spareCores = availableParallelism() - 1;
    this.#crowded = host.contexts - 1 > this.#spareCores;
  }

  // ---- what the machine calls --------------------------------------------------------------------------------------

  /** Itself while choices are recorded; not during setup and check. */
  get waits(): Waits | null {
    return this.#holds ? this : null;
  }

  /** Itself while somebody asks for states. */
  get knowledge(): Knowledge | null {
    return this.#stateHash === null || !this.#holds ? null : this;
  }

  mark(): Mark {
    if (this.#open) this.#note();
    return [this.#mine[Ctx.seenLow] as number, this.#mine[Ctx.seenHigh] as number];
  }

  recall(mark: Mark): void {
    if (this.#open) this.#note();
    this.#mine[Ctx.seenLow] = mark[0];
    this.#mine[Ctx.seenHigh] = mark[1];
  }

  learn(value: number): void {
    this.#stateHash?.learn(this.#own, value);
  }

  /** A visible step comes next. */
  point(kind: Point, addr: number): boolean {
    if (kind !== Point.Load && kind !== Point.CachedLoad && kind !== Point.Wait) this.#changes(addr);
    if (this.#holds !== true) return false;
    // A plain spinlock can be taken only while it is free; until then its contender is no choice.
    if (kind === Point.Lock && this.#plainLocks === true) {
      this.#park(kind, addr, Block.word, ((addr | 0) - this.#staticBase) >>> 2, 1);
    } else this.#park(kind, addr, Block.none, 0, 0);
    return true;
  }

  /** The step that comes next may change kernel data at @addr: the next reset restores those 32 words. */
  #changes(addr: number): void {
    const index = this.#staticIndex(addr);
    // Looked at first: a line that nobody writes stays in every core's cache.
    if (index >= 0 && ((this.#written[index >>> 10] as number) & (1 << (index >>> 5))) === 0) this.#mark(index);
  }

  /** Handlers that interrupt a setup are not alone, hence the atomic operation. */
  #mark(index: number): void {
    Atomics.or(this.#written, index >>> 10, 1 << (index >>> 5));
  }

  waitWhile(memory: Int32Array, index: number, value: number, on: number): void {
    this.#park(Point.Wait, on, memory === this.#hw ? Block.hwWord : Block.word, index, value);
  }

  waitForChange(indices: readonly number[], seen: readonly number[], on: number, rounds = -1): void {
    const pairs = indices.flatMap((index, i) => [index, seen[i] as number]);
    this.#park(Point.Wait, on, Block.words, indices.length, rounds + 1, pairs);
    const { footprint } = this.#host;
    if (footprint === null) return;
    for (const index of indices) {
      if (index < 0) footprint.touch(Space.hw, ~index, false);
      else footprint.touch(Space.word, index, false);
    }
  }

  goesRound(rounds: number): boolean {
    return rounds < (this.#ex[Ex.rounds] as number);
  }

  /** The CPU has nothing to run: return when it may have. */
  idle(): void {
    this.#park(Point.Wait, this.#host.task, Block.idle, 0, 0);
  }

  /** Steps of this execution, for time stamps. */
  get clock(): number {
    return this.#holds ? this.step : (this.#ex[Ex.ended + Head.steps] as number);
  }

  // ---- what the worker's loop calls --------------------------------------------------------------------------------

  /** Before setup, in one worker. @rounds: see `Ex.rounds`; with another number of them the same choices may lead to other steps. */
  clear(rounds: number): void {
    const ex = this.#ex;
    const steps = ex[Ex.rounds] === rounds ? (ex[Ex.ended + Head.steps] as number) : 0;
    ex[Ex.rounds] = rounds;
    for (let word: number = Ex.prefixLength; word <= Ex.finished; word++) ex[word] = 0;
    ex[Ex.unwinding] = 0;
    ex[Ex.deadEnd] = 0;
    for (let word: number = Ex.ended; word < Ex.ended + Head.words; word++) ex[word] = 0;
    this.step = 0;
    this.decision = 0;
    this.preemptions = 0;
    this.delays = 0;
    this.carried = 0;
    this.#traceHash = 0;
    this.#alike = steps;
    this.#trail = 0;
    this.#active = 0;
    this.#current = -1;
  }

  /** Before an execution, in one worker: every context stands before its first step. */
  reset(threads: readonly number[], devices: number): void {
    const { cpus } = this.#host.config;
    const ex = this.#ex;
    for (let word: number = Ex.memoryLow; word < Ex.head; word++) ex[word] = 0;
    for (let slot = 0; slot < this.#contexts; slot++) {
      const at = this.#standAtStart(slot, slot);
      // An extra thread waits for its CPU's seat; a CPU without a thread only takes interrupts.
      if (slot >= cpus) this.#setBlock(at, Block.hwWord, this.#runWord(slot), 0);
      else if (!threads.includes(slot)) this.#setBlock(at, Block.idle, slot, 0);
    }
    for (let i = 0; i < devices; i++) this.#standAtStart(DEVICE_CONTEXT + i, i);
  }

  #standAtStart(context: number, addr: number): number {
    const ex = this.#ex;
    const at = this.#layout.contexts + context * Ctx.words;
    ex[at + Ctx.state] = CtxState.waiting;
    ex[at + Ctx.kind] = Point.Sched;
    ex[at + Ctx.addr] = addr;
    this.#setBlock(at, Block.none, 0, 0);
    ex[at + Ctx.seenLow] = 0;
    ex[at + Ctx.seenHigh] = 0;
    return at;
  }

  /** Hand the baton to whoever the strategy wants first. Return: true when that is this worker, null when nobody is to have it. */
  start(): boolean | null {
    this.#execution = Atomics.load(this.#hw, Control.execution);
    this.#holds = true;
    this.#open = false;
    this.#giver = -1;
    this.#survey();
    const choice = this.#chooseOutside();
    if (choice < 0) {
      this.#publish();
      return null;
    }
    this.#first = choice;
    this.#current = this.#meAsChoice;
    return this.#give(choice);
  }

  /** What start() has chosen for this worker. */
  first(): Turn {
    return this.#turnOf(this.#first);
  }

  /** A context stands before its first step, and has been told to make it. */
  firstStep(): void {
    this.#park(Point.Sched, this.#host.task, Block.none, 0, 0);
  }

  /** No further execution: a follower's loop ends. */
  dismiss(context: number): void {
    this.#tell(context, Told.over);
  }

  /** Wait for the baton outside an execution's code. @serve: take interrupts meanwhile. Return: what to do. */
  waitTurn(serve: (() => boolean) | null): Turn {
    const at = this.#own + Ctx.turn;
    const ex = this.#ex;
    const spins = this.#startSpinning();
    for (let round = 0; ; round++) {
      const turn = Atomics.load(ex, at);
      if (turn !== this.#turn) {
        this.#turn = turn;
        if (this.#spinning) this.#stopSpinning();
        if (this.#mine[Ctx.told] === Told.over) {
          this.#sequence = turn;
          return Turn.over;
        }
        this.#execution = Atomics.load(this.#hw, Control.execution);
        return this.#receive();
      }
      if (round > spins && (serve === null || !serve())) this.#sleep(SERVE_MS);
    }
  }

  /** This worker has been chosen for the first time in this execution: its first point does not ask again. */
  begin(turn: Turn): void {
    this.#active++;
    this.#within = 0;
    this.#told = turn;
    this.#open = false;
    this.#noted = false;
    const { footprint } = this.#host;
    if (footprint !== null) footprint.clear();
    this.#mine[Ctx.state] = CtxState.parked;
  }

  /** This worker's part is over; @idle: its CPU still takes interrupts. The last one ends the execution; else the baton goes on. */
  end(idle: boolean): void {
    if (this.#open) this.#close();
    this.#leaveContext(idle);
    if (Atomics.load(this.#hw, Control.abort) === 0) {
      const choice = this.#chooseOutside();
      if (choice >= 0) {
        this.#active--;
        // It may be this worker's own CPU that takes an interrupt next.
        this.#hand(this.#contextOf(choice), choice);
        return;
      }
    }
    if (this.#unwound() !== 0) return;
    this.#sequence = this.#ex[Ex.sequence] as number;
    this.#tell(0, Told.over);
  }

  #leaveContext(idle: boolean): void {
    const ex = this.#ex;
    const own = this.#own;
    for (let word = own + Ctx.kind; word <= own + Ctx.seenHigh; word++) ex[word] = 0;
    ex[own + Ctx.state] = idle ? CtxState.waiting : CtxState.ended;
    if (idle) this.#setBlock(own, Block.idle, this.#me, 0);
  }

  /**
   * Nobody goes on. When an execution is called off, each of its contexts unwinds by itself; whoever has the baton knows how many they are.
   * Return: zero for the last one.
   */
  #unwound(): number {
    const ex = this.#ex;
    if (!this.#holds) return Atomics.sub(ex, Ex.unwinding, 1) - 1;
    const others = this.#active - 1;
    ex[Ex.sequence] = this.#sequence;
    this.#publish();
    if (others === 0) return 0;
    this.#wakeParked();
    return Atomics.add(ex, Ex.unwinding, others) + others;
  }

  /** The execution has been called off: those that wait for the baton shall notice now. */
  #wakeParked(): void {
    const { contexts } = this.#layout;
    for (let slot = 0; slot < this.#contexts; slot++) Atomics.notify(this.#ex, contexts + slot * Ctx.words + Ctx.turn);
    for (let i = 0; i < this.#host.devices; i++) {
      Atomics.notify(this.#ex, contexts + (DEVICE_CONTEXT + i) * Ctx.words + Ctx.turn);
    }
  }

  // ---- the point ---------------------------------------------------------------------------------------------------

  #setBlock(at: number, block: number, index: number, value: number): void {
    this.#ex[at + Ctx.block] = block;
    this.#ex[at + Ctx.blockIndex] = index;
    this.#ex[at + Ctx.blockValue] = value;
  }

  /** @pairs: of Block.words. An interrupt that is taken meanwhile may wait as well, so all is published in each round. */
  #park(
    kind: Point,
    addr: number,
    block: number,
    index: number,
    value: number,
    pairs: readonly number[] | null = null,
  ): void {
    for (;;) {
      const turn = this.#stand(kind, addr, block, index, value, pairs);
      if (turn === Turn.run) return;
      this.#interlude(turn);
    }
  }

  #stand(
    kind: Point,
    addr: number,
    block: number,
    index: number,
    value: number,
    pairs: readonly number[] | null,
  ): Turn {
    const mine = this.#mine;
    if (this.#open === true) this.#close();
    mine[Ctx.kind] = kind;
    mine[Ctx.addr] = addr;
    mine[Ctx.block] = block;
    if (block !== Block.none || this.#detailed === true) {
      mine[Ctx.blockIndex] = index;
      mine[Ctx.blockValue] = value;
      if (pairs !== null) mine.set(pairs, Ctx.pairs);
    }
    let turn = this.#told;
    if (turn === Turn.none) {
      const choice = this.#choose(true);
      if (choice === this.#meAsChoice) {
        this.#record(choice, this.#alone);
        turn = Turn.run;
      } else turn = this.#give(choice) ? this.#turnOf(choice) : this.#waitBaton();
    } else this.#told = Turn.none;
    this.#open = this.#detailed;
    return turn;
  }

  /** What was interrupted goes on as if nothing had been: it has learnt nothing. */
  #interlude(turn: Turn): void {
    const low = this.#mine[Ctx.seenLow] as number;
    const high = this.#mine[Ctx.seenHigh] as number;
    const { nested } = this;
    const within = this.#within;
    this.nested = ++this.#interludes;
    this.#within = ((within & ~0xff) + 0x100) | ((turn === Turn.irq ? Choice.irq : Choice.preempt) + this.#host.cpu);
    this.#ex[Ex.deadEnd] = 0;
    if (turn === Turn.irq) this.#host.takeInterrupts();
    else this.#host.preempt();
    this.nested = nested;
    this.#within = within;
    if (this.#open) this.#close();
    this.#mine[Ctx.seenLow] = low;
    this.#mine[Ctx.seenHigh] = high;
  }

  #turnOf(choice: number): Turn {
    if (choice < Choice.irq || choice >= Choice.device) return Turn.run;
    return choice >= Choice.preempt ? Turn.preempt : Turn.irq;
  }

  /** The context that carries a choice out. */
  #contextOf(choice: number): number {
    if (choice < Choice.irq) return choice;
    if (choice >= LEAVES) return choice - LEAVES;
    if (choice >= Choice.device) return DEVICE_CONTEXT + choice - Choice.device;
    return this.#seatHolder((choice - Choice.irq) & 7);
  }

  /** Pass the baton to the worker that carries the choice out. Return: true when that is this one, which has recorded the step then. */
  #give(choice: number): boolean {
    const target = this.#contextOf(choice);
    if (target === this.#me) {
      this.#record(choice, this.#alone);
      return true;
    }
    this.#hand(target, choice);
    return false;
  }

  /** The baton, and what goes with it: all of it in one cache line, which is written only here. Flat, like #receive(): a call costs as much. */
  #hand(target: number, choice: number): void {
    const ex = this.#ex;
    const at = this.#contextsAt + target * Ctx.words;
    const head = at + Ctx.head;
    const mine = this.#mine;
    const block = mine[Ctx.block] as number;
    const alone = this.#alone === true ? Told.alone : 0;
    // A loop that was let go round has made it possible that somebody else goes on: that was no dead end.
    const letGo = ex[Ex.deadEnd] as number;
    if (letGo !== 0 && letGo !== target + 1) ex[Ex.deadEnd] = 0;
    mine[Ctx.handovers] = ((mine[Ctx.handovers] as number) + 1) | 0;
    this.#holds = false;
    const sequence = (this.#sequence + 1) | 0;
    ex[at + Ctx.told] = choice | alone | (this.#me << Told.giverShift) | (block << Told.blockShift);
    ex[head + Head.steps] = this.step;
    ex[head + Head.decisions] = this.decision;
    ex[head + Head.preemptions] = this.preemptions;
    ex[head + Head.delays] = this.delays;
    ex[head + Head.traceHash] = this.#traceHash;
    ex[head + Head.alike] = this.#alike;
    ex[head + Head.trail] = this.#trail | (this.#active << 16);
    ex[head + Head.carried] = this.carried;
    ex[head + Head.ready] = block === Block.none ? this.#ready | this.#bit : this.#ready;
    ex[head + Head.waiting] = block > Block.none ? this.#waiting | this.#bit : this.#waiting;
    if (block > Block.none) {
      ex[at + Ctx.giverIndex] = mine[Ctx.blockIndex] as number;
      ex[at + Ctx.giverValue] = mine[Ctx.blockValue] as number;
    }
    Atomics.store(ex, at + Ctx.turn, sequence);
    // Looked at after the store, which a worker that goes to sleep looks at last; on hosts that reorder both it wakes by its timeout.
    if (ex[at + Ctx.asleep] !== 0) Atomics.notify(ex, at + Ctx.turn);
  }

  #receive(): Turn {
    const mine = this.#mine;
    const told = mine[Ctx.told] as number;
    this.step = mine[Ctx.head + Head.steps] as number;
    this.decision = mine[Ctx.head + Head.decisions] as number;
    this.preemptions = mine[Ctx.head + Head.preemptions] as number;
    this.delays = mine[Ctx.head + Head.delays] as number;
    this.#traceHash = mine[Ctx.head + Head.traceHash] as number;
    this.#alike = mine[Ctx.head + Head.alike] as number;
    const trail = mine[Ctx.head + Head.trail] as number;
    this.#trail = trail & 0xffff;
    this.carried = mine[Ctx.head + Head.carried] as number;
    this.#active = trail >>> 16;
    this.#ready = (mine[Ctx.head + Head.ready] as number) & ~this.#bit;
    this.#waiting = (mine[Ctx.head + Head.waiting] as number) & ~this.#bit;
    this.#giver = (told >>> Told.giverShift) & 0xff;
    this.#sequence = this.#turn;
    this.#current = this.#meAsChoice;
    this.#holds = true;
    const choice = told & Told.choice;
    this.#record(choice, (told & Told.alone) !== 0);
    return this.#turnOf(choice);
  }

  #survey(): void {
    const ex = this.#ex;
    let ready = 0;
    let waiting = 0;
    for (let slot = 0; slot < this.#contexts; slot++) {
      const block = ex[this.#contextsAt + slot * Ctx.words + Ctx.block] as number;
      if (slot === this.#me || block === Block.never) continue;
      if (block === Block.none) ready |= 1 << slot;
      else waiting |= 1 << slot;
    }
    this.#ready = ready;
    this.#waiting = waiting;
  }

  /** Nobody has the baton any more: what the execution has come to is for all to see. */
  #publish(): void {
    const ex = this.#ex;
    this.#holds = false;
    ex[Ex.ended + Head.steps] = this.step;
    ex[Ex.ended + Head.decisions] = this.decision;
    ex[Ex.ended + Head.preemptions] = this.preemptions;
    ex[Ex.ended + Head.delays] = this.delays;
    ex[Ex.ended + Head.traceHash] = this.#traceHash;
    ex[Ex.ended + Head.trail] = this.#trail;
  }

  #tell(target: number, told: number): void {
    const at = this.#contextsAt + target * Ctx.words;
    this.#ex[at + Ctx.told] = told;
    this.#sequence = (this.#sequence + 1) | 0;
    Atomics.store(this.#ex, at + Ctx.turn, this.#sequence);
    if (Atomics.load(this.#ex, at + Ctx.asleep) !== 0) Atomics.notify(this.#ex, at + Ctx.turn);
  }

  #waitBaton(): Turn {
    const at = this.#own + Ctx.turn;
    const ex = this.#ex;
    const spins = this.#startSpinning();
    for (let round = 0; ; round++) {
      const turn = Atomics.load(ex, at);
      if (turn !== this.#turn) {
        this.#turn = turn;
        if (this.#spinning === true) this.#stopSpinning();
        return this.#receive();
      }
      if ((round & 63) !== 63) continue;
      if (Atomics.load(this.#hw, Control.abort) !== 0) this.#leave();
      if (round > spins) this.#sleep(SLEEP_MS);
    }
  }

  /** Return: how many rounds to spin before sleeping. */
  #startSpinning(): number {
    if (!this.#crowded) return SPINS;
    this.#spinning = true;
    return Atomics.add(this.#ex, Ex.spinning, 1) < this.#spareCores ? SPINS : SPINS_CROWDED;
  }

  #stopSpinning(): void {
    this.#spinning = false;
    Atomics.sub(this.#ex, Ex.spinning, 1);
  }

  /** The execution has been called off. */
  #leave(): never {
    if (this.#spinning) this.#stopSpinning();
    throw STOPPED;
  }

  #sleep(milliseconds: number): void {
    const own = this.#own;
    if (this.#spinning) this.#stopSpinning();
    Atomics.store(this.#ex, own + Ctx.asleep, 1);
    Atomics.wait(this.#ex, own + Ctx.turn, this.#turn, milliseconds);
    Atomics.store(this.#ex, own + Ctx.asleep, 0);
  }

  #seatHolder(cpu: number): number {
    return this.#hw[this.#seats + cpu * Seat.words + Seat.current] as number;
  }

  #runWord(slot: number): number {
    return this.#host.layout.threads + slot * Thread.words + Thread.run;
  }

  // ---- who could go next, and who does -----------------------------------------------------------------------------

  /** For a worker that runs nobody at this moment. Return: -1 when the execution has come to its end, or has been called off. */
  #chooseOutside(): number {
    try {
      return this.#choose(false);
    } catch (error) {
      if (error !== STOPPED) throw error;
      return -1;
    }
  }

  /** @inside: a context waits for the answer. Return: -1 when nobody can go and none has to. */
  #choose(inside: boolean): number {
    const threads = this.#enabledThreads();
    const others = this.#quiet() ? 0 : this.#enabledOthers();
    if ((threads | others) === 0) return this.#chooseOfNone(inside);
    if (this.step >= this.#stepsMax - 1) return this.#tooLong(inside);
    // Most points: nobody else can go on.
    this.#alone = others === 0 && threads === this.#bit;
    if (this.#alone === true && this.#everyStep !== true) return this.#meAsChoice;
    const choice = this.#chooseOfMany(threads, others);
    return choice < 0 ? this.#abandon(inside) : choice;
  }

  #chooseOfMany(threads: number, others: number): number {
    const current = this.#current;
    if (others !== 0 || threads !== this.#listed || current !== this.#me) {
      this.#list(threads, others, current);
      this.#alone = this.count === 1;
      if (this.#alone === true && this.#everyStep !== true) return this.choices[0] as number;
    }
    return this.#decide(threads, others);
  }

  /** Nobody can go on. When all have ended, interrupts too, idle CPUs notice one after the other, in no order that matters. */
  #chooseOfNone(inside: boolean): number {
    if (this.#hw[Control.live] !== 0) {
      const waiter = this.#roundOnceMore();
      return waiter >= 0 ? waiter : this.#nobody(inside);
    }
    if (this.#detailed) this.#ex[Ex.finished] = 1;
    const idle = this.#parked(Block.idle);
    if (idle >= 0) return idle + LEAVES;
    return this.#parked() < 0 ? -1 : this.#nobody(inside);
  }

  /**
   * Nobody can go on. A loop of cpu_relax() may give up after some rounds, which nobody can see from outside: those that stand in one go round, one loop
   * after the other, until they do something else or have done the same so often that they count as waiting for ever. Return: whose turn it is, or -1.
   */
  #roundOnceMore(): number {
    const ex = this.#ex;
    const mine = this.#mine;
    const again = ex[Ex.deadEnd] !== 0 && mine[Ctx.block] === Block.words && (mine[Ctx.blockValue] as number) > 1;
    if (!again || this.decision !== ex[Ex.deadEndHead + Head.decisions]) this.#keepHead();
    if (this.step >= this.#stepsMax >>> 1) return -1;
    const waiter = this.#nextInLoop();
    if (waiter < 0) return -1;
    ex[Ex.deadEnd] = waiter + 1;
    this.#alone = true;
    return waiter;
  }

  #nextInLoop(): number {
    for (const most of ROUNDS) {
      if (this.#goesOnInLoop(this.#me, most)) return this.#me;
      for (let slot = 0; slot < this.#contexts; slot++) if (this.#goesOnInLoop(slot, most)) return slot;
    }
    return -1;
  }

  #goesOnInLoop(context: number, most: number): boolean {
    const ex = this.#ex;
    const at = this.#contextsAt + context * Ctx.words;
    if (ex[at + Ctx.state] !== CtxState.parked || ex[at + Ctx.block] !== Block.words) return false;
    const rounds = ex[at + Ctx.blockValue] as number;
    return rounds > 0 && rounds <= most;
  }

  /** What the execution has come to now. */
  #keepHead(): void {
    const ex = this.#ex;
    ex[Ex.deadEnd] = 0;
    ex[Ex.deadEndHead + Head.steps] = this.step;
    ex[Ex.deadEndHead + Head.decisions] = this.decision;
    ex[Ex.deadEndHead + Head.preemptions] = this.preemptions;
    ex[Ex.deadEndHead + Head.delays] = this.delays;
    ex[Ex.deadEndHead + Head.traceHash] = this.#traceHash;
    ex[Ex.deadEndHead + Head.trail] = this.#trail;
  }

  /** Loops have gone round for nothing: those steps show nothing, and it is as if they had not been made. */
  #forgetRounds(): void {
    const ex = this.#ex;
    if (ex[Ex.deadEnd] === 0) return;
    this.step = ex[Ex.deadEndHead + Head.steps] as number;
    this.decision = ex[Ex.deadEndHead + Head.decisions] as number;
    this.preemptions = ex[Ex.deadEndHead + Head.preemptions] as number;
    this.delays = ex[Ex.deadEndHead + Head.delays] as number;
    this.#traceHash = ex[Ex.deadEndHead + Head.traceHash] as number;
    this.#trail = ex[Ex.deadEndHead + Head.trail] as number;
  }

  #decide(threads: number, others: number): number {
    const { decision } = this;
    const prescribed = decision < (this.#ex[Ex.prefixLength] as number);
    const choice = prescribed ? this.#prescribed(decision) : this.#strategy.choose(this.#shared, this);
    if (choice < 0 || this.#alone === true) return choice;
    const steps = this.#steps;
    const at = this.step * Step.words;
    steps[at + Step.threads] = threads;
    steps[at + Step.others] = others;
    steps[at + Step.cost] = this.preemptions | (this.delays << 16);
    this.decision = decision + 1;
    if (choice !== this.choices[0]) {
      if (this.currentEnabled) this.preemptions++;
      this.delays += this.#placeOf(choice);
    }
    return choice;
  }

  #prescribed(decision: number): number {
    const only = this.choices[0] as number;
    if (this.#alone) return only;
    const choice = this.#ex[this.#layout.prefix + decision] as number;
    if (this.#placeOf(choice) >= 0) return choice;
    this.#ex[Ex.diverged] = 1;
    return only;
  }

  #placeOf(choice: number): number {
    for (let i = 0; i < this.count; i++) if (this.choices[i] === choice) return i;
    return -1;
  }

  /** The strategy gives the execution up. */
  #abandon(inside: boolean): number {
    this.#ex[Ex.abandoned] = 1;
    stopAll(this.#hw, this.#host.layout, this.#host.config);
    if (inside) throw STOPPED;
    return -1;
  }

  /** This context carries the choice out. @alone: there was no other. */
  #record(choice: number, alone: boolean): void {
    if (choice >= LEAVES) return;
    const mine = this.#mine;
    const steps = this.#steps;
    const { step } = this;
    const kind = mine[Ctx.kind] as number;
    const addr = mine[Ctx.addr] as number;
    const at = step * Step.words;
    let what = choice | (kind << 8) | (this.#trail << 24);
    if (alone !== true) what |= DECIDED;
    if (this.#detailed === true) what |= this.#recordDetails(step, addr) << 16;
    if (step >= this.#alike || !this.#isAlike(at, what, addr, alone)) {
      steps[at + Step.what] = what;
      steps[at + Step.addr] = addr;
    }
    steps[at + Step.execution] = this.#execution;
    this.#trail = (this.#trail & ~0xff) | (this.#me + 1);
    if (choice >= Choice.preempt || this.#trail >= BARREN) this.#countBarren(choice, kind);
    this.step = step + 1;
    let hash = this.#traceHash;
    hash = Math.imul(hash ^ choice, 0x01000193);
    hash = Math.imul(hash ^ kind, 0x01000193);
    this.#traceHash = Math.imul(hash ^ addr, 0x01000193);
  }

  /** Return: CPUs with interrupts masked. */
  #recordDetails(step: number, addr: number): number {
    const index = this.#staticIndex(addr);
    const at = this.#layout.details + step * Detail.words;
    this.#ex[at + Detail.before] = index < 0 ? 0 : (this.#words[index] as number);
    this.#ex[at + Detail.within] = this.#within;
    return this.#maskedCpus();
  }

  /** As long as the choices are those of the execution before, the steps have to be; its steps are in the same trails then. */
  #isAlike(at: number, what: number, addr: number, alone: boolean): boolean {
    const steps = this.#steps;
    const before = steps[at + Step.what] as number;
    // Of the execution before, or of this one: one that is made again has the same number.
    const recent = (this.#execution - (steps[at + Step.execution] as number)) >>> 1 === 0;
    if (before === what && steps[at + Step.addr] === addr && recent) return true;
    const same = choiceOf(before) === choiceOf(what) && recent;
    if (same ? kindOfStep(before) !== kindOfStep(what) || steps[at + Step.addr] !== addr : alone)
      this.#ex[Ex.diverged] = 1;
    if (!same) this.#alike = 0;
    return false;
  }

  /**
   * A thread that is preempted before it has made a step leaves everything as it was, but for the order of the run queue: more such
   * preemptions in a row than threads wait there make schedules without end.
   */
  #countBarren(choice: number, kind: number): void {
    const ex = this.#ex;
    if (choice >= Choice.device) return;
    if (choice >= Choice.preempt) {
      const at = Ex.barren + choice - Choice.preempt;
      ex[at] = (ex[at] as number) + 1;
      this.#trail |= BARREN;
    } else if (choice < Choice.irq && kind !== Point.Wait && kind !== Point.Preempt) {
      if (ex[this.#barrenAt] !== 0) ex[this.#barrenAt] = 0;
    }
  }

  #staticIndex(addr: number): number {
    const index = ((addr | 0) - this.#staticBase) >>> 2;
    return index < this.#staticWords ? index : -1;
  }

  #maskedCpus(): number {
    let mask = 0;
    for (let cpu = 0; cpu < this.#host.config.cpus; cpu++) {
      if (this.#hw[this.#seats + cpu * Seat.words + Seat.irqsOff] !== 0) mask |= 1 << cpu;
    }
    return mask;
  }

  #list(threads: number, others: number, current: number): void {
    const out = this.choices;
    const listed = others === 0 && current === this.#me ? threads : 0;
    let n = 0;
    this.currentEnabled = false;
    if (current >= 0) {
      const device = current >= Choice.device;
      const bit = device ? 1 << (OTHERS_DEVICE + current - Choice.device) : 1 << current;
      this.currentEnabled = ((device ? others : threads) & bit) !== 0;
      if (this.currentEnabled) {
        out[n++] = current;
        if (device) others &= ~bit;
        else threads &= ~bit;
      }
    }
    for (; threads !== 0; threads &= threads - 1) out[n++] = 31 - Math.clz32(threads & -threads);
    for (; others !== 0; others &= others - 1) out[n++] = Choice.irq + (31 - Math.clz32(others & -others));
    this.count = n;
    this.#listed = n > 1 ? listed : 0;
  }

  #enabledThreads(): number {
    let mask = this.#ready;
    if (this.#waiting !== 0) mask |= this.#woken();
    if (this.#mine[Ctx.block] === Block.none || this.#canRun(this.#me)) mask |= this.#bit;
    return mask;
  }

  /** Threads that wait for something that has happened. */
  #woken(): number {
    let mask = 0;
    for (let waiting = this.#waiting; waiting !== 0; waiting &= waiting - 1) {
      const slot = 31 - Math.clz32(waiting & -waiting);
      if (slot === this.#giver ? this.#giverCanRun() : this.#canRun(slot)) mask |= 1 << slot;
    }
    return mask;
  }

  #canRun(context: number): boolean {
    const ex = this.#ex;
    const at = this.#contextsAt + context * Ctx.words;
    const block = ex[at + Ctx.block] as number;
    if (block <= Block.none) return block === Block.none;
    if (block === Block.words) return this.#anyChanged(at + Ctx.pairs, ex[at + Ctx.blockIndex] as number);
    if (block === Block.idle) return ex[at + Ctx.state] === CtxState.parked && this.#idleCanLeave(context);
    return this.#hasChanged(block, ex[at + Ctx.blockIndex] as number, ex[at + Ctx.blockValue] as number);
  }

  #hasChanged(block: number, index: number, value: number): boolean {
    return (block === Block.word ? this.#words : this.#hw)[index] !== value;
  }

  /** Can the giver of the baton go on? What it waits for has come with the baton: no need to fetch the line that it wrote last. */
  #giverCanRun(): boolean {
    const mine = this.#mine;
    const block = (mine[Ctx.told] as number) >>> Told.blockShift;
    if (block !== Block.word && block !== Block.hwWord) return this.#canRun(this.#giver);
    return this.#hasChanged(block, mine[Ctx.giverIndex] as number, mine[Ctx.giverValue] as number);
  }

  #anyChanged(pairs: number, count: number): boolean {
    const ex = this.#ex;
    for (let at = pairs; at < pairs + count * 2; at += 2) {
      const index = ex[at] as number;
      if ((index < 0 ? this.#hw[~index] : this.#words[index]) !== ex[at + 1]) return true;
    }
    return false;
  }

  /** An idle CPU goes on when a thread is runnable there; when the execution is over, see #choose(). */
  #idleCanLeave(slot: number): boolean {
    const hw = this.#hw;
    const cpu = hw[this.#host.layout.threads + slot * Thread.words + Thread.cpu] as number;
    return hw[this.#seats + cpu * Seat.words + Seat.rqCount] !== 0;
  }

  /** The first context that stands somewhere, or that waits so; -1 when there is none. */
  #parked(block?: number): number {
    for (let slot = 0; slot < this.#contexts; slot++) {
      const at = this.#layout.contexts + slot * Ctx.words;
      if (this.#ex[at + Ctx.state] !== CtxState.parked) continue;
      if (block === undefined || this.#ex[at + Ctx.block] === block) return slot;
    }
    return -1;
  }

  /** There are no devices, and no CPU has an interrupt pending or a thread that its own could be preempted for. */
  #quiet(): boolean {
    return this.#devices === 0 && (this.#hw[Control.stirred] === 0 || this.#settles());
  }

  #settles(): boolean {
    const hw = this.#hw;
    let still = true;
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      const seat = this.#seats + cpu * Seat.words;
      if (hw[seat + Seat.pending] !== 0 || hw[seat + Seat.rqCount] !== 0) still = false;
    }
    if (still) hw[Control.stirred] = 0;
    return still;
  }

  /** Interrupts, preemptions and devices that can go next, as bits. */
  #enabledOthers(): number {
    const hw = this.#hw;
    let mask = 0;
    for (let cpu = 0; cpu < this.#cpus; cpu++) {
      const seat = this.#seats + cpu * Seat.words;
      const pending = (hw[seat + Seat.pending] as number) & ~(1 << TIMER_LINE);
      const queued = this.#preempt && hw[seat + Seat.rqCount] !== 0;
      if (pending === 0 && !queued) continue;
      if (hw[seat + Seat.irqsOff] !== 0 || this.#takesSeat(hw[seat + Seat.current] as number)) continue;
      if (pending !== 0) mask |= 1 << cpu;
      const barren = (this.#ex[Ex.barren + cpu] as number) >= (hw[seat + Seat.rqCount] as number);
      if (queued && !barren && this.#preemptible(seat)) mask |= 1 << (OTHERS_PREEMPT + cpu);
    }
    for (let i = 0; i < this.#devices; i++) if (this.#canRun(DEVICE_CONTEXT + i)) mask |= 1 << (OTHERS_DEVICE + i);
    return mask;
  }

  /** Has the thread been given its CPU's seat and not taken it yet? It is in the middle of schedule(), where nothing nests. */
  #takesSeat(slot: number): boolean {
    const at = this.#layout.contexts + slot * Ctx.words;
    return this.#ex[at + Ctx.block] === Block.hwWord && this.#ex[at + Ctx.blockIndex] === this.#runWord(slot);
  }

  #preemptible(seat: number): boolean {
    const hw = this.#hw;
    if (hw[seat + Seat.idle] !== 0 || hw[seat + Seat.irqDepth] !== 0) return false;
    const slot = hw[seat + Seat.current] as number;
    const state = this.#ex[this.#layout.contexts + slot * Ctx.words + Ctx.state] as number;
    return state === CtxState.parked && this.#host.preemptCountOf(slot) === 0;
  }

  // ---- what a step has touched -------------------------------------------------------------------------------------

  #close(): void {
    this.#note();
    this.#open = false;
    this.#noted = false;
  }

  /** The present step of this context: note what it has touched so far, and what has become of the state. */
  #note(): void {
    const { footprint } = this.#host;
    if (footprint === null || this.#ex[Ex.finished] !== 0) return;
    const ex = this.#ex;
    const step = this.step - 1;
    if (!this.#noted) this.#touchAnnounced(footprint, step);
    if (this.#wants.footprints) this.#noteFootprint(footprint, step);
    const at = step * Step.words;
    this.#stateHash?.stepMade(
      footprint,
      this.#noted ? -1 : (this.#steps[at + Step.what] as number),
      this.#steps[at + Step.addr] as number,
      this.#own,
      this.#host.cpu,
    );
    if (footprint.overflow) ex[Ex.footprintsLost] = 1;
    footprint.clear();
    this.#noted = true;
  }

  #touchAnnounced(footprint: Footprint, step: number): void {
    const ex = this.#ex;
    const at = step * Step.words;
    const what = this.#steps[at + Step.what] as number;
    const choice = choiceOf(what);
    const kind = kindOfStep(what) as Point;
    const addr = this.#steps[at + Step.addr] as number;
    const { cpu } = this.#host;
    if (this.#turnOf(choice) !== Turn.run) {
      footprint.touch(Space.seat, cpu, true);
      footprint.touch(Space.stack, cpu, true);
      return;
    }
    if (choice < Choice.irq) footprint.touch(Space.stack, cpu, false);
    const index = this.#staticIndex(addr);
    if (index >= 0) {
      const write = kind !== Point.Load && kind !== Point.CachedLoad && kind !== Point.Wait;
      footprint.touch(Space.word, index, write);
      if (kind !== Point.Store && kind !== Point.Unlock)
        footprint.observe(ex[this.#layout.details + step * Detail.words + Detail.before] as number);
      if (write) footprint.wordChanged(index);
    }
    if (kind === Point.Sched || kind === Point.Preempt || kind === Point.Wait) {
      footprint.touch(Space.seat, cpu, true);
      const block = this.#mine[Ctx.block] as number;
      if (kind === Point.Wait && block === Block.hwWord) {
        footprint.touch(Space.hw, this.#mine[Ctx.blockIndex] as number, false);
      }
    } else if (kind === Point.Raise && choice < Choice.irq) footprint.touch(Space.seat, addr, true);
  }

  #noteFootprint(footprint: Footprint, step: number): void {
    const ex = this.#ex;
    const { footprints, footprintWords, details } = this.#layout;
    const at = details + step * Detail.words + Detail.footprintEnd;
    const from = this.#noted ? (ex[at] as number) : step === 0 ? 0 : (ex[at - Detail.words] as number);
    let end = from + footprint.count;
    if (end > footprintWords) {
      ex[Ex.footprintsLost] = 1;
      end = from;
    } else for (let i = 0; i < footprint.count; i++) ex[footprints + from + i] = footprint.touched[i] as number;
    ex[at] = end;
  }

  touched(step: number): Int32Array {
    const { details, footprints } = this.#layout;
    const at = details + step * Detail.words + Detail.footprintEnd;
    const from = step === 0 ? 0 : (this.#ex[at - Detail.words] as number);
    return this.#ex.subarray(footprints + from, footprints + (this.#ex[at] as number));
  }

  state(): readonly [low: number, high: number] {
    return this.#stateHash === null ? [0, 0] : this.#stateHash.state();
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  /** No choice: the end, or a deadlock. */
  #nobody(inside: boolean): number {
    const host = this.#host;
    if (Atomics.load(this.#hw, Control.abort) !== 0) throw STOPPED;
    this.#forgetRounds();
    this.#nameLockWaits();
    const state = [...this.#describe(), ...(host.reported?.() ?? [])];
    const locks = state.some((line) => /spins on|inter-processor/.test(line)) || anyCycle(host) !== null;
    host.printk(
      locks ? 'INFO: deadlock: these wait for each other for ever' : 'INFO: no task can run any more: blocked for ever',
    );
    for (const line of state) host.printk(line);
    const outcome = locks ? 'deadlock' : 'hang';
    settle(host, locks ? Verdict.deadlock : Verdict.hang, {
      outcome,
      message: state.find((line) => /spins on|sleeps|inter-processor/.test(line)) ?? 'nobody can go on',
      cpu: host.cpu,
      state,
    });
    if (inside) throw STOPPED;
    return -1;
  }

  #describe(): string[] {
    const states = this.#contextsAt + Ctx.state;
    return describeMachine(this.#host, (slot) => this.#ex[states + slot * Ctx.words] !== CtxState.waiting);
  }

  /** A context that stands before a held lock waits for it: say so where reports look. */
  #nameLockWaits(): void {
    const { threads } = this.#host.layout;
    for (let slot = 0; slot < this.#contexts; slot++) {
      const at = this.#layout.contexts + slot * Ctx.words;
      if (this.#ex[at + Ctx.state] !== CtxState.parked || this.#ex[at + Ctx.kind] !== Point.Lock) continue;
      this.#hw[threads + slot * Thread.words + Thread.waitKind] = WaitKind.lock;
      this.#hw[threads + slot * Thread.words + Thread.waitOn] = this.#ex[at + Ctx.addr] as number;
    }
  }

  #tooLong(inside: boolean): number {
    this.#ex[Ex.tooLong] = 1;
    settle(this.#host, Verdict.hang, {
      outcome: 'hang',
      message: `livelock: no end after ${this.#layout.stepsMax} steps`,
      cpu: this.#host.cpu,
      state: this.#describe(),
    });
    if (inside) throw STOPPED;
    return -1;
  }

  kindOf(choice: number): number {
    return this.#ex[this.#layout.contexts + this.#contextOf(choice) * Ctx.words + Ctx.kind] as number;
  }

  addrOf(choice: number): number {
    return this.#ex[this.#layout.contexts + this.#contextOf(choice) * Ctx.words + Ctx.addr] as number;
  }
}
