import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { gfp } from '../../../src/mm/gfp.js';
import { vmalloc_to_page } from '../../../src/mm/memory.js';
import { struct_vm_struct, VM_IOREMAP, VM_VPAGES, type VmStruct } from '../../../src/mm/vmalloc/vm-struct.js';
import { __vmalloc, get_vm_area, vfree, vmalloc } from '../../../src/mm/vmalloc.js';
import { HARDIRQ_OFFSET } from '../../../src/shared/irqflags.js';
import { NULL, vaddr } from '../../../src/shared/types.js';
import { dmesgOf, localMachine } from '../../machine.js';

const boot = (lowmemPages = 256): Kernel => localMachine('arm926', { kernel: '2.6.22', patches: [], lowmemPages }).k;
const firstArea = (k: Kernel): VmStruct => k.loadPtr<'vm_struct'>(k.sym.vmlist);

describe('vmalloc() of 2.6.22', () => {
  it('vmalloc/C-02: leaves a guard page between areas and gives the address of a freed one to the next', () => {
    const k = boot();
    const start = k.arch.VMALLOC_START(k);
    const areas = [1, 2, 3].map(() => vmalloc(k, 4096));
    expect(areas).toEqual([start, start + 0x2000, start + 0x4000]);
    vfree(k, areas[0]!);
    expect(vmalloc(k, 4096)).toBe(start);
  });

  it('faults after vfree(), and has no page there any more', () => {
    const k = boot();
    const addr = vmalloc(k, 8192);
    k.store32(vaddr(addr + 4096), 7);
    expect(k.load32(vaddr(addr + 4096))).toBe(7);
    vfree(k, addr);
    expect(vmalloc_to_page(k, addr)).toBe(NULL);
    expect(() => k.load32(addr)).toThrow(/paging request/);
  });

  it('vmalloc/C-07: keeps the array of more than 1024 pages in a vmalloc area of its own', () => {
    const k = boot(2304);
    const small = vmalloc(k, 1024 * 4096);
    expect(k.read(firstArea(k), struct_vm_struct.flags) & VM_VPAGES).toBe(0);
    vfree(k, small);
    const big = vmalloc(k, 1025 * 4096);
    const area = firstArea(k);
    expect(k.read(area, struct_vm_struct.flags) & VM_VPAGES).toBe(VM_VPAGES);
    expect(k.read(area, struct_vm_struct.pages)).toBeGreaterThan(big);
    vfree(k, big);
    expect(firstArea(k)).toBe(NULL);
  });

  it('vmalloc/C-08: aligns areas for I/O to a power of two above their size', () => {
    const k = boot();
    const { GFP_KERNEL } = gfp(k);
    vmalloc(k, 4096);
    for (const size of [0x100000, 0x101000]) {
      const area = get_vm_area(k, size, VM_IOREMAP, GFP_KERNEL);
      expect(k.read(area, struct_vm_struct.addr) % 0x200000).toBe(0);
    }
  });

  it('vmalloc/C-06: is a BUG in an interrupt, to allocate and to free', () => {
    const k = boot();
    const addr = vmalloc(k, 4096);
    k.preemptCount += HARDIRQ_OFFSET;
    expect(() => __vmalloc(k, 4096, gfp(k).GFP_ATOMIC)).toThrow(/in interrupt/);
    expect(() => vfree(k, addr)).toThrow(/in interrupt/);
  });

  it('vmalloc/C-12: warns of addresses that it has not given', () => {
    const k = boot();
    const addr = vmalloc(k, 8192);
    vfree(k, vaddr(addr + 1));
    vfree(k, vaddr(addr + 4096));
    vfree(k, addr);
    vfree(k, addr);
    const hex = (at: number): string => at.toString(16).padStart(8, '0');
    const warning = 'WARNING: at mm/vmalloc.c __vunmap()';
    expect(dmesgOf(k)).toEqual([
      `Trying to vfree() bad address (${hex(addr + 1)})`,
      warning,
      `Trying to vfree() nonexistent vm area (${hex(addr + 4096)})`,
      warning,
      `Trying to vfree() nonexistent vm area (${hex(addr)})`,
      warning,
    ]);
  });
});
