/**
 * Random loads, stores, maintenance, evictions and DMA on every core, held against flat memory and the bytes that may legally be read
 * (reference.ts). Each core runs with its own geometry and with one so small that lines are evicted all the time.
 */
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { CORES } from '../../src/arch/arm/cores.js';
import type { CoreRow } from '../../src/cpu/core.js';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import type { Paddr, Vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';
import { MT_WRITEBACK, MT_WRITETHROUGH, map, mesi } from './bytes.js';
import { Reference } from './reference.js';

const PHYS = 0x20000000;
const DIRECT = 0xc0000000;
/** First byte that the operations touch: above all kernel data, at a multiple of every way's size. */
const FIRST = 0x80000;
const LINES = 14;

interface Op {
  readonly kind: string;
  readonly cpu: number;
  readonly line: number;
  readonly offset: number;
  readonly value: number;
}

const ops = (kinds: readonly string[]): fc.Arbitrary<Op[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom(...kinds),
      cpu: fc.nat(2),
      line: fc.nat(LINES - 1),
      // few enough that operations meet, in every quarter of a line
      offset: fc.constantFrom(0, 1, 4, 7, 14, 16, 31, 32, 48, 63),
      value: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
    }),
    { minLength: 1, maxLength: 150, size: 'max' },
  );

const ACCESSES = ['load8', 'load32', 'load32', 'store8', 'store8', 'store16', 'store32'];
/** What loses nothing. */
const CAREFUL = [...ACCESSES, ...ACCESSES, 'clean', 'flush', 'flushAll', 'drain', 'speculate', 'dmaRead'];
/** What may lose bytes; `settle` finds out which. */
const WILD = [...CAREFUL, 'invalidate', 'invalidate', 'dmaWrite', 'dmaWrite', 'settle', 'settle'];

/** A machine with a reference beside it. Lines alternate between two sets, so that they compete for ways. */
class Tandem {
  readonly cpus: readonly Kernel[];
  /** Where the pages are mapped: an alias for each CPU number that an operation may have. */
  readonly #bases: readonly number[];
  readonly #lineBytes: number;
  readonly #spacing: number;
  #reference: Reference;

  constructor(core: CoreRow, bases: readonly number[] = [DIRECT + FIRST]) {
    const cpus = Math.min(core.cpusMax, 3);
    const options = { core: { ...core, physBase: PHYS }, cpus, pkmapSlots: 512 };
    this.cpus = localMachine(core.id, options).cpus;
    this.#bases = bases;
    this.#lineBytes = core.dcache.lineBytes;
    this.#spacing = core.dcache.sets * core.dcache.lineBytes;
    this.#reference = this.#reset();
  }

  /** As after reset, with bytes in memory that say where they are. */
  #reset(): Reference {
    const { memory, mmu } = this.#k(0);
    mmu.cache.reset();
    memory.outer?.store.reset();
    for (const k of this.cpus) k.mmu.drain();
    const flat = new Uint8Array(LINES * this.#lineBytes);
    for (let i = 0; i < flat.length; i++) flat[i] = i * 7 + 1;
    for (let line = 0; line < LINES; line++) {
      memory.bytes.set(flat.subarray(line * this.#lineBytes, (line + 1) * this.#lineBytes), this.#ramAt(line));
    }
    return new Reference(flat, this.#lineBytes);
  }

  #k(cpu: number): Kernel {
    return this.cpus[cpu % this.cpus.length] as Kernel;
  }

  /** Offset of a line from the first byte. */
  #offset(line: number): number {
    return (line & 1) * this.#lineBytes + (line >> 1) * this.#spacing;
  }
  #ramAt(line: number): number {
    return FIRST + this.#offset(line);
  }
  #va(line: number, cpu: number): number {
    return (this.#bases[cpu % this.#bases.length] as number) + this.#offset(line);
  }

  /** Do it to both. Return: what is wrong, or null. */
  step({ kind, cpu, line, offset, value }: Op): string | null {
    const k = this.#k(cpu);
    const width = kind.endsWith('32') || kind.startsWith('dma') ? 4 : kind.endsWith('16') ? 2 : 1;
    const at = (offset % this.#lineBytes) & -width;
    const va = this.#va(line, cpu) + at;
    const flat = line * this.#lineBytes + at;
    const byteOf = (i: number): number => (value >>> (i * 8)) & 0xff;
    const pa = (PHYS + this.#ramAt(line) + (at & ~3)) as Paddr;
    if (kind.startsWith('load')) {
      const seen = width === 4 ? k.load32(va as Vaddr) : k.load8(va as Vaddr);
      return this.#compare(seen, flat, width, (i, byte) => this.#reference.permits(i, byte));
    }
    if (kind.startsWith('store')) {
      if (width === 4) k.store32(va as Vaddr, value);
      else if (width === 2) k.store16(va as Vaddr, value & 0xffff);
      else k.store8(va as Vaddr, value & 0xff);
      for (let i = 0; i < width; i++) this.#reference.store(flat + i, byteOf(i));
      if (this.#bases.length > 1) this.#reference.doubt(flat);
    } else if (kind === 'dmaRead') {
      const seen = k.memory.read32(pa);
      if (k.memory.outer !== null) return null; // and RAM may lag further behind
      return this.#compare(seen, flat, width, (i, byte) => this.#reference.permitsInMemory(i, byte));
    } else if (kind === 'dmaWrite') {
      k.memory.write32(pa, value);
      for (let i = 0; i < width; i++) this.#reference.dma(flat + i, byteOf(i));
    } else if (kind === 'invalidate') {
      k.mmu.cacheLine(CacheOp.invalidate, va);
      this.#reference.doubt(flat);
    } else if (kind === 'clean' || kind === 'flush') k.mmu.cacheLine(CacheOp[kind], va);
    else if (kind === 'flushAll') k.mmu.cache.flushAll();
    else if (kind === 'drain') k.mmu.drain();
    else if (kind === 'speculate') k.mmu.speculativeFill(va);
    else if (kind === 'settle') return this.settle(line);
    return null;
  }

  #compare(seen: number, flat: number, width: number, permits: (at: number, byte: number) => boolean): string | null {
    for (let i = 0; i < width; i++) {
      const byte = (seen >>> (i * 8)) & 0xff;
      if (!permits(flat + i, byte)) return `byte ${flat + i}: ${byte.toString(16)} is impossible`;
    }
    return null;
  }

  /** Clean and invalidate a line everywhere; memory then holds what the reference permits, and is the truth from now on. */
  settle(line: number): string | null {
    for (const k of this.cpus) {
      for (let alias = 0; alias < this.#bases.length; alias++) k.mmu.cacheLine(CacheOp.flush, this.#va(line, alias));
      k.mmu.drain();
    }
    const { memory } = this.#k(0);
    memory.outer?.flushLine((PHYS + this.#ramAt(line)) as Paddr);
    return this.#settled(line);
  }

  #settled(line: number): string | null {
    const { bytes } = this.#k(0).memory;
    const start = line * this.#lineBytes;
    const flat = new Uint8Array(LINES * this.#lineBytes);
    for (let i = 0; i < this.#lineBytes; i++) {
      const byte = bytes[this.#ramAt(line) + i] as number;
      flat[start + i] = byte;
      if (!this.#reference.permits(start + i, byte))
        return `byte ${start + i} in memory: ${byte.toString(16)} is impossible`;
    }
    this.#reference.settle(start, flat);
    return null;
  }

  /** All caches are flushed as a whole: memory equals the reference. */
  #end(): string | null {
    for (const k of this.cpus) {
      k.mmu.cache.flushAll();
      k.mmu.drain();
    }
    for (let line = 0; line < LINES; line++) {
      this.#k(0).memory.outer?.flushLine((PHYS + this.#ramAt(line)) as Paddr);
      const wrong = this.#settled(line);
      if (wrong !== null) return wrong;
    }
    return null;
  }

  /** A line that one CPU has exclusive or modified is in no other cache. */
  #wrongStates(line: number): string | null {
    if (this.#k(0).config.core.coherence !== 'mesi') return null;
    const states = this.cpus.map((k) => mesi(k, PHYS + this.#ramAt(line))).join('');
    return /^(?:[IS]*|I*[EM]I*)$/.test(states) ? null : `line ${line}: states ${states}`;
  }

  run(steps: readonly Op[]): void {
    this.#reference = this.#reset();
    for (const op of steps) {
      fail(this.step(op) ?? this.#wrongStates(op.line));
    }
    fail(this.#end());
  }
}

function fail(wrong: string | null): void {
  if (wrong !== null) throw new Error(wrong);
}

/** The row as it is, and with caches of a few lines. */
const variants = (row: CoreRow): [string, CoreRow][] => [
  [row.id, row],
  [
    `${row.id} with few lines`,
    {
      ...row,
      dcache: { ...row.dcache, sets: 2, ways: 2 },
      outer: row.outer && { ...row.outer, sets: 2, ways: 2 },
    },
  ],
];

describe.each(CORES.flatMap(variants))('%s', (_, row) => {
  it('loads what was stored last, on any CPU, and has it all in memory after a flush', () => {
    const tandem = new Tandem(row);
    fc.assert(
      fc.property(ops(CAREFUL), (steps) => tandem.run(steps)),
      { numRuns: 50, seed: 1 },
    );
  });

  it('never loads a byte that nobody stored since memory and caches agreed, whatever is thrown away', () => {
    const tandem = new Tandem(row);
    fc.assert(
      fc.property(ops(WILD), (steps) => tandem.run(steps)),
      { numRuns: 50, seed: 2 },
    );
  });
});

const ARM926 = CORES.find((c) => c.id === 'arm926') as CoreRow;
const [PKMAP, SECOND] = [0xbfe00000, 0xbfe10000];

/** A machine whose pages are mapped at each of @bases. */
function mapped(bases: readonly number[], type: number): Tandem {
  const tandem = new Tandem(ARM926, bases);
  const [k] = tandem.cpus as [Kernel];
  for (const base of bases) {
    for (let page = 0; page < 16; page++) map(k, base + page * 4096, PHYS + FIRST + page * 4096, type);
  }
  return tandem;
}

describe('a write-through mapping', () => {
  it('loads what was stored last', () => {
    const tandem = mapped([PKMAP], MT_WRITETHROUGH);
    fc.assert(
      fc.property(ops(CAREFUL), (steps) => tandem.run(steps)),
      { numRuns: 50, seed: 3 },
    );
  });
});

describe('two virtual aliases in a virtually tagged cache', () => {
  it('may lose stores of each other, and never make up bytes', () => {
    const tandem = mapped([PKMAP, SECOND], MT_WRITEBACK);
    fc.assert(
      fc.property(ops(WILD), (steps) => tandem.run(steps)),
      { numRuns: 50, seed: 4 },
    );
  });
});
