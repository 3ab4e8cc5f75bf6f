/**
 * What holds of vmalloc's areas whenever nobody is at work on them. Ours; the kernel has no such function. Source: spec/vmalloc-gfp.md §12.5.
 */
import type { Kernel } from '../cpu/kernel.js';
import { list_next } from '../shared/list.js';
import { NULL, ptr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION } from '../shared/version.js';
import { vmalloc_to_page } from './memory.js';
import { page_to_pfn } from './page.js';
import { is_vmalloc_addr, struct_vm_struct, VM_ALLOC, VM_MAP, type VmStruct } from './vmalloc/vm-struct.js';
import {
  areaOfList,
  find_vmap_area,
  struct_vmap_area,
  VM_LAZY_FREE,
  VM_VM_AREA,
  va_end,
  va_flags,
  va_pages,
  va_start,
} from './vmalloc/vmap-area.js';

/** The vm_structs by address. */
function areasOf(k: Kernel): VmStruct[] {
  const areas: VmStruct[] = [];
  if (k.LINUX_VERSION_CODE < KERNEL_VERSION(3, 10, 0)) {
    let area = k.loadPtr<'vm_struct'>(k.sym.vmlist);
    for (; area !== NULL; area = ptr<'vm_struct'>(k.read(area, struct_vm_struct.next))) areas.push(area);
    return areas;
  }
  for (let e = list_next(k, k.sym.vmap_area_list); e !== k.sym.vmap_area_list; e = list_next(k, e)) {
    const va = areaOfList(e);
    if ((va_flags(k, va) & VM_VM_AREA) !== 0) areas.push(ptr<'vm_struct'>(k.read(va, struct_vmap_area.vm)));
  }
  return areas;
}

/** Each page where it belongs, and nothing at the guard page. */
function checkPages(k: Kernel, area: VmStruct): string | null {
  if ((k.read(area, struct_vm_struct.flags) & VM_ALLOC) === 0) return null;
  const addr = k.read(area, struct_vm_struct.addr);
  const nr_pages = k.read(area, struct_vm_struct.nr_pages);
  const pages = k.read(area, struct_vm_struct.pages);
  for (let i = 0; i < nr_pages; i++) {
    const wanted = k.load(vaddr(pages + i * 4)) >>> 0;
    if (vmalloc_to_page(k, addr + i * 4096) !== wanted) return `page ${i} of area ${addr.toString(16)} is another one`;
  }
  return vmalloc_to_page(k, addr + nr_pages * 4096) === NULL ? null : `area ${addr.toString(16)} has a guard page`;
}

/** No two areas overlap; the tree finds what the list has; the pages that wait for a purge are counted. */
function checkVmapAreas(k: Kernel): string | null {
  let end = 0;
  let lazy = 0;
  for (let e = list_next(k, k.sym.vmap_area_list); e !== k.sym.vmap_area_list; e = list_next(k, e)) {
    const va = areaOfList(e);
    const start = va_start(k, va);
    if (start < end) return `vmap areas overlap at ${start.toString(16)}`;
    if (find_vmap_area(k, start) !== va) return `the tree does not find ${start.toString(16)}`;
    end = va_end(k, va);
    if ((va_flags(k, va) & VM_LAZY_FREE) !== 0) lazy += va_pages(k, va);
  }
  const modern = k.LINUX_VERSION_CODE >= KERNEL_VERSION(3, 10, 0);
  for (let link = modern ? k.load(k.sym.vmap_purge_list) >>> 0 : 0; link !== 0; link = k.load(vaddr(link)) >>> 0) {
    lazy += va_pages(k, ptr<'vmap_area'>(link - struct_vmap_area.purge_list.offset));
  }
  const counted = k.load(k.sym.vmap_lazy_nr);
  return lazy === counted ? null : `vmap_lazy_nr is ${counted}, and ${lazy} pages wait for a purge`;
}

/** Addresses that are some area's, or were until the next purge. */
function reserved(k: Kernel, addr: number): boolean {
  for (let e = list_next(k, k.sym.vmap_area_list); e !== k.sym.vmap_area_list; e = list_next(k, e)) {
    const va = areaOfList(e);
    if (addr >= va_start(k, va) && addr < va_end(k, va)) return true;
  }
  return false;
}

/** What a CPU remembers of the vmalloc range is as the page tables have it; from 2.6.28 on it may be of an area that waits for a purge. */
function checkTranslations(k: Kernel): string | null {
  const lazy = k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 28);
  for (const [cpu, tlb] of k.mmu.tlbs.entries()) {
    for (const { page: addr, pte } of tlb.translations()) {
      if (!is_vmalloc_addr(k, addr)) continue;
      const page = vmalloc_to_page(k, addr);
      const stale = page === NULL ? !lazy || !reserved(k, addr) : page_to_pfn(k, page) !== k.arch.pte_pfn(pte);
      if (stale) return `CPU${cpu} has a translation of ${addr.toString(16)} that is no longer so`;
    }
  }
  return null;
}

/**
 * Look at every area, and at what the CPUs' TLBs have of the range.
 *
 * Context: process; nobody else uses vmalloc meanwhile.
 * Return:  what is wrong, or null.
 */
export function checkVmallocInvariants(k: Kernel): string | null {
  let end = 0;
  for (const area of areasOf(k)) {
    const addr = k.read(area, struct_vm_struct.addr);
    if (addr < end) return `areas overlap at ${addr.toString(16)}`;
    end = addr + k.read(area, struct_vm_struct.size);
    const mapped = (k.read(area, struct_vm_struct.flags) & (VM_ALLOC | VM_MAP)) !== 0 ? checkPages(k, area) : null;
    if (mapped !== null) return mapped;
  }
  const wrong = k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 28) ? checkVmapAreas(k) : null;
  return wrong ?? checkTranslations(k);
}
