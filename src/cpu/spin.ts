/**
 * What a thread has read since its last cpu_relax(): the words that a loop which waits is waiting for. Only controlled mode keeps it, and only
 * from a thread's first cpu_relax() of an execution on.
 */
import { Point } from '../shared/point.js';
import { WAIT_WORDS_MAX } from '../shared/spin.js';

export class SpinWatch {
  readonly indices: number[] = [];
  readonly seen: number[] = [];
  /** The thread did something that others can see, or read what cannot be watched: its loop is more than a wait. */
  #active = false;

  /** Nobody can be missed while it sleeps until a word changes. */
  get waits(): boolean {
    return !this.#active && this.indices.length > 0;
  }

  /** All that the watch knows, as numbers. */
  eachWord(look: (word: number) => void): void {
    look(this.#active ? -1 : this.indices.length);
    for (let i = 0; !this.#active && i < this.indices.length; i++) {
      look(this.indices[i] as number);
      look(this.seen[i] as number);
    }
  }

  clear(): void {
    this.indices.length = 0;
    this.seen.length = 0;
    this.#active = false;
  }

  #read(index: number, value: number): void {
    for (let i = 0; i < this.indices.length; i++) if (this.indices[i] === index && this.seen[i] === value) return;
    this.indices.push(index);
    this.seen.push(value);
  }

  /** The thread is about to make a step. @index: of the word in @words, negative when it is no static word. */
  note(kind: Point, words: Int32Array, index: number): void {
    switch (kind) {
      case Point.Load:
      case Point.Atomic:
        // An atomic operation that changes the word makes it differ from what is noted here, and the thread does not sleep.
        if (index < 0 || this.indices.length === WAIT_WORDS_MAX) this.#active = true;
        else this.#read(index, words[index] as number);
        return;
      // A lock that was taken and released is as it was.
      case Point.Lock:
      case Point.Unlock:
      case Point.Wait:
      case Point.IrqEnable:
      case Point.IrqDisable:
      case Point.Preempt:
        return;
      default:
        this.#active = true;
    }
  }
}
