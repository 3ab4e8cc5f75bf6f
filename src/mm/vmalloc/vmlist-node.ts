/**
 * mm/vmalloc.c of 2.6.22: the list of 2.5.53, with an area's pages unmapped under its lock, and page tables that lock for themselves.
 *
 * Source: mm/vmalloc.c, Linux 2.6.22; spec/vmalloc-gfp.md §6.3. vread() and vwrite() are those of vmlist.ts.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON, WARN_ON } from '../../shared/bug.js';
import { in_interrupt } from '../../shared/irqflags.js';
import { write_lock, write_unlock } from '../../shared/spinlock.js';
import { hex8, NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { flush_cache_vmap, flush_cache_vunmap, vmap_page_range_noflush, vunmap_page_range } from './page-range.js';
import { type AreaAllocator, allocArray, allocPages, freePagesAndArray, metadataMask } from './pages.js';
import {
  ALIGN,
  ioremapAlign,
  num_physpages,
  PAGE_ALIGN,
  PAGE_SIZE,
  struct_vm_struct,
  VM_ALLOC,
  VM_IOREMAP,
  VM_MAP,
  type VmStruct,
  wraps,
} from './vm-struct.js';

export { vread, vwrite } from './vmlist.js';

const next = (k: Kernel, area: VmStruct): VmStruct =>
  k.loadPtr<'vm_struct'>(vaddr(area + struct_vm_struct.next.offset));

const ALLOCATOR: AreaAllocator = { nested: (k, size, mask) => __vmalloc(k, size, mask, k.arch.PAGE_KERNEL(k)), vfree };

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
  if (place !== null) {
    k.write(area, struct_vm_struct.next, k.load(place.link));
    k.store(place.link, area);
    k.write(area, struct_vm_struct.flags, flags);
    k.write(area, struct_vm_struct.addr, place.addr);
    k.write(area, struct_vm_struct.size, total);
    k.write(area, struct_vm_struct.pages, NULL);
    k.write(area, struct_vm_struct.nr_pages, 0);
    k.write(area, struct_vm_struct.phys_addr, 0);
  }
  write_unlock(k, k.sym.vmlist_lock);
  if (place !== null) return area;
  kfree(k, area);
  k.printk('allocation failed: out of vmalloc space - use vmalloc=<size> to increase size.');
  return NULL;
}

/** First fit from @start on. At the end of the list nothing is compared with @end, as in the source. vmlist_lock is held. */
function findRoom(
  k: Kernel,
  size: number,
  align: number,
  start: number,
  end: number,
): { readonly addr: number; readonly link: Vaddr } | null {
  let addr = ALIGN(start, align);
  let link: Vaddr = k.sym.vmlist;
  for (let tmp = k.loadPtr<'vm_struct'>(link); tmp !== NULL; tmp = next(k, tmp)) {
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
    link = vaddr(tmp + struct_vm_struct.next.offset);
  }
  return { addr, link };
}

export function get_vm_area(k: Kernel, size: number, flags: number, gfp_mask: number): VmStruct {
  return __get_vm_area_node(k, size, flags, k.arch.VMALLOC_START(k), k.arch.VMALLOC_END(k), gfp_mask);
}

/**
 * Unmap the area that begins at @addr and take it off the list.
 *
 * Context: process, interrupts on: the TLB is flushed under vmlist_lock, by inter-processor call where the hardware has nothing better.
 * Return:  the area, its size without the guard page; or NULL.
 */
export function remove_vm_area(k: Kernel, addr: Vaddr): VmStruct {
  write_lock(k, k.sym.vmlist_lock);
  let link: Vaddr = k.sym.vmlist;
  let area = k.loadPtr<'vm_struct'>(link);
  while (area !== NULL && k.read(area, struct_vm_struct.addr) !== addr) {
    link = vaddr(area + struct_vm_struct.next.offset);
    area = k.loadPtr<'vm_struct'>(link);
  }
  if (area !== NULL) {
    unmap_vm_area(k, area);
    k.store(link, next(k, area));
    k.write(area, struct_vm_struct.size, k.read(area, struct_vm_struct.size) - PAGE_SIZE);
  }
  write_unlock(k, k.sym.vmlist_lock);
  return area;
}

function unmap_vm_area(k: Kernel, area: VmStruct): void {
  const start = k.read(area, struct_vm_struct.addr);
  const end = start + k.read(area, struct_vm_struct.size);
  flush_cache_vunmap(k, start, end);
  vunmap_page_range(k, start, end);
  k.arch.flush_tlb_kernel_range(k, vaddr(start), vaddr(end));
}

/** Context: process, sleeps, holding nothing. Return: false without memory. */
export function map_vm_area(k: Kernel, area: VmStruct, prot: number, pages: Vaddr, _gfp_mask: number): boolean {
  const start = k.read(area, struct_vm_struct.addr);
  const end = start + k.read(area, struct_vm_struct.size) - PAGE_SIZE;
  const error = vmap_page_range_noflush(k, start, end, prot, pages);
  flush_cache_vmap(k, start, end);
  return error === 0;
}

/** Context: process, sleeps: page tables use GFP_KERNEL. Return: NULL without memory or room. Errors: BUG in an interrupt. */
export function __vmalloc(k: Kernel, size: number, gfp_mask: number, prot: number): Vaddr {
  const bytes = PAGE_ALIGN(size);
  const nr_pages = bytes >>> 12;
  if (bytes === 0 || nr_pages > num_physpages(k)) return NULL;
  const area = get_vm_area(k, bytes, VM_ALLOC, gfp_mask);
  if (area === NULL) return NULL;
  const addr = vaddr(k.read(area, struct_vm_struct.addr));
  const pages = allocArray(k, area, nr_pages, gfp_mask, ALLOCATOR);
  if (pages === NULL) {
    remove_vm_area(k, addr);
    kfree(k, area);
    return NULL;
  }
  if (allocPages(k, area, nr_pages, gfp_mask) === nr_pages && map_vm_area(k, area, prot, pages, gfp_mask)) return addr;
  vfree(k, addr);
  return NULL;
}

export function __vunmap(k: Kernel, addr: Vaddr, deallocate_pages: boolean): void {
  if (addr === NULL) return;
  if ((addr & (PAGE_SIZE - 1)) !== 0) {
    k.printk(`Trying to vfree() bad address (${hex8(addr)})`);
    WARN_ON(k, true, 'mm/vmalloc.c __vunmap()');
    return;
  }
  const area = remove_vm_area(k, addr);
  if (area === NULL) {
    k.printk(`Trying to vfree() nonexistent vm area (${hex8(addr)})`);
    WARN_ON(k, true, 'mm/vmalloc.c __vunmap()');
    return;
  }
  if (deallocate_pages) freePagesAndArray(k, area, ALLOCATOR);
  kfree(k, area);
}

/** Context: process, interrupts on. Errors: BUG in an interrupt. */
export function vfree(k: Kernel, addr: Vaddr): void {
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c vfree: in interrupt', addr);
  __vunmap(k, addr, true);
}

export function vunmap(k: Kernel, addr: Vaddr): void {
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c vunmap: in interrupt', addr);
  __vunmap(k, addr, false);
}

/** Context: process, sleeps. Return: NULL without memory or room. */
export function vmap(k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr {
  if (count > num_physpages(k)) return NULL;
  const mask = gfp(k).GFP_KERNEL;
  const area = get_vm_area(k, count << 12, VM_MAP, mask);
  if (area === NULL) return NULL;
  const addr = vaddr(k.read(area, struct_vm_struct.addr));
  if (map_vm_area(k, area, prot, pages, mask)) return addr;
  vunmap(k, addr);
  return NULL;
}
