/**
 * The hook through which somebody above watches what happens on a CPU: the explanation of a failure, checkers, traces.
 *
 * A tracer belongs to one worker and hears of what that worker's thread does, in order, as numbers. Without one nothing is paid: the paths
 * that are counted in nanoseconds are left by the seat's attention word (`Attention.trace`), which they test anyway; the others test for
 * null. With one, loads and stores of page contents take the long way, which means the same.
 */
import type { Point } from '../shared/point.js';

/** What happened. In brackets: the four numbers that come with it; what is not named is 0. */
export const Ev = {
  /** The context stands before a step, and may have to wait there. (kind of point, address) */
  point: 1,
  /** It makes the step. (kind of point, address) */
  step: 2,
  /** It waits for a word to change, or with `WaitKind.none` is off the CPU. (WaitKind, what it waits on) */
  wait: 3,
  /** The wait is over. (WaitKind, what it waited on) */
  woken: 4,
  /** Page contents were read. (virtual address, physical address that the bytes came from, word, cache line or -1) */
  load: 5,
  /** Page contents were written. (virtual address, physical address, word as it is now, cache line or -1) Bytes: the `bytes` before. */
  store: 6,
  /** The access that comes next in this list used another frame than the page tables name now. (virtual, physical by the tables or -1) */
  stale: 7,
  /** Which bytes of the word the store that comes next in this list writes. (mask) */
  bytes: 8,
  /** A line came into a cache. (line, address of its tag, physical address) */
  lineFill: 9,
  /** Its dirty granules went to memory. (line, tag, physical, dirty bits | cause << 8) */
  lineWriteBack: 10,
  /** It was dropped: what was dirty then is lost. (line, tag, physical, dirty bits | cause << 8) */
  lineDrop: 11,
  /** A store left the CPU past the cache. (physical address, word, mask) */
  bufferPush: 12,
  /** It reached memory. (physical address, word, mask) */
  bufferDrain: 13,
  /** A translation was remembered. (virtual address, page-table word) */
  tlbFill: 14,
  /** Translations were forgotten. (virtual address of the page, or -1 for all; 1 = on every CPU) */
  tlbFlush: 15,
  /** The MMU refused. (virtual address, status, 1 = write) */
  fault: 16,
  /** A lock is held, is no longer held. (address, 1: shared with other readers) */
  lockAcquired: 17,
  lockReleased: 18,
  /** An interrupt handler begins, has ended. (line) */
  irqEnter: 19,
  irqExit: 20,
  /** The thread gave its CPU's seat to another. (thread slot) */
  switchTo: 21,
  /** A bus master read, wrote a word of memory. (physical address, word) */
  dmaRead: 22,
  dmaWrite: 23,
  /** An interrupt line of a CPU was raised. (CPU, line) */
  raise: 24,
  /** A device was told that there is work. (device) */
  doorbell: 25,
  /** A sleeping thread was made runnable. (thread slot, its CPU) */
  wakeUp: 26,
  /** A block of pages was handed out, or with address 0 refused; was given back. (address of its first struct page, order, mask) */
  pageAlloc: 27,
  pageFree: 28,
  /** A block of kmalloc() (address or 0, bytes asked for, mask); kfree() (address). */
  kmalloc: 29,
  kfree: 30,
  /** An object of a cache (address or 0, address of the cache, mask); given back (address, address of the cache). */
  cacheAlloc: 31,
  cacheFree: 32,
  /** A soft interrupt is raised (vector); what is pending begins to be served, has been. */
  softirqRaise: 33,
  softirqEnter: 34,
  softirqExit: 35,
  /** A memory barrier. (Barrier) */
  barrier: 36,
  /** A register of a device was written, read. (device, register) */
  registerWrite: 37,
  registerRead: 38,
  /** A device has taken in that there is work. (device) */
  doorbellTaken: 39,
  /** Plain accesses are expected to race from here on, no longer. (1, 0) */
  dataRace: 40,
  /** Nobody else is to access a word. (address, Exclusive, bits that it is about) */
  exclusive: 41,
  /** The action of a soft interrupt begins, has ended. (vector) */
  softirqAction: 42,
  softirqActionEnd: 43,
  /** An atomic operation with a condition is done. (1: it found what it wanted) */
  compared: 44,
  /** The invariant of the race is about to look at a word of static memory. (address) */
  look: 45,
} as const;
export type Ev = (typeof Ev)[keyof typeof Ev];

/** Why a line was written back or dropped. */
export const Cause = { evict: 0, clean: 1, invalidate: 2, flush: 3, snoop: 4 } as const;
export type Cause = (typeof Cause)[keyof typeof Cause];

/** Number of the outer cache's first line: those of the data caches, unit after unit, are below. */
export const OUTER_LINE = 1 << 24;

export interface Tracer {
  event(what: Ev, a: number, b: number, c: number, d: number): void;
}

/** Both hear of everything. */
export const bothTracers = (one: Tracer | null, other: Tracer | null): Tracer | null => {
  if (one === null || other === null) return one ?? other;
  return {
    event(what, a, b, c, d) {
      one.event(what, a, b, c, d);
      other.event(what, a, b, c, d);
    },
  };
};

/** A tracer that needs to know of a step more than its kind and address: the race detector. */
export interface StepWatch extends Tracer {
  /** The worker is about to make a step. @how: see shared/access.ts. */
  step(kind: Point, addr: number, how: number): void;
  /** It stands before its next step: what the last one did is done, and nobody else has done anything since. Controlled mode. */
  stands(): void;
}
