/**
 * What the memory checker knows, in the shared area of the machine: a shadow of each frame, who was given what and who gave it back.
 *
 * Everything counts in the execution whose number it carries, so that a reset is one addition. A frame that nobody has been given in this
 * execution is not known: races may use it as they like.
 */
import type { MachineConfig } from '../../cpu/config.js';
import { memoryCheckWords } from '../../cpu/hw.js';
import { MurphyError } from '../../shared/errors.js';
import { CheckerArea, Head as CommonHead } from '../area.js';

const Head = {
  /** An allocation found no room in the tables: what follows is not watched. */
  full: CommonHead.own,
} as const;

/** Words of a track: who and where, in one word; in which functions; at which jiffy. */
const Track = { who: 0, stack: 1, when: 2, words: 4 } as const;
const CPU_SHIFT = 8;
const CONTEXT_SHIFT = 16;
const BYTE = 0xff;

const Frame = { epoch: 0, state: 1, order: 2, mask: 3, slab: 4, head: 5, allocated: 8, freed: 12, words: 16 } as const;

const Record = {
  epoch: 0,
  start: 1,
  /** Bytes asked for, and bytes that the object has. */
  bytes: 2,
  size: 3,
  kind: 4,
  state: 5,
  /** Address of the name of the cache. */
  name: 6,
  flags: 7,
  allocated: 8,
  freed: 12,
  words: 16,
} as const;

/** Pages of vmalloc areas by address: which record. */
const AreaPage = { epoch: 0, page: 1, record: 2, words: 4 } as const;
const NO_RECORD = -1;

export const State = { unknown: 0, live: 1, freed: 2 } as const;
export type State = (typeof State)[keyof typeof State];

export const Kind = { object: 1, vmalloc: 2 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Bits of `flags`. */
export const Flag = { threads: 1, vmallocMetadata: 2 } as const;

/** Where a context was. */
export const Context = { task: 0, softirq: 1, hardirq: 2 } as const;

export interface TrackOf {
  readonly slot: number;
  readonly cpu: number;
  readonly context: number;
  /** jiffies. */
  readonly when: number;
  readonly stack: readonly string[];
}

export interface Block {
  readonly start: number;
  readonly bytes: number;
  readonly size: number;
  readonly kind: Kind;
  readonly state: State;
  readonly name: number;
  readonly flags: number;
  readonly allocated: TrackOf;
  readonly freed: TrackOf | null;
}

export interface FrameOf {
  readonly state: State;
  readonly order: number;
  readonly mask: number;
  readonly slab: boolean;
  /** First frame of the block. */
  readonly head: number;
  readonly allocated: TrackOf;
  readonly freed: TrackOf | null;
}

const TEXT_WORDS = 1 << 15;
/** A shadow byte stands for so many bytes of memory. */
export const GRANULE = 4;
const SHADOW_WORDS = 4096 / GRANULE / 4;
const SLOTS_MAX = 1 << 16;

const framesOf = (config: Pick<MachineConfig, 'lowmemPages' | 'highmemPages'>): number =>
  config.lowmemPages + config.highmemPages;
const powerOfTwo = (least: number): number => 2 ** Math.ceil(Math.log2(least));
const slotsOf = (frames: number): number => Math.min(SLOTS_MAX, powerOfTwo(frames * 16));
const pageSlotsOf = (frames: number): number => Math.min(SLOTS_MAX, powerOfTwo(frames * 4));

export class MemoryArea extends CheckerArea {
  readonly shadow: Uint8Array;
  readonly frames: number;
  readonly #frames: number;
  readonly #records: number;
  readonly #slots: number;
  readonly #pages: number;
  readonly #pageSlots: number;

  constructor(words: Int32Array, base: number, config: Pick<MachineConfig, 'lowmemPages' | 'highmemPages'>) {
    super(words, base, TEXT_WORDS);
    this.frames = framesOf(config);
    this.#frames = this.next;
    const shadow = this.#frames + this.frames * Frame.words;
    this.shadow = new Uint8Array(words.buffer, shadow * 4, this.frames * SHADOW_WORDS * 4);
    this.#records = shadow + this.frames * SHADOW_WORDS;
    this.#slots = slotsOf(this.frames);
    this.#pages = this.#records + this.#slots * Record.words;
    this.#pageSlots = pageSlotsOf(this.frames);
    const end = this.#pages + this.#pageSlots * AreaPage.words;
    if (end - base > memoryCheckWords(this.frames))
      throw new MurphyError('the area of the memory checker is too small');
  }

  get full(): boolean {
    return this.words[this.base + Head.full] !== 0;
  }

  // ---- tracks ------------------------------------------------------------------------------------------------------

  #setTrack(at: number, track: TrackOf): void {
    this.words[at + Track.who] = track.slot | (track.cpu << CPU_SHIFT) | (track.context << CONTEXT_SHIFT);
    this.words[at + Track.when] = track.when;
    this.words[at + Track.stack] = this.texts.keep(track.stack.join('\n'));
  }

  #track(at: number): TrackOf {
    const word = (field: number): number => this.words[at + field] as number;
    const who = word(Track.who);
    return {
      slot: who & BYTE,
      cpu: (who >>> CPU_SHIFT) & BYTE,
      context: who >>> CONTEXT_SHIFT,
      when: word(Track.when) >>> 0,
      stack: this.stack(word(Track.stack)),
    };
  }

  // ---- frames ------------------------------------------------------------------------------------------------------

  /** Is anything known of the frame in this execution? */
  knows(frame: number): boolean {
    return this.words[this.#frames + frame * Frame.words] === this.epoch;
  }

  frame(frame: number): FrameOf | null {
    if (frame < 0 || frame >= this.frames || !this.knows(frame)) return null;
    const at = this.#frames + frame * Frame.words;
    const word = (field: number): number => this.words[at + field] as number;
    const state = word(Frame.state) as State;
    return {
      state,
      order: word(Frame.order),
      mask: word(Frame.mask),
      slab: word(Frame.slab) !== 0,
      head: word(Frame.head),
      allocated: this.#track(at + Frame.allocated),
      freed: state === State.freed ? this.#track(at + Frame.freed) : null,
    };
  }

  /** The block of 2^order frames is somebody's now. */
  giveFrames(first: number, order: number, mask: number, track: TrackOf): void {
    this.lock();
    const end = Math.min(first + (1 << order), this.frames);
    for (let frame = first; frame < end; frame++) {
      const at = this.#begin(frame, 0);
      this.words[at + Frame.state] = State.live;
      this.words[at + Frame.order] = order;
      this.words[at + Frame.mask] = mask;
      this.words[at + Frame.head] = first;
      this.#setTrack(at + Frame.allocated, track);
    }
    this.unlock();
  }

  #begin(frame: number, fill: number): number {
    const at = this.#frames + frame * Frame.words;
    if (!this.knows(frame)) this.words.fill(0, at, at + Frame.words);
    this.words[at + Frame.epoch] = this.epoch;
    this.words[at + Frame.slab] = 0;
    this.shadow.fill(fill, frame * SHADOW_WORDS * 4, (frame + 1) * SHADOW_WORDS * 4);
    return at;
  }

  takeFrames(first: number, order: number, fill: number, track: TrackOf): void {
    this.lock();
    const end = Math.min(first + (1 << order), this.frames);
    for (let frame = first; frame < end; frame++) {
      const at = this.#begin(frame, fill);
      this.words[at + Frame.state] = State.freed;
      this.words[at + Frame.head] = first;
      this.#setTrack(at + Frame.freed, track);
    }
    this.unlock();
  }

  /** The first object of a slab: what no object covers may not be used. A slab of an earlier execution is known from here on. */
  makeSlab(frame: number, fill: number): void {
    this.lock();
    const own = this.knows(frame);
    const at = this.#frames + frame * Frame.words;
    if (!own) {
      this.#begin(frame, 0);
      this.words[at + Frame.slab] = 1;
    } else if (this.words[at + Frame.slab] === 0) {
      const first = this.words[at + Frame.head] as number;
      const end = Math.min(first + (1 << (this.words[at + Frame.order] as number)), this.frames);
      for (let f = first; f < end; f++) {
        this.words[this.#frames + f * Frame.words + Frame.slab] = 1;
        this.shadow.fill(fill, f * SHADOW_WORDS * 4, (f + 1) * SHADOW_WORDS * 4);
      }
    }
    this.unlock();
  }

  /** @from, @bytes: as offsets from the first frame. The granule that @bytes ends in is used as far as they go. */
  unpoison(from: number, bytes: number): void {
    const first = from / GRANULE;
    const whole = Math.floor(bytes / GRANULE);
    this.shadow.fill(0, first, first + whole);
    if (bytes % GRANULE !== 0) this.shadow[first + whole] = bytes % GRANULE;
  }

  poison(from: number, end: number, fill: number): void {
    this.shadow.fill(fill, Math.ceil(from / GRANULE), Math.ceil(end / GRANULE));
  }

  // ---- objects and areas -------------------------------------------------------------------------------------------

  /** Where the record of @start is, or would be; -1 when there is no room. */
  #slotOf(start: number): number {
    const mask = this.#slots - 1;
    const { epoch } = this;
    let slot = (Math.imul(start >>> 2, 0x9e3779b1) >>> 12) & mask;
    for (let tries = 0; tries <= mask; tries++) {
      const at = this.#records + slot * Record.words;
      if (this.words[at + Record.epoch] !== epoch || this.words[at + Record.start] === (start | 0)) return at;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  block(start: number): Block | null {
    const at = this.#slotOf(start);
    return at < 0 || this.words[at + Record.epoch] !== this.epoch ? null : this.#blockAt(at);
  }

  #blockAt(at: number): Block {
    const word = (field: number): number => this.words[at + field] as number;
    const state = word(Record.state) as State;
    return {
      start: word(Record.start) >>> 0,
      bytes: word(Record.bytes),
      size: word(Record.size),
      kind: word(Record.kind) as Kind,
      state,
      name: word(Record.name) >>> 0,
      flags: word(Record.flags),
      allocated: this.#track(at + Record.allocated),
      freed: state === State.freed ? this.#track(at + Record.freed) : null,
    };
  }

  /** Every record of the execution, by address. */
  blocks(): Block[] {
    const all: Block[] = [];
    for (let slot = 0; slot < this.#slots; slot++) {
      const at = this.#records + slot * Record.words;
      if (this.words[at + Record.epoch] === this.epoch) all.push(this.#blockAt(at));
    }
    return all.sort((a, b) => a.start - b.start);
  }

  /** The object that @addr is in, the nearest one at or below it in a page or two. */
  blockNear(addr: number): Block | null {
    for (let start = (addr & ~3) >>> 0; start > addr - 8192; start -= 4) {
      const found = this.block(start);
      if (found !== null && found.kind === Kind.object) return found;
    }
    return null;
  }

  give(block: Omit<Block, 'state' | 'freed'>): void {
    this.lock();
    const at = this.#slotOf(block.start);
    if (at < 0) this.words[this.base + Head.full] = 1;
    else {
      const { words } = this;
      words[at + Record.start] = block.start | 0;
      words[at + Record.bytes] = block.bytes;
      words[at + Record.size] = block.size;
      words[at + Record.kind] = block.kind;
      words[at + Record.state] = State.live;
      words[at + Record.name] = block.name | 0;
      words[at + Record.flags] = block.flags;
      this.#setTrack(at + Record.allocated, block.allocated);
      words[at + Record.epoch] = this.epoch;
      if (block.kind === Kind.vmalloc) this.#givePages(block.start, block.size, at);
    }
    this.unlock();
  }

  take(start: number, track: TrackOf): void {
    this.lock();
    const at = this.#slotOf(start);
    if (at >= 0 && this.words[at + Record.epoch] === this.epoch) {
      this.words[at + Record.state] = State.freed;
      this.#setTrack(at + Record.freed, track);
    }
    this.unlock();
  }

  #pageSlot(page: number): number {
    const mask = this.#pageSlots - 1;
    let slot = (Math.imul(page >>> 12, 0x9e3779b1) >>> 12) & mask;
    for (let tries = 0; tries <= mask; tries++) {
      const at = this.#pages + slot * AreaPage.words;
      if (this.words[at + AreaPage.epoch] !== this.epoch || this.words[at + AreaPage.page] === (page | 0)) return at;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  #givePages(start: number, size: number, record: number): void {
    for (let page = start; page < start + size; page += 4096) {
      const at = this.#pageSlot(page);
      if (at < 0) this.words[this.base + Head.full] = 1;
      else {
        this.words[at + AreaPage.page] = page | 0;
        this.words[at + AreaPage.record] = record;
        this.words[at + AreaPage.epoch] = this.epoch;
      }
    }
  }

  /** The pages are of no vmalloc area that is known, whatever they were of. */
  forget(start: number, size: number): void {
    this.lock();
    for (let page = start; page < start + size; page += 4096) {
      const at = this.#pageSlot(page);
      if (at >= 0 && this.words[at + AreaPage.epoch] === this.epoch) this.words[at + AreaPage.record] = NO_RECORD;
      const record = this.#slotOf(page);
      const known = record >= 0 && this.words[record + Record.epoch] === this.epoch;
      if (known && this.words[record + Record.kind] === Kind.vmalloc) this.words[record + Record.state] = State.unknown;
    }
    this.unlock();
  }

  /** Which record the page of @addr has; NO_RECORD: none. */
  #recordOf(addr: number): number {
    const at = this.#pageSlot(addr & ~4095);
    const known = at >= 0 && this.words[at + AreaPage.epoch] === this.epoch;
    return known ? (this.words[at + AreaPage.record] as number) : NO_RECORD;
  }

  /** The vmalloc area that @addr is, or was, in. */
  areaAt(addr: number): Block | null {
    const record = this.#recordOf(addr);
    return record === NO_RECORD ? null : this.#blockAt(record);
  }

  /** What has to be known of an access in a vmalloc area, without making objects: 0 when it may be made. */
  areaRefuses(addr: number, bytes: number): boolean {
    const record = this.#recordOf(addr);
    if (record === NO_RECORD) return false;
    if (this.words[record + Record.state] === State.freed) return true;
    const end = ((this.words[record + Record.start] as number) >>> 0) + (this.words[record + Record.bytes] as number);
    return addr + bytes > end;
  }
}
