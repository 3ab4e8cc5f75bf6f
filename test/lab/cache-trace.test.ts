import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Replacement } from '../../src/cpu/core.js';
import { type CacheTraceOptions, cacheTrace } from '../../src/lab/cache-trace.js';
import { UsageError } from '../../src/shared/errors.js';

/** CRC-32 of bytes given in hexadecimal, as eight digits. */
const crc = (hex: string): string =>
  crc32(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    .toString(16)
    .padStart(8, '0');

/** Two sets of two ways, 16 bytes a line: 00, 20, 40 are of set 0; 10, 30, 50 of set 1. */
const SMALL: CacheTraceOptions = { sets: 2, ways: 2, lineBytes: 16 };
const run = (trace: string, options: CacheTraceOptions = SMALL) => cacheTrace(trace.split(/; */).join('\n'), options);

describe('cacheTrace()', () => {
  it('counts hits and misses, reads and writes apart', () => {
    const { reads, writes, operations, fills } = run('r 0 4; r 4 4; w 8 4; w 10 4; r 1c 4; r 20 1');
    expect(operations).toBe(6);
    expect(reads).toEqual({ accesses: 4, hits: 2, misses: 2 });
    expect(writes).toEqual({ accesses: 2, hits: 1, misses: 1 });
    expect(fills).toBe(3);
  });

  it('splits an access at the lines of the cache', () => {
    const { reads, writes, memory, touchedBytes } = run('r c 8; w e 36');
    expect(reads).toEqual({ accesses: 2, hits: 0, misses: 2 }); // lines 00, 10
    expect(writes).toEqual({ accesses: 4, hits: 2, misses: 2 }); // lines 00, 10, 20, 30
    expect(memory.readBytes).toBe(4 * 16);
    expect(touchedBytes).toBe(0x32 - 0xc);
  });

  it('writes the number of the write into every byte, the first being 1', () => {
    const { crc32, touchedBytes } = run('w 2 3; r 0 8; w 4 2; w 100 1');
    expect(touchedBytes).toBe(9);
    expect(crc32.afterFlush).toBe(crc('0000 0101 0202 0000 03'));
    expect(crc32.beforeFlush).toBe(crc('00'.repeat(9)));
    const many = run('w 0 1; '.repeat(258));
    expect(many.crc32.afterFlush).toBe(crc('02'));
  });

  it('leaves bytes that no read or write names out of the sum', () => {
    expect(run('w 1 1; w 4 2').crc32.afterFlush).toBe(crc('01 0202'));
    expect(run('# nothing').crc32).toEqual({ beforeFlush: '00000000', afterFlush: '00000000' });
  });

  it('sums by ascending address, whatever the order of the accesses', () => {
    expect(run('w fffffffc 4; w 80000000 1; w 10 1').crc32.afterFlush).toBe(crc('03 02 01010101'));
  });

  it('evicts the least recently used line and writes it back if it is dirty', () => {
    const result = run('w 0 4; r 20 4; r 0 4; r 40 4; r 20 4; r 0 4');
    // 00 dirty, 20, 00 used again, 40 takes the way of 20, 20 that of 00, 00 that of 40
    expect(result.reads).toEqual({ accesses: 5, hits: 1, misses: 4 });
    expect(result.evictions).toBe(3);
    expect(result.writeBacks).toEqual({ lines: 1, granules: 1 });
    expect(result.memory).toEqual({ readBytes: 5 * 16, writtenBytes: 16 });
    expect(result.crc32.beforeFlush).toBe(crc('01010101 00000000 00000000'));
    expect(result.finalFlush).toEqual({ lines: 0, granules: 0 });
  });

  it('writes back dirty granules only', () => {
    const result = run('w 0 1; w 20 1; w 28 1; r 40 1; r 60 1', { ...SMALL, granuleBytes: 8 });
    expect(result.writeBacks).toEqual({ lines: 2, granules: 3 });
    expect(result.memory.writtenBytes).toBe(24);
  });

  it('flushes what is left in the end, apart from the other counts', () => {
    const result = run('w 0 1; w 8 1; w 10 1', { ...SMALL, granuleBytes: 8 });
    expect(result.writeBacks).toEqual({ lines: 0, granules: 0 });
    expect(result.finalFlush).toEqual({ lines: 2, granules: 3 });
    expect(result.memory.writtenBytes).toBe(0);
    expect(result.crc32).toEqual({ beforeFlush: crc('00 00 00'), afterFlush: crc('01 02 03') });
  });

  it('cleans lines and keeps them', () => {
    const result = run('w 0 4; w 10 4; c 0 32; r 0 4; c 0 4; c 100 1');
    expect(result.cleans).toEqual({ lines: 4, present: 3 });
    expect(result.writeBacks).toEqual({ lines: 2, granules: 2 });
    expect(result.reads).toEqual({ accesses: 1, hits: 1, misses: 0 });
    expect(result.crc32.beforeFlush).toBe(crc('01010101 02020202'));
    expect(result.finalFlush.lines).toBe(0);
  });

  it('invalidates lines, and dirty bytes are lost', () => {
    const result = run('w 0 4; r 10 4; v 0 48; r 0 4');
    expect(result.invalidates).toEqual({ lines: 3, present: 2, dirty: 1 });
    expect(result.reads).toEqual({ accesses: 2, hits: 0, misses: 2 });
    expect(result.crc32.afterFlush).toBe(crc('00000000 00000000'));
    expect(result.evictions).toBe(0);
  });

  it('lets writes that miss pass without write-allocate', () => {
    const result = run('w 0 6; r 0 1; w 0 1', { ...SMALL, writeAllocate: false });
    expect(result.writes).toEqual({ accesses: 2, hits: 1, misses: 1 });
    expect(result.fills).toBe(1);
    expect(result.memory).toEqual({ readBytes: 16, writtenBytes: 6 });
    expect(result.crc32.beforeFlush).toBe(crc('010101010101'));
    expect(result.crc32.afterFlush).toBe(crc('020101010101'));
  });

  it('sends every write to memory with write-through, and has nothing to write back', () => {
    const result = run('r 0 4; w 0 4; w 10 3; w 10 1; v 0 32', { ...SMALL, writeThrough: true });
    expect(result.writes).toEqual({ accesses: 3, hits: 2, misses: 1 });
    expect(result.fills).toBe(2);
    expect(result.memory).toEqual({ readBytes: 32, writtenBytes: 8 });
    expect(result.writeBacks.lines + result.finalFlush.lines).toBe(0);
    expect(result.invalidates.dirty).toBe(0);
    expect(result.crc32.beforeFlush).toBe(crc('01010101 030202'));
  });

  it('takes the data cache of a core, changed by what else is given', () => {
    const { cache } = cacheTrace('', { core: 'arm926' });
    expect(cache).toEqual({
      ...{ core: 'arm926', sets: 128, ways: 4, lineBytes: 32, granuleBytes: 16, bytes: 16384 },
      ...{ replacement: 'rr-invalid-first', writeThrough: false, writeAllocate: false },
    });
    expect(cacheTrace('', { core: 'arm926', lineBytes: 64, writeAllocate: true }).cache).toMatchObject({
      ...{ sets: 128, lineBytes: 64, granuleBytes: 64, writeAllocate: true },
    });
    expect(cacheTrace('', SMALL).cache).toMatchObject({ core: null, granuleBytes: 16, replacement: 'lru' });
  });

  it('has the victims of spec/hardware.md V7 on ARM926', () => {
    const trace = 'r 0000 1; r 1000 1; r 2000 1; r 3000 1; w 1000 1; r 4000 1; r 5000 1; r 6000 1; r 0 1; r 7000 1';
    const result = run(`${trace}; v 5000 1; v 7000 1; r 1000 1`, { core: 'arm926' });
    expect(result.evictions).toBe(5);
    expect(result.writeBacks).toEqual({ lines: 1, granules: 1 });
    expect(result.reads).toEqual({ accesses: 10, hits: 0, misses: 10 });
  });
});

describe('the text of a trace', () => {
  it('has comments, blank lines, 0x, capital letters, tabs and carriage returns', () => {
    const text = '# a comment\r\n\r\nr 0x10 4\r\n\tR\t0000000010 4 # again\n   \nw 1F 1';
    const { operations, reads, writes } = cacheTrace(text, SMALL);
    expect([operations, reads.hits, reads.misses, writes.hits]).toEqual([3, 1, 1, 1]);
  });

  it.each([
    ['x 10 4', 'unknown type "x": use r (read), w (write), c (clean) or v (invalidate)'],
    ['r', '"r" has no address: write "type address size", for instance "r 0x1000 4"'],
    ['r 10', '"r 10" has no size: write "type address size", for instance "r 0x1000 4"'],
    ['r 1g 4', '"1g" is no hexadecimal address: write "type address size", for instance "r 0x1000 4"'],
    ['r 10 0', '"0" is no size: give a decimal number of bytes from 1'],
    ['r 10 -1', '"-1" is no size: give a decimal number of bytes from 1'],
    ['r 10 4 4', '"4" is too much: write "type address size", for instance "r 0x1000 4"'],
    ['r fffffffe 3', '"r fffffffe 3" ends beyond 32 bits: give a smaller address or size'],
    ['r 123456789 3', '"r 123456789 3" ends beyond 32 bits: give a smaller address or size'],
  ])('is refused at "%s", with the number of the line, the cause and the mend', (line, message) => {
    const run = () => cacheTrace(`# first\nr 0 4\n${line}\n`, { ...SMALL, name: 'some.trace' });
    expect(run).toThrow(new UsageError(`some.trace: line 3: ${message}`));
  });

  it('is refused when it touches more memory than there is room for', () => {
    expect(() => cacheTrace('r 0 4\nr 0 4294967295', SMALL)).toThrow(/line 2: too much memory is touched/);
  });

  it('may name the last byte of 32 bits', () => {
    expect(run('r fffffffc 4; v 0 64; w ffffffff 1').writes.hits).toBe(1);
  });
});

describe('a cache that cannot be built', () => {
  it.each<[CacheTraceOptions, RegExp]>([
    [{}, /^the cache has no sets, ways, line: name a core, or give sets, ways and line$/],
    [{ sets: 2, ways: 2 }, /^the cache has no line: /],
    [{ ...SMALL, sets: 3 }, /^sets 3: give a power of two from 1 to 1048576$/],
    [{ ...SMALL, lineBytes: 24 }, /^line 24: give a power of two from 4 to 4096$/],
    [{ ...SMALL, granuleBytes: 32 }, /^granule 32: give a power of two from 4 to 16$/],
    [{ ...SMALL, lineBytes: 128, granuleBytes: 8 }, /^granule 8: give a power of two from 16 to 128$/],
    [{ ...SMALL, ways: 0 }, /^ways 0: give a whole number from 1 to 4096$/],
    [{ sets: 1 << 20, ways: 4096, lineBytes: 64 }, /more than 64 MB: give fewer of them$/],
    [{ ...SMALL, replacement: 'fifo' as Replacement }, /^unknown replacement "fifo"/],
    [{ core: 'arm9266' }, /^unknown core "arm9266" \(did you mean "arm926"\?\)/],
  ])('is refused: %j', (options, message) => {
    expect(() => cacheTrace('', options)).toThrow(UsageError);
    expect(() => cacheTrace('', options)).toThrow(message);
  });
});

/** Another simulator, as simple as can be: sets are lists of lines in the order in which they will go. */
class Simple {
  readonly #sets = new Map<number, { line: number; bytes: Map<number, number>; dirty: Set<number> }[]>();
  readonly memory = new Map<number, number>();
  readonly touched = new Set<number>();
  readonly out = { hits: 0, misses: 0, fills: 0, evictions: 0, lines: 0, granules: 0, lost: 0 };
  readonly #o: Required<Omit<CacheTraceOptions, 'core' | 'name'>>;

  constructor(options: Required<Omit<CacheTraceOptions, 'core' | 'name'>>) {
    this.#o = options;
  }

  op(type: string, address: number, size: number, value: number): void {
    const { lineBytes } = this.#o;
    for (let line = Math.floor(address / lineBytes); line * lineBytes < address + size; line++) {
      const from = Math.max(address, line * lineBytes);
      const to = Math.min(address + size, (line + 1) * lineBytes);
      if (type === 'c' || type === 'v') this.#maintain(type, line);
      else this.#access(type, line, from, to, value);
    }
  }

  #set(line: number) {
    const index = line % this.#o.sets;
    const set = this.#sets.get(index) ?? [];
    this.#sets.set(index, set);
    return set;
  }

  #access(type: string, line: number, from: number, to: number, value: number): void {
    const { writeThrough, writeAllocate, replacement, ways, lineBytes, granuleBytes } = this.#o;
    const set = this.#set(line);
    let entry = set.find((e) => e.line === line);
    this.out[entry ? 'hits' : 'misses']++;
    for (let at = from; at < to; at++) this.touched.add(at);
    if (!entry && type === 'w' && !writeAllocate) {
      for (let at = from; at < to; at++) this.memory.set(at, value);
      return;
    }
    if (!entry) {
      if (set.length === ways) {
        this.#writeBack(set[0] as never);
        set.shift();
        this.out.evictions++;
      }
      entry = { line, bytes: new Map(), dirty: new Set() };
      for (let i = 0; i < lineBytes; i++) entry.bytes.set(i, this.memory.get(line * lineBytes + i) ?? 0);
      this.out.fills++;
      set.push(entry);
    } else if (replacement === 'lru') {
      set.splice(set.indexOf(entry), 1);
      set.push(entry);
    }
    if (type !== 'w') return;
    for (let at = from; at < to; at++) {
      const offset = at - line * lineBytes;
      entry.bytes.set(offset, value);
      if (writeThrough) this.memory.set(at, value);
      else entry.dirty.add(Math.floor(offset / granuleBytes));
    }
  }

  #writeBack(entry: { line: number; bytes: Map<number, number>; dirty: Set<number> }): void {
    const { lineBytes, granuleBytes } = this.#o;
    if (entry.dirty.size > 0) this.out.lines++;
    this.out.granules += entry.dirty.size;
    for (const [offset, byte] of entry.bytes) {
      if (entry.dirty.has(Math.floor(offset / granuleBytes))) this.memory.set(entry.line * lineBytes + offset, byte);
    }
    entry.dirty.clear();
  }

  #maintain(type: string, line: number): void {
    const set = this.#set(line);
    const entry = set.find((e) => e.line === line);
    if (entry === undefined) return;
    if (type === 'c') this.#writeBack(entry);
    else {
      if (entry.dirty.size > 0) this.out.lost++;
      set.splice(set.indexOf(entry), 1);
    }
  }

  flush(): void {
    for (const set of this.#sets.values()) for (const entry of set) this.#writeBack(entry);
  }

  get crc(): string {
    const bytes = [...this.touched].sort((a, b) => a - b).map((at) => this.memory.get(at) ?? 0);
    return crc(Buffer.from(bytes).toString('hex'));
  }
}

describe('against another simulator', () => {
  const operations = fc.array(
    fc.record({
      type: fc.constantFrom('r', 'r', 'w', 'w', 'w', 'c', 'v'),
      address: fc.nat(0x1ff),
      size: fc.integer({ min: 1, max: 40 }),
    }),
    { maxLength: 300, size: 'max' },
  );
  const geometry = fc.record({
    sets: fc.constantFrom(1, 2, 4),
    ways: fc.constantFrom(1, 2, 3, 4),
    lineBytes: fc.constantFrom(8, 16, 32),
    granuleBytes: fc.constantFrom(4, 8),
    writeThrough: fc.boolean(),
    writeAllocate: fc.boolean(),
  });

  const compare = (trace: { type: string; address: number; size: number }[], options: Required<CacheTraceOptions>) => {
    const simple = new Simple(options);
    let writes = 0;
    for (const { type, address, size } of trace) {
      if (type === 'w') writes++;
      simple.op(type, address, size, writes & 0xff);
    }
    const before = simple.crc;
    const { hits, misses, fills, evictions, lines, granules, lost } = simple.out;
    simple.flush();
    const text = trace.map(({ type, address, size }) => `${type} ${address.toString(16)} ${size}`).join('\n');
    const seen = cacheTrace(text, { ...options, core: undefined } as never);
    expect({
      hits: seen.reads.hits + seen.writes.hits,
      misses: seen.reads.misses + seen.writes.misses,
      ...{ fills: seen.fills, evictions: seen.evictions, ...seen.writeBacks, lost: seen.invalidates.dirty },
      crc32: seen.crc32,
    }).toEqual({
      ...{ hits, misses, fills, evictions, lines, granules, lost },
      crc32: { beforeFlush: before, afterFlush: simple.crc },
    });
  };

  it('agrees on every count and byte with least recently used lines', () => {
    fc.assert(
      fc.property(operations, geometry, (trace, options) =>
        compare(trace, { ...options, replacement: 'lru' } as never),
      ),
      { numRuns: 150, seed: 6 },
    );
  });

  it('agrees with round robin per set as long as nothing is invalidated, when it is first in, first out', () => {
    fc.assert(
      fc.property(operations, geometry, (trace, options) => {
        const valid = trace.filter(({ type }) => type !== 'v');
        compare(valid, { ...options, replacement: 'rr-per-set' } as never);
      }),
      { numRuns: 150, seed: 7 },
    );
  });

  it('has the same memory in the end through any cache if nothing is invalidated', () => {
    fc.assert(
      fc.property(operations, geometry, (trace, options) => {
        const valid = trace.filter(({ type }) => type !== 'v');
        const text = valid.map(({ type, address, size }) => `${type} ${address.toString(16)} ${size}`).join('\n');
        const sums = (['random', 'rr-shared-unconditional', 'rr-invalid-first'] as const).map(
          (replacement) => cacheTrace(text, { ...options, replacement }).crc32.afterFlush,
        );
        expect(new Set([...sums, cacheTrace(text, { core: 'cortex-a15' }).crc32.afterFlush]).size).toBe(1);
      }),
      { numRuns: 50, seed: 8 },
    );
  });
});
