/** The worked byte examples P1 to P5 and the PA-RISC rows of T1 to T9 in spec/hardware.md §5, §6.3. K is the kernel's address of PA 00123000. */
import { describe, expect, it } from 'vitest';
import { pte_offset_user, ptep_get_and_clear } from '../../src/arch/parisc/pgtable.js';
import { flush_tlb_page, purge_tlb_end, purge_tlb_start } from '../../src/arch/parisc/tlb.js';
import { Device } from '../../src/cpu/device.js';
import { Seat } from '../../src/cpu/hw.js';
import type { Kernel } from '../../src/cpu/kernel.js';
import { readLog } from '../../src/cpu/printk.js';
import { DMA_FROM_DEVICE } from '../../src/mm/arm/dma-mapping.js';
import { pa11_dma_map_single, pa11_dma_unmap_single } from '../../src/mm/parisc/pci-dma.js';
import { Point } from '../../src/shared/point.js';
import { type Paddr, vaddr } from '../../src/shared/types.js';
import { localMachine } from '../machine.js';
import { mesi } from './bytes.js';
import { dmaWrite, ld, loads, mapUser, mmuOf, ram, setRam, st } from './parisc-bytes.js';

const PA = 0x123000;
const K = 0x10123000;
const U = 0x40523000;
const U2 = 0x40524000;

const machine = (id: string, options = {}): Kernel => {
  const { k } = localMachine(id, { lowmemPages: 512, ...options });
  setRam(k, PA, '11*32');
  mapUser(k, U, PA);
  mapUser(k, U2, PA);
  return k;
};
const smp = (id: string, options = {}): [Kernel, Kernel] => {
  const { cpus } = localMachine(id, { lowmemPages: 512, cpus: 2, ...options });
  const [cpu0, cpu1] = cpus as unknown as [Kernel, Kernel];
  setRam(cpu0, PA, '11*32');
  mapUser(cpu0, U, PA);
  mapUser(cpu0, U2, PA);
  return [cpu0, cpu1];
};

describe('P1: an equivalent alias', () => {
  it('reads what was stored under the kernel address, from the same line', () => {
    const k = machine('pcxl');
    st(k, K, 0xa1);
    expect(ld(k, U)).toBe(0xa1);
    expect(ram(k, PA, 32)).toBe('11*32');
    const { own } = k.mmu.cache;
    expect(own.setOf(PA)).toBe(4480);
    expect(Array.from({ length: own.lines }, (_, i) => i).filter((i) => own.isValid(i))).toHaveLength(1);
  });
});

describe('P2: an inequivalent alias', () => {
  const both = (): Kernel => {
    const k = machine('pcxl');
    expect(ld(k, U2)).toBe(0x11);
    st(k, K, 0xa1);
    expect(ld(k, U2)).toBe(0x11);
    st(k, U2 + 1, 0xb2);
    expect(ld(k, K + 1)).toBe(0x11);
    return k;
  };

  it('is a second line with bytes of its own, and the flush that comes last wins', () => {
    const k = both();
    mmuOf(k).fdc(K);
    expect(ram(k, PA, 32)).toBe('a1*1 11*31');
    mmuOf(k).fdc(U2);
    expect(ram(k, PA, 32)).toBe('11*1 b2*1 11*30');
  });

  it('loses the other store when the flushes come in the other order', () => {
    const k = both();
    mmuOf(k).fdc(U2);
    expect(ram(k, PA, 32)).toBe('11*1 b2*1 11*30');
    mmuOf(k).fdc(K);
    expect(ram(k, PA, 32)).toBe('a1*1 11*31');
  });

  it('stands in set 4608, the kernel address in 4480', () => {
    const k = both();
    const { own } = k.mmu.cache;
    const sets = Array.from({ length: own.lines }, (_, i) => i).filter((i) => own.isValid(i));
    expect(sets).toEqual([4480, 4608]);
  });
});

describe('P3: the flush at unmap', () => {
  const transfer = (end: (k: Kernel, handle: Paddr) => void): string => {
    const k = machine('pcxl');
    st(k, K, 0xa1);
    const handle = pa11_dma_map_single(k, vaddr(K), 32, DMA_FROM_DEVICE);
    expect(ram(k, PA, 32)).toBe('a1*1 11*31');
    dmaWrite(k, PA, 'dd*16');
    st(k, K + 20, 0x5a);
    dmaWrite(k, PA + 16, 'dd*16');
    expect(ram(k, PA, 32)).toBe('dd*32');
    end(k, handle);
    return ram(k, PA, 32);
  };

  it('writes a line that was dirtied meanwhile over what the device has written', () => {
    const after = transfer((k, handle) => pa11_dma_unmap_single(k, handle, 32, DMA_FROM_DEVICE));
    expect(after).toBe('dd*16 11*4 5a*1 11*11');
  });

  it('would lose the store instead if it purged', () => {
    expect(transfer((k) => mmuOf(k).pdc(K))).toBe('dd*32');
  });
});

describe('P4: PDC of a dirty line', () => {
  const purge = (id: string): number => {
    const k = machine(id);
    st(k, K, 0xa1);
    mmuOf(k).pdc(K);
    return ld(k, K);
  };

  it('discards it on PCX-L', () => expect(purge('pcxl')).toBe(0x11));
  it('writes it back on PA-8200 and its family', () => expect(purge('pcxu')).toBe(0xa1));
});

describe('P5: coherent I/O looks where the coherence index says', () => {
  it('drops the copy under the kernel address and misses the one under an inequivalent address', () => {
    const k = machine('pcxt-prime');
    expect([ld(k, K), ld(k, U2)]).toEqual([0x11, 0x11]);
    const device = new Device(k.config, { arena: k.words.buffer, hw: k.hw.buffer } as never, 0);
    device.snoopingWrite32(PA as Paddr, mmuOf(k).lci(K), 0xdddddddd);
    expect([ld(k, K), ld(k, U2)]).toEqual([0xdd, 0x11]);
  });

  it('gets the bytes of a modified line, which stays, shared', () => {
    const k = machine('pcxt-prime');
    st(k, K, 0xa1);
    const device = new Device(k.config, { arena: k.words.buffer, hw: k.hw.buffer } as never, 0);
    expect(device.snoopingRead32(PA as Paddr, mmuOf(k).lci(K))).toBe(0xa1111111);
    expect(mesi(k, PA)).toBe('S');
  });
});

describe('CPUs snoop each other at the equivalent set', () => {
  it('reads what another CPU has stored under an equivalent address', () => {
    const [cpu0, cpu1] = smp('pa8800');
    st(cpu0, K, 0xa1);
    expect(ld(cpu1, U)).toBe(0xa1);
  });

  it('misses what another CPU has stored under an inequivalent address', () => {
    const [cpu0, cpu1] = smp('pa8800');
    st(cpu0, K, 0xa1);
    expect(ld(cpu1, U2)).toBe(0x11);
  });

  it('flushes the line of another CPU: FDC is broadcast', () => {
    const [cpu0, cpu1] = smp('pcxu');
    st(cpu0, K, 0xa1);
    mmuOf(cpu1).fdc(K);
    expect(ram(cpu0, PA, 32)).toBe('a1*1 11*31');
  });

  it('does not with FDCE, which is local', () => {
    const [cpu0, cpu1] = smp('pcxu');
    st(cpu0, K, 0xa1);
    cpu1.mmu.cache.flushAll();
    expect(ram(cpu0, PA, 32)).toBe('11*32');
  });
});

const has = (k: Kernel, va: number): boolean => k.mmu.tlb.find((va & ~0xfff) | 1) >= 0;

describe('T5: PDTLB', () => {
  it('removes the translation from every CPU', () => {
    const [cpu0, cpu1] = smp('pcxu');
    ld(cpu0, K);
    ld(cpu1, K);
    mmuOf(cpu0).pdtlb(K);
    expect([has(cpu0, K), has(cpu1, K)]).toEqual([false, false]);
  });
});

describe('T6: two purges at a time on the Merced bus', () => {
  /** CPU 1 begins a purge of another page while CPU 0's is on the bus. */
  const overlap = (purge0: (k: Kernel) => void, purge1: (k: Kernel) => void): { logged: string[]; left: boolean[] } => {
    const [cpu0, cpu1] = smp('pcxw2-merced', { cpus: 2, patches: ['pa-tlb-lock-irqsave'] });
    for (const k of [cpu0, cpu1]) ld(k, U);
    let points = 0;
    cpu0.controller = {
      point: (kind) => {
        if (kind === Point.Tlb && ++points === 2) purge1(cpu1);
        return false;
      },
    };
    cpu0.hw[cpu0.layout.seats + Seat.attention] = 4;
    purge0(cpu0);
    const log = readLog(cpu0.hw, cpu0.layout.log, 12).map((r) => r.text);
    return { logged: log, left: [has(cpu0, U), has(cpu1, U)] };
  };

  it('leaves the second one without effect on a CPU, and says so', () => {
    const { logged, left } = overlap(
      (k) => mmuOf(k).pdtlb(K),
      (k) => mmuOf(k).pdtlb(U),
    );
    expect(logged).toEqual([expect.stringContaining('PXTLB_OVERLAP')]);
    expect(left).toEqual([true, false]);
  });

  it('does not come to it under pa_tlb_lock: the second one waits', () => {
    const locked = (k: Kernel, va: number): void => {
      const flags = purge_tlb_start(k);
      mmuOf(k).pdtlb(va);
      purge_tlb_end(k, flags);
    };
    let waited = false;
    const { logged } = overlap(
      (k) => locked(k, K),
      (k) => {
        k.waitWhile = () => {
          waited = true;
          throw new Error('waits');
        };
        expect(() => locked(k, U)).toThrow('waits');
      },
    );
    expect([waited, logged]).toEqual([true, []]);
  });
});

describe('T9: an entry that is good for flushes only', () => {
  it('lets FDC find the page, and faults loads', () => {
    const k = machine('pcxl');
    st(k, U, 0xa1);
    ptep_get_and_clear(k, pte_offset_user(k, U));
    flush_tlb_page(k, U);
    mmuOf(k).fdc(U);
    expect(ram(k, PA, 32)).toBe('a1*1 11*31');
    expect(() => ld(k, U)).toThrow('Code=26 (Addr=40523000)');
  });

  it('nullifies a flush of an address without any translation', () => {
    const k = machine('pcxl');
    st(k, K, 0xa1);
    mmuOf(k).fdc(0x40700000);
    mmuOf(k).fdc(0x50000000);
    expect(ram(k, PA, 32)).toBe('11*32');
  });
});

describe('the TLB that software fills', () => {
  it('marks the page as accessed at the miss and dirty at the first store', () => {
    const k = machine('pcxl');
    const pte = (): number => k.load(pte_offset_user(k, U) as never);
    k.store(pte_offset_user(k, U) as never, pte() & ~0x120);
    ld(k, U);
    expect(pte() & 0x120).toBe(0x100);
    st(k, U, 1);
    expect(pte() & 0x120).toBe(0x120);
  });

  it('faults an access without an entry with code 15, and a load from the gateway page with 26', () => {
    const k = machine('pcxl');
    expect(() => ld(k, 0x40700000)).toThrow('Code=15 (Addr=40700000)');
    expect(() => k.load32(vaddr(0x20))).toThrow('Code=26 (Addr=00000020)');
  });

  it('reports the address of the byte or half word itself, as the IOR has it', () => {
    const fault = (act: (k: Kernel) => void): string => {
      const k = machine('pcxl');
      try {
        act(k);
      } catch (error) {
        return String((error as Error).message);
      }
      return 'none';
    };
    expect(fault((k) => k.load8(vaddr(0x21)))).toBe('Kernel Fault: Code=26 (Addr=00000021)');
    expect(fault((k) => k.load16(vaddr(0x22)))).toBe('Kernel Fault: Code=26 (Addr=00000022)');
    expect(fault((k) => k.store8(vaddr(0x40700003), 1))).toContain('Code=15 (Addr=40700003)');
    expect(fault((k) => k.store16(vaddr(0x40700002), 1))).toContain('Code=15 (Addr=40700002)');
    // A word that is accessed after a byte of it has an address of its own.
    expect(
      fault((k) => {
        k.load8(vaddr(k.config.pageOffset + 0x100021));
        k.load32(vaddr(0x20));
      }),
    ).toBe('Kernel Fault: Code=26 (Addr=00000020)');
  });
});

describe('speculative move-ins', () => {
  it('come from any page in the TLB on PA-8800, until the translation is purged', () => {
    const [k] = smp('pa8800');
    ld(k, K);
    mmuOf(k).fdc(K);
    expect(k.mmu.speculativeFill(K)).toBe(true);
    mmuOf(k).fdc(K);
    mmuOf(k).pdtlb(K);
    expect(k.mmu.speculativeFill(K)).toBe(false);
  });

  it('wait for a reference after a flush on PA-8000', () => {
    const [k] = smp('pcxu');
    ld(k, K);
    mmuOf(k).fdc(K);
    expect(k.mmu.speculativeFill(K + 64)).toBe(false);
    ld(k, K + 128);
    expect(k.mmu.speculativeFill(K + 64)).toBe(true);
  });

  it('never come on PCX-L', () => {
    const k = machine('pcxl');
    ld(k, K);
    expect(k.mmu.speculativeFill(K + 64)).toBe(false);
  });
});

describe('uncached mappings of RAM', () => {
  const NO_CACHE = 0x80;
  it('bypass the cache on PCX-L, and are cached on PCX-S, which has none', () => {
    const seen = ['pcxl', 'pcxs'].map((id) => {
      const k = machine(id);
      mapUser(k, U, PA, 0xb83 | NO_CACHE);
      st(k, U, 0xa1);
      return ram(k, PA, 4);
    });
    expect(seen).toEqual(['a1*1 11*3', '11*4']);
  });
});

describe('byte order', () => {
  it('has the most significant byte at the lowest address, for CPU and device alike', () => {
    const k = machine('pcxl');
    k.store32(vaddr(K), 0x11223344);
    expect([0, 1, 2, 3].map((i) => k.load8(vaddr(K + i)))).toEqual([0x11, 0x22, 0x33, 0x44]);
    expect([k.load16(vaddr(K)), k.load16(vaddr(K + 2))]).toEqual([0x1122, 0x3344]);
    k.store8(vaddr(K + 1), 0xaa);
    k.store16(vaddr(K + 2), 0xbbcc);
    expect(k.load32(vaddr(K))).toBe(0x11aabbcc);
    mmuOf(k).fdc(K);
    expect(ram(k, PA, 4)).toBe('11*1 aa*1 bb*1 cc*1');
    expect(loads(k, K, 4)).toBe('11*1 aa*1 bb*1 cc*1');
  });

  it('is that of kernel data too', () => {
    const { k } = localMachine('pcxl');
    const at = vaddr(k.sym.race_data + 64);
    k.store(at, 0x01020304);
    expect([k.load8(at), k.load16(vaddr(at + 2))]).toEqual([0x01, 0x0304]);
  });
});
