/**
 * The only source of chance below the command line: xoshiro128** seeded through splitmix32. The same seed gives the same numbers
 * on any machine. Source: D. Blackman and S. Vigna, "Scrambled linear pseudorandom number generators" (2018).
 */
export class Prng {
  readonly #s = new Uint32Array(4);

  constructor(seed: number) {
    this.seed(seed);
  }

  /** One generator of many: run, execution, thread. The same numbers give the same stream; one that differs gives another. */
  static of(...parts: readonly number[]): Prng {
    return new Prng(seedOf(parts));
  }

  /** Be what of() makes of the same numbers. */
  restart(...parts: readonly number[]): this {
    this.seed(seedOf(parts));
    return this;
  }

  seed(seed: number): void {
    let z = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      z = (z + 0x9e3779b9) >>> 0;
      let t = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      t = Math.imul(t ^ (t >>> 15), 0x735a2d97);
      this.#s[i] = t ^ (t >>> 15);
    }
  }

  /** 32 random bits, unsigned. */
  u32(): number {
    const s = this.#s;
    const x = Math.imul(s[1] as number, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = (s[1] as number) << 9;
    s[2] = (s[2] as number) ^ (s[0] as number);
    s[3] = (s[3] as number) ^ (s[1] as number);
    s[1] = (s[1] as number) ^ (s[2] as number);
    s[0] = (s[0] as number) ^ (s[3] as number);
    s[2] = (s[2] as number) ^ t;
    s[3] = ((s[3] as number) << 11) | ((s[3] as number) >>> 21);
    return result;
  }

  /** Uniform integer in [0, n), n ≥ 1, without modulo bias. */
  below(n: number): number {
    const limit = 0x100000000 - (0x100000000 % n);
    let x = this.u32();
    while (x >= limit) x = this.u32();
    return x % n;
  }
}

function seedOf(parts: readonly number[]): number {
  let seed = 0x6d757270;
  for (const part of parts) {
    seed = Math.imul(seed ^ part, 0x9e3779b1);
    seed ^= seed >>> 15;
  }
  return seed;
}
