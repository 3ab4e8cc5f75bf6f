/**
 * What the DMA checker knows, in the shared area of the machine: the mappings that are in force, and for each line of memory that was
 * stored to or mapped, whose its bytes are and who wrote them last. Everything counts in the execution whose number it carries.
 */
import { DMA_CHECK_WORDS } from '../../cpu/hw.js';
import { MurphyError } from '../../shared/errors.js';
import { CheckerArea, Head as CommonHead } from '../area.js';

const Head = {
  /** Errors of the API, those that were not printed among them. */
  errors: CommonHead.own,
  /** The table of mappings was full: the API is no longer checked. */
  disabled: CommonHead.own + 1,
} as const;

const TEXT_WORDS = 1 << 14;
const ENTRIES = 1024;
const LINE_SLOTS = 1 << 13;
/** A line that finds no room in so many slots is not followed: in a table that is full each look would go through all of it. */
const PROBES_MAX = 64;

/** Words of a mapping. */
export const Entry = {
  epoch: 0,
  type: 1,
  pa: 2,
  bus: 3,
  size: 4,
  direction: 5,
  nents: 6,
  /** 1: dma_mapping_error() has been asked. */
  checked: 7,
  addr: 8,
  stack: 9,
  /** 1: made while the threads ran, not by setup(). */
  byThreads: 10,
  words: 16,
} as const;

/** Words of a line. Of its bytes a bit each, in two words: the device's, the CPUs' since they came back, those that a device wrote last. */
export const Line = {
  epoch: 0,
  number: 1,
  device: 2,
  cpu: 4,
  written: 6,
  direction: 8,
  /** Thread slot + 1, or -1 - device; 0: nobody. */
  writer: 9,
  writerCpu: 10,
  writerStack: 11,
  mapStack: 12,
  words: 16,
} as const;

export class DmaArea extends CheckerArea {
  readonly #entries: number;
  readonly #lines: number;

  constructor(words: Int32Array, base: number) {
    super(words, base, TEXT_WORDS);
    this.#entries = this.next;
    this.#lines = this.#entries + ENTRIES * Entry.words;
    const end = this.#lines + LINE_SLOTS * Line.words;
    if (end - base > DMA_CHECK_WORDS) throw new MurphyError('the area of the DMA checker is too small');
  }

  countError(): void {
    Atomics.add(this.words, this.base + Head.errors, 1);
  }

  get errors(): number {
    return this.words[this.base + Head.errors] as number;
  }

  get disabled(): boolean {
    return this.words[this.base + Head.disabled] !== 0;
  }

  /** Keep a text. Return: its place. */
  keep(text: string): number {
    this.lock();
    const place = this.texts.keep(text);
    this.unlock();
    return place;
  }

  // ---- mappings ----------------------------------------------------------------------------------------------------

  /** Return: where the new mapping is, or -1 when there is no room: then the API is checked no longer. */
  addEntry(): number {
    for (let i = 0; i < ENTRIES; i++) {
      const at = this.#entries + i * Entry.words;
      if (this.words[at] !== this.epoch) return at;
    }
    this.words[this.base + Head.disabled] = 1;
    return -1;
  }

  removeEntry(at: number): void {
    this.words[at + Entry.epoch] = 0;
  }

  /** Mappings in force, in the order of the table. */
  entries(): number[] {
    const all: number[] = [];
    for (let i = 0; i < ENTRIES; i++) {
      const at = this.#entries + i * Entry.words;
      if (this.words[at] === this.epoch) all.push(at);
    }
    return all;
  }

  word(at: number, field: number): number {
    return this.words[at + field] as number;
  }

  set(at: number, field: number, value: number): void {
    this.words[at + field] = value;
  }

  // ---- lines -------------------------------------------------------------------------------------------------------

  /** The record of a line, or -1 when there is none. With @make it is made, unless there is no room. */
  line(number: number, make: boolean): number {
    const { epoch } = this;
    let slot = (Math.imul(number, 0x9e3779b1) >>> 12) & (LINE_SLOTS - 1);
    for (let tries = 0; tries < PROBES_MAX; tries++) {
      const at = this.#lines + slot * Line.words;
      if (this.words[at] === epoch && this.words[at + Line.number] === number) return at;
      if (this.words[at] !== epoch) return make ? this.#makeLine(at, number) : -1;
      slot = (slot + 1) & (LINE_SLOTS - 1);
    }
    return -1;
  }

  #makeLine(at: number, number: number): number {
    this.lock();
    const raced = this.words[at] === this.epoch;
    if (!raced) {
      this.words.fill(0, at, at + Line.words);
      this.words[at + Line.number] = number;
      this.words[at] = this.epoch;
    }
    this.unlock();
    return raced ? this.line(number, true) : at;
  }
}
