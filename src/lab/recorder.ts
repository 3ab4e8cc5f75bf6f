/**
 * What happened in one execution, event by event: recorded in the workers while a schedule is replayed for an explanation, and in
 * parallel mode into a ring for each worker.
 *
 * Each worker has a recorder, which its CPU's hooks call (`cpu/tracer.ts`). A number that all share puts the events in order. In controlled
 * mode one context runs at a time, and the order is that of what happened; in parallel mode it is that in which the recorders were told.
 */
import { Control, Seat, Stage } from '../cpu/hw.js';
import type { Kernel } from '../cpu/kernel.js';
import { Ev, type Tracer } from '../cpu/tracer.js';
import { Point } from '../shared/point.js';
import type { Vaddr } from '../shared/types.js';
import { callers } from './stack.js';

/** Kinds of events that are the recorder's own, beside `Ev`. */
export const Recorded = {
  /** A word of static kernel data changed. (address, old, new) */
  change: 64,
} as const;

/** One event. What `a` to `d` are depends on `what`: see `Ev` and `Recorded`. */
export interface TraceEvent {
  readonly seq: number;
  /** Step of the execution; -1 before the threads began, the number of steps after they had ended. */
  readonly step: number;
  readonly stage: number;
  readonly cpu: number;
  /** Kernel thread on whose stack it happened. */
  readonly slot: number;
  /** Depth of hard interrupts. */
  readonly irq: number;
  readonly what: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  /** Stores: which bytes of the word. */
  readonly mask: number;
  /** Loads and stores: the physical address that the page tables named, or -1 for none. */
  readonly named: number;
  /** Interrupts off, and the thread's preempt count. */
  readonly irqsOff: boolean;
  readonly preempt: number;
  /** Functions, innermost first. */
  readonly stack: readonly string[];
  /** Steps and looks of controlled mode at a word of static kernel data: what it held before and after, as a signed number. */
  readonly word?: Word;
  /** Parallel mode: microseconds of the host's clock. */
  readonly time: number | undefined;
}

/** A word before a step and after it: the same where the step has only read it. */
export interface Word {
  readonly before: number;
  after: number;
}

/** Where a context stood when the execution was over. */
export interface Standing {
  readonly cpu: number;
  readonly slot: number;
  readonly irq: number;
  /** Last step of the execution when it came there. */
  readonly step: number;
  /** A `Point` before which it stood, or 0 when it waited. */
  readonly point: number;
  /** What it waited for: `WaitKind`. */
  readonly wait: number;
  readonly addr: number;
  readonly irqsOff: boolean;
  readonly stack: readonly string[];
}

export interface History {
  readonly events: readonly TraceEvent[];
  readonly standing: readonly Standing[];
  /** What the race calls its threads, by slot. */
  readonly threads?: ReadonlyMap<number, string>;
}

export const NO_HISTORY: History = { events: [], standing: [] };

/** One history from those of all workers. */
export const mergeHistories = (parts: readonly History[]): History => ({
  events: parts.flatMap((p) => p.events).sort((a, b) => a.seq - b.seq),
  standing: parts.flatMap((p) => p.standing),
});

/** For parallel mode, which goes on for long: the last events only, each with its time. */
export interface Ring {
  /** Events that are kept. */
  readonly size: number;
  /** Microseconds, of one clock for all workers. */
  readonly now: () => number;
}

/** Make room: there may be twice as many events as are kept, so that this is seldom. */
function trim(events: TraceEvent[], ring: Ring | null): void {
  if (ring !== null && events.length >= 2 * ring.size) events.splice(0, events.length - ring.size);
}

const lastOf = (events: TraceEvent[], ring: Ring | null): TraceEvent[] =>
  ring === null ? events : events.slice(-ring.size);

interface Pending {
  readonly addr: number;
  readonly index: number;
  readonly word: Word;
}

export class Recorder implements Tracer {
  readonly #k: Kernel;
  readonly #counter: Int32Array;
  readonly #steps: () => number;
  #events: TraceEvent[] = [];
  #standing: Standing[] = [];
  #stack: readonly string[] = [];
  /** Stacks of interrupted contexts. */
  readonly #interrupted: (readonly string[])[] = [];
  /** A word that the step under way may change. */
  #pending: Pending | null = null;
  /** What the invariant has looked at since the last event of another kind: of interest when it fails. */
  #looks: TraceEvent[] = [];
  #mask = -1;
  #named: number | null = null;
  readonly #ring: Ring | null;
  /** Was the last point one of a plain access? */
  #inRow = false;
  #run = 0;

  /** @counter: a word that all recorders of the machine share. @steps: how many steps have been made. */
  constructor(k: Kernel, counter: SharedArrayBuffer, steps: () => number, ring: Ring | null = null) {
    this.#k = k;
    this.#counter = new Int32Array(counter);
    this.#steps = steps;
    this.#ring = ring;
  }

  event(what: Ev, a: number, b: number, c: number, d: number): void {
    this.flush();
    if (what === Ev.look) {
      if (this.#ring === null) this.#looks.push(this.#made(what, a, b, c, d));
      return;
    }
    this.#looks = [];
    if (this.#ring !== null && (what === Ev.point || what === Ev.step) && this.#passes(what, a)) return;
    switch (what) {
      case Ev.point:
        this.#stack = callers();
        this.#standing.push(this.#stand(what, a, b));
        return;
      case Ev.wait:
        this.#stack = callers();
        this.#standing.push(this.#stand(what, a, b));
        break;
      case Ev.step:
        if (this.#ring === null && this.#standing.pop() === undefined) this.#stack = [];
        this.#stepped(this.#record(what, a, b, c, d));
        return;
      case Ev.woken:
        this.#standing.pop();
        break;
      case Ev.bytes:
        this.#mask = a;
        return;
      case Ev.stale:
        this.#named = b;
        return;
      case Ev.irqEnter:
        this.#interrupted.push(this.#stack);
        this.#stack = callers();
        break;
      case Ev.irqExit:
        this.#stack = this.#interrupted.pop() ?? [];
        break;
      case Ev.fault:
        this.#stack = callers();
        break;
    }
    this.#record(what, a, b, c, d);
  }

  /**
   * A point or a step of parallel mode. Rounds of waiters are nothing to tell. Accesses to page contents come by the thousand and have events of
   * their own. All plain accesses in a row get the functions of the first, since a look at the stack takes microseconds, in which the race that is
   * looked for does not happen. Return: there is no more to it.
   */
  #passes(what: Ev, kind: number): boolean {
    if (kind === Point.Wait) return true;
    const ofPages = kind >= Point.CachedLoad && kind <= Point.Tlb;
    if (what === Ev.step) return ofPages;
    const plain = ofPages || kind === Point.Load || kind === Point.Store;
    if (!plain || !this.#inRow) this.#stack = callers();
    this.#inRow = plain;
    return true;
  }

  /** An execution begins: the history is that of the last one. @run: its number; the same for a part of one that has begun. */
  begin(run: number): void {
    if (run === this.#run) return;
    this.#run = run;
    this.#events = [];
    this.#standing = [];
    this.#looks = [];
  }

  /** The step under way is over: has it changed the word that it named? */
  flush(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    const now = this.#k.words[pending.index] as number;
    const { before } = pending.word;
    pending.word.after = now;
    if (now !== before) this.#record(Recorded.change, pending.addr, before, now, 0);
  }

  take(): History {
    this.flush();
    const events = [...lastOf(this.#events, this.#ring), ...this.#looks];
    const taken = { events, standing: this.#standing.slice(-1) };
    this.#events = [];
    this.#standing = [];
    return taken;
  }

  /** What a step is about to read or change. */
  #stepped(step: TraceEvent): void {
    const { a: kind, b: addr, word } = step;
    if (word === undefined || (kind !== Point.Store && kind !== Point.Atomic && kind !== Point.CachedStore)) return;
    const aligned = (addr & ~3) >>> 0;
    this.#pending = { addr: aligned, index: this.#k.wordIndex(aligned as Vaddr), word };
  }

  /** The word of static kernel data at an address, as it is before the step. */
  #wordAt(addr: number): Word | undefined {
    const k = this.#k;
    if ((addr - k.staticBase) >>> 0 >= k.staticBytes) return undefined;
    const before = k.words[k.wordIndex(((addr & ~3) >>> 0) as Vaddr)] as number;
    return { before, after: before };
  }

  #stand(what: Ev, a: number, b: number): Standing {
    const { cpu, slot, irqsOff } = this.#k;
    const [point, wait] = what === Ev.point ? [a, 0] : [0, a];
    return {
      cpu,
      slot,
      irq: this.#irqDepth(),
      step: this.#steps() - 1,
      point,
      wait,
      addr: b >>> 0,
      irqsOff,
      stack: this.#stack,
    };
  }

  #irqDepth(): number {
    const { hw, layout, cpu } = this.#k;
    return hw[layout.seats + cpu * Seat.words + Seat.irqDepth] as number;
  }

  #record(what: number, a: number, b: number, c: number, d: number): TraceEvent {
    const made = this.#made(what, a, b, c, d);
    this.#events.push(made);
    trim(this.#events, this.#ring);
    this.#mask = -1;
    this.#named = null;
    return made;
  }

  #made(what: number, a: number, b: number, c: number, d: number): TraceEvent {
    const { cpu, slot, hw, irqsOff, preemptCount: preempt } = this.#k;
    const stage = hw[Control.stage] as number;
    const step = stage === Stage.setup ? -1 : this.#steps() - (stage === Stage.check ? 0 : 1);
    // The handler's depth is counted by the handler itself.
    const irq = this.#irqDepth() + (what === Ev.irqEnter || what === Ev.irqExit ? 1 : 0);
    const word = what === Ev.step ? this.#wordAt(b >>> 0) : what === Ev.look ? this.#wordAt(a >>> 0) : undefined;
    return {
      seq: Atomics.add(this.#counter, 0, 1),
      step,
      stage,
      cpu,
      slot,
      irq,
      irqsOff,
      preempt,
      what,
      a: a >>> 0,
      b: b >>> 0,
      c,
      d,
      mask: this.#mask,
      named: this.#named ?? b >>> 0,
      stack: this.#stack,
      ...(word === undefined ? {} : { word }),
      time: this.#ring?.now(),
    };
  }
}

/** What a device does: its steps, its transfers, what it makes the caches do. Its events have no CPU, and its number as their slot. */
export class DeviceRecorder implements Tracer {
  readonly #counter: Int32Array;
  readonly #step: () => number;
  readonly #slot: number;
  #events: TraceEvent[] = [];
  #stack: readonly string[] = [];
  readonly #ring: Ring | null;
  #run = 0;

  constructor(slot: number, counter: SharedArrayBuffer, steps: () => number, ring: Ring | null = null) {
    this.#ring = ring;
    this.#slot = slot;
    this.#counter = new Int32Array(counter);
    this.#step = () => steps() - 1;
  }

  event(what: Ev, a: number, b: number, c: number, d: number): void {
    if (what === Ev.point) {
      this.#stack = callers();
      return;
    }
    this.#events.push({
      seq: Atomics.add(this.#counter, 0, 1),
      step: this.#step(),
      stage: Stage.threads,
      cpu: -1,
      slot: this.#slot,
      irq: 0,
      irqsOff: false,
      preempt: 0,
      what,
      a: a >>> 0,
      b: b >>> 0,
      c,
      d,
      mask: -1,
      named: b >>> 0,
      stack: this.#stack,
      time: this.#ring?.now(),
    });
    trim(this.#events, this.#ring);
  }

  /** As Recorder's. */
  begin(run: number): void {
    if (run === this.#run) return;
    this.#run = run;
    this.#events = [];
  }

  take(): History {
    const taken = { events: lastOf(this.#events, this.#ring), standing: [] };
    this.#events = [];
    return taken;
  }
}
