import { describe, expect, it } from 'vitest';
import { Prng } from '../../src/shared/prng.js';

const M = 0xffffffffn;
const rotl = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (32n - n))) & M;

/** xoshiro128** of Blackman and Vigna, seeded by splitmix32, in whole numbers without a width. */
function* reference(seed: number): Generator<number> {
  let z = BigInt(seed);
  const s = Array.from({ length: 4 }, () => {
    z = (z + 0x9e3779b9n) & M;
    let t = ((z ^ (z >> 16n)) * 0x21f0aaadn) & M;
    t = ((t ^ (t >> 15n)) * 0x735a2d97n) & M;
    return t ^ (t >> 15n);
  }) as [bigint, bigint, bigint, bigint];
  for (;;) {
    yield Number((rotl((s[1] * 5n) & M, 7n) * 9n) & M);
    const t = (s[1] << 9n) & M;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 11n);
  }
}

const first = (prng: Prng, n = 4): number[] => Array.from({ length: n }, () => prng.u32());

describe('Prng', () => {
  it.each([0, 1, 42, 0xffffffff])('is xoshiro128** for seed %i', (seed) => {
    const numbers = reference(seed);
    expect(first(new Prng(seed), 200)).toEqual(Array.from({ length: 200 }, () => numbers.next().value));
  });

  it('stays below the limit and reaches every number below it', () => {
    const prng = new Prng(7);
    for (const n of [1, 2, 3, 10, 17]) {
      const seen = new Set(Array.from({ length: 60 * n }, () => prng.below(n)));
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    }
    expect(prng.below(0x100000000)).toBeLessThan(0x100000000);
  });

  it('gives each thread of each execution of each seed a stream of its own, and always the same', () => {
    const streams = new Map<string, string>();
    for (const seed of [0, 1, 2]) {
      for (const execution of [1, 2, 3, 4]) {
        for (const thread of [0, 1, 2, 3]) {
          const numbers = first(Prng.of(seed, execution, thread)).join();
          expect(first(Prng.of(seed, execution, thread)).join()).toBe(numbers);
          expect(streams.get(numbers)).toBeUndefined();
          streams.set(numbers, `${seed} ${execution} ${thread}`);
        }
      }
    }
    expect(first(Prng.of(1, 2))).not.toEqual(first(Prng.of(2, 1)));
  });
});
