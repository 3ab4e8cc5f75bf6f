/**
 * The second shared area: hardware state, and what the control plane needs to see. One `Int32Array`, laid out from the
 * configuration alone, so that every worker computes the same offsets. Nothing here is visible to kernel code as memory.
 */

import { checksOf, type MachineConfig } from './config.js';
import type { OuterGeometry } from './core.js';

/** Words of the control block, at the start of the area. */
export const Control = {
  /** Non-zero: the execution is over for everybody, unwind at the next point. */
  abort: 0,
  /** Non-zero: no further execution is to be started. */
  quit: 1,
  /** Threads and devices of the execution that have not ended. */
  live: 2,
  /** Phase barrier: participants that have arrived, and the number of the phase. */
  arrived: 3,
  phase: 4,
  participants: 5,
  /** Executions begun. */
  execution: 6,
  /** Counts wake-ups, exits and device events: it stands still when nothing can happen any more. */
  progress: 7,
  /** First verdict of the execution: see `Verdict`. */
  verdict: 8,
  /** Devices that are not asleep. */
  devicesBusy: 9,
  logLock: 11,
  logHead: 12,
  keptLogHead: 10,
  /** What an execution is doing, for reports: see `Stage`. */
  stage: 13,
  seed: 14,
  failures: 15,
  /** Non-zero while CPU 0 runs setup or check: the other CPUs take interrupts at the barrier. */
  serve: 24,
  /** Non-zero: a worker has died, nobody must wait at a barrier any more. */
  broken: 25,
  /** Boot threads of the execution that stand at their first instruction. */
  started: 26,
  /** Zero: no CPU has an interrupt pending or a thread in its run queue. Cleared by whoever finds it so. */
  stirred: 28,
  /** TLB purges on a bus that has room for one. */
  purges: 27,
  /** Parallel mode: number of the execution whose failure the run keeps, or 0. */
  keptExecution: 29,
  /** Non-zero: a CPU has written a register of a device since the last reset. */
  registers: 30,
  /** What was found wrong, per `Outcome` index. */
  outcomes: 16, // 16..23
  words: 32,
} as const;

/** The parts of an execution. */
export const Stage = { threads: 0, setup: 1, check: 2 } as const;

/** Bits of a seat's attention word. Zero is the fast path of every scheduling point. */
export const Attention = {
  irq: 1,
  stop: 2,
  controlled: 4,
  dump: 8,
  wake: 16,
  /** Somebody watches: every point takes the long way. */
  trace: 32,
  /** An invariant looks at memory: points are none, and it may only read. */
  inspect: 64,
  /** Its cache does something by itself: see `Request`. */
  request: 128,
} as const;

/** What a cache does by itself, without an instruction. */
export const Request = { none: 0, prefetch: 1, evict: 2, mask: 3 } as const;

/**
 * Words of a CPU's seat, in cache lines of the host, of which the first one ends after 12 words because large blocks begin 16 bytes behind a page:
 * what each execution changes, what only interrupts change, and counters, which a reset leaves to their CPU.
 */
export const Seat = {
  attention: 0,
  pending: 1,
  irqsOff: 2,
  current: 3,
  needResched: 4,
  idle: 5,
  activeMm: 6,
  rqLock: 7,
  rqHead: 8,
  rqCount: 9,
  // two counters, which say whether caches and TLBs have to be reset
  fills: 10,
  tlbMisses: 11,
  // call-function data of this CPU as a sender
  callFn: 12,
  callArg0: 13,
  callArg1: 14,
  callRefs: 15,
  /** CPUs that have sent this CPU a call-function interrupt. */
  callFrom: 16,
  softirqPending: 17,
  /** Depth of hard interrupts, for the backtrace. */
  irqDepth: 18,
  /** Non-zero while a worker that waits at a barrier takes this CPU's interrupts. */
  serving: 19,
  /** What another actor asks this CPU's cache to do: a line's address, with a `Request` in its low bits. */
  request: 20,
  /** Answered pings of the watchdog. */
  pong: 21,
  // statistics
  ops: 28,
  interrupts: 29,
  ipis: 30,
  lockAcquired: 31,
  lockContended: 32,
  writeBacks: 33,
  evictions: 34,
  switches: 35,
  invalidatedDirty: 36,
  /** Line operations of cache maintenance that this CPU has executed, whether or not a line was there. */
  lineOps: 37,
  words: 80,
  queue: 44, // 44..75: run queue
} as const;
export const RUN_QUEUE_MAX = 32;
/** Interrupt lines of a CPU, one bit each in `Seat.pending`. */
export const IRQ_LINES = 32;

/** What a thread waits for. */
export const WaitKind = { none: 0, lock: 1, ipi: 2, sleep: 3, seat: 4, bit: 5, device: 6 } as const;
export type WaitKind = (typeof WaitKind)[keyof typeof WaitKind];

/** Words of a kernel thread. */
export const Thread = {
  /** 1 when the thread has been given its CPU's seat. */
  run: 0,
  cpu: 1,
  /** In the run queue, or running. */
  onRq: 2,
  waitKind: 3,
  waitOn: 4,
  /** The word that it waits to change: while the lock has another one the thread is about to go on. */
  waitSeen: 5,
  irqsOffSaved: 6,
  /** 0 unused, 1 to run, 2 ended. */
  state: 7,
  mm: 8,
  /** Those before this one are in use, and `held`. */
  used: 9,
  words: 64,
  /** Addresses of the locks held, 0 where none: the first ones in the same cache line. */
  held: 10, // 10..41
} as const;
export const HELD_MASK = 31;
/** `Thread.state` of one that has returned. */
export const THREAD_ENDED = 2;

/** First verdict of an execution, other than by the oracle. */
export const Verdict = { none: 0, bug: 1, oops: 2, deadlock: 3, hang: 4, error: 5, report: 6 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export const LOG_BYTES = 1 << 16;
/** Room of the lock validator, if the machine has one. */
export const LOCKDEP_WORDS = 1 << 18;
/** Room of the memory checker on a machine of so many frames: head and texts, shadow and state of each frame, tables of objects and areas. */
export const memoryCheckWords = (frames: number): number =>
  (1 << 16) + frames * 272 + Math.min(1 << 20, frames * 512) + Math.min(1 << 18, frames * 32);
/** Room of the DMA checker, if the machine has one. */
export const DMA_CHECK_WORDS = 1 << 18;
/** Room of the watchdogs, if the machine has them. */
export const HANGS_WORDS = 1 << 14;
/** Room of the debugger of spinlocks, if the machine has one. */
export const SPINLOCKS_WORDS = 1 << 14;
/** Room of the checker of contexts, if the machine has one. */
export const CONTEXT_WORDS = 1 << 13;
/** Room of the race detector, if the machine has one. */
export const RACES_WORDS = 1 << 20;
export const VERDICT_WORDS = 1024;
/** I/O adapter that translates: physical address of its directory, and how many entries that has, a power of two. */
export const IOMMU_WORDS = 2;
export const IOMMU_TLB_ENTRIES = 256;
/** Page number + 1, and the two words of the directory's entry. */
export const IOMMU_TLB_ENTRY_WORDS = 3;
export const IOMMU_TLB_WORDS = IOMMU_TLB_ENTRIES * IOMMU_TLB_ENTRY_WORDS;
export const RACE_VARS = 64;
/** Points that a race may measure in an execution, and the words of each: x, then the series. */
export const SAMPLES_MAX = 256;
export const SAMPLE_WORDS = 8;
export const BUS_LOCKS = 64;
export const DEVICE_WORDS = 64;

/** Word offsets of one cache. */
export interface CacheLayout {
  readonly tags: number;
  readonly flags: number;
  readonly pas: number;
  readonly data: number;
  readonly stamps: number;
  /** One lock word and one sequence word per set. */
  readonly locks: number;
  readonly seqs: number;
  /** Replacement pointer(s): one shared, then one per set. */
  readonly pointers: number;
}

export interface HwLayout {
  readonly words: number;
  readonly seats: number;
  /** From here to the first word of `samples` all is zero when an execution begins. */
  readonly threads: number;
  readonly devices: number;
  readonly tlbs: number;
  readonly tlbWords: number;
  readonly writeBuffers: number;
  readonly writeBufferWords: number;
  readonly caches: readonly CacheLayout[];
  readonly outer: CacheLayout | null;
  /** Non-zero when there are any; then how often each line has interrupted each CPU in this execution. A statistic: no step looks at it. */
  readonly irqCounts: number;
  readonly busLocks: number;
  /** How many threads sleep on a lock word, by address hash. */
  readonly lockWaiters: number;
  /** As many words that are always zero as a data cache has lines. */
  readonly zeros: number;
  readonly log: number;
  /** What the first verdict of an execution found: bytes of text, then UTF-8 JSON. */
  readonly verdictText: number;
  /** The log of the first failing execution. */
  readonly keptLog: number;
  /** Variables that the functions of a race share: RACE_VARS words. */
  /** Registers and TLB of the I/O adapter, where it translates. */
  readonly iommu: number;
  readonly iommuTlb: number;
  readonly raceVars: number;
  /** What the race has measured: how many points, then the points. */
  readonly samples: number;
  readonly dump: number;
  readonly dumpWords: number;
  /** The lock validator's: LOCKDEP_WORDS, or nothing where the machine has none. */
  readonly lockdep: number;
  /** The memory checker's, or nothing where the machine has none. */
  readonly memoryCheck: number;
  /** The DMA checker's: DMA_CHECK_WORDS, or nothing. */
  readonly dmaCheck: number;
  /** The watchdogs': HANGS_WORDS, or nothing. */
  readonly hangs: number;
  /** The debugger of spinlocks': SPINLOCKS_WORDS, or nothing. */
  readonly spinlocks: number;
  /** The checker of contexts': CONTEXT_WORDS, or nothing. */
  readonly contextCheck: number;
  /** The race detector's: RACES_WORDS, or nothing. */
  readonly races: number;
}

/** Words at the head of a TLB: generation, victim counter, then `tag, pte` pairs. */
export const TLB_HEAD = 4;
/** Words at the head of a write buffer: head, count; then `pa, value, mask` triples. */
export const WB_HEAD = 4;

export function layoutHw(
  config: Pick<MachineConfig, 'core' | 'cpus' | 'threadsMax' | 'devicesMax' | 'check'> &
    Partial<Pick<MachineConfig, 'lowmemPages' | 'highmemPages' | 'iommu'>>,
): HwLayout {
  let next: number = Control.words;
  const take = (words: number): number => {
    const at = next;
    next = (next + words + 15) & ~15;
    return at;
  };
  const cache = (sets: number, ways: number, lineBytes: number): CacheLayout => ({
    tags: take(sets * ways),
    flags: take(sets * ways),
    pas: take(sets * ways),
    stamps: take(sets * ways),
    locks: take(sets),
    seqs: take(sets),
    pointers: take(sets + 1),
    data: take((sets * ways * lineBytes) / 4),
  });
  const { core, cpus } = config;
  const d = core.dcache;
  const seats = take(cpus * Seat.words);
  // What is zero when an execution begins lies together, for one fill().
  const threads = take(config.threadsMax * Thread.words);
  const devices = take(Math.max(1, config.devicesMax) * DEVICE_WORDS);
  const writeBufferWords = WB_HEAD + d.writeBufferWords * 3;
  const writeBuffers = take(cpus * writeBufferWords);
  const busLocks = take(BUS_LOCKS);
  const lockWaiters = take(64);
  const iommuTlb = take(config.iommu ? IOMMU_TLB_WORDS : 0);
  const raceVars = take(RACE_VARS);
  const irqCounts = take(1 + cpus * IRQ_LINES);
  const samples = take(1 + SAMPLES_MAX * SAMPLE_WORDS);
  const tlbWords = TLB_HEAD + core.tlbEntries * 2;
  const tlbs = take(cpus * tlbWords);
  const units = core.coherence === 'shared' ? 1 : cpus;
  const caches = Array.from({ length: units }, () => cache(d.sets, d.ways, d.lineBytes));
  const o: OuterGeometry | null = core.outer;
  const outer = o ? cache(o.sets, o.ways, o.lineBytes) : null;
  const zeros = take(d.sets * d.ways);
  const iommu = take(config.iommu ? IOMMU_WORDS : 0);
  const log = take(LOG_BYTES / 4);
  const verdictText = take(VERDICT_WORDS);
  const keptLog = take(LOG_BYTES / 4);
  const dumpWords = 1024;
  const dump = take(config.threadsMax * dumpWords);
  const lockdep = take(checksOf(config.check).includes('lockdep') ? LOCKDEP_WORDS : 0);
  const memoryCheck = take(
    checksOf(config.check).some((name) => name === 'memory' || name === 'leak')
      ? memoryCheckWords((config.lowmemPages ?? 0) + (config.highmemPages ?? 0))
      : 0,
  );
  const dmaCheck = take(checksOf(config.check).includes('dma') ? DMA_CHECK_WORDS : 0);
  const debugsSpinlocks = checksOf(config.check).includes('spinlocks');
  const hangs = take(debugsSpinlocks || checksOf(config.check).includes('hangs') ? HANGS_WORDS : 0);
  const spinlocks = take(debugsSpinlocks ? SPINLOCKS_WORDS : 0);
  const contextCheck = take(checksOf(config.check).includes('context') ? CONTEXT_WORDS : 0);
  const races = take(checksOf(config.check).includes('races') ? RACES_WORDS : 0);
  return {
    words: next,
    seats,
    threads,
    devices,
    tlbs,
    tlbWords,
    writeBuffers,
    writeBufferWords,
    caches,
    outer,
    busLocks,
    irqCounts,
    lockWaiters,
    zeros,
    log,
    verdictText,
    keptLog,
    iommu,
    iommuTlb,
    raceVars,
    samples,
    dump,
    dumpWords,
    lockdep,
    memoryCheck,
    dmaCheck,
    hangs,
    spinlocks,
    contextCheck,
    races,
  };
}
