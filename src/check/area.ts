/**
 * What the areas of checkers have in common, in the shared area of the machine: a head with a lock, the number of the execution that everything
 * in the area belongs to, what has been reported, and texts.
 */
import { lockWord, unlockWord } from '../cpu/hostlock.js';
import { Texts } from './texts.js';

/** Words of the head; from `own` on they are the checker's, and zero when an execution begins. */
export const Head = {
  lock: 0,
  textWords: 1,
  epoch: 2,
  /** What the first report of the execution says: a text. */
  headline: 3,
  /** Kinds of report that have been made: a bit each. */
  reported: 4,
  own: 5,
  words: 16,
} as const;

export class CheckerArea {
  readonly words: Int32Array;
  protected readonly base: number;
  protected readonly texts: Texts;
  /** First word behind the texts. */
  protected readonly next: number;

  constructor(words: Int32Array, base: number, textWords: number) {
    this.words = words;
    this.base = base;
    this.texts = new Texts(words, base + Head.textWords, base + Head.words, textWords);
    this.next = base + Head.words + textWords;
  }

  /** Number of the execution: what carries another one is not known. */
  get epoch(): number {
    return this.words[this.base + Head.epoch] as number;
  }

  /** Another execution. Context: one worker, while no other acts. */
  restart(): void {
    this.words[this.base + Head.epoch] = this.epoch + 1;
    this.words.fill(0, this.base + Head.headline, this.base + Head.words);
  }

  lock(): void {
    lockWord(this.words, this.base + Head.lock);
  }

  unlock(): void {
    unlockWord(this.words, this.base + Head.lock);
  }

  /** May a report of this kind be made? The first of each kind, or with @every any. */
  mayReport(kind: number, every: boolean): boolean {
    this.lock();
    const reported = this.words[this.base + Head.reported] as number;
    this.words[this.base + Head.reported] = reported | (1 << kind);
    this.unlock();
    return every || (reported & (1 << kind)) === 0;
  }

  get headline(): string {
    return this.texts.text(this.words[this.base + Head.headline] as number);
  }

  /** The first of the execution stays. */
  setHeadline(text: string): void {
    this.lock();
    const at = this.base + Head.headline;
    if (this.words[at] === 0) this.words[at] = this.texts.keep(text);
    this.unlock();
  }

  /** Functions, innermost first, that were kept as one text. */
  stack(place: number): string[] {
    const text = this.texts.text(place);
    return text === '' ? [] : text.split('\n');
  }
}
