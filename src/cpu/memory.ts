/**
 * Physical memory, and the bus to it: what caches, table walkers and DMA masters share.
 *
 * One `SharedArrayBuffer`; `word(pa)` of it is at index `(pa - physBase) >>> 2`. Behind the data caches there may be an outer
 * cache (PL310 and its kind); devices bypass it.
 */
import type { Footprint } from '../shared/footprint.js';
import type { Paddr } from '../shared/types.js';
import type { OuterCache } from './outer.js';

const FRAME_BYTES = 4096;
const FLAG_BYTES = 4;
/** Frames of a group are this power of two. */
export const GROUP_LOG2 = 5;

const groupsOf = (frames: number): number => Math.ceil(frames / (1 << GROUP_LOG2));

/** Bytes of the buffer that holds @frames of memory: behind the frames, a word for each and one for each group say whether they were written. */
export const arenaBytes = (frames: number): number =>
  frames * (FRAME_BYTES + FLAG_BYTES) + groupsOf(frames) * FLAG_BYTES;

/** Frames of a buffer of arenaBytes(). */
function framesOf(bytes: number): number {
  let frames = Math.floor(bytes / (FRAME_BYTES + FLAG_BYTES));
  while (arenaBytes(frames) > bytes) frames--;
  return frames;
}

export class PhysicalMemory {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  /**
   * Non-zero for each frame that was written since boot: what a reset has to restore. Frames of kernel data have a bit for each 32 words, since
   * controlled mode knows where each step writes; parallel mode restores all of them.
   */
  readonly written: Int32Array;
  /** Non-zero for each group of frames of which one was written. */
  readonly writtenGroups: Int32Array;
  readonly base: number;
  readonly sizeBytes: number;
  /** Set by the machine when the core has one. */
  outer: OuterCache | null = null;
  /** Set while somebody wants to know what each step touches. */
  footprint: Footprint | null = null;

  constructor(buffer: SharedArrayBuffer, physBase: number) {
    const frames = framesOf(buffer.byteLength);
    this.sizeBytes = frames * FRAME_BYTES;
    this.words = new Int32Array(buffer, 0, this.sizeBytes >>> 2);
    this.bytes = new Uint8Array(buffer, 0, this.sizeBytes);
    this.written = new Int32Array(buffer, this.sizeBytes, frames);
    this.writtenGroups = new Int32Array(buffer, this.sizeBytes + frames * FLAG_BYTES, groupsOf(frames));
    this.base = physBase;
  }

  /** Is there RAM at @pa? */
  has(pa: number): boolean {
    return pa >= this.base && pa - this.base < this.sizeBytes;
  }

  /** One aligned word, as a DMA master or an uncached access sees it. Nothing answers outside RAM: all ones. */
  read32(pa: Paddr): number {
    if (!this.has(pa)) return -1;
    const index = (pa - this.base) >>> 2;
    if (this.footprint !== null) this.footprint.memory(index, 1, false);
    return this.words[index] as number;
  }

  /** The bytes of one aligned word that @mask selects. Outside RAM the write is lost. */
  write32(pa: Paddr, value: number, mask = -1): void {
    if (!this.has(pa)) return;
    const index = (pa - this.base) >>> 2;
    this.#writes(index);
    if (this.footprint !== null) this.footprint.memory(index, 1, true);
    if (mask === -1) this.words[index] = value;
    else this.#writeBytes(index << 2, value, mask);
  }

  /** One aligned word as a table walk with cacheable attributes reads it: an outer cache answers before RAM. */
  readCacheable32(pa: Paddr): number {
    return this.outer !== null ? this.outer.read32(pa) : this.read32(pa);
  }

  /** A store to a cacheable page that no data cache keeps: it goes into an outer cache that holds the line, else to RAM. */
  writeCacheable32(pa: Paddr, value: number, mask: number): void {
    if (this.outer !== null) this.outer.write32(pa, value, mask);
    else this.write32(pa, value, mask);
  }

  /** All of the frame, whatever part is written. */
  #writes(index: number): void {
    this.written[index >>> 10] = -1;
    this.writtenGroups[index >>> (10 + GROUP_LOG2)] = 1;
  }

  #writeBytes(at: number, value: number, mask: number): void {
    for (let i = 0; i < 4; i++) {
      if (((mask >>> (8 * i)) & 0xff) !== 0) this.bytes[at + i] = value >>> (8 * i);
    }
  }

  /** A line moves into a data cache: @count words from @pa to @to of @data. */
  readLine(pa: Paddr, data: Int32Array, to: number, count: number): void {
    if (this.outer !== null) this.outer.readLine(pa, data, to, count);
    else this.readRam(pa, data, to, count);
  }

  /** Dirty bytes leave a data cache. */
  writeLine(pa: Paddr, data: Int32Array, from: number, count: number): void {
    if (this.outer?.writeHit(pa, data, from, count)) return;
    this.writeRam(pa, data, from, count);
  }

  readRam(pa: Paddr, data: Int32Array, to: number, count: number): void {
    if (!this.has(pa)) {
      data.fill(-1, to, to + count);
      return;
    }
    const index = (pa - this.base) >>> 2;
    if (this.footprint !== null) this.footprint.memory(index, count, false);
    for (let i = 0; i < count; i++) data[to + i] = this.words[index + i] as number;
  }

  writeRam(pa: Paddr, data: Int32Array, from: number, count: number): void {
    if (!this.has(pa)) return;
    const index = (pa - this.base) >>> 2;
    this.#writes(index);
    if (this.footprint !== null) this.footprint.memory(index, count, true);
    for (let i = 0; i < count; i++) this.words[index + i] = data[from + i] as number;
  }
}
