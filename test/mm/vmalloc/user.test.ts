/** vmalloc memory in user space: vmalloc_user(), vmalloc_32_user(), remap_vmalloc_range(); and the small functions of spec/vmalloc-gfp.md §6.6. */
import { describe, expect, it } from 'vitest';
import type { Kernel } from '../../../src/cpu/kernel.js';
import { USER_BASE } from '../../../src/mm/arm/flush.js';
import { vma_init } from '../../../src/mm/filemap.js';
import { gfp } from '../../../src/mm/gfp.js';
import { kmap } from '../../../src/mm/kmap.js';
import { vm_insert_page, vmalloc_to_page, vmalloc_to_pfn } from '../../../src/mm/memory.js';
import { PageHighMem, page_to_pfn } from '../../../src/mm/page.js';
import { __free_page, alloc_page } from '../../../src/mm/page_alloc.js';
import { USER_WINDOW } from '../../../src/mm/parisc/boot.js';
import type { Vma } from '../../../src/mm/prio_tree.js';
import { struct_vm_struct, VM_USERMAP } from '../../../src/mm/vmalloc/vm-struct.js';
import {
  find_vm_area,
  free_work,
  remap_vmalloc_range,
  set_iounmap_nonlazy,
  unmap_kernel_range,
  vfree,
  vfree_atomic,
  vmalloc,
  vmalloc_32_user,
  vmalloc_user,
} from '../../../src/mm/vmalloc.js';
import { struct_vm_area_struct } from '../../../src/shared/structs/configured.js';
import { struct_page } from '../../../src/shared/structs/page.js';
import { NULL, ptr, type Vaddr, vaddr } from '../../../src/shared/types.js';
import { localMachine } from '../../machine.js';

const P = 4096;
const [EFAULT, EBUSY, EINVAL] = [14, 16, 22];
const boot = (kernel: string, core = 'cortex-a9', lowmemPages = 512): Kernel =>
  localMachine(core, { kernel, patches: core === 'cortex-a9' ? ['tlb-ops-broadcast'] : [], lowmemPages }).k;

const base = (k: Kernel): number => (k.arch.id === 'arm' ? USER_BASE : USER_WINDOW);
/** A user's VMA of so many pages, at the beginning of what has page tables. */
function vmaOf(k: Kernel, pages: number): Vma {
  const vma = ptr<'vm_area_struct'>(k.sym.race_data + 512);
  vma_init(k, vma, { mm: 1, start: vaddr(base(k)), pages, pgoff: 0, flags: 0 });
  return vma;
}
const references = (k: Kernel, addr: number): number => k.read(vmalloc_to_page(k, addr), struct_page._count);

describe.each(['2.6.22', '2.6.28', '2.6.34', '4.10', '4.12'])('remap_vmalloc_range() of %s', (kernel) => {
  it('shows a user what the driver writes, and the driver what the user writes', () => {
    const k = boot(kernel);
    const area = vmalloc_user(k, 3 * P);
    k.store32(vaddr(area + P), 0x1234);
    const vma = vmaOf(k, 3);
    expect(remap_vmalloc_range(k, vma, area, 0)).toBe(0);
    expect([k.load32(vaddr(USER_BASE)), k.load32(vaddr(USER_BASE + P))]).toEqual([0, 0x1234]);
    k.store32(vaddr(USER_BASE + 2 * P + 8), 0x5678);
    expect(k.load32(vaddr(area + 2 * P + 8))).toBe(0x5678);
    expect(k.read(vma, struct_vm_area_struct.vm_flags)).not.toBe(0);
  });

  it('begins with the page that is asked for', () => {
    const k = boot(kernel);
    const area = vmalloc_user(k, 3 * P);
    k.store32(vaddr(area + 2 * P), 0x77);
    expect(remap_vmalloc_range(k, vmaOf(k, 1), area, 2)).toBe(0);
    expect(k.load32(vaddr(USER_BASE))).toBe(0x77);
  });

  it('gives each page a reference, so that it outlives the area', () => {
    const k = boot(kernel);
    const area = vmalloc_user(k, P);
    remap_vmalloc_range(k, vmaOf(k, 1), area, 0);
    expect(references(k, area)).toBe(2);
    k.store32(area, 0x99);
    vfree(k, area);
    for (let i = 0; i < 40; i++) k.store32(vmalloc(k, P), 0);
    expect(k.load32(vaddr(USER_BASE))).toBe(0x99);
  });

  it('refuses other memory, and more than there is, guard page included', () => {
    const k = boot(kernel);
    const [plain, user] = [vmalloc(k, 2 * P), vmalloc_user(k, 2 * P)];
    expect(remap_vmalloc_range(k, vmaOf(k, 1), plain, 0)).toBe(-EINVAL);
    expect(remap_vmalloc_range(k, vmaOf(k, 3), user, 0)).toBe(-EINVAL);
    expect(remap_vmalloc_range(k, vmaOf(k, 2), user, 1)).toBe(-EINVAL);
    expect(remap_vmalloc_range(k, vmaOf(k, 1), vaddr(user + 4), 0)).toBe(-EINVAL);
    expect(remap_vmalloc_range(k, vmaOf(k, 2), user, 0)).toBe(0);
  });

  it('does not put a page over another', () => {
    const k = boot(kernel);
    const area = vmalloc_user(k, P);
    expect(remap_vmalloc_range(k, vmaOf(k, 1), area, 0)).toBe(0);
    expect(remap_vmalloc_range(k, vmaOf(k, 1), area, 0)).toBe(-EBUSY);
    expect(references(k, area)).toBe(2);
  });
});

describe('remap_vmalloc_range() on PA-RISC', () => {
  it('shows a user what the driver writes', () => {
    const k = boot('2.6.22', 'pcxw2');
    const area = vmalloc_user(k, P);
    expect(remap_vmalloc_range(k, vmaOf(k, 1), area, 0)).toBe(0);
    expect(k.load32(vaddr(USER_WINDOW))).toBe(0);
  });
});

describe('vm_insert_page()', () => {
  it('wants a page that is in use and an address of the VMA', () => {
    const k = boot('4.12');
    const page = alloc_page(k, gfp(k).GFP_KERNEL);
    expect(vm_insert_page(k, vmaOf(k, 1), vaddr(USER_BASE + P), page)).toBe(-EFAULT);
    __free_page(k, page);
    expect(vm_insert_page(k, vmaOf(k, 1), vaddr(USER_BASE), page)).toBe(-EINVAL);
  });

  it('writes back what the kernel has in the cache, of a highmem page too', () => {
    // VIVT: the user's address is another place in the cache.
    const k = localMachine('arm926', { kernel: '4.12', patches: [] }).k;
    const page = alloc_page(k, gfp(k).GFP_HIGHUSER);
    expect(PageHighMem(k, page)).toBe(true);
    const addr = kmap(k, page);
    k.load32(addr);
    k.store32(addr, 0x4711);
    vm_insert_page(k, vmaOf(k, 1), vaddr(USER_BASE), page);
    expect(k.load32(vaddr(USER_BASE))).toBe(0x4711);
  });
});

describe('vmalloc_user() and vmalloc_32_user()', () => {
  it('are zeroed and marked', () => {
    const k = boot('4.12');
    for (const addr of [vmalloc_user(k, P), vmalloc_32_user(k, P)]) {
      expect(k.read(find_vm_area(k, addr), struct_vm_struct.flags) & VM_USERMAP).toBe(VM_USERMAP);
      for (let at = 0; at < P; at += 64) expect(k.load32(vaddr(addr + at))).toBe(0);
    }
  });

  it('give a user an address of any colour from 2.6.32 on: SHMLBA, 16 KB on ARM and 4 MB on PA-RISC', () => {
    const starts = (kernel: string, core?: string): number[] => {
      const k = boot(kernel, core, 2048);
      return [vmalloc(k, P), vmalloc_user(k, P), vmalloc_user(k, P)].slice(1);
    };
    expect(starts('2.6.28').some((addr) => addr % 0x4000 !== 0)).toBe(true);
    for (const kernel of ['2.6.32', '4.12']) expect(starts(kernel).map((addr) => addr % 0x4000)).toEqual([0, 0]);
    expect(starts('4.12', 'pcxw2').map((addr) => addr % 0x400000)).toEqual([0, 0]);
  });

  it('are not there in 2.5.53', () => {
    expect(() => vmalloc_user(boot('2.5.53', 'arm926'), P)).toThrow(/not in 2\.5\.53/);
  });
});

describe('find_vm_area()', () => {
  it('goes by the first address until 2.6.34, by any from 4.x on', () => {
    for (const [kernel, inside] of [
      ['2.6.22', false],
      ['2.6.34', false],
      ['4.12', true],
    ] as const) {
      const k = boot(kernel);
      const addr = vmalloc(k, 2 * P);
      expect(k.read(find_vm_area(k, addr), struct_vm_struct.addr)).toBe(addr);
      expect(find_vm_area(k, vaddr(addr + P)) !== NULL).toBe(inside);
      expect(find_vm_area(k, vaddr(addr + 64 * P))).toBe(NULL);
    }
  });
});

describe('vmalloc_to_pfn()', () => {
  it('is the number of the page behind the address', () => {
    const k = boot('4.12');
    const addr = vmalloc(k, 2 * P);
    expect(vmalloc_to_pfn(k, addr + P + 5)).toBe(page_to_pfn(k, vmalloc_to_page(k, addr + P)));
  });
});

describe('unmap_kernel_range()', () => {
  it('takes the pages away, and leaves the area reserved', () => {
    const k = boot('4.12');
    const addr = vmalloc(k, 2 * P);
    k.load32(addr);
    unmap_kernel_range(k, addr, P);
    expect(() => k.load32(addr)).toThrow(/paging request/);
    expect(vmalloc_to_page(k, addr)).toBe(NULL);
    expect(vmalloc_to_page(k, addr + P)).not.toBe(NULL);
    expect(find_vm_area(k, addr)).not.toBe(NULL);
  });
});

describe('vfree_atomic()', () => {
  it('puts the area off, in process context too', () => {
    const k = boot('4.12');
    const addr = vmalloc(k, P);
    vfree_atomic(k, addr);
    expect(find_vm_area(k, addr)).not.toBe(NULL);
    free_work(k);
    expect(find_vm_area(k, addr)).toBe(NULL);
    vfree_atomic(k, NULL);
    expect(() => vfree_atomic(boot('2.6.34'), addr)).toThrow(/from 4\.10 on/);
  });
});

describe('set_iounmap_nonlazy()', () => {
  it('makes the next vfree() purge at once', () => {
    const again = (eager: boolean): Vaddr[] => {
      const k = boot('4.12');
      const first = vmalloc(k, P);
      if (eager) set_iounmap_nonlazy(k);
      vfree(k, first);
      return [first, vmalloc(k, P)];
    };
    const [kept, next] = again(false);
    expect(next).not.toBe(kept);
    const [freed, reused] = again(true);
    expect(reused).toBe(freed);
  });
});
