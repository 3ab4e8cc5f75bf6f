/**
 * What the watchdogs know, in the shared area of the machine: for how long each CPU has been stuck and each task blocked, and which objects wait
 * for readers of RCU.
 */
import { HANGS_WORDS } from '../../cpu/hw.js';
import { MurphyError } from '../../shared/errors.js';
import { CheckerArea, Head as CommonHead } from '../area.js';

export const Head = {
  /** Ticks since the last look at all tasks, and hung tasks that have been reported. */
  sinceScan: CommonHead.own,
  hungTasks: CommonHead.own + 1,
} as const;

const TEXT_WORDS = 1 << 12;

/** Words of a CPU: ticks that it has spent stuck since its watchdog thread could run, and since its timer interrupt could come. */
export const Cpu = {
  soft: 0,
  hard: 1,
  /** This time it has been reported. */
  softSaid: 2,
  hardSaid: 3,
  /** Read-side critical sections of RCU begun and ended: odd inside of one. */
  rcu: 4,
  words: 8,
} as const;

/** Words of a thread. */
export const Task = {
  /** Lock in front of which it stands, or 0. */
  lock: 0,
  /** Non-zero: it waits for a time to pass. */
  timed: 1,
  /** Ticks that it has been blocked for since it last had the CPU. */
  blocked: 2,
  /** It was blocked at the last look at all tasks, and has not had the CPU since. */
  seen: 3,
  /** Where it waits: a text. */
  stack: 4,
  words: 8,
} as const;

/** Objects that wait for readers: address, then of each CPU the section that it was in. */
const RCU_OBJECTS = 128;

export class HangArea extends CheckerArea {
  readonly #cpus: number;
  readonly #tasks: number;
  readonly #objects: number;
  readonly #objectWords: number;

  constructor(words: Int32Array, base: number, cpus: number, threads: number) {
    super(words, base, TEXT_WORDS);
    this.#cpus = this.next;
    this.#tasks = this.#cpus + cpus * Cpu.words;
    this.#objects = this.#tasks + threads * Task.words;
    this.#objectWords = 1 + cpus;
    this.#end = this.#objects + RCU_OBJECTS * this.#objectWords;
    if (this.#end - base > HANGS_WORDS) throw new MurphyError('the area of the watchdogs is too small');
  }
  readonly #end: number;

  /** Stands for all of it where somebody asks what a step touches. */
  get index(): number {
    return this.base;
  }

  override restart(): void {
    super.restart();
    this.words.fill(0, this.#cpus, this.#end);
  }

  cpu(cpu: number): number {
    return this.#cpus + cpu * Cpu.words;
  }

  task(slot: number): number {
    return this.#tasks + slot * Task.words;
  }

  head(field: number): number {
    return this.words[this.base + field] as number;
  }

  setHead(field: number, value: number): void {
    this.words[this.base + field] = value;
  }

  keep(text: string): number {
    this.lock();
    const place = this.texts.keep(text);
    this.unlock();
    return place;
  }

  /** @object waits for the readers of now; it is no longer watched when there is no room. Context: the area's lock is held. */
  queue(object: number, cpus: number): void {
    for (let i = 0; i < RCU_OBJECTS; i++) {
      const at = this.#objects + i * this.#objectWords;
      if (this.words[at] !== 0) continue;
      this.words[at] = object | 0;
      for (let cpu = 0; cpu < cpus; cpu++) this.words[at + 1 + cpu] = this.words[this.cpu(cpu) + Cpu.rcu] as number;
      return;
    }
  }

  /** @object is freed. Return: the CPU that is still in a section that it was in when the object was taken out of reach, or -1. */
  unqueue(object: number, cpus: number): number {
    for (let i = 0; i < RCU_OBJECTS; i++) {
      const at = this.#objects + i * this.#objectWords;
      if (this.words[at] !== (object | 0)) continue;
      this.words[at] = 0;
      for (let cpu = 0; cpu < cpus; cpu++) {
        const section = this.words[at + 1 + cpu] as number;
        if ((section & 1) !== 0 && section === this.words[this.cpu(cpu) + Cpu.rcu]) return cpu;
      }
      return -1;
    }
    return -1;
  }
}
