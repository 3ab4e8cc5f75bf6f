/**
 * vread() and vwrite() page by page, through kmap_atomic() instead of the vmalloc address: an area without pages does not fault. On a cache with aliases,
 * bytes that are dirty in lines of the vmalloc address are not seen.
 *
 * Source: mm/vmalloc.c (`aligned_vread`, `aligned_vwrite`), Linux 2.6.32 and 4.12; spec/vmalloc-gfp.md §6.4, §6.5.
 */
import { km_type } from '../../arch/arm/memory.js';
import type { Kernel } from '../../cpu/kernel.js';
import { NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { kmap_atomic, kunmap_atomic } from '../kmap.js';
import { vmalloc_to_page } from '../memory.js';
import { memcpy, memset } from '../string.js';
import { PAGE_SIZE, struct_vm_struct, VM_IOREMAP, VM_NO_GUARD, type VmStruct } from './vm-struct.js';

/** The areas by address, whatever they hang on; the caller holds its lock. */
export interface AreaList {
  /** The first area, or NULL. */
  first(k: Kernel): Vaddr;
  next(k: Kernel, at: Vaddr): Vaddr;
  /** The vm_struct there, or NULL if it has none. */
  vm(k: Kernel, at: Vaddr): VmStruct;
}

/** Size without the guard page. */
export function get_vm_area_size(k: Kernel, area: VmStruct): number {
  const size = k.read(area, struct_vm_struct.size);
  return (k.read(area, struct_vm_struct.flags) & VM_NO_GUARD) === 0 ? size - PAGE_SIZE : size;
}

/** [addr, addr + count) within one area, a page at a time. @each gets NULL for a page that is not there. */
function byPage(
  k: Kernel,
  addr: number,
  count: number,
  each: (at: Vaddr, offset: number, bytes: number) => void,
): void {
  for (let done = 0; done < count; ) {
    const offset = (addr + done) & (PAGE_SIZE - 1);
    const bytes = Math.min(PAGE_SIZE - offset, count - done);
    const page = vmalloc_to_page(k, addr + done);
    if (page === NULL) each(NULL, done, bytes);
    else {
      const map = kmap_atomic(k, page, km_type.KM_USER0);
      each(vaddr(map + offset), done, bytes);
      kunmap_atomic(k, map, km_type.KM_USER0);
    }
    done += bytes;
  }
}

/**
 * Copy from vmalloc addresses to a buffer. Holes, I/O mappings and pages that are not there read as zero.
 *
 * Return: @count if anything of it belongs to an area, else 0 with the buffer as it was, but for holes before.
 */
export function vread(k: Kernel, areas: AreaList, buf: Vaddr, addr: Vaddr, count: number): number {
  let done = 0;
  let found = false;
  for (let at = areas.first(k); at !== NULL && done < count; at = areas.next(k, at)) {
    const area = areas.vm(k, at);
    if (area === NULL) continue;
    const start = k.read(area, struct_vm_struct.addr);
    const end = start + get_vm_area_size(k, area);
    if (addr + done >= end) continue;
    const hole = Math.min(Math.max(start - (addr + done), 0), count - done);
    if (hole > 0) memset(k, vaddr(buf + done), 0, hole);
    done += hole;
    if (done === count) break;
    const bytes = Math.min(end - (addr + done), count - done);
    const to = buf + done;
    if ((k.read(area, struct_vm_struct.flags) & VM_IOREMAP) !== 0) memset(k, vaddr(to), 0, bytes);
    else {
      byPage(k, addr + done, bytes, (from, offset, n) => {
        if (from === NULL) memset(k, vaddr(to + offset), 0, n);
        else memcpy(k, vaddr(to + offset), from, n);
      });
    }
    done += bytes;
    found = true;
  }
  if (done === 0 || !found) return 0;
  if (done < count) memset(k, vaddr(buf + done), 0, count - done);
  return count;
}

/**
 * Copy from a buffer to vmalloc addresses. Holes, I/O mappings and pages that are not there are skipped.
 *
 * Return: @count if anything of it has been written, else 0.
 */
export function vwrite(k: Kernel, areas: AreaList, buf: Vaddr, addr: Vaddr, count: number): number {
  let written = false;
  for (let at = areas.first(k); at !== NULL; at = areas.next(k, at)) {
    const area = areas.vm(k, at);
    if (area === NULL) continue;
    const start = k.read(area, struct_vm_struct.addr);
    const from = Math.max(start, addr);
    const end = Math.min(start + get_vm_area_size(k, area), addr + count);
    if (from >= end || (k.read(area, struct_vm_struct.flags) & VM_IOREMAP) !== 0) continue;
    byPage(k, from, end - from, (to, offset, n) => {
      if (to !== NULL) memcpy(k, to, vaddr(buf + (from - addr) + offset), n);
    });
    written = true;
  }
  return written ? count : 0;
}
