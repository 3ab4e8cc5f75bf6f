/**
 * The TLB examples T1 to T4 and T8 of spec/hardware.md §6.3, replacement, and address-space numbers.
 * T5 to T7 and T9 are of PA-RISC. Page tables that a test wants in the caches are in ordinary pages: those in static kernel data skip them.
 */
import { describe, expect, it } from 'vitest';
import { __fix_to_virt, PKMAP_ADDR } from '../../src/arch/arm/memory.js';
import { set_pte_ext } from '../../src/arch/arm/pgtable.js';
import { flush_tlb_kernel_range, local_flush_tlb_kernel_page } from '../../src/arch/arm/tlb.js';
import { CacheOp } from '../../src/cpu/cpu-cache.js';
import { Attention, Seat } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { kmap, kunmap } from '../../src/mm/arm/highmem.js';
import { page_to_phys } from '../../src/mm/page.js';
import { alloc_page, GFP_HIGHUSER } from '../../src/mm/page_alloc.js';
import { KernelBug } from '../../src/shared/errors.js';
import { Point } from '../../src/shared/point.js';
import { spin_lock_irqsave } from '../../src/shared/spinlock.js';
import { type Paddr, ptr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';
import { core, ld, linuxPte, loads, MT_UNCACHED, MT_WRITEBACK, map, ram, setPgd, setRam, st, stat } from './bytes.js';

const SMALL_PAGES = { physBase: 0 };
/** Pages of the direct map that no kernel data is in. */
const [A, B, TABLE] = [0xe1000, 0xe2000, 0xe0000];
const DIRECT = 0xc0000000;

const machine = (id: string, cpus = 1, options = {}): Kernel[] => {
  const { cpus: all, k } = localMachine(id, { core: core(id, SMALL_PAGES), cpus, pkmapSlots: 512, ...options });
  setRam(k, A, 'a0*64');
  setRam(k, B, 'b0*64');
  setRam(k, TABLE, '00*4096');
  return [...all];
};

/** Address of the hardware entry of @va in the table at TABLE, through the direct map. */
const hardwareEntry = (va: number): number => DIRECT + TABLE + ((va >>> 12) & 0xff) * 4;
const linuxEntry = (va: number) => ptr<'pte'>(hardwareEntry(va) + 2048);
/** A small page, kernel read-write, cacheable and bufferable (spec/hardware.md §2.5). */
const smallPage = (pa: number): number => pa | (0x55 << 4) | 0x8 | 0x4 | 0x2;

describe('T1: an atomic slot is used for another page', () => {
  const slot = __fix_to_virt(3);
  const remapped = (): Kernel => {
    const [k] = machine('cortex-a9') as [Kernel];
    map(k, slot, A);
    expect(ld(k, slot)).toBe(0xa0);
    map(k, slot, B);
    return k;
  };

  it('goes on to the old page without a flush', () => {
    const k = remapped();
    st(k, slot, 1);
    expect(loads(k, DIRECT + A, 2)).toBe('01*1 a0*1');
    expect(loads(k, DIRECT + B, 2)).toBe('b0*2');
  });

  it('goes to the new page after a local flush', () => {
    const k = remapped();
    local_flush_tlb_kernel_page(k, slot);
    st(k, slot, 1);
    expect(loads(k, DIRECT + A, 2)).toBe('a0*2');
    expect(loads(k, DIRECT + B, 2)).toBe('01*1 b0*1');
  });
});

/** While @waiter waits, @other takes the interrupts that it is sent; the controller is what controlled mode installs. */
function answerWhileWaiting(waiter: Kernel, other: Kernel): void {
  waiter.controller = {
    point: (kind) => {
      if (kind === Point.Wait) other.point(Point.Load, 0);
      return false;
    },
  };
  const attention = waiter.layout.seats + waiter.cpu * Seat.words + Seat.attention;
  waiter.hw[attention] = (waiter.hw[attention] as number) | Attention.controlled;
}

describe('T2: a kernel mapping changes while another CPU has its TLB entry', () => {
  const V = 0xbfe05000;
  const seenAfter = (id: string, flush: (cpu0: Kernel) => void): string[] => {
    const [cpu0, cpu1] = machine(id, 2) as [Kernel, Kernel];
    map(cpu0, V, A);
    expect(ld(cpu1, V)).toBe(0xa0);
    set_pte_ext(cpu0, ptr<'pte'>(cpu0.sym.pkmap_pte_page + 2048 + ((V >>> 12) & 511) * 4), 0);
    answerWhileWaiting(cpu0, cpu1);
    flush(cpu0);
    map(cpu0, V, B);
    st(cpu1, V, 7);
    return [loads(cpu1, DIRECT + A, 2), loads(cpu1, DIRECT + B, 2)];
  };

  it('writes to the old page after a local flush', () => {
    const local = (k: Kernel) => k.mmu.flushTlbPage(V, false);
    expect(seenAfter('arm11mpcore', local)).toEqual(['07*1 a0*1', 'b0*2']);
    expect(seenAfter('cortex-a9', local)).toEqual(['07*1 a0*1', 'b0*2']);
  });

  it('writes to the old page after a broadcast flush on a core that does not broadcast', () => {
    expect(seenAfter('arm11mpcore', (k) => k.mmu.flushTlbPage(V, true))).toEqual(['07*1 a0*1', 'b0*2']);
  });

  it('writes to the new page after a broadcast flush (Cortex-A9, 2.6.31)', () => {
    const range = (k: Kernel) => flush_tlb_kernel_range(k, vaddr(V), vaddr(V + 4096));
    expect(seenAfter('cortex-a9', range)).toEqual(['a0*2', '07*1 b0*1']);
  });

  it('writes to the new page after a flush by inter-processor call (ARM11 MPCore)', () => {
    const range = (k: Kernel) => flush_tlb_kernel_range(k, vaddr(V), vaddr(V + 4096));
    expect(seenAfter('arm11mpcore', range)).toEqual(['a0*2', '07*1 b0*1']);
  });
});

describe('T3: a page-table entry that is still in the data cache', () => {
  const V = 0xd0000000;
  /** A is mapped and its entry in the TLB; then the entry is written, @clean makes it visible, and the TLB entry goes. */
  const seenAfter = (id: string, prepare: (k: Kernel) => void, clean: (k: Kernel) => void): number => {
    const [k] = machine(id) as [Kernel];
    setPgd(k, V, TABLE);
    set_pte_ext(k, linuxEntry(V), linuxPte(A, MT_WRITEBACK));
    expect(ld(k, V)).toBe(0xa0);
    prepare(k);
    k.mmu.store32(hardwareEntry(V), smallPage(B));
    clean(k);
    k.mmu.flushTlbPage(V, false);
    return ld(k, V + 32); // a line that no cache has
  };
  const cached = (k: Kernel) => void k.mmu.load32(hardwareEntry(V));
  const uncached = (k: Kernel) => k.mmu.cacheLine(CacheOp.flush, hardwareEntry(V));
  const cleanLine = (k: Kernel) => k.mmu.cacheLine(CacheOp.clean, hardwareEntry(V));
  const nothing = () => {};

  it('is not seen by a walker that reads memory', () => {
    for (const id of ['arm920t', 'arm926', 'xscale', 'arm11mpcore']) expect(seenAfter(id, cached, nothing)).toBe(0xa0);
  });

  it('is not seen while it waits in the write buffer, and is after a drain', () => {
    expect(seenAfter('arm926', uncached, nothing)).toBe(0xa0);
    expect(seenAfter('arm926', uncached, (k) => k.mmu.drain())).toBe(0xb0);
  });

  it('is seen after a clean of its line', () => {
    for (const id of ['arm920t', 'arm926', 'xscale', 'arm11mpcore'])
      expect(seenAfter(id, cached, cleanLine)).toBe(0xb0);
  });

  it('is seen uncleaned by a walker that is coherent with the cache', () => {
    expect(seenAfter('cortex-a9', cached, nothing)).toBe(0xb0);
  });

  it('comes by set_pte_ext(), which cleans and drains', () => {
    const [k] = machine('arm926') as [Kernel];
    setPgd(k, V, TABLE);
    set_pte_ext(k, linuxEntry(V), linuxPte(A, MT_WRITEBACK));
    ld(k, V);
    cached(k);
    set_pte_ext(k, linuxEntry(V), linuxPte(B, MT_WRITEBACK));
    k.mmu.flushTlbPage(V, false);
    expect(ld(k, V + 32)).toBe(0xb0);
  });
});

describe('T3b: a page-table entry on v6 and v7 before the next DSB', () => {
  // The hardware may fault, use the old entry or use the new one. These rows have no store queue (writeBufferWords 0), so only the last of the
  // three can be shown: a cleaned entry is visible at once.
  it('is one of the permitted three: the new entry', () => {
    const V = 0xd0000000;
    for (const id of ['arm11mpcore', 'cortex-a9']) {
      const [k] = machine(id) as [Kernel];
      setPgd(k, V, TABLE);
      set_pte_ext(k, linuxEntry(V), linuxPte(A, MT_WRITEBACK));
      expect(ld(k, V)).toBe(0xa0);
      expect(() => ld(k, V + 4096)).toThrow(KernelBug);
      set_pte_ext(k, linuxEntry(V + 4096), linuxPte(B, MT_WRITEBACK));
      expect(ld(k, V + 4096)).toBe(0xb0);
    }
  });
});

/** L_PTE_YOUNG and L_PTE_USER, Linux 2.6.30. */
const [YOUNG, USER] = [0x02, 0x100];

describe('T4: YOUNG is taken from a user page without a flush', () => {
  const V = 0x00008000;

  it('lets accesses succeed until the entry is evicted; then a fault sets it again', () => {
    const [k] = machine('arm926') as [Kernel];
    const young = (linuxPte(A, MT_WRITEBACK) | USER) >>> 0;
    setPgd(k, V, TABLE);
    set_pte_ext(k, linuxEntry(V), young);
    expect(ld(k, V)).toBe(0xa0);
    set_pte_ext(k, linuxEntry(V), young & ~YOUNG);
    expect(ram(k, TABLE + (V >>> 12) * 4, 4)).toBe('00*4');
    k.mmu.cacheLine(CacheOp.flush, V); // no cache line hides the translation
    expect(ld(k, V)).toBe(0xa0);

    for (let n = 1; n <= 64; n++) {
      set_pte_ext(k, linuxEntry(V + n * 4096), young);
      ld(k, V + n * 4096);
    }
    k.mmu.cacheLine(CacheOp.flush, V);
    expect(() => ld(k, V)).toThrow(KernelBug);
    set_pte_ext(k, linuxEntry(V), young); // what handle_pte_fault() does
    expect(ld(k, V)).toBe(0xa0);
  });
});

describe('T8: kmap_high() flushes TLBs by inter-processor call with interrupts off', () => {
  /** All slots used once: the next kmap_high() wraps and flushes. Slots 1, 2, 3 come before slot 0. */
  const wrap = (cpu0: Kernel): void => {
    for (let n = 0; n < 3; n++) {
      const page = alloc_page(cpu0, GFP_HIGHUSER);
      kmap(cpu0, page);
      kunmap(cpu0, page);
    }
  };
  class Deadlock extends Error {}

  it('never ends while another CPU spins on kmap_lock with interrupts off', () => {
    const [cpu0, cpu1] = machine('arm11mpcore', 2, { pkmapSlots: 4 }) as [Kernel, Kernel];
    wrap(cpu0);
    let rounds = 0;
    const attention = (k: Kernel): number => k.layout.seats + k.cpu * Seat.words + Seat.attention;
    cpu0.controller = {
      point: (kind) => {
        if (kind === Point.Wait) spin_lock_irqsave(cpu1, cpu1.sym.kmap_lock);
        return false;
      },
    };
    cpu1.controller = {
      point: (kind) => {
        if (kind === Point.Wait && ++rounds === 200) throw new Deadlock();
        return false;
      },
    };
    for (const k of [cpu0, cpu1]) k.hw[attention(k)] = (k.hw[attention(k)] as number) | Attention.controlled;
    expect(() => kmap(cpu0, alloc_page(cpu0, GFP_HIGHUSER))).toThrow(Deadlock);
    expect(stat(cpu1, Seat.pending)).not.toBe(0); // the call was sent and not taken
    expect(stat(cpu0, Seat.callRefs)).toBe(1);
  });

  it('ends when the other CPU takes interrupts', () => {
    const [cpu0, cpu1] = machine('arm11mpcore', 2, { pkmapSlots: 4 }) as [Kernel, Kernel];
    wrap(cpu0);
    answerWhileWaiting(cpu0, cpu1);
    const page = alloc_page(cpu0, GFP_HIGHUSER);
    expect(kmap(cpu0, page)).toBe(PKMAP_ADDR(cpu0, 0));
    expect(stat(cpu1, Seat.ipis)).toBe(1);
    setRam(cpu0, page_to_phys(cpu0, page), 'cc*4');
    expect(ld(cpu0, PKMAP_ADDR(cpu0, 0))).toBe(0xcc);
  });
});

describe('TLB replacement', () => {
  it('is round robin over all entries', () => {
    const [k] = machine('arm926') as [Kernel]; // 64 entries
    const misses = (n: number): number => {
      const before = stat(k, Seat.tlbMisses);
      k.mmu.translate(0xbfe00000 + n * 4096, false);
      return stat(k, Seat.tlbMisses) - before;
    };
    for (let n = 0; n < 80; n++) map(k, 0xbfe00000 + n * 4096, A, MT_UNCACHED);
    for (let n = 0; n < 64; n++) expect(misses(n)).toBe(1);
    for (let n = 0; n < 64; n++) expect(misses(n)).toBe(0);
    expect(misses(64)).toBe(1); // takes the entry of page 0
    expect(misses(1)).toBe(0);
    expect(misses(0)).toBe(1); // takes the entry of page 1, used or not
    expect(misses(1)).toBe(1);
    expect(misses(3)).toBe(0);
  });

  it('never keeps a translation that faults', () => {
    const [k] = machine('arm926') as [Kernel];
    const V = 0xbfe05000;
    expect(() => ld(k, V)).toThrow(KernelBug);
    map(k, V, A);
    expect(ld(k, V)).toBe(0xa0);
  });
});

describe('address-space numbers', () => {
  /** Two first-level tables: the kernel's entries in both, the user's first megabyte by TABLE in one and by the next page in the other. */
  const twoSpaces = () => {
    const [k] = machine('cortex-a9') as [Kernel];
    const [pgdA, pgdB] = [0xe4000, 0xe8000];
    const swapper = k.sym.swapper_pg_dir - DIRECT;
    for (const pgd of [pgdA, pgdB]) k.bytes.copyWithin(pgd, swapper, swapper + 16384);
    const [tableA, tableB] = [TABLE, 0xe3000];
    setRam(k, tableB, '00*1024');
    k.words[pgdA >>> 2] = tableA | 1;
    k.words[pgdB >>> 2] = tableB | 1;
    k.words[(tableA >>> 2) + 8] = smallPage(A);
    k.words[(tableB >>> 2) + 8] = smallPage(B);
    return (asid: 1 | 2): Kernel => {
      k.mmu.ttbr = (asid === 1 ? pgdA : pgdB) as Paddr;
      k.mmu.asid = asid;
      return k;
    };
  };
  const V = 0x00008000;

  it('keep the entries of two processes apart without a flush', () => {
    const space = twoSpaces();
    expect(ld(space(1), V)).toBe(0xa0);
    expect(ld(space(2), V)).toBe(0xb0);
    const misses = stat(space(1), Seat.tlbMisses);
    expect(ld(space(1), V)).toBe(0xa0);
    expect(ld(space(2), V)).toBe(0xb0);
    expect(stat(space(1), Seat.tlbMisses)).toBe(misses);
  });

  it('do not matter for kernel mappings, which are global', () => {
    const space = twoSpaces();
    const K = 0xbfe05000;
    map(space(1), K, A);
    expect(ld(space(1), K)).toBe(0xa0);
    const misses = stat(space(1), Seat.tlbMisses);
    expect(ld(space(2), K)).toBe(0xa0);
    expect(stat(space(1), Seat.tlbMisses)).toBe(misses);
  });

  it('mix processes up if both use the same number', () => {
    const space = twoSpaces();
    expect(ld(space(1), V)).toBe(0xa0);
    const k = space(2);
    k.mmu.asid = 1;
    expect(ld(k, V)).toBe(0xa0);
  });

  it('are ignored by the invalidation of a page', () => {
    const space = twoSpaces();
    ld(space(1), V);
    ld(space(2), V);
    const misses = stat(space(1), Seat.tlbMisses);
    space(1).mmu.flushTlbPage(V, false);
    ld(space(1), V);
    ld(space(2), V);
    expect(stat(space(1), Seat.tlbMisses)).toBe(misses + 2);
  });
});
