/**
 * Data races in controlled mode: what a worker's thread, the interrupts on its stack and a device do, told to the detector.
 *
 * Masked interrupts, bottom halves and preemption are locks of a CPU (spec/checkers.md §5.4). Nobody tells when they change: it is looked at
 * before each event that counts, which comes to the same, since nobody else of that CPU can have run in between.
 */
import { Control, type HwLayout, Seat, Stage, WaitKind } from '../../cpu/hw.js';
import type { Kernel } from '../../cpu/kernel.js';
import { Ev, type StepWatch, type Tracer } from '../../cpu/tracer.js';
import { Barrier, How } from '../../shared/access.js';
import { PREEMPT_MASK, SOFTIRQ_MASK } from '../../shared/irqflags.js';
import { Point } from '../../shared/point.js';
import type { Vaddr } from '../../shared/types.js';
import { LINUX_4_4 } from '../../shared/version.js';
import { Area, Head } from './area.js';
import { Contexts, Key } from './contexts.js';
import { Access, Detector, type Race } from './detector.js';
import { ADDRESSES, bytesOf, physicalOf } from './place.js';
import { cpuOf, type RaceHost, type RaceReport, Reporter } from './report.js';
import { ALWAYS_REPORTED, raceRulesOf } from './rules.js';

export interface RacesOptions {
  /** Functions that the worker is in, innermost first. */
  readonly stack: () => readonly string[];
  /** What is not what the execution is about: it is in the log only. */
  readonly isKnown?: (headline: string) => boolean;
  /** Hears of each report, besides the log. */
  readonly onReport?: (report: RaceReport) => void;
}

/** What a context of this worker holds of its CPU. */
const IRQS = 1;
const PREEMPT = 2;
const BH = 4;

const STRUCT_PAGE_SHIFT = 5;

/** The machine's own; whoever resets it restarts it. */
export const areaOf = (hw: Int32Array, layout: HwLayout, contexts: Contexts): Area =>
  new Area(hw, layout.races, contexts.count);

/** Who looks for data races in one worker. */
export interface RaceWatch extends StepWatch {
  /** What the first report of the execution says; empty when there is none. */
  readonly headline: string;
  /** Did accesses race in this execution, of which nobody knows yet where they are made? */
  readonly suspects: boolean;
  /** Number of the execution. */
  readonly run: number;
  /** Another execution; @again: the same once more. One worker says so, while no other acts. */
  restart(again: boolean): void;
}

export class Races implements RaceWatch {
  readonly area: Area;
  readonly #k: Kernel;
  readonly #hw: Int32Array;
  readonly #contexts: Contexts;
  readonly #detector: Detector;
  readonly #seat: number;
  /** Contexts on this worker's stack, the innermost last; what each holds, and what of it counts. */
  readonly #stack: number[] = [];
  readonly #holding: number[] = [];
  #held = 0;
  #counts = 0;
  /** What a task holds wherever it runs: without CONFIG_PREEMPT it is as if preemption were off until it schedules. */
  readonly #always: number;
  /** Is it known that the accesses of the context race? */
  #expected = 0;
  #stamp = -1;
  /** An atomic operation on a word of whose bits somebody asserts something, which is being made; its key is -1 when there is none. */
  readonly #operation = { key: -1, old: 0, address: 0, functions: [] as readonly string[] };
  /** Address of an operation that is being made and may change nothing. */
  #undecided = 0;
  readonly #failedOrders: boolean;
  readonly #functions: () => readonly string[];

  constructor(k: Kernel, options: RacesOptions) {
    this.#k = k;
    this.#hw = k.hw;
    this.#contexts = new Contexts(k.config);
    this.area = areaOf(k.hw, k.layout, this.#contexts);
    this.#seat = k.layout.seats + k.cpu * Seat.words;
    const reporter = new Reporter(k, this.area, this.#contexts, options);
    this.#functions = options.stack;
    this.#failedOrders = k.LINUX_VERSION_CODE < LINUX_4_4;
    this.#always = k.config.preempt ? 0 : PREEMPT;
    this.#detector = new Detector(this.area, {
      hw: k.hw,
      rules: raceRulesOf(k.config),
      cpuOf: (context) => cpuOf(k, this.#contexts, context),
      get footprint() {
        return k.footprint;
      },
      stack: options.stack,
      report: (race: Race) => reporter.report(race),
    });
  }

  restart(again: boolean): void {
    this.area.restart(again);
  }

  get headline(): string {
    return this.area.texts.text(this.area.head(Head.headline));
  }

  get run(): number {
    return this.area.head(Head.stamp);
  }

  get suspects(): boolean {
    return this.area.head(Head.suspects) !== 0 && this.area.head(Head.again) === 0;
  }

  #begin(stamp: number): void {
    this.#stamp = stamp;
    this.#stack.length = 0;
    this.#holding.length = 0;
    this.#expected = 0;
    this.#operation.key = -1;
    this.#enter(this.#k.slot, IRQS | PREEMPT | BH);
  }

  /** Is this a moment of the execution? Its setup comes before everything, its check after. */
  #on(): boolean {
    if (this.#hw[Control.stage] !== Stage.threads) return false;
    const stamp = this.area.head(Head.stamp);
    if (stamp !== this.#stamp) this.#begin(stamp);
    return true;
  }

  // ---- contexts ----------------------------------------------------------------------------------------------------

  #enter(context: number, counts: number): void {
    this.#stack.push(context);
    this.#holding.push(this.#held, this.#counts, this.#expected);
    this.#held = 0;
    this.#expected = 0;
    this.#counts = counts;
    this.#detector.become(context);
  }

  #leave(): void {
    this.#stack.pop();
    this.#expected = this.#holding.pop() as number;
    this.#counts = this.#holding.pop() as number;
    this.#held = this.#holding.pop() as number;
    this.#detector.become(this.#stack[this.#stack.length - 1] ?? this.#k.slot);
  }

  /** What the CPU's masks are now, as far as they count for who acts. */
  #masks(): number {
    const count = this.#k.preemptCount;
    const masks =
      (this.#hw[this.#seat + Seat.irqsOff] !== 0 ? IRQS : 0) |
      ((count & PREEMPT_MASK) !== 0 ? PREEMPT : 0) |
      ((count & SOFTIRQ_MASK) !== 0 ? BH : 0) |
      this.#always;
    return masks & this.#counts;
  }

  #sync(): void {
    const now = this.#masks();
    if (now !== this.#held) this.#hold(now);
  }

  #hold(now: number): void {
    const { cpu } = this.#k;
    const changed = now ^ this.#held;
    this.#held = now;
    if ((changed & IRQS) !== 0) this.#pass((now & IRQS) !== 0, Key.irqsOff(cpu));
    if ((changed & PREEMPT) !== 0) this.#pass((now & PREEMPT) !== 0, Key.preemptOff(cpu));
    if ((changed & BH) !== 0) this.#pass((now & BH) !== 0, Key.bhOff(cpu));
  }

  #pass(taken: boolean, key: number): void {
    if (taken) this.#detector.acquire(key);
    else this.#detector.release(key);
  }

  /** Another task is next on this CPU, and interrupts are off for a while, whatever this one had. */
  #switchTo(): void {
    this.#hold((this.#masks() & ~IRQS & ~this.#always) | (this.#held & IRQS));
  }

  /** Interrupts were on, or this one would not have come; they are off in its handler. */
  #irqEnter(line: number): void {
    this.#hold(this.#masks() & ~IRQS);
    const { cpu } = this.#k;
    this.#enter(this.#contexts.hardirq(cpu), IRQS);
    this.#hold(IRQS);
    this.#detector.acquire(Key.line(cpu, line));
  }

  #irqExit(): void {
    this.#hold(0);
    this.#leave();
  }

  /** In the exit of an interrupt, whose handler has returned, or where bottom halves are enabled. */
  #softirqEnter(): void {
    const { cpu } = this.#k;
    this.#hold(this.#held & PREEMPT);
    if (this.#detector.me === this.#contexts.hardirq(cpu)) this.#detector.release(Key.softirq(cpu));
    this.#enter(this.#contexts.softirq(cpu), IRQS);
    this.#detector.acquire(Key.softirq(cpu));
    this.#detector.acquire(Key.bhOff(cpu));
  }

  #softirqExit(): void {
    this.#hold(0);
    this.#detector.release(Key.bhOff(this.#k.cpu));
    this.#leave();
  }

  // ---- steps -------------------------------------------------------------------------------------------------------

  step(kind: Point, addr: number, how: number): void {
    if (!this.#on()) return;
    this.#sync();
    switch (kind) {
      case Point.Load:
      case Point.CachedLoad:
        this.#load(addr, how);
        return;
      case Point.Store:
      case Point.CachedStore:
        this.#store(addr, how, kind);
        return;
      case Point.Atomic:
        this.#atomic(addr, how);
        return;
      case Point.Sched:
        this.#detector.acquire(Key.wake(this.#k.slot));
        return;
    }
  }

  #load(addr: number, how: number): void {
    if ((how & How.lock) !== 0) return;
    const marked = (how & How.marked) !== 0;
    this.#access(addr, how, marked ? Access.readMarked : Access.read);
    if (!marked) return;
    this.#detector.finds(addr | 0);
    if ((how & How.acquire) !== 0) this.#detector.acquire(addr | 0);
  }

  #store(addr: number, how: number, kind: Point): void {
    if ((how & How.lock) !== 0) return;
    const marked = (how & How.marked) !== 0;
    this.#access(addr, how, marked ? Access.writeMarked : Access.write, this.#changes(addr, kind));
    if (!marked) return;
    this.#detector.publishes(addr | 0);
    if ((how & How.release) !== 0) this.#detector.release(addr | 0);
  }

  /** Bits that the store at hand changes; -1 where nobody knows: in page contents, and by bytes. */
  #changes(addr: number, kind: Point): number {
    const k = this.#k;
    const offset = addr - k.staticBase;
    if (kind !== Point.Store || offset < 0 || offset >= k.staticBytes) return -1;
    const changes = (k.words[offset >>> 2] as number) ^ k.storing;
    if (changes !== 0 || !this.#detector.counts.changesOnly) return changes;
    return this.#functions().some((name) => ALWAYS_REPORTED.test(name)) ? -1 : 0;
  }

  /** An atomic operation is about to be made: what it changes can be seen when it has been. */
  #operates(addr: number): void {
    const offset = addr - this.#k.staticBase;
    const pa = physicalOf(this.#k, addr);
    if (offset < 0 || offset >= this.#k.staticBytes || !this.#detector.assertsBits(pa >>> 2)) return;
    const operation = this.#operation;
    operation.key = pa >>> 2;
    operation.old = this.#k.words[offset >>> 2] as number;
    operation.address = addr;
    operation.functions = this.#functions();
  }

  stands(): void {
    const { key, old, address, functions } = this.#operation;
    if (key < 0) return;
    this.#operation.key = -1;
    if (!this.#on()) return;
    const now = this.#k.words[(address - this.#k.staticBase) >>> 2] as number;
    if (now !== old) this.#detector.changed(key, now ^ old, address, functions);
  }

  #atomic(addr: number, how: number): void {
    if ((how & How.lock) !== 0) return;
    if (addr < ADDRESSES) {
      this.#called(addr);
      return;
    }
    this.#operates(addr);
    if ((how & How.conditional) !== 0) this.#undecided = addr;
    else this.#performs(addr, (how & How.marked) === 0);
  }

  /** @ordered: it orders what is before and after it. */
  #performs(addr: number, ordered: boolean): void {
    const detector = this.#detector;
    if (ordered) detector.acquire(addr | 0);
    this.#access(addr, 0, Access.readWriteMarked);
    if (ordered) {
      detector.barrier(true, true);
      detector.release(addr | 0);
    } else {
      detector.finds(addr | 0);
      detector.publishes(addr | 0);
    }
  }

  /** A function that another CPU has called here has returned: @seat is the caller's. */
  #called(seat: number): void {
    this.#detector.release(Key.called((seat - this.#k.layout.seats) / Seat.words));
  }

  #access(addr: number, how: number, access: Access, changes = -1): void {
    const pa = physicalOf(this.#k, addr);
    const isPlain = access === Access.read || access === Access.write;
    if (pa < 0 || (isPlain && this.#expected !== 0)) return;
    this.#detector.access(pa >>> 2, pa & 3, bytesOf(how), access, addr, changes);
  }

  /** Nobody else is to access a word. */
  #exclusive(addr: number, what: number, mask: number): void {
    const pa = physicalOf(this.#k, addr);
    if (pa >= 0) this.#detector.exclusive(pa >>> 2, what, mask, addr);
  }

  // ---- events ------------------------------------------------------------------------------------------------------

  event(what: Ev, a: number, b: number, c: number): void {
    this.stands();
    if (!this.#on()) return;
    const detector = this.#detector;
    switch (what) {
      case Ev.compared:
        this.#performs(this.#undecided, a !== 0 || this.#failedOrders);
        return;
      case Ev.exclusive:
        this.#sync();
        this.#exclusive(a, b, c);
        return;
      case Ev.lockAcquired:
        this.#sync();
        detector.acquire(a | 0, b === 0);
        return;
      case Ev.lockReleased:
        this.#sync();
        detector.release(a | 0, b !== 0);
        return;
      case Ev.irqEnter:
        this.#irqEnter(a);
        return;
      case Ev.irqExit:
        this.#irqExit();
        return;
      case Ev.softirqEnter:
        this.#softirqEnter();
        return;
      case Ev.softirqExit:
        this.#softirqExit();
        return;
      case Ev.barrier:
        this.#sync();
        detector.barrier((a & Barrier.write) !== 0, (a & Barrier.read) !== 0);
        return;
      case Ev.pageAlloc:
        if (a !== 0) this.#forgetPages(a, b);
        return;
      case Ev.kmalloc:
        this.#forget(a, b);
        return;
      case Ev.cacheAlloc:
        this.#forget(a, this.#objectBytes(b));
        return;
      default:
        this.#passOn(what, a, b);
    }
  }

  /** From one context to another. */
  #passOn(what: Ev, a: number, b: number): void {
    const detector = this.#detector;
    switch (what) {
      case Ev.wakeUp:
        this.#sync();
        detector.release(Key.wake(a));
        return;
      case Ev.switchTo:
        this.#switchTo();
        return;
      case Ev.woken:
        if (a === WaitKind.ipi) detector.acquire(Key.called(this.#k.cpu));
        else if (a === WaitKind.seat || a === WaitKind.sleep) detector.acquire(Key.wake(this.#k.slot));
        return;
      case Ev.raise:
        this.#sync();
        detector.release(Key.line(a, b));
        return;
      case Ev.softirqRaise:
        this.#sync();
        detector.release(Key.softirq(this.#k.cpu));
        return;
      case Ev.doorbell:
        this.#sync();
        detector.release(Key.doorbell(a));
        return;
      case Ev.registerWrite:
        this.#sync();
        detector.release(Key.register(a, b));
        return;
      case Ev.registerRead:
        detector.acquire(Key.register(a, b));
        return;
      case Ev.dataRace:
        this.#expected = a;
        return;
    }
  }

  // ---- memory with a new owner -------------------------------------------------------------------------------------

  #objectBytes(cache: number): number {
    const { words, structs } = this.#k;
    return words[this.#k.wordIndex((cache + structs.kmem_cache.objsize.offset) as Vaddr)] as number;
  }

  #forget(addr: number, bytes: number): void {
    if (addr === 0) return;
    const pa = physicalOf(this.#k, addr);
    if (pa >= 0) this.area.forget(pa, bytes);
  }

  #forgetPages(page: number, order: number): void {
    const { config, sym } = this.#k;
    const frame = (page - sym.mem_map) >>> STRUCT_PAGE_SHIFT;
    this.area.forget(frame * 4096 + config.core.physBase, 4096 << order);
  }
}

/** What a bus master does. */
export class DeviceRaces implements Tracer {
  readonly #area: Area;
  readonly #detector: Detector;
  #stamp = -1;
  readonly #hw: Int32Array;
  readonly #index: number;
  readonly #context: number;

  /** @host: the machine; the device has no kernel. */
  constructor(host: RaceHost, index: number, options: RacesOptions) {
    const contexts = new Contexts(host.config);
    this.#hw = host.hw;
    this.#index = index;
    this.#context = contexts.device(index);
    this.#area = areaOf(host.hw, host.layout, contexts);
    const reporter = new Reporter(host, this.#area, contexts, options);
    const rules = raceRulesOf(host.config);
    this.#detector = new Detector(this.#area, {
      hw: host.hw,
      rules,
      cpuOf: (other) => cpuOf(host, contexts, other),
      footprint: null,
      stack: options.stack,
      report: (race) => reporter.report(race),
    });
  }

  /** Number of the execution. */
  get run(): number {
    return this.#area.head(Head.stamp);
  }

  event(what: Ev, a: number, b: number): void {
    if (this.#hw[Control.stage] !== Stage.threads) return;
    const stamp = this.#area.head(Head.stamp);
    if (stamp !== this.#stamp) {
      this.#stamp = stamp;
      this.#detector.become(this.#context);
    }
    const detector = this.#detector;
    switch (what) {
      case Ev.dmaRead:
        // It changes no value, which is all that KCSAN could see of it.
        if (!detector.counts.devicesUnknown) detector.access(a >>> 2, 0, 4, Access.read, a);
        return;
      case Ev.dmaWrite:
        detector.access(a >>> 2, 0, 4, Access.write, a);
        return;
      case Ev.raise:
        detector.release(Key.line(a, b));
        return;
      case Ev.doorbellTaken:
        detector.acquire(Key.doorbell(this.#index));
        return;
      case Ev.registerWrite:
        detector.release(Key.register(this.#index, b));
        return;
      case Ev.registerRead:
        detector.acquire(Key.register(this.#index, b));
        return;
    }
  }
}
