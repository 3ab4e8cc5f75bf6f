/** Steps of the execution that has ended, in order: gathered from the trails of all contexts when somebody asks. */
import { DECIDED, Ex, type ExLayout, Head, Step, trailAt, trailOf } from './shared-state.js';

export class Trails {
  readonly #ex: Int32Array;
  readonly #layout: ExLayout;
  #steps = new Int32Array(0);
  #decisions = new Int32Array(0);
  #known = false;

  constructor(ex: Int32Array, layout: ExLayout) {
    this.#ex = ex;
    this.#layout = layout;
  }

  /** Another execution has ended. */
  renew(): void {
    this.#known = false;
  }

  /** Words of `Step`, step by step; the last three of those that are decisions only. */
  steps(): Int32Array {
    if (!this.#known) this.#gather();
    return this.#steps;
  }

  /** Which steps are decisions, in order. */
  decisions(): Int32Array {
    if (!this.#known) this.#gather();
    return this.#decisions;
  }

  #gather(): void {
    const ex = this.#ex;
    const count = ex[Ex.ended + Head.steps] as number;
    if (this.#decisions.length < count) {
      this.#decisions = new Int32Array(count * 2);
      this.#steps = new Int32Array(count * 2 * Step.words);
    }
    const steps = this.#steps;
    let decision = ex[Ex.ended + Head.decisions] as number;
    let trail = (ex[Ex.ended + Head.trail] as number) & 0xff;
    for (let step = count - 1; step >= 0; step--) {
      const at = step * Step.words;
      const made = trailAt(this.#layout, trail - 1) + at;
      const what = ex[made + Step.what] as number;
      for (let word: number = Step.what; word < Step.threads; word++) steps[at + word] = ex[made + word] as number;
      trail = trailOf(what);
      if ((what & DECIDED) === 0) continue;
      const chosen = trailAt(this.#layout, trail === 0 ? 0 : trail - 1) + at;
      for (let word: number = Step.threads; word < Step.words; word++) steps[at + word] = ex[chosen + word] as number;
      this.#decisions[--decision] = step;
    }
    this.#known = true;
  }
}
