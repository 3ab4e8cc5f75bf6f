/** Coherent profiles: the transitions of spec/hardware.md §4.6, on three CPUs driven in turn. */
import { describe, expect, it } from 'vitest';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { localMachine } from '../machine.js';
import { core, dmaWrite, ld, mesi, ram, setRam, st } from './bytes.js';

const VA = 0xc0003000;
const PA = 0x3000;
const CORES = ['arm11mpcore', 'cortex-a9', 'cortex-a9-l2', 'cortex-a15'];

class Bench {
  readonly cpus: readonly Kernel[];
  constructor(id: string) {
    this.cpus = localMachine(id, { core: core(id, { physBase: 0 }), cpus: 3 }).cpus;
    setRam(this.k(0), PA, '11*64');
  }
  k(cpu: number): Kernel {
    return this.cpus[cpu] as Kernel;
  }
  load(cpu: number): number {
    return ld(this.k(cpu), VA);
  }
  store(cpu: number, byte: number): void {
    st(this.k(cpu), VA, byte);
  }
  op(cpu: number, op: CacheOp): void {
    this.k(cpu).mmu.cacheLine(op, VA);
  }
  get states(): string {
    return this.cpus.map((k) => mesi(k, PA)).join('');
  }
  /** The byte that CPUs without the line would read behind the caches. */
  get memory(): number {
    return this.k(0).memory.readCacheable32(PA as never) & 0xff;
  }
}

describe.each(CORES)('%s: a load that misses', (id) => {
  it('is exclusive if nobody has the line', () => {
    const m = new Bench(id);
    m.load(0);
    expect(m.states).toBe('EII');
  });

  it('shares a clean line', () => {
    const m = new Bench(id);
    m.load(0);
    m.load(1);
    expect(m.states).toBe('SSI');
    m.load(2);
    expect(m.states).toBe('SSS');
  });

  it('gets a dirty line from its owner, and memory is updated', () => {
    const m = new Bench(id);
    m.store(0, 0xa1);
    expect(m.states).toBe('MII');
    expect(m.memory).toBe(0x11);
    expect(m.load(1)).toBe(0xa1);
    expect(m.states).toBe('SSI');
    expect(m.memory).toBe(0xa1);
  });
});

describe.each(CORES)('%s: a store', (id) => {
  it('to an exclusive line modifies it', () => {
    const m = new Bench(id);
    m.load(0);
    m.store(0, 0xa1);
    m.store(0, 0xa2);
    expect(m.states).toBe('MII');
    expect(m.memory).toBe(0x11);
  });

  it('to a shared line takes all other copies away', () => {
    const m = new Bench(id);
    for (const cpu of [0, 1, 2]) m.load(cpu);
    m.store(1, 0xa1);
    expect(m.states).toBe('IMI');
    expect([m.load(0), m.load(2)]).toEqual([0xa1, 0xa1]);
    expect(m.states).toBe('SSS');
  });

  it('to a line that another CPU has dirty gets its bytes first', () => {
    const m = new Bench(id);
    m.store(0, 0xa1);
    st(m.k(1), VA + 1, 0xa2);
    expect(m.states).toBe('IMI');
    expect([ld(m.k(2), VA), ld(m.k(2), VA + 1)]).toEqual([0xa1, 0xa2]);
  });
});

describe('maintenance by address on ARM11 MPCore, where it is local', () => {
  it('cleans the own line and no other', () => {
    const m = new Bench('arm11mpcore');
    m.store(0, 0xa1);
    m.op(1, CacheOp.clean);
    expect([m.states, m.memory]).toEqual(['MII', 0x11]);
    m.op(0, CacheOp.clean);
    expect([m.states, m.memory]).toEqual(['EII', 0xa1]);
  });

  it('invalidates the own line and no other', () => {
    const m = new Bench('arm11mpcore');
    for (const cpu of [0, 1, 2]) m.load(cpu);
    m.op(1, CacheOp.invalidate);
    expect(m.states).toBe('SIS');
    m.store(0, 0xa1);
    m.op(0, CacheOp.invalidate);
    expect([m.states, m.memory]).toEqual(['III', 0x11]);
  });

  it('cleans and invalidates the own line and no other', () => {
    const m = new Bench('arm11mpcore');
    m.store(0, 0xa1);
    m.op(1, CacheOp.flush);
    expect([m.states, m.memory]).toEqual(['MII', 0x11]);
    m.op(0, CacheOp.flush);
    expect([m.states, m.memory]).toEqual(['III', 0xa1]);
  });
});

describe.each(['cortex-a9', 'cortex-a15'])('maintenance by address on %s, where it is broadcast', (id) => {
  it('cleans the line wherever it is dirty', () => {
    const m = new Bench(id);
    m.store(0, 0xa1);
    m.op(1, CacheOp.clean);
    expect([m.states, m.memory]).toEqual(['EII', 0xa1]);
  });

  it('invalidates every copy, and dirty bytes are lost everywhere', () => {
    const m = new Bench(id);
    for (const cpu of [0, 1, 2]) m.load(cpu);
    m.op(1, CacheOp.invalidate);
    expect(m.states).toBe('III');
    m.store(0, 0xa1);
    m.op(1, CacheOp.invalidate);
    expect([m.states, m.load(0)]).toEqual(['III', 0x11]);
  });

  it('cleans and invalidates every copy', () => {
    const m = new Bench(id);
    m.store(0, 0xa1);
    m.op(2, CacheOp.flush);
    expect([m.states, m.memory]).toEqual(['III', 0xa1]);
  });

  it('leaves other CPUs alone when it is of the whole cache: set and way are local', () => {
    const m = new Bench(id);
    m.store(0, 0xa1);
    m.k(1).mmu.cache.flushAll();
    expect([m.states, m.memory]).toEqual(['MII', 0x11]);
    m.k(0).mmu.cache.flushAll();
    expect([m.states, m.memory]).toEqual(['III', 0xa1]);
  });
});

describe('a device outside the coherence domain', () => {
  it('changes no state, and CPUs go on with their copies', () => {
    const m = new Bench('cortex-a9');
    m.load(0);
    m.load(1);
    dmaWrite(m.k(0), PA, 'dd*32');
    expect([m.states, m.load(0), m.load(2)]).toEqual(['SSI', 0x11, 0xdd]);
    expect(m.states).toBe('SSS');
    expect(ram(m.k(0), PA, 32)).toBe('dd*32');
  });
});

describe('an eviction from a coherent cache', () => {
  it('writes back at the set pressure of one CPU without touching the others', () => {
    const m = new Bench('arm11mpcore'); // 4 ways, 8 KB apart
    m.load(1);
    m.store(0, 0xa1);
    for (let n = 1; n <= 4; n++) ld(m.k(0), VA + n * 0x2000);
    expect([m.states, m.memory]).toEqual(['III', 0xa1]);
    expect(m.load(1)).toBe(0xa1);
    expect(m.states).toBe('IEI');
  });
});
