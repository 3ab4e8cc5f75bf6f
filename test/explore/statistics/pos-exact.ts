/**
 * POS as its paper defines it, for two threads without waits, computed: the priority of a pending step is a random number between 0 and 1, and what is
 * known of it is a density, a polynomial. The higher one goes; its thread's next step draws anew, and so does the other if the two race; else
 * what is known of the other is that it was lower.
 *
 * Source: Yuan, Yang and Gu, CAV 2018, algorithm 1.
 */

/** Coefficients, the constant first. */
type Polynomial = readonly number[];
const UNIFORM: Polynomial = [1];

const times = (a: Polynomial, b: Polynomial): number[] => {
  const out = new Array<number>(a.length + b.length - 1).fill(0);
  a.forEach((x, i) => {
    b.forEach((y, j) => {
      out[i + j]! += x * y;
    });
  });
  return out;
};
/** Integral from 0 to x. */
const integral = (p: Polynomial): number[] => [0, ...p.map((c, i) => c / (i + 1))];
const total = (p: Polynomial): number => integral(p).reduce((sum, c) => sum + c, 0);
/** Probability that one with this density is above x. */
const above = (p: Polynomial): number[] => integral(p).map((c, i) => (i === 0 ? 1 - c : -c));

/** A step of a thread: what it touches, and whether it writes there. */
export interface PosStep {
  readonly at: string;
  readonly write: boolean;
}

const race = (a: PosStep, b: PosStep): boolean => a.at === b.at && (a.write || b.write);

/** Probability of each execution, by the threads in the order in which they go. */
export function posProbabilities(threads: readonly [readonly PosStep[], readonly PosStep[]]): Map<string, number> {
  const out = new Map<string, number>();
  const go = (
    at: readonly [number, number],
    known: readonly [Polynomial, Polynomial],
    trace: string,
    p: number,
  ): void => {
    const left = [0, 1].filter((t) => at[t]! < threads[t]!.length);
    if (left.length === 0) out.set(trace, (out.get(trace) ?? 0) + p);
    for (const winner of left) {
      const loser = 1 - winner;
      const next: [number, number] = [at[0], at[1]];
      next[winner]!++;
      const after: [Polynomial, Polynomial] = [UNIFORM, UNIFORM];
      let chance = 1;
      if (left.length === 2) {
        const lower = times(known[loser]!, above(known[winner]!));
        chance = total(lower);
        const drawsAnew = race(threads[winner]![at[winner]!]!, threads[loser]![at[loser]!]!);
        if (!drawsAnew) after[loser] = lower.map((c) => c / chance);
      }
      go(next, after, trace + winner, p * chance);
    }
  };
  go([0, 0], [UNIFORM, UNIFORM], 'trace ', 1);
  return out;
}
