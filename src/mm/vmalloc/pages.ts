/**
 * The pages behind an area, from 2.6.22 on: allocating them and their array, and giving both back.
 *
 * Source: mm/vmalloc.c (`__vmalloc_area_node`, `__vunmap`), Linux 2.6.22, 2.6.28, 4.10, 4.12; spec/vmalloc-gfp.md §6.3, §6.5.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON } from '../../shared/bug.js';
import { NULL, type Ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { gfp } from '../gfp.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { __free_page, alloc_page } from '../page_alloc.js';
import { is_vmalloc_addr, PAGE_SIZE, struct_vm_struct, VM_VPAGES, type VmStruct } from './vm-struct.js';

const LINUX_4_0 = KERNEL_VERSION(4, 0, 0);

/** What an area is allocated with: the nested vmalloc() of a big array comes from above. */
export interface AreaAllocator {
  /** Pages for the array, mapped. */
  nested(k: Kernel, size: number, gfp_mask: number): Vaddr;
  remove_vm_area(k: Kernel, addr: Vaddr): VmStruct;
  vfree(k: Kernel, addr: Vaddr): void;
}

/** The mask for vm_struct, vmap_area and the array: no zone, no zeroing of their own. Source: GFP_LEVEL_MASK, GFP_RECLAIM_MASK. */
export function metadataMask(k: Kernel, gfp_mask: number): number {
  const { GFP_LEVEL_MASK, GFP_RECLAIM_MASK } = gfp(k);
  return gfp_mask & (k.LINUX_VERSION_CODE < KERNEL_VERSION(2, 6, 24) ? GFP_LEVEL_MASK : GFP_RECLAIM_MASK);
}

/**
 * The array of struct page * of an area of @nr_pages, zeroed; one of more than a page is a vmalloc area itself.
 *
 * Return: NULL without memory; then the area is gone.
 */
export function allocArray(k: Kernel, area: VmStruct, nr_pages: number, gfp_mask: number, how: AreaAllocator): Vaddr {
  const bytes = nr_pages * 4;
  const { __GFP_HIGHMEM, __GFP_ZERO } = gfp(k);
  const modern = k.LINUX_VERSION_CODE >= LINUX_4_0;
  const nested = metadataMask(k, gfp_mask) | __GFP_ZERO;
  k.write(area, struct_vm_struct.nr_pages, nr_pages);
  let pages: Vaddr;
  if (bytes > PAGE_SIZE) {
    pages = how.nested(k, bytes, modern ? nested | __GFP_HIGHMEM : gfp_mask | __GFP_ZERO);
    if (!modern) k.write(area, struct_vm_struct.flags, k.read(area, struct_vm_struct.flags) | VM_VPAGES);
  } else pages = kmalloc<'page *'>(k, bytes, nested);
  k.write(area, struct_vm_struct.pages, pages);
  if (pages !== NULL) return pages;
  how.remove_vm_area(k, vaddr(k.read(area, struct_vm_struct.addr)));
  kfree(k, area);
  return NULL;
}

/**
 * The pages themselves.
 *
 * Return: how many there are; less than nr_pages when memory ran out, and the area knows it.
 */
export function allocPages(k: Kernel, area: VmStruct, nr_pages: number, gfp_mask: number): number {
  const pages = k.read(area, struct_vm_struct.pages);
  for (let i = 0; i < nr_pages; i++) {
    const page = alloc_page(k, gfp_mask);
    if (page === NULL) {
      k.write(area, struct_vm_struct.nr_pages, i);
      return i;
    }
    k.store(vaddr(pages + i * 4), page);
  }
  return nr_pages;
}

/** Context: where vfree() may be called, since the array may be a vmalloc area. */
export function freePagesAndArray(k: Kernel, area: VmStruct, how: AreaAllocator): void {
  const pages = vaddr(k.read(area, struct_vm_struct.pages));
  const nr_pages = k.read(area, struct_vm_struct.nr_pages);
  for (let i = 0; i < nr_pages; i++) {
    const page: Ptr<'page'> = k.loadPtr<'page'>(vaddr(pages + i * 4));
    BUG_ON(k, page === NULL, 'mm/vmalloc.c __vunmap: page of an area', pages + i * 4);
    __free_page(k, page);
  }
  if (is_vmalloc_addr(k, pages)) how.vfree(k, pages);
  else kfree(k, pages);
}
