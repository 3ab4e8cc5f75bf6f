/**
 * Address traces: a list of accesses goes through any cache configuration, by the data cache that simulated CPUs use, and what comes
 * out can be held against other simulators. docs/cache-trace.md defines every number.
 *
 * One CPU, no TLB, no write buffer, no outer cache. Memory is sparse: lines that are touched get a frame each in a memory that is no larger.
 */
import { crc32 } from 'node:zlib';
import type { CoreRow } from '../cpu/core.js';
import { CacheOp, CpuCache } from '../cpu/cpu-cache.js';
import { type HwLayout, layoutHw, Seat } from '../cpu/hw.js';
import { arenaBytes, PhysicalMemory } from '../cpu/memory.js';
import { UsageError } from '../shared/errors.js';
import type { Paddr } from '../shared/types.js';
import { type CacheTraceGeometry, parseTrace, type TraceOps, traceCore } from './cache-trace-input.js';

export type { CacheTraceGeometry } from './cache-trace-input.js';

export interface CacheTraceOptions extends CacheTraceGeometry {
  /** What messages call the trace: its path. Default: `trace`. */
  readonly name?: string;
}

/** Accesses of one kind: an operation counts once for each line of the cache that it touches. */
export interface AccessCounts {
  readonly accesses: number;
  readonly hits: number;
  readonly misses: number;
}

export interface CacheTraceResult {
  /** The configuration that ran. */
  readonly cache: {
    readonly core: string | null;
    readonly sets: number;
    readonly ways: number;
    readonly lineBytes: number;
    readonly granuleBytes: number;
    readonly bytes: number;
    readonly replacement: string;
    readonly writeThrough: boolean;
    readonly writeAllocate: boolean;
  };
  /** Operations of the trace, comments and blank lines not counted. */
  readonly operations: number;
  readonly reads: AccessCounts;
  readonly writes: AccessCounts;
  /** Lines that `c` and `v` named, and how many of them were in the cache. */
  readonly cleans: { readonly lines: number; readonly present: number };
  readonly invalidates: { readonly lines: number; readonly present: number; readonly dirty: number };
  /** Lines read from memory. */
  readonly fills: number;
  /** Valid lines that fills replaced, clean or dirty. */
  readonly evictions: number;
  /** Of evictions and cleans; the final flush is apart. */
  readonly writeBacks: { readonly lines: number; readonly granules: number };
  /** Bytes that fills read; bytes that write-backs and passing writes stored. */
  readonly memory: { readonly readBytes: number; readonly writtenBytes: number };
  /** What cleaning the whole cache at the end still wrote. */
  readonly finalFlush: { readonly lines: number; readonly granules: number };
  /** Bytes of memory that a read or write of the trace named. */
  readonly touchedBytes: number;
  /** CRC-32 of those bytes in memory, by ascending address: as the trace left them, and with nothing left in the cache. */
  readonly crc32: { readonly beforeFlush: string; readonly afterFlush: string };
}

/** 256 MB, in 8 million lines at most. */
const TOUCHED_BYTES_MAX = 256 << 20;
const TOUCHED_LINES_MAX = 8 << 20;
const [READ, WRITE, CLEAN] = [0x72, 0x77, 0x63];

/**
 * Run a trace. @text has a line for each operation: `type address size`.
 *
 * Throws: UsageError for a line that is no operation, and for a cache that cannot be built.
 */
export function cacheTrace(text: string, options: CacheTraceOptions = {}): CacheTraceResult {
  const name = options.name ?? 'trace';
  const core = traceCore(options);
  const ops = parseTrace(text, name);
  const memory = new SparseMemory(ops, core.dcache.lineBytes, name);
  return new TraceRun(core, memory, options).run(ops);
}

/** Numbers of the lines that an operation touches. */
const firstLine = (ops: TraceOps, i: number, shift: number): number => (ops.addresses[i] as number) >>> shift;
const lastLine = (ops: TraceOps, i: number, shift: number): number =>
  ((ops.addresses[i] as number) + (ops.sizes[i] as number) - 1) >>> shift;

/** A frame for each line that a read or write touches, in the order of the trace. */
function framesOf(ops: TraceOps, shift: number, name: string): Map<number, number> {
  const linesMax = Math.min(TOUCHED_BYTES_MAX >> shift, TOUCHED_LINES_MAX);
  const frames = new Map<number, number>();
  for (let i = 0; i < ops.count; i++) {
    if (ops.types[i] !== READ && ops.types[i] !== WRITE) continue;
    const last = lastLine(ops, i, shift);
    let line = firstLine(ops, i, shift);
    if (last - line < linesMax) for (; line <= last; line++) if (!frames.has(line)) frames.set(line, frames.size);
    if (line > last && frames.size <= linesMax) continue;
    throw new UsageError(`${name}: line ${ops.lines[i]}: too much memory is touched: cut the trace into parts`);
  }
  return frames;
}

/** Memory with a frame for each line that a read or write touches, zero at first, and counters at its bus. */
class SparseMemory extends PhysicalMemory {
  readBytes = 0;
  writtenBytes = 0;
  granules = 0;
  linesWritten = 0;
  readonly shift: number;
  readonly #frames: ReadonlyMap<number, number>;
  readonly #touched: Uint8Array;
  #writing = -1;

  constructor(ops: TraceOps, lineBytes: number, name: string) {
    const shift = 31 - Math.clz32(lineBytes);
    const frames = framesOf(ops, shift, name);
    super(new SharedArrayBuffer(arenaBytes(Math.ceil((frames.size * lineBytes) / 4096))), 0);
    this.shift = shift;
    this.#frames = frames;
    this.#touched = new Uint8Array(this.sizeBytes);
  }

  /** Where in this memory the line of @address is. */
  frameOf(address: number): Paddr {
    return ((this.#frames.get(address >>> this.shift) as number) << this.shift) as Paddr;
  }

  touch(from: number, to: number): void {
    this.#touched.fill(1, from, to);
  }

  /** A step begins. It writes back one line at most, in granules. */
  step(): void {
    this.#writing = -1;
  }

  override readLine(pa: Paddr, data: Int32Array, to: number, count: number): void {
    this.readBytes += count * 4;
    this.readRam(pa, data, to, count);
  }

  override writeLine(pa: Paddr, data: Int32Array, from: number, count: number): void {
    this.granules++;
    this.writtenBytes += count * 4;
    if (pa >>> this.shift !== this.#writing) this.linesWritten++;
    this.#writing = pa >>> this.shift;
    this.writeRam(pa, data, from, count);
  }

  override writeCacheable32(pa: Paddr, value: number, mask: number): void {
    for (let byte = 0; byte < 32; byte += 8) this.writtenBytes += (mask >>> byte) & 1;
    this.write32(pa, value, mask);
  }

  /** The bytes that were touched, by ascending address in the trace. */
  touchedBytes(): Uint8Array {
    const lineBytes = 1 << this.shift;
    const out = new Uint8Array(this.sizeBytes);
    let length = 0;
    for (const line of Uint32Array.from(this.#frames.keys()).sort()) {
      const frame = this.frameOf((line << this.shift) >>> 0);
      for (let at = frame; at < frame + lineBytes; at++) {
        if (this.#touched[at] !== 0) out[length++] = this.bytes[at] as number;
      }
    }
    return out.subarray(0, length);
  }
}

const NO_POINTS = { point(): void {} };

class TraceRun {
  readonly #memory: SparseMemory;
  readonly #cache: CpuCache;
  readonly #hw: Int32Array;
  readonly #layout: HwLayout;
  readonly #writeThrough: boolean;
  readonly #core: CoreRow;
  readonly #coreName: string | null;
  readonly #reads = { accesses: 0, hits: 0, misses: 0 };
  readonly #writes = { accesses: 0, hits: 0, misses: 0 };
  readonly #cleans = { lines: 0, present: 0 };
  readonly #invalidates = { lines: 0, present: 0, dirty: 0 };
  #writeNumber = 0;

  constructor(core: CoreRow, memory: SparseMemory, options: CacheTraceOptions) {
    this.#core = core;
    this.#coreName = options.core ?? null;
    this.#memory = memory;
    this.#writeThrough = options.writeThrough ?? false;
    this.#layout = layoutHw({ core, cpus: 1, threadsMax: 1, devicesMax: 0 });
    this.#hw = new Int32Array(new SharedArrayBuffer(this.#layout.words * 4));
    this.#cache = new CpuCache(this.#hw, this.#layout, core, 0, memory, NO_POINTS);
  }

  run(ops: TraceOps): CacheTraceResult {
    for (let i = 0; i < ops.count; i++) this.#operation(ops, i);
    return this.#result(ops.count);
  }

  #operation(ops: TraceOps, i: number): void {
    const type = ops.types[i] as number;
    const shift = this.#memory.shift;
    const end = (ops.addresses[i] as number) + (ops.sizes[i] as number);
    const last = lastLine(ops, i, shift);
    if (type === WRITE) this.#writeNumber++;
    let from = ops.addresses[i] as number;
    for (let line = firstLine(ops, i, shift); line <= last; line++) {
      const next = (line + 1) * this.#core.dcache.lineBytes;
      const to = end < next ? end : next;
      this.#memory.step();
      if (type === READ || type === WRITE) this.#access(type, from, to);
      else this.#maintain(type, from);
      from = next;
    }
  }

  /** Bytes [@from, @to) of one line. */
  #access(type: number, from: number, to: number): void {
    const memory = this.#memory;
    const cache = this.#cache;
    const counts = type === READ ? this.#reads : this.#writes;
    const pa = (memory.frameOf(from) + (from & (this.#core.dcache.lineBytes - 1))) as Paddr;
    memory.touch(pa, pa + (to - from));
    counts.accesses++;
    if (cache.own.find(from) >= 0) counts.hits++;
    else counts.misses++;
    if (type === READ) cache.load(from, pa, this.#writeThrough);
    else this.#store(from, to, pa);
  }

  /** Word by word, as a CPU stores: the number of the write in every byte. */
  #store(from: number, to: number, pa: number): void {
    const value = Math.imul(this.#writeNumber & 0xff, 0x01010101);
    const first = from - (from & 3);
    for (let word = first; word < to; word += 4) {
      let mask = -1;
      if (word < from) mask <<= 8 * (from - word);
      if (word + 4 > to) mask &= (1 << (8 * (to - word))) - 1;
      const at = (pa - (from & 3) + (word - first)) as Paddr;
      this.#cache.store(word, at, this.#writeThrough, value, mask);
    }
  }

  #maintain(type: number, address: number): void {
    const counts = type === CLEAN ? this.#cleans : this.#invalidates;
    counts.lines++;
    const line = this.#cache.own.find(address);
    if (line < 0) return;
    counts.present++;
    if (type !== CLEAN && this.#cache.own.isDirty(line)) this.#invalidates.dirty++;
    this.#cache.lineOp(type === CLEAN ? CacheOp.clean : CacheOp.invalidate, address);
  }

  #stat(which: number): number {
    return this.#hw[this.#layout.seats + which] as number;
  }

  #result(operations: number): CacheTraceResult {
    const { sets, ways, lineBytes, granuleBytes, replacement, allocOnStoreMiss } = this.#core.dcache;
    const memory = this.#memory;
    const before = memory.touchedBytes();
    const counted = {
      operations,
      reads: this.#reads,
      writes: this.#writes,
      cleans: this.#cleans,
      invalidates: this.#invalidates,
      fills: this.#stat(Seat.fills),
      evictions: this.#stat(Seat.evictions),
      writeBacks: { lines: memory.linesWritten, granules: memory.granules },
      memory: { readBytes: memory.readBytes, writtenBytes: memory.writtenBytes },
    };
    memory.step();
    this.#cache.flushAll();
    const { lines, granules } = counted.writeBacks;
    return {
      cache: {
        ...{ core: this.#coreName, sets, ways, lineBytes, granuleBytes, bytes: sets * ways * lineBytes, replacement },
        ...{ writeThrough: this.#writeThrough, writeAllocate: allocOnStoreMiss },
      },
      ...counted,
      finalFlush: { lines: memory.linesWritten - lines, granules: memory.granules - granules },
      touchedBytes: before.length,
      crc32: { beforeFlush: hashOf(before), afterFlush: hashOf(memory.touchedBytes()) },
    };
  }
}

const hashOf = (bytes: Uint8Array): string => crc32(bytes).toString(16).padStart(8, '0');
