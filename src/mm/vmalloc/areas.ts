/**
 * What vmalloc(), vmap() and vfree() do with an area as far as the eras agree. How an area is reserved, mapped and given back is the era's.
 *
 * Source: mm/vmalloc.c, Linux 2.5.53 (`vmap`), 2.6.22, 2.6.28, 4.12; spec/vmalloc-gfp.md §6.2 to §6.5.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON, WARN } from '../../shared/bug.js';
import { in_interrupt } from '../../shared/irqflags.js';
import { hex8, NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { kfree } from '../kmalloc.js';
import { type AreaAllocator, allocArray, allocPages, freePagesAndArray } from './pages.js';
import {
  num_physpages,
  PAGE_ALIGN,
  PAGE_SIZE,
  struct_vm_struct,
  VM_ALLOC,
  VM_MAP,
  type VmStruct,
} from './vm-struct.js';

/** What an era has of its own. */
export interface AreaEra extends AreaAllocator {
  /** @align: of the address, where the caller wants more than a page. */
  get_vm_area(k: Kernel, size: number, flags: number, gfp_mask: number, align?: number): VmStruct;
  map_vm_area(k: Kernel, area: VmStruct, prot: number, pages: Vaddr, gfp_mask: number): boolean;
  vunmap(k: Kernel, addr: Vaddr): void;
}

/**
 * __vmalloc() of 2.6.22 to 2.6.34.
 *
 * Context: process, sleeps: page tables use GFP_KERNEL.
 * Return:  NULL without memory or room.
 * Errors:  BUG in an interrupt.
 */
export function __vmalloc_node(
  k: Kernel,
  size: number,
  align: number,
  gfp_mask: number,
  prot: number,
  era: AreaEra,
): Vaddr {
  const bytes = PAGE_ALIGN(size);
  const nr_pages = bytes >>> 12;
  if (bytes === 0 || nr_pages > num_physpages(k)) return NULL;
  const area = era.get_vm_area(k, bytes, VM_ALLOC, gfp_mask, align);
  if (area === NULL) return NULL;
  const addr = vaddr(k.read(area, struct_vm_struct.addr));
  const pages = allocArray(k, area, nr_pages, gfp_mask, era);
  if (pages === NULL) return NULL;
  const complete = allocPages(k, area, nr_pages, gfp_mask) === nr_pages;
  if (complete && era.map_vm_area(k, area, prot, pages, gfp_mask)) return addr;
  era.vfree(k, addr);
  return NULL;
}

/** Map an array of pages. Context: process, sleeps. Return: NULL without memory or room. */
export function vmap(k: Kernel, pages: Vaddr, count: number, prot: number, era: AreaEra): Vaddr {
  if (count > num_physpages(k)) return NULL;
  const mask = gfp(k).GFP_KERNEL;
  const area = era.get_vm_area(k, count << 12, VM_MAP, mask);
  if (area === NULL) return NULL;
  const addr = vaddr(k.read(area, struct_vm_struct.addr));
  if (era.map_vm_area(k, area, prot, pages, mask)) return addr;
  era.vunmap(k, addr);
  return NULL;
}

/** vfree() and vunmap() from 2.6.22 on, without their question where they are called. */
export function __vunmap(k: Kernel, addr: Vaddr, deallocate_pages: boolean, era: AreaEra): void {
  if (addr === NULL) return;
  const bad = (addr & (PAGE_SIZE - 1)) !== 0;
  const area = bad ? NULL : era.remove_vm_area(k, addr);
  if (area === NULL) {
    const text = `Trying to vfree() ${bad ? 'bad address' : 'nonexistent vm area'} (${hex8(addr)})`;
    WARN(k, 'mm/vmalloc.c __vunmap()', text);
    return;
  }
  if (deallocate_pages) freePagesAndArray(k, area, era);
  kfree(k, area);
}

/** vfree() and vunmap() until 3.x. Errors: BUG in an interrupt. */
export function unmapInProcess(k: Kernel, addr: Vaddr, deallocate_pages: boolean, era: AreaEra): void {
  const where = deallocate_pages ? 'mm/vmalloc.c vfree: in interrupt' : 'mm/vmalloc.c vunmap: in interrupt';
  BUG_ON(k, in_interrupt(k), where, addr);
  __vunmap(k, addr, deallocate_pages, era);
}
