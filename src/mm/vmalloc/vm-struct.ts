/**
 * `struct vm_struct`, flags and geometry of the vmalloc area, and what the eras of mm/vmalloc.c have in common.
 *
 * Source: include/linux/vmalloc.h, Linux 2.5.53 to 4.12; arch/arm/include/asm/pgtable.h; spec/vmalloc-gfp.md §6.1.
 */
import type { Kernel } from '../../cpu/kernel.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { defineStruct } from '../../shared/layout.js';
import type { RwLock } from '../../shared/spinlock.js';
import { NULL, type Ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';

export const PAGE_SIZE = 4096;

/** Differs: `caller`, from 2.6.28 on, is always there. */
export const struct_vm_struct = defineStruct('vm_struct', 32, {
  next: 0, // vmlist_lock
  addr: 4,
  size: 8, // with the guard page
  flags: 12,
  pages: 16, // array of nr_pages struct page *
  nr_pages: 20,
  phys_addr: 24,
  caller: 28,
});

export type VmStruct = Ptr<'vm_struct'>;

/** The word that points to the area behind @area on vmlist. */
export const nextLink = (area: VmStruct): Vaddr => vaddr(area + struct_vm_struct.next.offset);
export const nextArea = (k: Kernel, area: VmStruct): VmStruct => k.loadPtr<'vm_struct'>(nextLink(area));

/** An address, and the word that is to point to the area there: &vmlist or a predecessor's next. */
export interface Place {
  readonly addr: number;
  readonly link: Vaddr;
}

/** Put an area on vmlist, without pages. vmlist_lock is held for writing. */
export function setup_vmlist_area(k: Kernel, area: VmStruct, { addr, link }: Place, size: number, flags: number): void {
  k.write(area, struct_vm_struct.next, k.load(link));
  k.store(link, area);
  k.write(area, struct_vm_struct.flags, flags);
  k.write(area, struct_vm_struct.addr, addr);
  k.write(area, struct_vm_struct.size, size);
  k.write(area, struct_vm_struct.pages, NULL);
  k.write(area, struct_vm_struct.nr_pages, 0);
  k.write(area, struct_vm_struct.phys_addr, 0);
}

/** The area that begins at @addr, and the word that points to it. vmlist_lock is held. Return: an area of NULL where there is none. */
export function findOnVmlist(k: Kernel, addr: Vaddr): { readonly area: VmStruct; readonly link: Vaddr } {
  let link: Vaddr = k.sym.vmlist;
  let area = k.loadPtr<'vm_struct'>(link);
  while (area !== NULL && k.read(area, struct_vm_struct.addr) !== addr) {
    link = nextLink(area);
    area = k.loadPtr<'vm_struct'>(link);
  }
  return { area, link };
}

export const VM_IOREMAP = 0x1;
export const VM_ALLOC = 0x2;
export const VM_MAP = 0x4;
export const VM_USERMAP = 0x8;
export const VM_VPAGES = 0x10;
/** 4.x. */
export const VM_UNINITIALIZED = 0x20;
export const VM_NO_GUARD = 0x40;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    /** First vm_struct by address. */
    vmlist: Vaddr;
    vmlist_lock: RwLock;
  }
}

export const vmlistSymbols: Readonly<Record<string, SymbolSpec>> = {
  vmlist_lock: { bytes: 4, align: 32 },
  vmlist: { bytes: 4 },
};

export const PAGE_ALIGN = (size: number): number => ((size + PAGE_SIZE - 1) & -PAGE_SIZE) >>> 0;
export const ALIGN = (addr: number, align: number): number => ((addr + align - 1) & -align) >>> 0;

/** Pages of the machine, as the kernel counts them against a request: num_physpages, totalram_pages. */
export const num_physpages = (k: Kernel): number => k.config.lowmemPages + k.config.highmemPages;

/** Does a + b leave 32 bits? */
export const wraps = (a: number, b: number): boolean => a + b > 0xffffffff;

export const is_vmalloc_addr = (k: Kernel, addr: number): boolean =>
  addr >= k.arch.VMALLOC_START(k) && addr < k.arch.VMALLOC_END(k);

/** ARM's and the default IOREMAP_MAX_ORDER. */
const ioremapMaxOrder = (k: Kernel): number => (k.arch.id === 'arm' ? 24 : 7 + 12);

/**
 * Alignment of an area with VM_IOREMAP: a power of two of its size, so that big pages could map it. Until 3.x the next one above @size,
 * from then on the first one not below.
 *
 * Source: __get_vm_area_node(), Linux 2.6.22 (fls), 4.12 (get_count_order_long).
 */
export function ioremapAlign(k: Kernel, size: number): number {
  const bits = k.LINUX_VERSION_CODE < KERNEL_VERSION(4, 0, 0) ? 32 - Math.clz32(size) : 32 - Math.clz32(size - 1);
  return 2 ** Math.min(Math.max(bits, 12), ioremapMaxOrder(k));
}
