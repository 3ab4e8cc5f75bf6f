/**
 * mm/vmalloc.c of 2.6.22: the list of 2.5.53, with an area's pages unmapped under its lock, and page tables that lock for themselves.
 *
 * Source: mm/vmalloc.c, Linux 2.6.22; spec/vmalloc-gfp.md §6.3. vread() and vwrite() are those of vmlist.ts.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON } from '../../shared/bug.js';
import { in_interrupt } from '../../shared/irqflags.js';
import { read_lock, read_unlock, write_lock, write_unlock } from '../../shared/spinlock.js';
import { NULL, type Vaddr } from '../../shared/types.js';
import { kasan_reserve_vmalloc } from '../kasan.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { printk_ratelimit } from '../ratelimit.js';
import * as areas from './areas.js';
import { unmap_kernel_range, vmap_page_range } from './page-range.js';
import { metadataMask } from './pages.js';
import {
  ALIGN,
  findOnVmlist,
  ioremapAlign,
  nextArea,
  nextLink,
  PAGE_ALIGN,
  PAGE_SIZE,
  type Place,
  setup_vmlist_area,
  struct_vm_struct,
  VM_IOREMAP,
  type VmStruct,
  wraps,
} from './vm-struct.js';

export { vread, vwrite } from './vmlist.js';

const ERA: areas.AreaEra = {
  get_vm_area,
  map_vm_area,
  remove_vm_area,
  vunmap,
  vfree,
  nested: (k, size, mask) => __vmalloc(k, size, mask, k.arch.PAGE_KERNEL(k)),
};

/**
 * Context: process, sleeps. Takes and releases vmlist_lock for writing.
 * Return:  NULL without memory or room.
 * Errors:  BUG in an interrupt.
 */
export function __get_vm_area_node(
  k: Kernel,
  size: number,
  flags: number,
  start: number,
  end: number,
  gfp_mask: number,
): VmStruct {
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c __get_vm_area_node: in interrupt');
  const align = (flags & VM_IOREMAP) !== 0 ? ioremapAlign(k, size) : 1;
  const bytes = PAGE_ALIGN(size);
  if (bytes === 0) return NULL;
  const area = kmalloc<'vm_struct'>(k, struct_vm_struct.sizeof, metadataMask(k, gfp_mask));
  if (area === NULL) return NULL;
  const total = bytes + PAGE_SIZE;
  write_lock(k, k.sym.vmlist_lock);
  const place = findRoom(k, total, align, start, end);
  if (place !== null) setup_vmlist_area(k, area, place, total, flags);
  write_unlock(k, k.sym.vmlist_lock);
  if (place !== null) {
    kasan_reserve_vmalloc(k, place.addr, bytes);
    return area;
  }
  kfree(k, area);
  if (printk_ratelimit(k)) {
    k.printk('allocation failed: out of vmalloc space - use vmalloc=<size> to increase size.');
  }
  return NULL;
}

/** First fit from @start on. At the end of the list nothing is compared with @end, as in the source. vmlist_lock is held. */
function findRoom(k: Kernel, size: number, align: number, start: number, end: number): Place | null {
  let addr = ALIGN(start, align);
  let link: Vaddr = k.sym.vmlist;
  for (let tmp = k.loadPtr<'vm_struct'>(link); tmp !== NULL; tmp = nextArea(k, tmp)) {
    const from = k.read(tmp, struct_vm_struct.addr);
    const behind = from + k.read(tmp, struct_vm_struct.size);
    if (from < addr) {
      if (behind >= addr) addr = ALIGN(behind, align);
    } else {
      if (wraps(size, addr)) return null;
      if (size + addr <= from) break;
      addr = ALIGN(behind, align);
      if (addr > end - size) return null;
    }
    link = nextLink(tmp);
  }
  return { addr, link };
}

export function get_vm_area(k: Kernel, size: number, flags: number, gfp_mask: number): VmStruct {
  return __get_vm_area_node(k, size, flags, k.arch.VMALLOC_START(k), k.arch.VMALLOC_END(k), gfp_mask);
}

/** The area that begins at @addr; nothing keeps it from going. Context: any that may spin on vmlist_lock. */
export function find_vm_area(k: Kernel, addr: Vaddr): VmStruct {
  read_lock(k, k.sym.vmlist_lock);
  const { area } = findOnVmlist(k, addr);
  read_unlock(k, k.sym.vmlist_lock);
  return area;
}

/**
 * Unmap the area that begins at @addr and take it off the list.
 *
 * Context: process, interrupts on: the TLB is flushed under vmlist_lock, by inter-processor call where the hardware has nothing better.
 * Return:  the area, its size without the guard page; or NULL.
 */
export function remove_vm_area(k: Kernel, addr: Vaddr): VmStruct {
  write_lock(k, k.sym.vmlist_lock);
  const { area, link } = findOnVmlist(k, addr);
  if (area !== NULL) {
    unmap_kernel_range(k, k.read(area, struct_vm_struct.addr), k.read(area, struct_vm_struct.size));
    k.store(link, nextArea(k, area));
    k.write(area, struct_vm_struct.size, k.read(area, struct_vm_struct.size) - PAGE_SIZE);
  }
  write_unlock(k, k.sym.vmlist_lock);
  return area;
}

/** Context: process, sleeps, holding nothing. Return: false without memory. */
export function map_vm_area(k: Kernel, area: VmStruct, prot: number, pages: Vaddr, _gfp_mask: number): boolean {
  const start = k.read(area, struct_vm_struct.addr);
  const end = start + k.read(area, struct_vm_struct.size) - PAGE_SIZE;
  return vmap_page_range(k, start, end, prot, pages) === 0;
}

export const __vmalloc = (k: Kernel, size: number, gfp_mask: number, prot: number): Vaddr =>
  areas.__vmalloc_node(k, size, 1, gfp_mask, prot, ERA);
export const vmap = (k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr =>
  areas.vmap(k, pages, count, prot, ERA);
export const __vunmap = (k: Kernel, addr: Vaddr, deallocate_pages: boolean): void =>
  areas.__vunmap(k, addr, deallocate_pages, ERA);

/** Context: process, interrupts on. Errors: BUG in an interrupt. */
export function vfree(k: Kernel, addr: Vaddr): void {
  areas.unmapInProcess(k, addr, true, ERA);
}

export function vunmap(k: Kernel, addr: Vaddr): void {
  areas.unmapInProcess(k, addr, false, ERA);
}
