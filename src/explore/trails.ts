/** Steps and decisions of the execution that has ended, in order: gathered from the trails of all contexts when somebody asks. */
import { Decided, Ex, type ExLayout, Head, Step, trailAt, trailOf } from './shared-state.js';

const decisionTrailOf = (what: number): number => what >>> 16;

export class Trails {
  readonly #ex: Int32Array;
  readonly #layout: ExLayout;
  #steps = new Int32Array(0);
  #decisions = new Int32Array(0);
  #stepsKnown = false;
  #decisionsKnown = false;

  constructor(ex: Int32Array, layout: ExLayout) {
    this.#ex = ex;
    this.#layout = layout;
  }

  /** Another execution has ended. */
  renew(): void {
    this.#stepsKnown = false;
    this.#decisionsKnown = false;
  }

  /** Words of `Step`, step by step. */
  steps(): Int32Array {
    if (this.#stepsKnown) return this.#steps;
    const ex = this.#ex;
    const count = ex[Ex.ended + Head.steps] as number;
    if (this.#steps.length < count * Step.words) this.#steps = new Int32Array(count * Step.words * 2);
    let trail = (ex[Ex.ended + Head.trails] as number) & 0xff;
    for (let step = count - 1; step >= 0; step--) {
      const from = trailAt(this.#layout, trail - 1) + step * Step.words;
      for (let word = 0; word < Step.words; word++) this.#steps[step * Step.words + word] = ex[from + word] as number;
      trail = trailOf(ex[from + Step.what] as number);
    }
    this.#stepsKnown = true;
    return this.#steps;
  }

  /** Words of `Decided`, decision by decision. */
  decisions(): Int32Array {
    if (this.#decisionsKnown) return this.#decisions;
    const ex = this.#ex;
    const { words } = Decided;
    const count = ex[Ex.ended + Head.decisions] as number;
    if (this.#decisions.length < count * words) this.#decisions = new Int32Array(count * words * 2);
    let trail = ((ex[Ex.ended + Head.trails] as number) >>> 8) & 0xff;
    for (let decision = count - 1; decision >= 0; decision--) {
      const from = decisionsAt(this.#layout, trail - 1) + decision * words;
      for (let word = 0; word < words; word++) this.#decisions[decision * words + word] = ex[from + word] as number;
      trail = decisionTrailOf(ex[from + Decided.what] as number);
    }
    this.#decisionsKnown = true;
    return this.#decisions;
  }
}

/** Where the decisions of a context's trail begin. */
export const decisionsAt = (layout: ExLayout, context: number): number =>
  trailAt(layout, context) + layout.stepsMax * Step.words;
