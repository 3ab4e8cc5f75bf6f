/**
 * A simulated CPU as the code that runs on it sees it: memory, interrupts, preemption, the clock of the scheduling points.
 *
 * One object per worker thread. The worker is bound to a thread slot for good, and to a CPU for the length of a run; it executes
 * kernel code only while its thread holds the CPU's seat. All state that another context may see is in the shared areas.
 */

import { type Barrier, How } from '../shared/access.js';
import type { DeclaredObjects, DeclaredOf, SharedOf } from '../shared/declared.js';
import { type BugKind, ExecutionStopped, KernelBug, MurphyError, UsageError } from '../shared/errors.js';
import { type Footprint, Space } from '../shared/footprint.js';
import { preempt_enable } from '../shared/irqflags.js';
import type {
  ContextWatch,
  DmaWatch,
  HangWatch,
  KernelBase,
  LockWatch,
  MemoryWatch,
  SpinlockWatch,
  Symbols,
} from '../shared/kernel-base.js';
import type { Mark, VariableUses } from '../shared/knowledge.js';
import type { Field } from '../shared/layout.js';
import { type PatchName, type PatchSet, patchSet } from '../shared/patches.js';
import { Point, pointName } from '../shared/point.js';
import type { RwLock, SpinLock } from '../shared/spinlock.js';
import type { Structs } from '../shared/structs/configured.js';
import type { Paddr, Ptr, Vaddr } from '../shared/types.js';
import { versionCode } from '../shared/version.js';
import type { WaitQueueHead } from '../shared/wait.js';
import type { ArchOps } from './arch.js';
import type { MachineConfig } from './config.js';
import type { DCache } from './dcache.js';
import { STRONG_STORES } from './hostlock.js';
import {
  Attention,
  Control,
  HELD_MASK,
  type HwLayout,
  layoutHw,
  Request,
  Seat,
  Thread,
  Verdict,
  WaitKind,
} from './hw.js';
import { local_bh_enable } from './irq.js';
import { PhysicalMemory } from './memory.js';
import { Mmu } from './mmu.js';
import { OuterCache } from './outer.js';
import type { Place } from './place.js';
import { appendLog } from './printk.js';
import type { Scheduler } from './sched.js';
import { SpinWatch } from './spin.js';
import { Ev, type StepWatch, type Tracer } from './tracer.js';

/** The shared areas of a machine, as a worker gets them. */
export interface Buffers {
  readonly arena: SharedArrayBuffer;
  readonly hw: SharedArrayBuffer;
}

/** What the kernel has installed for the CPU to call: the exception vectors, and what a context switch does to the MMU. */
export interface Vectors {
  irq(k: Kernel, line: number): void;
  dataAbort(k: Kernel, va: number, status: number, write: boolean): never;
  switchMm(k: Kernel, prev: number, next: number): void;
}

/**
 * A cache that gives memory back under pressure: what register_shrinker() registers, by what it may do. Every CPU has the same list; which of them
 * are registered is in shared memory.
 */
export interface Shrinker {
  readonly name: string;
  /** Flag that the effective mask of the reclaim must have for this to be called. */
  readonly gate: 'none' | 'IO' | 'FS';
  /** Return: pages freed. */
  readonly shrink: (k: Kernel, nr_to_scan: number, gfp_mask: number) => number;
}

/** What a slab cache does to each object of a new slab. @cache: its struct kmem_cache. */
export type Constructor = (k: Kernel, object: Vaddr, cache: number) => void;

/** Where the static objects are, as `layoutSymbols` answers. */
export interface StaticLayout {
  readonly sym: Readonly<Symbols>;
  /** Layouts that depend on the configuration. */
  readonly structs: Structs;
  /** Bytes from PAGE_OFFSET on that hold kernel data, page tables and mem_map. */
  readonly bytes: number;
}

/** What a mode installs behind the scheduling point; it is called while the attention bit `controlled` is set. */
export interface Controller {
  /** Return: true when interrupts are the controller's business and have been dealt with. */
  point(kind: Point, addr: number): boolean | undefined;
  /** Decides every wait as well, while it says so: controlled mode, while the threads of a race run. */
  readonly waits?: Waits | null;
  /** Keeps account of what the thread has learnt, while somebody wants to know. */
  readonly knowledge?: Knowledge | null;
}

export interface Knowledge {
  mark(): Mark;
  /** Back to what it was at @mark. */
  recall(mark: Mark): void;
  learn(value: number): void;
}

export interface Waits {
  /** Return when the word is no longer @value. */
  waitWhile(memory: Int32Array, index: number, value: number, on: number): void;
  /**
   * Return when one of these words is no longer what it was seen to be: of static memory, or by the complement of its index of the hardware area.
   * @rounds: of a loop of cpu_relax(), how often it has gone round in the same way; it may be let go round once more with nothing changed.
   */
  waitForChange(indices: readonly number[], seen: readonly number[], on: number, rounds?: number): void;
  /** Is such a loop to go round once more, whatever others could do? */
  goesRound(rounds: number): boolean;
  /** The CPU has nothing to run: return when it may have. */
  idle(): void;
}

/** Kinds of steps that change what an invariant may read. */
const changesMemory = (kind: Point): boolean =>
  kind !== Point.Load && kind !== Point.CachedLoad && kind !== Point.Wait && kind < Point.Tlb;

/** Lines of the cache model that a worker remembers by address hash: see DCache. */
const HINT_MASK = 255;

const ACQUIRED_SHIFT = 5;
const ACQUIRED_ONE = 1 << ACQUIRED_SHIFT;
/** Beside what is remembered of steps: it stands for those that are forgotten. */
const FORGOT = 0x666f7267;
const SPINS = 60;
const LOCK_SLEEP_MS = 0.2;
/** Waiting rounds of LOCK_SLEEP_MS before a waiter looks for a cycle. */
const STUCK_ROUNDS = 10;
/** Rounds of cpu_relax() after which a spinning CPU lets its host run somebody else. */
const RELAX_ROUNDS = 64;
const RELAX_SLEEP_MS = 0.05;

/** Kinds of step on the hottest paths: a constant of this file is less work for the compiler than one that is imported. */
const { Load: LOAD, Store: STORE, Lock: LOCK, Unlock: UNLOCK, IrqEnable: IRQ_ENABLE } = Point;
const { CachedLoad: CACHED_LOAD, CachedStore: CACHED_STORE } = Point;
const PLAIN_RELEASE = STRONG_STORES;

/** Of an access that is being made, for who watches memory: bytes, and this bit if it is a write. */
const ACCESS_WRITES = 8;
/** The access is one that may fault: the exception table has an entry for it. */
const ACCESS_PROBES = 16;
const FIXUP = new Error('a fault that the exception table has an entry for');

/** Where the task of a thread slot and its preempt_count are. */
export type TaskOf = (slot: number) => { task: Ptr<'task_struct'>; preemptCount: Vaddr };

/** @S: the variables that the race declares; @E: its locks and queues. Without them nothing is known of either: kernel code needs none. */
export class Kernel<S extends object = object, E extends string = never> implements KernelBase {
  declare readonly config: MachineConfig;
  /** Page tables, cache and TLB maintenance of the architecture. */
  declare readonly arch: ArchOps;
  /** What a free plain lock word holds. */
  readonly freeLock: number = 0;
  /** Layouts of structs that depend on the configuration. */
  declare readonly structs: Structs;
  declare readonly sym: Readonly<Symbols>;
  /** Of the kernel that is booted: compared where code differs by version. */
  declare readonly LINUX_VERSION_CODE: number;
  declare readonly layout: HwLayout;
  /** Physical memory as words and bytes. */
  declare readonly words: Int32Array;
  declare readonly bytes: Uint8Array;
  declare readonly hw: Int32Array;
  declare readonly memory: PhysicalMemory;
  declare readonly mmu: Mmu;
  declare readonly cpu: number;
  /** Thread slot of this worker. */
  declare readonly slot: number;
  declare readonly ticketLocks: boolean;
  declare readonly plainLocks: boolean;
  declare readonly preemptible: boolean;
  declare readonly current: Ptr<'task_struct'>;
  declare readonly staticBase: number;
  declare readonly staticBytes: number;
  /** What the CPU executes, where a fault is to be readable: see Place. */
  executing: Place | null = null;
  /** Address of the byte or half word that is being accessed, or -1. */
  #part = -1;
  /** What is being accessed while somebody watches memory, or that it may fault; 0: nothing. Maintenance of caches is no access. */
  #access = 0;
  /** Words that the functions of a race share outside the emulated memory. */
  vars: Record<string, number> = {};
  /** Variables of the race: a property that is read is a load, one that is set a store, each with its scheduling point. */
  declare shared: SharedOf<S>;
  /** Locks and queues of the race. */
  declare locks: DeclaredOf<E, SpinLock>;
  declare rwlocks: DeclaredOf<E, RwLock>;
  declare queues: DeclaredOf<E, WaitQueueHead>;
  /** Address of a variable of the race, or of an element of it: for atomic operations and waits. */
  at!: (name: keyof S & string, index?: number) => Vaddr;
  /** What must hold between any two steps of controlled mode; it may only read. */
  invariant: (() => void) | null = null;
  /** Machine time, microseconds: host time since boot in parallel mode, steps in controlled mode. */
  clock: () => number = () => 0;
  /** The same for the log, which nobody who runs can read. */
  timestamp: () => number = () => 0;
  vectors: Vectors | null = null;
  scheduler: Scheduler | null = null;
  controller: Controller | null = null;
  /** What the present step touches, while somebody wants to know. */
  footprint: Footprint | null = null;
  lockWatch: LockWatch | null = null;
  spinlockWatch: SpinlockWatch | null = null;
  memoryWatch: MemoryWatch | null = null;
  /** Null unless somebody watches the DMA API. */
  dmaWatch: DmaWatch | null = null;
  /** What the step of kind Store that is told of stores: for whoever looks for data races. */
  storing = 0;
  hangWatch: HangWatch | null = null;
  contextWatch: ContextWatch | null = null;
  /** Called while a waiter makes no progress: looks for a deadlock. */
  onStuck: ((k: Kernel) => void) | null = null;
  /** Called while every CPU idles and nothing can happen any more. */
  onQuiet: ((k: Kernel) => void) | null = null;
  /** Interrupt handlers of the race, by line. */
  irqHandlers: ReadonlyMap<number, (k: Kernel) => void> = new Map();
  /** What reclaim can ask for memory, by number. */
  shrinkers: readonly Shrinker[] = [];
  /** Constructors of slab caches: kmem_cache_create() is told the number of one, from 1. Differs: a number is what `ctor` holds, since there is no text. */
  ctors: readonly Constructor[] = [];
  /** What smp_call_function() can call, by number. */
  readonly callFunctions: ((k: Kernel, arg0: number, arg1: number) => void)[] = [];
  /** What schedule_work() can have run, by number: see mm/workqueue.ts. */
  readonly works: ((k: Kernel) => void)[] = [];
  uses: VariableUses | null = null;
  /** Soft interrupt actions by vector. */
  readonly softirqs: ((k: Kernel) => void)[] = [];
  /** Which patches are in force: `k.patched['kmap-high-get']` is one load, and a wrong name does not compile. */
  declare readonly patched: PatchSet;
  /** See setTracer(). */
  #tracer: Tracer | null = null;
  /** See watchSteps(). */
  #stepWatch: StepWatch | null = null;
  // Numbers of a private field have a value from the start: see docs/architecture.md, class fields.
  readonly #seat: number = 0;
  readonly #thread: number = 0;
  readonly #preemptIndex: number = 0;
  readonly #held: number = 0;
  readonly #irqsOffIndex: number = 0;
  readonly #needResched: number = 0;
  readonly #lockWaiters: number = 0;
  /** PAGE_OFFSET as a signed number: address arithmetic stays in 32-bit integers. */
  readonly #base: number = 0;
  readonly #staticWords: number = 0;
  /** The same, or 0 where there are no plain locks, or somebody watches them; and 0 only if somebody does. */
  #plainLockWords = 0;
  #unlockWords = 0;
  // What load() and store() need to hit in the data cache by themselves: see #setFastPath().
  #directMask = 0;
  #directBytes = 1;
  #keyDelta = 0;
  #hints = new Int32Array(HINT_MASK + 1);
  #loadTags = 0;
  #storeTags = 0;
  #lockedStores = false;
  #lineFlags = 0;
  #lineData = 0;
  #lineShift = 0;
  #tagMask = 0;
  #offsetMask = 0;
  #wordShift = 0;
  #granuleShift = 0;
  /** How many locks are held (low bits; their addresses are in shared memory, for reports), and how many were taken since the last flush. */
  #heldCount = 0;
  #operations = 0;
  #spin: SpinWatch | null = null;
  #relaxed = 0;

  constructor(
    config: MachineConfig,
    buffers: Buffers,
    statics: StaticLayout,
    cpu: number,
    slot: number,
    taskOf: TaskOf,
    arch: ArchOps,
    makeMmu: (...parts: ConstructorParameters<typeof Mmu>) => Mmu = (...parts) => new Mmu(...parts),
  ) {
    this.config = config;
    this.sym = statics.sym;
    this.structs = statics.structs;
    this.LINUX_VERSION_CODE = versionCode(config.kernel);
    this.cpu = cpu;
    this.slot = slot;
    this.layout = layoutHw(config);
    this.words = new Int32Array(buffers.arena);
    this.bytes = new Uint8Array(buffers.arena);
    this.hw = new Int32Array(buffers.hw);
    this.memory = new PhysicalMemory(buffers.arena, config.core.physBase);
    if (config.core.outer !== null && this.layout.outer !== null) {
      this.memory.outer = new OuterCache(
        this.hw,
        this.layout.outer,
        config.core.outer,
        buffers.arena,
        config.core.physBase,
      );
    }
    this.arch = arch;
    this.mmu = makeMmu(this.hw, this.layout, config, cpu, this.memory, this);
    this.staticBase = config.pageOffset;
    this.staticBytes = statics.bytes;
    this.ticketLocks = config.ticketLocks;
    this.plainLocks = !config.ticketLocks && config.core.arch !== 'parisc';
    this.preemptible = config.preempt;
    this.patched = patchSet(config.patches);
    this.#seat = this.layout.seats + cpu * Seat.words;
    this.#thread = this.layout.threads + slot * Thread.words;
    this.#held = this.#thread + Thread.held;
    this.#lockWaiters = this.layout.lockWaiters;
    this.#irqsOffIndex = this.#seat + Seat.irqsOff;
    this.#needResched = this.#seat + Seat.needResched;
    this.#base = config.pageOffset | 0;
    this.#staticWords = statics.bytes >>> 2;
    this.watchLocks(null);
    this.#setFastPath(config, this.mmu.cache.own);
    const { task, preemptCount } = taskOf(slot);
    this.current = task;
    this.#preemptIndex = (preemptCount - this.staticBase) >>> 2;
  }

  /**
   * A hit in the data cache that needs neither translation nor lock nor bookkeeping is decided in load() and store() themselves, on flat
   * fields: half the cost of going through the MMU, and the same effect. Where a core does not allow it, the tags point at words
   * that are always zero, so that nothing hits. On VIVT any address will do; a physically tagged cache takes the direct map.
   */
  #setFastPath(config: MachineConfig, cache: DCache): void {
    const { coherence, dcache } = config.core;
    const vivt = dcache.tagBy === 'VA';
    const simple = dcache.replacement !== 'lru' && dcache.indexBy === dcache.tagBy;
    this.#directMask = vivt ? 0 : -1;
    this.#directBytes = config.lowmemPages * 4096;
    this.#keyDelta = vivt ? 0 : (config.core.physBase - config.pageOffset) | 0;
    this.#hints = cache.hints;
    this.#loadTags = simple && coherence !== 'shared' ? cache.tags : this.layout.zeros;
    // With one or two granules a line the dirty bit of granule g is g + 1.
    const granules = dcache.lineBytes / dcache.granuleBytes;
    this.#storeTags = simple && coherence === 'none' && vivt && granules <= 2 ? cache.tags : this.layout.zeros;
    this.#lockedStores = simple && coherence !== 'none';
    this.#lineFlags = cache.flags;
    this.#lineData = cache.data;
    this.#lineShift = cache.lineShift;
    this.#tagMask = cache.lineMask | 3;
    this.#offsetMask = ~cache.lineMask;
    this.#wordShift = cache.lineShift - 2;
    this.#granuleShift = cache.granuleShift;
  }

  get tracer(): Tracer | null {
    return this.#tracer;
  }

  /**
   * Have somebody watch what happens in this worker: null for nobody. Accesses to page contents take the long way then. The seats' attention
   * bit `trace`, which leads every point here, is for whoever resets the machine to set.
   */
  setTracer(tracer: Tracer | null): void {
    this.#tracer = tracer;
    this.mmu.setTracer(tracer);
    this.#chooseFastPath();
  }

  /** Note from now on what each step touches: null for no longer. Accesses to page contents take the long way then. */
  traceFootprints(footprint: Footprint | null): void {
    this.footprint = footprint;
    this.mmu.traceFootprints(footprint);
    this.memory.outer?.traceFootprints(footprint);
    this.#chooseFastPath();
  }

  /** No hit is decided in load32() and store32() while somebody wants to know of each: nothing is to go past them. */
  #chooseFastPath(): void {
    this.#setFastPath(this.config, this.mmu.cache.own);
    if (this.#tracer === null && this.footprint === null && this.memoryWatch === null) return;
    this.#loadTags = this.layout.zeros;
    this.#storeTags = this.layout.zeros;
    this.#lockedStores = false;
  }

  /** Have somebody hear of every lock, or nobody. Locks take the long way then. */
  watchLocks(watch: LockWatch | null): void {
    this.lockWatch = watch;
    this.#chooseLockPath();
  }

  /** The same for spinlocks alone, and who has them. */
  watchSpinlocks(watch: SpinlockWatch | null): void {
    this.spinlockWatch = watch;
    this.#chooseLockPath();
  }

  /** Have somebody hear of each change of preempt_count, or nobody. */
  watchContext(watch: ContextWatch | null): void {
    this.contextWatch = watch;
    this.#chooseLockPath();
  }

  #chooseLockPath(): void {
    const watched = this.lockWatch !== null || this.spinlockWatch !== null || this.contextWatch !== null;
    this.#plainLockWords = this.plainLocks && !watched ? this.#staticWords : 0;
    this.#unlockWords = watched ? 0 : this.#staticWords;
  }

  /** Have somebody hear of allocations and of every access to page contents, or nobody. Accesses take the long way then. */
  watchMemory(watch: MemoryWatch | null): void {
    this.memoryWatch = watch;
    this.#chooseFastPath();
  }

  /** Have somebody hear of each step, with what it says of itself, and of the same events as the tracer but for accesses and caches. */
  watchSteps(watch: StepWatch | null): void {
    this.#stepWatch = watch;
  }

  get #told(): boolean {
    return this.#tracer !== null || this.#stepWatch !== null;
  }

  /** Tell the tracer, if there is one. Not for paths that are counted in nanoseconds. */
  trace(what: Ev, a = 0, b = 0, c = 0, d = 0): void {
    if (this.#tracer !== null) this.#tracer.event(what, a, b, c, d);
    if (this.#stepWatch !== null) this.#stepWatch.event(what, a, b, c, d);
  }

  /** The objects of the race, as bindDeclared() makes them. */
  bind(objects: DeclaredObjects): void {
    Object.assign(this, objects);
  }

  /** Which execution of the run this is, from 1: the same in every worker. With it and `config.seed` chance differs each time. */
  get execution(): number {
    return Atomics.load(this.hw, Control.execution);
  }

  has(patch: PatchName): boolean {
    return this.patched[patch];
  }

  // ---- scheduling points -------------------------------------------------------------------------------------------

  /** A visible step comes next: one load and a branch, unless somebody wants this CPU's attention. */
  point(kind: Point, addr: number): void {
    const bits = this.hw[this.#seat] as number;
    if (bits !== 0) this.#attend(bits, kind, addr | 0);
  }

  /** point() of a step that says more of itself. @how: see shared/access.ts. */
  pointAs(kind: Point, addr: number, how: number): void {
    const bits = this.hw[this.#seat] as number;
    if (bits !== 0) this.#attend(bits, kind, addr | 0, how);
  }

  /** @addr: as a signed number: see docs/architecture.md, addresses above 2^31. */
  #attend(bits: number, kind: Point, addr: number, how = 0): void {
    // Controlled mode, and nothing else: the way of most of its points.
    if (bits !== Attention.controlled) this.#attendTo(bits, kind, addr, how);
    else if (!this.#controlled(kind, addr)) this.flushStats();
  }

  #attendTo(bits: number, kind: Point, addr: number, how: number): void {
    if ((bits & Attention.inspect) !== 0) {
      this.#mayRead(kind, addr);
      return;
    }
    if ((bits & Attention.stop) !== 0) throw new ExecutionStopped('stopped');
    const traced = (bits & Attention.trace) !== 0;
    if (traced) this.#stands(kind, addr >>> 0);
    const dealtWith = (bits & Attention.controlled) !== 0 && this.#controlled(kind, addr);
    if (traced) this.#making(kind, addr >>> 0, how);
    if (dealtWith) return;
    this.flushStats();
    if ((bits & Attention.dump) !== 0) this.#dump();
    if ((bits & Attention.request) !== 0) this.#serveRequest();
    if ((bits & Attention.wake) !== 0) Atomics.and(this.hw, this.#seat, ~Attention.wake);
    if ((bits & Attention.irq) !== 0 && !this.irqsOff) this.takeInterrupts();
  }

  #stands(kind: Point, addr: number): void {
    if (this.#tracer !== null) this.#tracer.event(Ev.point, kind, addr, 0, 0);
    if (this.#stepWatch !== null) this.#stepWatch.stands();
  }

  #making(kind: Point, addr: number, how: number): void {
    if (this.#tracer !== null) this.#tracer.event(Ev.step, kind, addr, 0, 0);
    if (this.#stepWatch !== null) this.#stepWatch.step(kind, addr, how);
  }

  /** Ask whoever controls this mode. Return: true when interrupts have been dealt with. */
  #controlled(kind: Point, addr: number): boolean {
    this.checkInvariant();
    const dealtWith = this.controller?.point(kind, addr) === true;
    // Whoever looks between any two steps sees in which order words change, whichever they are.
    if (this.invariant !== null && changesMemory(kind)) this.footprint?.touch(Space.invariant, 0, true);
    this.#spin?.note(kind, this.words, this.#staticIndex(addr));
    return dealtWith;
  }

  /** The invariant of the race, if this is a moment to look at it: controlled mode, while the threads run. */
  checkInvariant(): void {
    if (this.invariant !== null && this.controller?.waits != null) this.inspect(this.invariant);
  }

  /** Let @look read static memory as it is: no scheduling points, no interrupts, and nothing may be changed. */
  inspect(look: () => void): void {
    const { footprint } = this;
    this.footprint = null;
    Atomics.or(this.hw, this.#seat, Attention.inspect);
    try {
      look();
    } finally {
      Atomics.and(this.hw, this.#seat, ~Attention.inspect);
      this.footprint = footprint;
    }
  }

  #mayRead(kind: Point, addr: number): void {
    if (kind === Point.Load && this.#staticIndex(addr) >= 0) {
      if (this.#tracer !== null) this.#tracer.event(Ev.look, addr >>> 0, 0, 0, 0);
      return;
    }
    throw new UsageError(
      `an invariant may only read: shared variables, kernel data by k.load(), pages by memoryWord(); this one tried ${pointName(kind)}`,
    );
  }

  /** Index in `words` of a word of static memory; -1 for any other address. */
  #staticIndex(addr: number): number {
    const offset = ((addr | 0) - this.#base) | 0;
    return offset >>> 0 < this.staticBytes ? offset >>> 2 : -1;
  }

  /** Run the handlers of all pending lines, on this stack. Context: interrupts enabled. */
  takeInterrupts(): void {
    Atomics.and(this.hw, this.#seat, ~Attention.irq);
    const lines = Atomics.exchange(this.hw, this.#seat + Seat.pending, 0);
    if (this.footprint !== null) this.footprint.observe(lines);
    const vectors = this.vectors;
    if (vectors === null) throw new MurphyError('interrupt before the kernel has installed its vectors');
    const spin = this.#spin;
    this.#spin = null;
    const { storing } = this;
    // Who is interrupted while it waits does not wait until the handler has returned: for the search for deadlocks.
    const waitKind = this.hw[this.#thread + Thread.waitKind] as number;
    this.hw[this.#thread + Thread.waitKind] = WaitKind.none;
    const paused = this.#pauseMemoryWatch(0);
    const access = this.#access;
    this.#access = 0;
    for (let line = 0, left = lines >>> 0; left !== 0; line++, left >>>= 1) {
      if ((left & 1) === 0) continue;
      const was = this.irqsOff;
      this.irqsOff = true;
      this.trace(Ev.irqEnter, line);
      vectors.irq(this, line);
      this.trace(Ev.irqExit, line);
      this.irqsOff = was;
    }
    this.#pauseMemoryWatch(paused);
    this.#access = access;
    Atomics.store(this.hw, this.#thread + Thread.waitKind, waitKind);
    this.#spin = spin;
    this.storing = storing;
    if (this.preemptCount === 0) this.preemptCheck();
  }

  /** A handler is no part of the allocator that it interrupts. Return: what was. */
  #pauseMemoryWatch(paused: number): number {
    const watch = this.memoryWatch;
    if (watch === null) return 0;
    const before = watch.paused;
    watch.paused = paused;
    return before;
  }

  /** This CPU's cache does by itself what chance, in the shape of another actor, has asked of it. */
  #serveRequest(): void {
    Atomics.and(this.hw, this.#seat, ~Attention.request);
    const request = Atomics.exchange(this.hw, this.#seat + Seat.request, 0);
    Atomics.notify(this.hw, this.#seat + Seat.request);
    const va = (request & ~Request.mask) >>> 0;
    if ((request & Request.mask) === Request.prefetch) this.mmu.speculativeFill(va);
    else if ((request & Request.mask) === Request.evict) this.mmu.evict(va);
  }

  /** The watchdog asks where this CPU is: answer with the call stack, and that we are alive. */
  #dump(): void {
    Atomics.and(this.hw, this.#seat, ~Attention.dump);
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 40;
    const stack = new Error('here').stack ?? '';
    Error.stackTraceLimit = limit;
    const bytes = new TextEncoder().encode(stack).subarray(0, this.layout.dumpWords * 4 - 4);
    const at = this.layout.dump + this.slot * this.layout.dumpWords;
    new Uint8Array(this.hw.buffer, (at + 1) * 4, bytes.length).set(bytes);
    Atomics.store(this.hw, at, bytes.length);
    Atomics.add(this.hw, this.#seat + Seat.pong, 1);
  }

  // ---- memory ------------------------------------------------------------------------------------------------------

  /** Kernel data: static memory comes first, and the code stays small enough to be inlined wherever it is called. */
  load(addr: Vaddr): number {
    const index = ((addr | 0) - this.#base) >>> 2;
    if (this.hw[this.#seat] !== 0 || index >= this.#staticWords) return this.#loadSlow(addr | 0);
    return this.words[index] as number;
  }

  compared(succeeded: boolean): void {
    this.#stepWatch?.event(Ev.compared, succeeded ? 1 : 0, 0, 0, 0);
  }

  dataRace(begins: boolean): void {
    this.#stepWatch?.event(Ev.dataRace, begins ? 1 : 0, 0, 0, 0);
  }

  assertExclusive(addr: Vaddr, what: number, mask: number): void {
    this.#stepWatch?.event(Ev.exclusive, addr >>> 0, what, mask, 0);
  }

  /** load() that says more of itself. @how: see shared/access.ts. */
  loadAs(addr: Vaddr, how: number): number {
    const index = ((addr | 0) - this.#base) >>> 2;
    if (this.hw[this.#seat] !== 0 || index >= this.#staticWords) return this.#loadSlow(addr | 0, how);
    return this.words[index] as number;
  }

  #loadSlow(addr: number, how = 0): number {
    this.pointAs(LOAD, addr, how);
    const index = (addr - this.#base) >>> 2;
    return index < this.#staticWords ? (this.words[index] as number) : this.#loadFar(addr >>> 0);
  }

  loadPtr<T extends string>(addr: Vaddr): Ptr<T> {
    return (this.load(addr) >>> 0) as Ptr<T>;
  }

  store(addr: Vaddr, value: number): void {
    const index = ((addr | 0) - this.#base) >>> 2;
    if (this.hw[this.#seat] !== 0 || index >= this.#staticWords) this.#storeSlow(addr | 0, value);
    else this.words[index] = value;
  }

  storeAs(addr: Vaddr, value: number, how: number): void {
    const index = ((addr | 0) - this.#base) >>> 2;
    if (this.hw[this.#seat] !== 0 || index >= this.#staticWords) this.#storeSlow(addr | 0, value, how);
    else this.words[index] = value;
  }

  #storeSlow(addr: number, value: number, how = 0): void {
    this.storing = value;
    this.pointAs(STORE, addr, how);
    const index = (addr - this.#base) >>> 2;
    if (index < this.#staticWords) this.words[index] = value;
    else this.#storeFar(addr >>> 0, value, -1);
  }

  #loadFar(addr: number): number {
    if (this.memoryWatch !== null) this.#access = 4;
    if ((addr & 3) !== 0) this.unaligned(addr, false);
    const value = this.#word(addr);
    if (this.memoryWatch !== null) this.#accessed(addr, 4, false);
    return value;
  }

  #storeFar(addr: number, value: number, mask: number): void {
    if (this.memoryWatch !== null) this.#access = 4 | ACCESS_WRITES;
    if ((addr & 3) !== 0) this.unaligned(addr, true);
    this.#putMasked(addr, value, mask);
    if (this.memoryWatch !== null) this.#accessed(addr, 4, true);
  }

  /** Tell who watches memory of an access outside static memory. */
  #accessed(addr: number, bytes: number, write: boolean): void {
    this.#access = 0;
    if ((addr - this.staticBase) >>> 0 < this.staticBytes) return;
    this.memoryWatch?.access(this.#asAddressed(addr, bytes), bytes, write);
  }

  /** Bytes of big-endian words are looked for in the mirrored place: the address that the code used. */
  #asAddressed(addr: number, bytes: number): number {
    const mirror = this.config.core.byteOrder === 'big' ? 4 - bytes : 0;
    return (addr ^ mirror) >>> 0;
  }

  /** The word that holds a byte or half word. An interrupt that is taken meanwhile has accesses of its own. */
  #wordOfPart(addr: number, bytes: number): number {
    const offset = ((addr | 0) - this.#base) >>> 0;
    if (offset < this.staticBytes) return this.words[offset >>> 2] as number;
    const interrupted = this.#part;
    this.#part = this.#asAddressed(addr, bytes);
    const word = this.#word((addr & ~3) >>> 0);
    this.#part = interrupted;
    return word;
  }

  #putPart(addr: number, bytes: number, value: number, mask: number): void {
    const interrupted = this.#part;
    this.#part = this.#asAddressed(addr, bytes);
    this.#putMasked((addr & ~3) >>> 0, value, mask);
    this.#part = interrupted;
  }

  /** ARM: an alignment fault comes before every fault of a translation. */
  protected unaligned(addr: number, _write: boolean): never {
    return this.dataAbort(addr, 1, false);
  }

  /** One byte, unsigned. */
  load8(addr: Vaddr): number {
    this.pointAs(Point.CachedLoad, addr, How.byte);
    if (this.memoryWatch !== null) this.#access = 1;
    const word = this.#wordOfPart(addr, 1);
    if (this.memoryWatch !== null) this.#accessed(addr, 1, false);
    return (word >>> ((addr & 3) * 8)) & 0xff;
  }

  load16(addr: Vaddr): number {
    this.pointAs(Point.CachedLoad, addr, How.half);
    if (this.memoryWatch !== null) this.#access = 2;
    const word = this.#wordOfPart(addr, 2);
    if (this.memoryWatch !== null) this.#accessed(addr, 2, false);
    return (word >>> ((addr & 2) * 8)) & 0xffff;
  }

  /** An aligned word of page contents, unsigned. A hit in the data cache is decided here: see #setFastPath(). */
  load32(addr: Vaddr): number {
    const { hw } = this;
    const a = addr | 0;
    if (hw[this.#seat] !== 0) this.#attend(hw[this.#seat] as number, CACHED_LOAD, a);
    if (((a - this.#base) & this.#directMask) >>> 0 < this.#directBytes) {
      const key = (a + this.#keyDelta) | 0;
      const line = this.#hints[(key >>> this.#lineShift) & HINT_MASK] as number;
      if (hw[this.#loadTags + line] === ((key & this.#tagMask) ^ 1)) {
        return (hw[this.#lineData + (line << this.#wordShift) + ((key & this.#offsetMask) >>> 2)] as number) >>> 0;
      }
    }
    return this.#loadFar(a >>> 0) >>> 0;
  }

  /** load32() that may fault. Return: null if it has. */
  probe32(addr: Vaddr): number | null {
    this.point(CACHED_LOAD, addr);
    this.#access = ACCESS_PROBES;
    try {
      const word = this.#word(addr) >>> 0;
      this.#access = 0;
      return word;
    } catch (error) {
      if (error !== FIXUP) throw error;
      return null;
    }
  }

  store8(addr: Vaddr, value: number): void {
    this.pointAs(Point.CachedStore, addr, How.byte);
    const shift = (addr & 3) * 8;
    if (this.memoryWatch !== null) this.#access = 1 | ACCESS_WRITES;
    this.#putPart(addr, 1, value << shift, 0xff << shift);
    if (this.memoryWatch !== null) this.#accessed(addr, 1, true);
  }

  store16(addr: Vaddr, value: number): void {
    this.pointAs(Point.CachedStore, addr, How.half);
    const shift = (addr & 2) * 8;
    if (this.memoryWatch !== null) this.#access = 2 | ACCESS_WRITES;
    this.#putPart(addr, 2, value << shift, 0xffff << shift);
    if (this.memoryWatch !== null) this.#accessed(addr, 2, true);
  }

  /** An aligned word of page contents. */
  store32(addr: Vaddr, value: number): void {
    const { hw } = this;
    const a = addr | 0;
    if (hw[this.#seat] !== 0) this.#attend(hw[this.#seat] as number, CACHED_STORE, a);
    const line = this.#hints[(a >>> this.#lineShift) & HINT_MASK] as number;
    if (hw[this.#storeTags + line] === ((a & this.#tagMask) ^ 1)) {
      const at = a & this.#offsetMask;
      if (((hw[this.#lineFlags + line] as number) & ((at >>> this.#granuleShift) + 1)) !== 0) {
        hw[this.#lineData + (line << this.#wordShift) + (at >>> 2)] = value;
        return;
      }
    } else if (this.#lockedStores && this.#storeLocked(a, value)) return;
    this.#storeFar(a >>> 0, value, -1);
  }

  /** store32() to a line that this CPU has modified, on caches that others may look into. */
  #storeLocked(a: number, value: number): boolean {
    if (((a - this.#base) & this.#directMask) >>> 0 >= this.#directBytes) return false;
    const key = (a + this.#keyDelta) | 0;
    const { cache } = this.mmu;
    const line = this.#hints[(key >>> this.#lineShift) & HINT_MASK] as number;
    if (this.hw[cache.own.tags + line] !== ((key & this.#tagMask) ^ 1)) return false;
    return cache.storeModified(line, key, value);
  }

  #word(addr: number): number {
    const offset = ((addr | 0) - this.#base) >>> 0;
    if (offset < this.staticBytes) return this.words[offset >>> 2] as number;
    const value = this.mmu.load32(addr);
    if (this.footprint !== null) this.footprint.observe(value);
    return value;
  }

  #putMasked(addr: number, value: number, mask: number): void {
    const offset = ((addr | 0) - this.#base) >>> 0;
    if (offset >= this.staticBytes) this.mmu.store32(addr, value, mask);
    else {
      const index = offset >>> 2;
      this.words[index] = ((this.words[index] as number) & ~mask) | (value & mask);
    }
  }

  /** A field of a struct, unsigned. Fields of 1, 2 and 4 bytes. */
  read<T extends string>(p: Ptr<T>, field: Field<T>): number {
    const addr = (p + field.offset) as Vaddr;
    return field.bytes === 4 ? this.load(addr) >>> 0 : this.#readSmall(addr, field.bytes);
  }

  #readSmall(addr: Vaddr, bytes: number): number {
    return bytes === 2 ? this.load16(addr) : this.load8(addr);
  }

  write<T extends string>(p: Ptr<T>, field: Field<T>, value: number): void {
    const addr = (p + field.offset) as Vaddr;
    if (field.bytes === 4) this.store(addr, value);
    else this.#writeSmall(addr, field.bytes, value);
  }

  #writeSmall(addr: Vaddr, bytes: number, value: number): void {
    if (bytes === 2) this.store16(addr, value);
    else this.store8(addr, value);
  }

  /** Index of a static word in `words`. */
  wordIndex(addr: number): number {
    return this.#index(addr as Vaddr);
  }

  /** Index in `hw` of the word that says a thread has been given its CPU's seat. */
  runWord(slot: number): number {
    return this.layout.threads + slot * Thread.words + Thread.run;
  }

  cpuOfSlot(slot: number): number {
    return this.hw[this.layout.threads + slot * Thread.words + Thread.cpu] as number;
  }

  /** preempt_count of another thread. */
  preemptCountOf(slot: number): number {
    return this.words[this.#preemptIndex + ((slot - this.slot) << 3)] as number;
  }

  #index(addr: Vaddr): number {
    const offset = ((addr | 0) - this.#base) | 0;
    if (offset >>> 0 >= this.staticBytes || (offset & 3) !== 0) this.#atomicOutside(addr >>> 0);
    return offset >>> 2;
  }

  /** A wild pointer faults. Errors: one that does not, since page contents have no atomic operations. */
  #atomicOutside(addr: number): never {
    if (this.memoryWatch !== null) this.#access = 4 | ACCESS_WRITES;
    if ((addr & 3) !== 0) this.unaligned(addr, true);
    this.#word(addr);
    throw new MurphyError(`atomic operation outside static kernel data: ${addr.toString(16)}`);
  }

  /** A memory barrier: the machine is sequentially consistent, so it is for those who look for data races only. */
  barrier(kind: Barrier): void {
    this.trace(Ev.barrier, kind);
  }

  atomicSet(addr: Vaddr, value: number): void {
    this.storeAs(addr, value, How.marked);
  }
  atomicLoad(addr: Vaddr): number {
    return Atomics.load(this.words, this.#index(addr));
  }
  atomicStore(addr: Vaddr, value: number): void {
    Atomics.store(this.words, this.#index(addr), value);
  }
  atomicAdd(addr: Vaddr, value: number): number {
    return Atomics.add(this.words, this.#index(addr), value);
  }
  atomicOr(addr: Vaddr, value: number): number {
    return Atomics.or(this.words, this.#index(addr), value);
  }
  atomicAnd(addr: Vaddr, value: number): number {
    return Atomics.and(this.words, this.#index(addr), value);
  }
  cmpxchg(addr: Vaddr, old: number, value: number): number {
    return Atomics.compareExchange(this.words, this.#index(addr), old, value);
  }
  xchg(addr: Vaddr, value: number): number {
    return Atomics.exchange(this.words, this.#index(addr), value);
  }

  /** Physical address behind a direct-mapped virtual address. */
  __pa(addr: Vaddr): Paddr {
    return (addr - this.config.pageOffset + this.config.core.physBase) as Paddr;
  }

  __va(pa: Paddr): Vaddr {
    return (pa - this.config.core.physBase + this.config.pageOffset) as Vaddr;
  }

  /** A byte or half word is looked for in its word; what faults is its own address. */
  dataAbort(va: number, status: number, write: boolean): never {
    const at = this.#part >= 0 && ((va ^ this.#part) & ~3) === 0 ? this.#part : va;
    this.trace(Ev.fault, at, status, write ? 1 : 0);
    const access = this.#access;
    this.#access = 0;
    if (access === ACCESS_PROBES) throw FIXUP;
    if (access !== 0) this.memoryWatch?.refused(at, access & ~ACCESS_WRITES, (access & ACCESS_WRITES) !== 0);
    if (this.vectors === null) throw new KernelBug('oops', 'data abort', at);
    return this.vectors.dataAbort(this, at, status, write);
  }

  // ---- interrupts and preemption -----------------------------------------------------------------------------------

  get irqsOff(): boolean {
    return this.hw[this.#irqsOffIndex] !== 0;
  }

  set irqsOff(off: boolean) {
    const were = this.hw[this.#irqsOffIndex] === 0;
    if (this.lockWatch !== null && !off) this.lockWatch.hardirqs(true);
    this.hw[this.#irqsOffIndex] = off ? 1 : 0;
    if (this.lockWatch !== null && off && were) this.lockWatch.hardirqs(false);
  }

  saveIrqs(): number {
    const { hw } = this;
    const flags = hw[this.#irqsOffIndex] as number;
    hw[this.#irqsOffIndex] = 1;
    if (this.lockWatch !== null && flags === 0) this.lockWatch.hardirqs(false);
    return flags;
  }

  restoreIrqs(flags: number): void {
    const { hw } = this;
    if (flags === 0 && this.lockWatch !== null) this.lockWatch.hardirqs(true);
    hw[this.#irqsOffIndex] = flags;
    if (flags === 0) this.point(IRQ_ENABLE, 0);
  }

  get preemptCount(): number {
    return this.words[this.#preemptIndex] as number;
  }

  set preemptCount(count: number) {
    const old = this.words[this.#preemptIndex] as number;
    if (this.contextWatch !== null) this.contextWatch.counts(old, count - old);
    this.words[this.#preemptIndex] = count;
  }

  currentState(): number {
    const index = this.#index(this.current);
    const state = this.words[index] as number;
    if (this.footprint !== null) {
      this.footprint.touch(Space.word, index, false);
      this.footprint.observe(state);
    }
    return state;
  }

  preemptCheck(): void {
    if (this.hw[this.#seat + Seat.needResched] !== 0) this.scheduler?.preemptSchedule(this);
  }

  localBhEnable(): void {
    local_bh_enable(this);
  }

  schedule(): void {
    if (this.scheduler === null) throw new MurphyError('schedule() before the scheduler is installed');
    const mark = this.mark();
    this.scheduler.schedule(this);
    this.forget(mark);
  }

  sleepsOn(addr: number): void {
    this.hw[this.#thread + Thread.waitOn] = addr;
  }

  tryToWakeUp(task: Ptr<'task_struct'>): boolean {
    if (this.scheduler === null) throw new MurphyError('wake-up before the scheduler is installed');
    return this.scheduler.tryToWakeUp(this, task);
  }

  /** Raise an interrupt line of a CPU. */
  raise(cpu: number, line: number): void {
    this.footprint?.touch(Space.seat, cpu, true);
    this.trace(Ev.raise, cpu, line);
    raiseLine(this.hw, this.layout, cpu, line);
  }

  // ---- waiting -----------------------------------------------------------------------------------------------------

  lockWord(addr: Vaddr): Vaddr {
    return addr;
  }

  waitForLock(addr: Vaddr, seen: number): void {
    this.count(Seat.lockContended);
    this.waitWhile(this.words, this.#index(addr), seen, WaitKind.lock, addr);
  }

  waitForChange(addrs: readonly Vaddr[], seen: readonly number[]): void {
    const first = addrs[0] as Vaddr;
    if (addrs.length === 1) {
      this.waitForLock(first, seen[0] as number);
      return;
    }
    this.#waitForAny(
      addrs.map((addr) => this.#index(addr)),
      seen,
      first,
    );
  }

  mark(): Mark | null {
    return this.controller === null ? null : (this.controller.knowledge?.mark() ?? null);
  }

  recall(mark: Mark | null): void {
    if (mark === null) return;
    const { knowledge } = this.controller as Controller;
    knowledge?.recall(mark);
    // What a loop has read decides how long it will wait.
    this.#spin?.eachWord((word) => knowledge?.learn(word));
  }

  forget(mark: Mark | null, learnt = 0): void {
    if (mark === null) return;
    this.recall(mark);
    const { knowledge } = this.controller as Controller;
    // A thread that has been here is further on than one that has not.
    knowledge?.learn(FORGOT);
    knowledge?.learn(learnt);
  }

  relax(): void {
    if (this.controller?.waits == null) {
      this.point(Point.Wait, 0);
      if (++this.#relaxed % RELAX_ROUNDS === 0) Atomics.wait(this.hw, this.#seat, 0, RELAX_SLEEP_MS);
      return;
    }
    this.#spin ??= new SpinWatch();
    const spin = this.#spin;
    spin.ends();
    if (!spin.waits || this.controller.waits.goesRound(spin.rounds)) this.point(Point.Wait, 0);
    else this.#waitsInLoop(spin, this.controller.waits);
    spin.begins();
  }

  #waitsInLoop({ indices, seen, rounds }: SpinWatch, waits: Waits): void {
    const [first = 0, value = 0] = [indices[0], seen[0]];
    // A variable outside memory goes by its place in the hardware area, which is below all addresses.
    const on = first < 0 ? ~first : this.staticBase + first * 4;
    this.#waiting(WaitKind.lock, on, value, () => {
      this.trace(Ev.wait, WaitKind.lock, on);
      this.checkInvariant();
      waits.waitForChange(indices, seen, on, rounds);
      this.trace(Ev.woken, WaitKind.lock, on);
    });
  }

  /** A word of `vars` is read, or changed: no step of its own, but something that a loop can wait for. */
  variableRead(index: number, value: number): void {
    this.#spin?.variable(index, value);
  }

  variableSet(): void {
    this.#spin?.changes();
  }

  /** @on: an address for reports. */
  #waitForAny(indices: readonly number[], seen: readonly number[], on: number): void {
    const [first = 0, value = 0] = [indices[0], seen[0]];
    if (indices.length === 1) {
      this.waitWhile(this.words, first, value, WaitKind.lock, on);
      return;
    }
    const changed = (): boolean => indices.some((index, i) => Atomics.load(this.words, index) !== seen[i]);
    this.#waiting(WaitKind.lock, on, value, () => {
      const waits = this.controller?.waits;
      if (waits != null) {
        this.checkInvariant();
        waits.waitForChange(indices, seen, on);
        return;
      }
      for (let round = 0; !changed(); round++) {
        this.point(Point.Wait, on);
        if (round >= SPINS) Atomics.wait(this.words, first, value, RELAX_SLEEP_MS);
      }
    });
  }

  /** Run @wait with what this thread waits for written where reports look. */
  #waiting(kind: WaitKind, on: number, seen: number, wait: () => void): void {
    const { hw } = this;
    const at = this.#thread;
    const outer = [hw[at + Thread.waitKind], hw[at + Thread.waitOn], hw[at + Thread.waitSeen]] as number[];
    hw[at + Thread.waitOn] = on;
    hw[at + Thread.waitSeen] = seen;
    Atomics.store(hw, at + Thread.waitKind, kind);
    try {
      wait();
    } finally {
      hw[at + Thread.waitOn] = outer[1] as number;
      hw[at + Thread.waitSeen] = outer[2] as number;
      Atomics.store(hw, at + Thread.waitKind, outer[0] as number);
    }
  }

  /**
   * Spin until a word is no longer @value: briefly on the CPU, then on the host's futex. Interrupts are taken meanwhile if they are
   * enabled. The watchdog sees what is waited for.
   */
  waitWhile(memory: Int32Array, index: number, value: number, kind: WaitKind, on: number): void {
    const outerKind = this.hw[this.#thread + Thread.waitKind] as number;
    const outerOn = this.hw[this.#thread + Thread.waitOn] as number;
    const outerSeen = this.hw[this.#thread + Thread.waitSeen] as number;
    this.hw[this.#thread + Thread.waitOn] = on;
    this.hw[this.#thread + Thread.waitSeen] = value;
    Atomics.store(this.hw, this.#thread + Thread.waitKind, kind);
    if (kind === WaitKind.lock) Atomics.add(this.hw, this.#waiters(on), 1);
    this.trace(Ev.wait, kind, on);
    try {
      const waits = this.controller?.waits;
      if (waits != null) {
        this.checkInvariant();
        waits.waitWhile(memory, index, value, on);
        return;
      }
      for (let round = 0; Atomics.load(memory, index) === value; round++) {
        this.point(Point.Wait, on);
        if (round < SPINS) continue;
        Atomics.wait(memory, index, value, LOCK_SLEEP_MS);
        if (round % STUCK_ROUNDS === 0) this.onStuck?.(this);
      }
    } finally {
      if (memory[index] !== value) this.trace(Ev.woken, kind, on);
      if (kind === WaitKind.lock) Atomics.sub(this.hw, this.#waiters(on), 1);
      this.hw[this.#thread + Thread.waitOn] = outerOn;
      this.hw[this.#thread + Thread.waitSeen] = outerSeen;
      Atomics.store(this.hw, this.#thread + Thread.waitKind, outerKind);
    }
  }

  #waiters(addr: number): number {
    return this.#lockWaiters + ((addr >>> 2) & 63);
  }

  lockReleased(addr: Vaddr): void {
    if (this.hw[this.#waiters(addr)] !== 0) Atomics.notify(this.words, this.#index(addr));
  }

  acquire(addr: Vaddr): boolean {
    if (this.hw[this.#seat] !== 0) return this.#acquireWatched(addr);
    if (Atomics.compareExchange(this.words, this.#index(addr), 0, 1) !== 0) return false;
    const held = this.#heldCount;
    this.hw[this.#held + (held & HELD_MASK)] = addr;
    this.#heldCount = held + ACQUIRED_ONE + 1;
    return true;
  }

  #acquireWatched(addr: Vaddr): boolean {
    // In controlled mode nobody tries a held lock: who comes to one waits before the step.
    if (this.lockWatch?.stat && this.words[this.#index(addr)] !== 0) this.lockWatch.contended(addr);
    this.point(LOCK, addr);
    if (Atomics.compareExchange(this.words, this.#index(addr), 0, 1) !== 0) return false;
    this.lockHeld(addr);
    return true;
  }

  release(addr: Vaddr): void {
    this.point(UNLOCK, addr);
    this.lockDropped(addr);
    const index = this.#index(addr);
    if (PLAIN_RELEASE) this.words[index] = 0;
    else Atomics.store(this.words, index, 0);
    this.lockReleased(addr);
  }

  // lock() and unlock() are flat: they call nobody on the way of a free lock, so they cost the same whatever V8 chooses to inline.

  lock(addr: Vaddr): boolean {
    const { hw, words } = this;
    const preempt = this.#preemptIndex;
    words[preempt] = (words[preempt] as number) + 1;
    const offset = (addr | 0) - this.#base;
    // The two low bits come in at the top, where they make the index too large.
    const index = (offset >>> 2) | (offset << 30);
    if (hw[this.#seat] !== 0 || index >>> 0 >= this.#plainLockWords) return this.#lockSlow((addr | 0) as Vaddr);
    if (Atomics.compareExchange(words, index, 0, 1) !== 0) return false;
    const held = this.#heldCount;
    hw[this.#held + (held & HELD_MASK)] = addr;
    this.#heldCount = held + ACQUIRED_ONE + 1;
    return true;
  }

  #lockSlow(addr: Vaddr): boolean {
    const watch = this.lockWatch;
    if (this.contextWatch !== null) this.contextWatch.counts(this.preemptCount - 1, 1);
    if (watch !== null) watch.acquire((addr >>> 0) as Vaddr, 0, false);
    if (this.spinlockWatch !== null) this.spinlockWatch.locking(addr);
    const got = this.plainLocks && this.acquire(addr);
    if (got && watch?.stat) watch.acquired(addr);
    if (got && this.spinlockWatch !== null) this.spinlockWatch.locked(addr, false);
    return got;
  }

  unlock(addr: Vaddr, irqs: number): void {
    const { hw, words } = this;
    const offset = (addr | 0) - this.#base;
    const index = (offset >>> 2) | (offset << 30);
    const left = this.#heldCount - 1;
    const at = this.#held + (left & HELD_MASK);
    if (hw[this.#seat] !== 0 || hw[at] !== (addr | 0) || index >>> 0 >= this.#unlockWords) {
      this.#unlockSlow((addr | 0) as Vaddr, irqs);
      return;
    }
    this.#heldCount = left;
    hw[at] = 0;
    if (PLAIN_RELEASE) words[index] = 0;
    else this.atomicStore(addr, 0);
    if (hw[this.#lockWaiters + (index & 63)] !== 0) this.lockReleased(addr);
    if (irqs >= 0) {
      hw[this.#irqsOffIndex] = irqs;
      if (irqs === 0) this.point(IRQ_ENABLE, 0);
    }
    const preempt = this.#preemptIndex;
    const count = (words[preempt] as number) - 1;
    words[preempt] = count;
    if (count === 0 && hw[this.#needResched] !== 0) this.preemptCheck();
  }

  #unlockSlow(addr: Vaddr, irqs: number): void {
    if (this.lockWatch !== null) this.lockWatch.release((addr >>> 0) as Vaddr);
    if (this.spinlockWatch !== null) this.spinlockWatch.unlocking(addr);
    this.release(addr);
    if (irqs >= 0) this.restoreIrqs(irqs);
    preempt_enable(this);
  }

  lockHeld(addr: Vaddr, shared = 0): void {
    const held = this.#heldCount;
    this.hw[this.#held + (held & HELD_MASK)] = addr;
    this.#heldCount = held + ACQUIRED_ONE + 1;
    if (this.#told) this.trace(Ev.lockAcquired, addr >>> 0, shared);
  }

  lockDropped(addr: Vaddr, shared = 0): void {
    if (this.#told) this.trace(Ev.lockReleased, addr >>> 0, shared);
    if (this.spinlockWatch !== null) this.spinlockWatch.dropped(addr);
    const left = this.#heldCount - 1;
    this.#heldCount = left;
    const at = this.#held + (left & HELD_MASK);
    if (this.hw[at] === (addr | 0)) this.hw[at] = 0;
    else this.#dropInner(addr, left & HELD_MASK);
  }

  /** Locks are not always released in the reverse order, nor always by who took them. */
  #dropInner(addr: number, depth: number): void {
    const { hw } = this;
    const held = this.#held;
    for (let i = depth; i >= 0; i--) {
      if (hw[held + i] !== (addr | 0)) continue;
      hw.copyWithin(held + i, held + i + 1, held + depth + 1);
      hw[held + depth] = 0;
      return;
    }
    this.#heldCount++;
  }

  /** A worker begins an execution: it holds no lock. */
  beginExecution(): void {
    this.#spin = null;
    this.executing = null;
    this.#part = -1;
    this.#access = 0;
    this.#heldCount = 0;
    this.lockWatch?.begin();
    this.memoryWatch?.begin();
    this.dmaWatch?.begin();
    this.contextWatch?.begin();
  }

  /** Counters that are kept outside shared memory for speed become visible. */
  flushStats(): void {
    const seat = this.#seat;
    this.hw[seat + Seat.ops] = ((this.hw[seat + Seat.ops] as number) + this.#operations) | 0;
    this.hw[seat + Seat.lockAcquired] =
      ((this.hw[seat + Seat.lockAcquired] as number) + (this.#heldCount >>> ACQUIRED_SHIFT)) | 0;
    this.#operations = 0;
    this.#heldCount &= HELD_MASK;
  }

  // ---- reports -----------------------------------------------------------------------------------------------------

  count(stat: number): void {
    const at = this.#seat + stat;
    this.hw[at] = ((this.hw[at] as number) + 1) | 0;
  }

  /** A kernel operation begins: the rate in the final table. */
  op(): void {
    this.#operations++;
  }

  printk(text: string): void {
    appendLog(this.hw, this.layout, this.cpu, this.timestamp(), text);
  }

  dumpStack(): void {
    this.arch.dump_stack(this);
  }

  /** Record the execution's verdict if there is none yet, and call everybody off. */
  verdict(verdict: Verdict): boolean {
    const first = Atomics.compareExchange(this.hw, Control.verdict, Verdict.none, verdict) === Verdict.none;
    stopAll(this.hw, this.layout, this.config);
    return first;
  }

  die(kind: BugKind, message: string, addr: number): never {
    throw new KernelBug(kind, message, addr);
  }
}

/** Set an interrupt line of @cpu pending and call its attention. From any thread. */
export function raiseLine(hw: Int32Array, layout: HwLayout, cpu: number, line: number): void {
  const seat = layout.seats + cpu * Seat.words;
  Atomics.or(hw, seat + Seat.pending, 1 << line);
  hw[Control.stirred] = 1;
  Atomics.or(hw, seat + Seat.attention, Attention.irq);
  Atomics.notify(hw, seat + Seat.attention);
}

/** How long a request is waited for: a CPU in a long stretch without scheduling points takes it later, if no other has come by then. */
const REQUEST_MS = 0.05;

/** Ask the cache of @cpu to do something by itself at that CPU's next scheduling point. Context: not on a CPU, may wait. */
export function askCpu(hw: Int32Array, layout: HwLayout, cpu: number, va: number, request: number): void {
  const seat = layout.seats + cpu * Seat.words;
  const asked = (va & ~Request.mask) | request;
  Atomics.store(hw, seat + Seat.request, asked);
  Atomics.or(hw, seat + Seat.attention, Attention.request);
  Atomics.notify(hw, seat + Seat.attention);
  Atomics.wait(hw, seat + Seat.request, asked, REQUEST_MS);
}

/** Every context unwinds at its next scheduling point, and sleepers wake to do so. */
export function stopAll(hw: Int32Array, layout: HwLayout, config: MachineConfig): void {
  Atomics.store(hw, Control.abort, 1);
  for (let cpu = 0; cpu < config.cpus; cpu++) {
    const seat = layout.seats + cpu * Seat.words;
    Atomics.or(hw, seat + Seat.attention, Attention.stop);
    Atomics.notify(hw, seat + Seat.attention);
  }
  for (let slot = 0; slot < config.threadsMax; slot++) {
    Atomics.notify(hw, layout.threads + slot * Thread.words + Thread.run);
  }
}
