/** Rows of spec/vmalloc-gfp.md §12.4 that concern 2.6.28 and later. Constants are the kernel's. */
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { gfp } from '../../../src/mm/gfp.js';
import { vmalloc_to_page } from '../../../src/mm/memory.js';
import { is_vmalloc_addr, struct_vm_struct, VM_ALLOC, VM_IOREMAP } from '../../../src/mm/vmalloc/vm-struct.js';
import { find_vmap_area } from '../../../src/mm/vmalloc/vmap-area.js';
import { find_vm_area } from '../../../src/mm/vmalloc/vmap-purge.js';
import {
  __vmalloc,
  get_vm_area,
  purge_vmap_area_lazy,
  remove_vm_area,
  vfree,
  vmalloc,
  vread,
  vwrite,
} from '../../../src/mm/vmalloc.js';
import { flush_scheduled_work } from '../../../src/mm/workqueue.js';
import { HARDIRQ_OFFSET } from '../../../src/shared/irqflags.js';
import { NULL, type Vaddr, vaddr } from '../../../src/shared/types.js';
import { dmesgOf, type LocalMachine, localMachine } from '../../machine.js';

const P = 4096;
const machine = (kernel: string, options: Parameters<typeof localMachine>[1] = {}): LocalMachine =>
  localMachine('cortex-a9', { kernel, patches: ['tlb-ops-broadcast'], lowmemPages: 512, ...options });
const boot = (kernel: string): Kernel => machine(kernel).k;
const hex = (addr: number): string => addr.toString(16).padStart(8, '0');
const faults = (k: Kernel, addr: Vaddr): boolean => {
  try {
    k.load32(addr);
    return false;
  } catch (error) {
    expect(String(error)).toMatch(/paging request/);
    return true;
  }
};

describe.each(['2.6.28', '2.6.34'])('vmalloc() of %s', (kernel) => {
  it('vmalloc/C-02: leaves a gap besides the guard page, and keeps the address of a freed area until a purge', () => {
    const k = boot(kernel);
    const start = k.arch.VMALLOC_START(k);
    const areas = [1, 2, 3].map(() => vmalloc(k, P));
    expect(areas).toEqual([start, start + 3 * P, start + 6 * P]);
    vfree(k, areas[0]!);
    expect(vmalloc(k, P)).toBe(start + 9 * P);
    purge_vmap_area_lazy(k);
    expect(vmalloc(k, P)).toBe(start);
  });

  it('vmalloc/C-04: keeps translations and entries of a freed area until the purge', () => {
    const k = boot(kernel);
    const addr = vmalloc(k, P);
    k.store32(addr, 5);
    vfree(k, addr);
    expect(vmalloc_to_page(k, addr)).not.toBe(NULL);
    expect(faults(k, addr)).toBe(false);
    purge_vmap_area_lazy(k);
    expect(faults(k, addr)).toBe(true);
    expect(k.load(k.sym.vmap_lazy_nr)).toBe(0);
  });
});

describe.each(['2.6.28', '2.6.31', '2.6.32', '2.6.34'])('vfree() of what is none, %s', (kernel) => {
  const warning = (text: string): string[] => [
    '------------[ cut here ]------------',
    'WARNING: at mm/vmalloc.c __vunmap()',
    text,
  ];

  it('vmalloc/C-12: warns of an unaligned address, of one inside an area, and of one that has been purged', () => {
    const k = boot(kernel);
    const addr = vmalloc(k, 2 * P);
    vfree(k, vaddr(addr + 1));
    vfree(k, vaddr(addr + P));
    vfree(k, addr);
    purge_vmap_area_lazy(k);
    vfree(k, addr);
    expect(dmesgOf(k)).toEqual([
      ...warning(`Trying to vfree() bad address (${hex(addr + 1)})`),
      ...warning(`Trying to vfree() nonexistent vm area (${hex(addr + P)})`),
      ...warning(`Trying to vfree() nonexistent vm area (${hex(addr)})`),
    ]);
  });

  it.each(['slub', 'slab'] as const)(
    'vmalloc/C-12: looks for an area that is freed twice behind the end of vmlist (%s)',
    (slab) => {
      const k = machine(kernel, { slab }).k;
      const addr = vmalloc(k, P);
      vfree(k, addr);
      expect(() => vfree(k, addr)).toThrow(
        /^Unable to handle kernel NULL pointer dereference at virtual address 00000000/,
      );
      expect(k.load(k.sym.vmlist_lock)).not.toBe(0);
    },
  );
});

describe.each(['4.10', '4.12'])('vmalloc() of %s', (kernel) => {
  it('vmalloc/C-02: leaves a guard page only, goes on behind the last area, and begins anew after a purge', () => {
    const k = boot(kernel);
    const start = k.arch.VMALLOC_START(k);
    const areas = [1, 2, 3].map(() => vmalloc(k, P));
    expect(areas).toEqual([start, start + 2 * P, start + 4 * P]);
    vfree(k, areas[0]!);
    expect(vmalloc(k, P)).toBe(start + 6 * P);
    purge_vmap_area_lazy(k);
    expect(vmalloc(k, P)).toBe(start);
  });

  it('vmalloc/C-03: lets a CPU with a translation read the freed page until the purge, and no other', () => {
    const { cpus } = machine(kernel, { cpus: 2 });
    const [k, other] = cpus as [Kernel, Kernel];
    const addr = vmalloc(k, P);
    k.store32(addr, 5);
    expect(other.load32(addr)).toBe(5);
    k.mmu.tlb.invalidatePage(addr);
    vfree(k, addr);
    expect(vmalloc_to_page(k, addr)).toBe(NULL);
    expect(faults(k, addr)).toBe(true);
    expect(faults(other, addr)).toBe(false);
    purge_vmap_area_lazy(k);
    expect(faults(other, addr)).toBe(true);
  });

  it('vmalloc/C-06: puts vfree() in an interrupt off, at the price of the first word', () => {
    const k = boot(kernel);
    const [a, b] = [vmalloc(k, P), vmalloc(k, P)];
    for (const addr of [a, b]) k.store32(addr, 0x1234);
    k.preemptCount += HARDIRQ_OFFSET;
    vfree(k, a);
    vfree(k, b);
    k.preemptCount -= HARDIRQ_OFFSET;
    expect([k.load32(a), k.load32(b)]).toEqual([0, a]);
    flush_scheduled_work(k);
    expect([vmalloc_to_page(k, a), vmalloc_to_page(k, b)]).toEqual([NULL, NULL]);
  });

  it('vmalloc/C-12: frees the area that contains an address, and warns only where there is none', () => {
    const k = boot(kernel);
    const addr = vmalloc(k, 2 * P);
    vfree(k, vaddr(addr + 1));
    expect(dmesgOf(k)).toEqual([
      '------------[ cut here ]------------',
      'WARNING: CPU: 0 PID: 0 at mm/vmalloc.c __vunmap()',
      `Trying to vfree() bad address (${hex(addr + 1)})`,
    ]);
    vfree(k, vaddr(addr + P));
    expect(vmalloc_to_page(k, addr)).toBe(NULL);
    vfree(k, addr);
    expect(dmesgOf(k).filter((text) => /nonexistent vm area/.test(text))).toHaveLength(1);
  });

  it('vmalloc/C-08: aligns areas for I/O to a power of two not below their size', () => {
    const k = boot(kernel);
    const { GFP_KERNEL } = gfp(k);
    vmalloc(k, P);
    const at = (size: number): number => k.read(get_vm_area(k, size, VM_IOREMAP, GFP_KERNEL), struct_vm_struct.addr);
    expect(at(0x101000) % 0x200000).toBe(0);
    expect(at(0x100000) % 0x100000).toBe(0);
  });

  it('vmalloc/C-13: gives everything back when a page is missing, and says how far it came', () => {
    const k = localMachine('cortex-a9', { kernel, patches: [], lowmemPages: 256, highmemPages: 0 }).k;
    const pages = 250;
    expect(__vmalloc(k, pages * P, gfp(k).GFP_NOWAIT)).toBe(NULL);
    const line = dmesgOf(k).find((text) => /vmalloc: allocation failure/.test(text));
    expect(line).toMatch(new RegExp(`allocated \\d+ of ${pages * P} bytes`));
    purge_vmap_area_lazy(k);
    expect(find_vmap_area(k, k.arch.VMALLOC_START(k))).toBe(NULL);
    const small = vmalloc(k, 64 * P);
    expect(small).toBe(k.arch.VMALLOC_START(k));
  });
});

describe.each(['2.6.28', '4.12'])('lazily freed areas of %s', (kernel) => {
  it('vmalloc/C-05: are purged by the one that exceeds 8192 pages for a doubling of the CPUs, in one flush over all of them', () => {
    const k = machine(kernel, { cpus: 2 }).k;
    const { GFP_KERNEL } = gfp(k);
    const bare = (pages: number): Vaddr =>
      vaddr(k.read(get_vm_area(k, pages * P, VM_ALLOC, GFP_KERNEL), struct_vm_struct.addr));
    const addrs = [bare(8191), bare(8190), bare(1)];
    const flushed: (readonly [number, number])[] = [];
    const flush = k.arch.flush_tlb_kernel_range;
    Object.assign(k.arch, {
      flush_tlb_kernel_range(kernel: Kernel, start: Vaddr, end: Vaddr) {
        flushed.push([start, end]);
        flush(kernel, start, end);
      },
    });
    remove_vm_area(k, addrs[0]!);
    remove_vm_area(k, addrs[1]!);
    expect([k.load(k.sym.vmap_lazy_nr), flushed]).toEqual([8192 + 8191, []]);
    remove_vm_area(k, addrs[2]!);
    Object.assign(k.arch, { flush_tlb_kernel_range: flush });
    expect([k.load(k.sym.vmap_lazy_nr), flushed]).toEqual([0, [[addrs[0], addrs[2]! + 2 * P]]]);
  });

  it('are all given back by a purge', () => {
    const k = boot(kernel);
    const areas = [1, 2, 3, 4].map((pages) => vmalloc(k, pages * P));
    for (const addr of areas) vfree(k, addr);
    purge_vmap_area_lazy(k);
    expect(areas.map((addr) => find_vmap_area(k, addr))).toEqual([NULL, NULL, NULL, NULL]);
  });
});

describe('an array of pages, 4.12', () => {
  it('vmalloc/C-07: is from kmalloc() for 1024 pages, an area of its own for one more, and goes with the area', () => {
    const k = machine('4.12', { lowmemPages: 2304 }).k;
    const arrayOf = (addr: Vaddr): number => k.read(find_vm_area(k, addr), struct_vm_struct.pages);
    const [small, big] = [vmalloc(k, 1024 * P), vmalloc(k, 1025 * P)];
    expect(is_vmalloc_addr(k, arrayOf(small))).toBe(false);
    const array = vaddr(arrayOf(big));
    expect([is_vmalloc_addr(k, array), vmalloc_to_page(k, array) !== NULL]).toEqual([true, true]);
    vfree(k, big);
    expect(vmalloc_to_page(k, array)).toBe(NULL);
  });
});

describe.each(['2.6.32', '4.12'])('vread() and vwrite() of %s', (kernel) => {
  it('vmalloc/C-14: go page by page: holes and missing pages are zero, the count is what was asked for, or 0', () => {
    const k = boot(kernel);
    const [a, b, buf] = [vmalloc(k, P), vmalloc(k, P), vmalloc(k, 4 * P)];
    const gap = b - a;
    k.store32(vaddr(a + P - 4), 0x11223344);
    k.store32(b, 0x55667788);
    for (let at = 0; at < 4 * P; at += 4) k.store32(vaddr(buf + at), 0xffffffff);
    expect(vread(k, buf, vaddr(a + P - 4), 4 + gap - P + 8)).toBe(4 + gap - P + 8);
    expect(k.load32(buf)).toBe(0x11223344);
    expect(k.load32(vaddr(buf + 4))).toBe(0);
    expect(k.load32(vaddr(buf + 4 + gap - P))).toBe(0x55667788);
    expect(vread(k, buf, vaddr(buf + 0x100000), 16)).toBe(0);
    const bare = vaddr(k.read(get_vm_area(k, P, VM_ALLOC, gfp(k).GFP_KERNEL), struct_vm_struct.addr));
    k.store32(buf, 0xffffffff);
    expect(vread(k, buf, bare, 4)).toBe(4);
    expect(k.load32(buf)).toBe(0);
    k.store32(buf, 0xabcdef01);
    expect(vwrite(k, buf, a, 4)).toBe(4);
    expect(k.load32(a)).toBe(0xabcdef01);
  });
});

describe.each([
  ['2.6.22', 'allocation failed: out of vmalloc space - use vmalloc=<size> to increase size.'],
  ['2.6.28', 'vmap allocation failed: use vmalloc=<size> to increase size.'],
  ['2.6.29', 'vmap allocation for size 1073745920 failed: use vmalloc=<size> to increase size.'],
  ['4.12', 'vmap allocation for size 1073745920 failed: use vmalloc=<size> to increase size'],
])('addresses that there are not, %s', (kernel, text) => {
  it('are said to be used up, ten times in five seconds', () => {
    const k = boot(kernel);
    const reserve = (size: number): number => get_vm_area(k, size, VM_ALLOC, gfp(k).GFP_KERNEL);
    // 2.6.22 compares with the end of the range only where an area is in the way.
    reserve(P);
    for (let i = 0; i < 12; i++) expect(reserve(1 << 30)).toBe(NULL);
    expect(dmesgOf(k)).toEqual(new Array(10).fill(text));
  });
});
