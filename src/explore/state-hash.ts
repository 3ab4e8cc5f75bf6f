/**
 * A hash of the whole state of a controlled execution, kept up to date step by step: memory and hardware by the words that have changed,
 * each context by where it stands and what it has observed so far. Two states with the same hash go on in the same way, but for a
 * collision of 64 bits.
 *
 * A context's observations stand for its local variables, which nobody can see. They distinguish more than need be: a thread that has
 * forgotten what it read still counts as one that has read it. So what is known to be forgotten is taken out again: what an interrupt
 * handler or another thread did on the way, what unlocking, schedule(), waitUntil() and atomic operations without a result read for
 * themselves, what statements like `k.shared.counter++;` read (statements.ts), and what the race declares by forgetting() (shared/knowledge.ts).
 */
import { Seat, Thread, WB_HEAD } from '../cpu/hw.js';
import type { MachineView } from '../lab/deadlock.js';
import type { Footprint } from '../shared/footprint.js';
import { Point } from '../shared/point.js';
import { Block, CONTEXTS_MAX, Ctx, CtxState, DECIDED, Ex, type ExLayout, kindOfStep } from './shared-state.js';

/** Copies of memory and hardware area as the hash has them. */
export interface Shadows {
  readonly words: SharedArrayBuffer;
  readonly hw: SharedArrayBuffer;
}

const LOW = 0x9e3779b1;
const HIGH = 0x85ebca6b;

const mix = (hash: number, value: number, factor: number): number => {
  const x = Math.imul(hash ^ value, factor);
  return (x ^ (x >>> 15)) + 0x27d4eb2f;
};
/** Hash of one word at one place: not linear, since these are combined by XOR. */
const place = (index: number, value: number, factor: number): number => {
  let x = Math.imul(index + 0x165667b1, factor) ^ value;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), factor);
  return x ^ (x >>> 16);
};

/** Words of a seat that make a difference to what happens; the rest are counters. */
const SEAT_WORDS = [
  Seat.pending,
  Seat.irqsOff,
  Seat.current,
  Seat.needResched,
  Seat.idle,
  Seat.activeMm,
  Seat.rqCount,
  Seat.callFn,
  Seat.callArg0,
  Seat.callArg1,
  Seat.callRefs,
  Seat.callFrom,
  Seat.softirqPending,
  Seat.irqDepth,
];

export class StateHash {
  readonly #m: MachineView;
  readonly #ex: Int32Array;
  readonly #layout: ExLayout;
  readonly #words: Int32Array;
  readonly #hw: Int32Array;
  #captured = false;
  #low = 0;
  #high = 0;

  constructor(m: MachineView, ex: Int32Array, layout: ExLayout, shadows: Shadows) {
    this.#m = m;
    this.#ex = ex;
    this.#layout = layout;
    this.#words = new Int32Array(shadows.words);
    this.#hw = new Int32Array(shadows.hw);
  }

  /** The threads are about to begin: what is in memory now is the state that the hash is relative to. In one worker only. */
  begin(): void {
    if (this.#captured) {
      this.#undo();
      return;
    }
    this.#captured = true;
    this.#words.set(this.#m.words.subarray(0, this.#words.length));
    this.#hw.set(this.#m.hw.subarray(0, this.#hw.length));
  }

  /** Every execution's setup does the same, so what changed since is what the steps have changed. Before `Ex.undoEnd` is reset. */
  #undo(): void {
    const { undo } = this.#layout;
    for (let at = (this.#ex[Ex.undoEnd] as number) - 2; at >= 0; at -= 2) {
      const index = this.#ex[undo + at] as number;
      const before = this.#ex[undo + at + 1] as number;
      if (index >= 0) this.#words[index] = before;
      else this.#hw[~index] = before;
    }
    this.#ex[Ex.undoEnd] = 0;
  }

  /** @what, @addr: the step's record, @what negative when the step goes on and has been told of; @own: the context's words. */
  stepMade(footprint: Footprint, what: number, addr: number, own: number, cpu: number): void {
    for (let i = 0; i < footprint.changedCount; i += 2) {
      const index = footprint.changed[i] as number;
      const words = footprint.changed[i + 1] as number;
      if (words > 0) this.#changed(this.#m.words, this.#words, index, words, 0);
      else this.#changed(this.#m.hw, this.#hw, index, -words, -1);
    }
    if (what >= 0) this.#observed(footprint, what, addr, own, cpu);
    else if (footprint.observed !== 0) this.learn(own, footprint.observed);
  }

  /** The context knows this too from now on. */
  learn(own: number, value: number): void {
    this.#from(own);
    this.#take(value);
    this.#to(own);
  }

  #from(own: number): void {
    this.#low = this.#ex[own + Ctx.seenLow] as number;
    this.#high = this.#ex[own + Ctx.seenHigh] as number;
  }

  #to(own: number): void {
    this.#ex[own + Ctx.seenLow] = this.#low;
    this.#ex[own + Ctx.seenHigh] = this.#high;
  }

  #changed(now: Int32Array, shadow: Int32Array, from: number, words: number, flip: number): void {
    const ex = this.#ex;
    for (let index = from; index < from + words; index++) {
      const before = shadow[index] as number;
      const value = now[index] as number;
      if (before === value) continue;
      const key = index ^ flip;
      ex[Ex.memoryLow] = (ex[Ex.memoryLow] as number) ^ place(key, before, LOW) ^ place(key, value, LOW);
      ex[Ex.memoryHigh] = (ex[Ex.memoryHigh] as number) ^ place(key, before, HIGH) ^ place(key, value, HIGH);
      shadow[index] = value;
      const end = ex[Ex.undoEnd] as number;
      if (end + 2 > this.#layout.undoWords) {
        ex[Ex.footprintsLost] = 1;
        return;
      }
      ex[this.#layout.undo + end] = key;
      ex[this.#layout.undo + end + 1] = before;
      ex[Ex.undoEnd] = end + 2;
    }
  }

  #observed(footprint: Footprint, what: number, addr: number, own: number, cpu: number): void {
    const kind = kindOfStep(what) as Point;
    this.#from(own);
    this.#take(what & (DECIDED - 1));
    this.#take(addr);
    this.#take(footprint.observed);
    const asksSeat = kind === Point.Sched || kind === Point.Preempt || kind === Point.Wait || kind === Point.Raise;
    if (asksSeat && own < this.#layout.contexts + this.#m.config.threadsMax * Ctx.words) this.#takeSeat(cpu);
    this.#to(own);
  }

  #take(value: number): void {
    this.#low = mix(this.#low, value, LOW) | 0;
    this.#high = mix(this.#high, value, HIGH) | 0;
  }

  #takeSeat(cpu: number): void {
    const { hw, layout } = this.#m;
    const seat = layout.seats + cpu * Seat.words;
    for (const word of SEAT_WORDS) this.#take(hw[seat + word] as number);
    const head = hw[seat + Seat.rqHead] as number;
    for (let i = 0; i < (hw[seat + Seat.rqCount] as number); i++) {
      this.#take(hw[seat + Seat.queue + ((head + i) & 31)] as number);
    }
  }

  /** Hash of the state at this moment; the context that asks stands before its next step. */
  state(): readonly [low: number, high: number] {
    const { hw, layout, config } = this.#m;
    const ex = this.#ex;
    this.#low = ex[Ex.memoryLow] as number;
    this.#high = ex[Ex.memoryHigh] as number;
    for (let context = 0; context < CONTEXTS_MAX; context++) {
      const at = this.#layout.contexts + context * Ctx.words;
      const state = ex[at + Ctx.state] as number;
      if (state === CtxState.absent) continue;
      this.#take(context);
      this.#take(state === CtxState.parked ? CtxState.waiting : state);
      for (let word: number = Ctx.kind; word <= Ctx.blockValue; word++) this.#take(ex[at + word] as number);
      const pairs = ex[at + Ctx.block] === Block.words ? (ex[at + Ctx.blockIndex] as number) : 0;
      for (let word: number = Ctx.pairs; word < Ctx.pairs + pairs * 2; word++) this.#take(ex[at + word] as number);
      this.#take(ex[at + Ctx.seenLow] as number);
      this.#take(ex[at + Ctx.seenHigh] as number);
    }
    for (let slot = 0; slot < config.threadsMax; slot++) {
      this.#take(hw[layout.threads + slot * Thread.words + Thread.run] as number);
    }
    for (let cpu = 0; cpu < config.cpus; cpu++) {
      this.#takeSeat(cpu);
      // Who may be preempted depends on it, see Baton.#enabledOthers().
      if (config.preempt) this.#take(ex[Ex.barren + cpu] as number);
      this.#takeWriteBuffer(layout.writeBuffers + cpu * layout.writeBufferWords);
    }
    return [this.#low, this.#high];
  }

  #takeWriteBuffer(base: number): void {
    const { hw, config } = this.#m;
    const capacity = config.core.dcache.writeBufferWords;
    const head = hw[base] as number;
    const count = hw[base + 1] as number;
    this.#take(count);
    for (let i = 0; i < count; i++) {
      const at = base + WB_HEAD + ((head + i) % capacity) * 3;
      for (let word = 0; word < 3; word++) this.#take(hw[at + word] as number);
    }
  }
}
