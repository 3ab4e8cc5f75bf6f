/**
 * What a thread has read since its last cpu_relax(): the words that a loop which waits is waiting for. Only controlled mode keeps it, and only
 * from a thread's first cpu_relax() of an execution on.
 */
import { Point } from '../shared/point.js';
import { WAIT_WORDS_MAX } from '../shared/spin.js';

export class SpinWatch {
  /** Words of static memory by index; those of the hardware area, which are a race's `vars`, by the complement of theirs. */
  readonly indices: number[] = [];
  readonly seen: number[] = [];
  /** Rounds before this one that were the same as it: the same steps, which saw the same. */
  rounds = 0;
  /** Of the steps of this round and of the one before, with what they saw. */
  #round = 0;
  #last = 0;
  /** The thread did something that others can see, or read what cannot be watched: its loop is more than a wait. */
  #active = false;

  /** Nobody can be missed while it sleeps until a word changes. */
  get waits(): boolean {
    return !this.#active && this.indices.length > 0;
  }

  /** All that the watch knows, as numbers. */
  eachWord(look: (word: number) => void): void {
    look(this.#active ? -1 : this.indices.length);
    if (this.rounds > 0) look(this.rounds);
    for (let i = 0; !this.#active && i < this.indices.length; i++) {
      look(this.indices[i] as number);
      look(this.seen[i] as number);
    }
  }

  /** A round is over. */
  ends(): void {
    this.rounds = this.#round === this.#last && !this.#active ? this.rounds + 1 : 0;
    this.#last = this.#active ? 0 : this.#round;
  }

  /** The next one begins. */
  begins(): void {
    this.#round = 0;
    this.indices.length = 0;
    this.seen.length = 0;
    this.#active = false;
  }

  #read(index: number, value: number): void {
    for (let i = 0; i < this.indices.length; i++) if (this.indices[i] === index && this.seen[i] === value) return;
    this.indices.push(index);
    this.seen.push(value);
  }

  /** It reads a word of `vars`. @index: in the hardware area. */
  variable(index: number, value: number): void {
    this.#take(value);
    if (this.indices.length === WAIT_WORDS_MAX) this.#active = true;
    else this.#read(~index, value);
  }

  /** It changes what others can see without a step of its own. */
  changes(): void {
    this.#active = true;
  }

  #take(value: number): void {
    this.#round = Math.imul(this.#round ^ value, 0x9e3779b1) ^ (this.#round >>> 15);
  }

  /** The thread is about to make a step. @index: of the word in @words, negative when it is no static word. */
  note(kind: Point, words: Int32Array, index: number): void {
    this.#take((kind << 24) ^ index);
    if (index >= 0) this.#take(words[index] as number);
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
