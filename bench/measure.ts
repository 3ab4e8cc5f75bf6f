/** Timing loops: rounds of the model and of its raw baseline take turns, so that a slow moment of the host hits both. */

export interface Sample {
  readonly name: string;
  readonly nanoseconds: number;
}

const ROUNDS = 15;

const median = (values: number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
};

/** Median nanoseconds of one iteration of each loop. @count: iterations a round. */
export function measure(loops: Readonly<Record<string, (n: number) => unknown>>, count: number): Sample[] {
  const entries = Object.entries(loops);
  for (const [, loop] of entries) for (let i = 0; i < 3; i++) loop(count >> 2);
  const times = new Map(entries.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, loop] of entries) {
      const started = performance.now();
      loop(count);
      times.get(name)?.push(((performance.now() - started) / count) * 1e6);
    }
  }
  return entries.map(([name]) => ({ name, nanoseconds: median(times.get(name) ?? []) }));
}
