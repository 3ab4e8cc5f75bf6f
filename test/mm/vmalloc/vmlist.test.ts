import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { gfp } from '../../../src/mm/gfp.js';
import { vmalloc_to_page } from '../../../src/mm/memory.js';
import { page_to_phys } from '../../../src/mm/page.js';
import { struct_vm_struct, VM_ALLOC } from '../../../src/mm/vmalloc/vm-struct.js';
import { __vmalloc, get_vm_area, vfree, vread } from '../../../src/mm/vmalloc/vmlist.js';
import { HARDIRQ_OFFSET } from '../../../src/shared/irqflags.js';
import { NULL, type Vaddr, vaddr } from '../../../src/shared/types.js';
import { dmesgOf, localMachine } from '../../machine.js';

const boot = (): Kernel => localMachine('arm926', { kernel: '2.5.53', patches: [] }).k;
const alloc = (k: Kernel, pages: number): Vaddr => {
  const { GFP_KERNEL, __GFP_HIGHMEM } = gfp(k);
  return __vmalloc(k, pages * 4096, GFP_KERNEL | __GFP_HIGHMEM, k.arch.PAGE_KERNEL(k));
};

describe('vmalloc() of 2.5.53', () => {
  it('vmalloc/C-02: leaves a guard page between areas and gives the address of a freed one to the next', () => {
    const k = boot();
    const start = k.arch.VMALLOC_START(k);
    const areas = [alloc(k, 1), alloc(k, 1), alloc(k, 1)];
    expect(areas).toEqual([start, start + 0x2000, start + 0x4000]);
    vfree(k, areas[0]!);
    expect(alloc(k, 1)).toBe(start);
  });

  it('vmalloc/C-01: maps its pages through the MMU, and nothing at the guard page', () => {
    const k = boot();
    const addr = alloc(k, 2);
    for (let at = 0; at < 8192; at += 4) k.store32(vaddr(addr + at), at);
    for (let at = 0; at < 8192; at += 4) expect(k.load32(vaddr(addr + at))).toBe(at);
    k.mmu.cache.flushAll();
    k.mmu.drain();
    const second = page_to_phys(k, vmalloc_to_page(k, addr + 4096));
    expect(k.memory.read32((second + 8) as never)).toBe(4096 + 8);
    expect(vmalloc_to_page(k, addr + 8192)).toBe(NULL);
    expect(() => k.load32(vaddr(addr + 8192))).toThrow(/paging request/);
  });

  it('faults after vfree()', () => {
    const k = boot();
    const addr = alloc(k, 1);
    k.store32(addr, 1);
    vfree(k, addr);
    expect(() => k.load32(addr)).toThrow(/paging request/);
  });

  it('crosses from one page table to the next', () => {
    const k = boot();
    const { GFP_KERNEL } = gfp(k);
    get_vm_area(k, 0x1fe000, VM_ALLOC, GFP_KERNEL);
    const addr = alloc(k, 3);
    expect(addr & 0x1fffff).toBe(0x1ff000);
    for (let page = 0; page < 3; page++) k.store32(vaddr(addr + page * 4096), page + 1);
    for (let page = 0; page < 3; page++) expect(k.load32(vaddr(addr + page * 4096))).toBe(page + 1);
  });

  it('vmalloc/C-12: complains of addresses that it has not given, and frees nothing', () => {
    const k = boot();
    const addr = alloc(k, 2);
    vfree(k, vaddr(addr + 1));
    vfree(k, vaddr(addr + 4096));
    vfree(k, addr);
    vfree(k, addr);
    const hex = (a: number): string => (a >>> 0).toString(16).padStart(8, '0');
    expect(dmesgOf(k)).toEqual([
      `Trying to vfree() bad address (${hex(addr + 1)})`,
      `Trying to vfree() nonexistent vm area (${hex(addr + 4096)})`,
      `Trying to vfree() nonexistent vm area (${hex(addr)})`,
    ]);
  });

  it('vmalloc/C-06: is a BUG to free in an interrupt', () => {
    const k = boot();
    const addr = alloc(k, 1);
    k.preemptCount += HARDIRQ_OFFSET;
    expect(() => vfree(k, addr)).toThrow(/in interrupt/);
  });

  it('vmalloc/C-14: reads holes as zero, areas as they are, and stops behind the last one', () => {
    const k = boot();
    const a = alloc(k, 1);
    const b = alloc(k, 1);
    const buf = alloc(k, 4);
    k.store32(vaddr(a + 4092), 0x11223344);
    k.store32(b, 0x55667788);
    expect(vread(k, buf, vaddr(a + 4092), 4 + 4096 + 4)).toBe(4 + 4096 + 4);
    expect(k.load32(buf)).toBe(0x11223344);
    expect(k.load32(vaddr(buf + 4))).toBe(0);
    expect(k.load32(vaddr(buf + 4 + 4096))).toBe(0x55667788);
    const last = alloc(k, 1);
    expect(vread(k, buf, last, 8192)).toBe(4096);
  });

  it('faults in vread() of an area without pages', () => {
    const k = boot();
    const buf = alloc(k, 1);
    const area = get_vm_area(k, 4096, VM_ALLOC, gfp(k).GFP_KERNEL);
    const addr = vaddr(k.read(area, struct_vm_struct.addr));
    expect(() => vread(k, buf, addr, 4)).toThrow(/paging request/);
  });
});
