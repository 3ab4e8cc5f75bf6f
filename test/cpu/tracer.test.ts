import { describe, expect, it } from 'vitest';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import { Attention, Seat } from '../../src/cpu/hw.js';
import { local_bh_disable, local_bh_enable, open_softirq, raise_softirq, Softirq } from '../../src/cpu/irq.js';
import { Cause, Ev, type Tracer } from '../../src/cpu/tracer.js';
import { kmap, kunmap } from '../../src/mm/arm/highmem.js';
import { kmap_flush_unused } from '../../src/mm/highmem.js';
import { page_to_phys } from '../../src/mm/page.js';
import { alloc_page, GFP_HIGHUSER } from '../../src/mm/page_alloc.js';
import { type SpinLock, spin_lock, spin_unlock } from '../../src/shared/spinlock.js';
import type { Vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';

interface Seen {
  readonly what: number;
  readonly args: readonly number[];
}

/** A machine of one CPU, and what its tracer hears. */
function watched(core: string) {
  const { k } = localMachine(core);
  const events: Seen[] = [];
  const tracer: Tracer = { event: (what, ...args) => void events.push({ what, args }) };
  k.setTracer(tracer);
  const of = (what: Ev): (readonly number[])[] => events.filter((e) => e.what === what).map((e) => e.args);
  return { k, events, of };
}

describe('a tracer of a CPU', () => {
  it('hears which dirty line an invalidation throws away, and whose frame it held', () => {
    const { k, of } = watched('arm926');
    const page = alloc_page(k, GFP_HIGHUSER);
    const addr = kmap(k, page);
    k.load32(addr);
    k.store32(addr, 0x1234);
    k.mmu.cacheLine(CacheOp.invalidate, addr);
    const [line, tag, pa, dirty] = of(Ev.lineDrop).at(-1) as readonly number[];
    expect([tag, pa, (dirty as number) >>> 8]).toEqual([addr, page_to_phys(k, page), Cause.invalidate]);
    expect((dirty as number) & 0xff).toBe(1);
    expect(of(Ev.store).at(-1)?.slice(0, 4)).toEqual([addr, page_to_phys(k, page), 0x1234, line]);
  });

  it('hears that an access uses another frame than the page tables name', () => {
    const { k, of } = watched('cortex-a9');
    const page = alloc_page(k, GFP_HIGHUSER);
    const addr = kmap(k, page);
    k.load32(addr);
    expect(of(Ev.stale)).toEqual([]);
    kunmap(k, page);
    // The entry goes; the translation stays where it was remembered.
    k.words[(k.sym.pkmap_pte_page - k.staticBase + (((addr >>> 12) & 0xff) << 2)) >>> 2] = 0;
    k.words[(k.sym.pkmap_pte_page - k.staticBase + 1024 + (((addr >>> 12) & 0xff) << 2)) >>> 2] = 0;
    k.store32(addr, 5);
    expect(of(Ev.stale)).toEqual([[addr, -1, 0, 0]]);
  });

  it('hears which soft interrupts run, each while it does', () => {
    const { k, events } = watched('arm926');
    for (const nr of [Softirq.NET_RX, Softirq.TASKLET]) open_softirq(k, nr, () => k.trace(Ev.barrier, nr));
    local_bh_disable(k);
    raise_softirq(k, Softirq.TASKLET);
    raise_softirq(k, Softirq.NET_RX);
    local_bh_enable(k);
    const kinds: readonly number[] = [Ev.softirqRaise, Ev.softirqAction, Ev.barrier, Ev.softirqActionEnd];
    expect(events.filter((e) => kinds.includes(e.what)).map((e) => [e.what, e.args[0]])).toEqual([
      [Ev.softirqRaise, Softirq.TASKLET],
      [Ev.softirqRaise, Softirq.NET_RX],
      ...[Softirq.NET_RX, Softirq.TASKLET].flatMap((nr) => kinds.slice(1).map((kind) => [kind, nr])),
    ]);
  });

  it('hears of locks while the attention bit is set', () => {
    const { k, of } = watched('arm926');
    k.hw[k.layout.seats + Seat.attention] = Attention.trace;
    const lock = k.sym.race_data as unknown as SpinLock;
    spin_lock(k, lock);
    spin_unlock(k, lock);
    expect([of(Ev.lockAcquired)[0]?.[0], of(Ev.lockReleased)[0]?.[0]]).toEqual([lock, lock]);
  });

  it('changes nothing that the kernel sees', () => {
    const run = (tracer: Tracer | null): number[] => {
      const { k } = localMachine('xscale');
      k.setTracer(tracer);
      const page = alloc_page(k, GFP_HIGHUSER);
      const addr = kmap(k, page);
      for (let offset = 0; offset < 4096; offset += 4) k.store32((addr + offset) as Vaddr, offset);
      const sum = [0, 4, 2048].map((offset) => k.load32((addr + offset) as Vaddr));
      kunmap(k, page);
      kmap_flush_unused(k);
      k.mmu.drain();
      return [...sum, k.memory.read32(page_to_phys(k, page)), ...k.hw.slice(k.layout.seats, k.layout.seats + 32)];
    };
    expect(run({ event: () => {} })).toEqual(run(null));
  });

  it('is silent once it is taken away', () => {
    const { k, events } = watched('arm926');
    k.setTracer(null);
    kmap(k, alloc_page(k, GFP_HIGHUSER));
    expect(events).toEqual([]);
  });
});
