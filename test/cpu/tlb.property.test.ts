/** Random remapping, accesses and TLB maintenance: a CPU uses the present mapping, or one that it may still remember. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../src/cpu/kernel.js';
import { localMachine } from '../machine.js';
import { core, ld, MT_UNCACHED, map } from './bytes.js';

const PKMAP = 0xbfe00000;
const PAGES = 5;
const SLOTS = 6;
const RAM = 0xe0000;

interface Op {
  readonly kind: 'map' | 'access' | 'flush' | 'broadcast' | 'flushAll';
  readonly cpu: number;
  readonly slot: number;
  readonly page: number;
}

const ops = fc.array(
  fc.record<Op>({
    kind: fc.constantFrom('map', 'map', 'access', 'access', 'access', 'flush', 'broadcast', 'flushAll'),
    cpu: fc.nat(2),
    slot: fc.nat(SLOTS - 1),
    page: fc.nat(PAGES - 1),
  }),
  { minLength: 1, maxLength: 120, size: 'max' },
);

/** Mappings that each CPU may use: the present one first, then those since its last flush of the slot. */
class Remembered {
  readonly #present = new Array<number>(SLOTS).fill(0);
  readonly #old: Set<number>[][];
  constructor(cpus: number) {
    this.#old = Array.from({ length: cpus }, () => Array.from({ length: SLOTS }, () => new Set<number>()));
  }
  map(slot: number, page: number): void {
    for (const cpu of this.#old) cpu[slot]?.add(this.#present[slot] as number);
    this.#present[slot] = page;
  }
  flush(cpu: number, slot: number): void {
    this.#old[cpu]?.[slot]?.clear();
  }
  permits(cpu: number, slot: number, page: number): boolean {
    return this.#present[slot] === page || (this.#old[cpu]?.[slot]?.has(page) ?? false);
  }
}

describe.each(['arm11mpcore', 'cortex-a9'])('translations on %s', (id) => {
  // Four entries for six slots: entries are replaced all the time.
  const row = core(id, { physBase: 0, tlbEntries: 4 });
  const { cpus, k } = localMachine(id, { core: row, cpus: 3, pkmapSlots: 512 });
  for (let page = 0; page < PAGES; page++) k.bytes[RAM + page * 4096] = page;

  it('are the present ones, or older ones until the CPU is flushed', () => {
    fc.assert(
      fc.property(ops, (steps) => {
        const remembered = new Remembered(3);
        for (let slot = 0; slot < SLOTS; slot++) map(k, PKMAP + slot * 4096, RAM, MT_UNCACHED);
        for (const cpu of cpus) cpu.mmu.flushTlbAll();
        for (const op of steps) step(op, remembered);
      }),
      { numRuns: 100, seed: 5 },
    );
  });

  function step({ kind, cpu, slot, page }: Op, remembered: Remembered): void {
    const on = cpus[cpu] as Kernel;
    const va = PKMAP + slot * 4096;
    if (kind === 'map') {
      map(on, va, RAM + page * 4096, MT_UNCACHED);
      remembered.map(slot, page);
    } else if (kind === 'access') expect(remembered.permits(cpu, slot, ld(on, va))).toBe(true);
    else if (kind === 'flushAll') {
      on.mmu.flushTlbAll();
      for (let n = 0; n < SLOTS; n++) remembered.flush(cpu, n);
    } else {
      on.mmu.flushTlbPage(va, kind === 'broadcast');
      const everywhere = kind === 'broadcast' && row.tlbOpsBroadcast;
      for (let n = 0; n < 3; n++) if (everywhere || n === cpu) remembered.flush(n, slot);
    }
  }
});
