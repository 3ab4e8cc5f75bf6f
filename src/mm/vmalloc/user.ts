/**
 * vmalloc memory for user space to map.
 *
 * Source: mm/vmalloc.c (`vmalloc_user`, `vmalloc_32_user`, `remap_vmalloc_range`), Linux 2.6.22, 2.6.32, 4.12; arch/arm/include/asm/shmparam.h,
 * arch/parisc/include/asm/shmparam.h; spec/vmalloc-gfp.md §6.3, §6.6.
 */
import { SHMLBA as SHMLBA_PARISC } from '../../arch/parisc/memory.js';
import type { Kernel } from '../../cpu/kernel.js';
import { read_lock, read_unlock, write_lock, write_unlock } from '../../shared/spinlock.js';
import { struct_vm_area_struct } from '../../shared/structs/configured.js';
import { NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { vm_insert_page, vmalloc_to_page } from '../memory.js';
import type { Vma } from '../prio_tree.js';
import { EINVAL } from './page-range.js';
import { findOnVmlist, PAGE_ALIGN, PAGE_SIZE, struct_vm_struct, VM_USERMAP, type VmStruct } from './vm-struct.js';
import { find_vm_area } from './vmap-area.js';

const since = (k: Kernel, major: number, minor: number, patch = 0): boolean =>
  k.LINUX_VERSION_CODE >= KERNEL_VERSION(major, minor, patch);

/** VM_RESERVED; from 3.7 on VM_DONTEXPAND and VM_DONTDUMP. Source: include/linux/mm.h. */
const stays = (k: Kernel): number => (since(k, 3, 7) ? 0x00040000 | 0x04000000 : 0x00080000);

/** Distance of addresses that share their place in any data cache of the architecture. */
const SHMLBA = (k: Kernel): number => (k.arch.id === 'arm' ? 4 * PAGE_SIZE : SHMLBA_PARISC);

/** Alignment of vmalloc_user(): from 2.6.32 on user space can have an address of the same colour. */
export const userAlign = (k: Kernel): number => (since(k, 2, 6, 32) ? SHMLBA(k) : 1);

/** Mark the area for remap_vmalloc_range(). Return: @addr. */
export function markUserMapped(k: Kernel, addr: Vaddr): Vaddr {
  if (addr === NULL) return NULL;
  const lists = !since(k, 2, 6, 28);
  if (lists) write_lock(k, k.sym.vmlist_lock);
  const area = lists ? findOnVmlist(k, addr).area : find_vm_area(k, addr);
  k.write(area, struct_vm_struct.flags, k.read(area, struct_vm_struct.flags) | VM_USERMAP);
  if (lists) write_unlock(k, k.sym.vmlist_lock);
  return addr;
}

/** May [addr, addr + usize) go to user space? Differs: 3.11 to 4.20 count the guard page in, and would go on with a page that is none. */
function mayMap(k: Kernel, area: VmStruct, addr: number, usize: number): boolean {
  if (area === NULL || (k.read(area, struct_vm_struct.flags) & VM_USERMAP) === 0) return false;
  const end = k.read(area, struct_vm_struct.addr) + k.read(area, struct_vm_struct.size) - PAGE_SIZE;
  return addr + usize <= end;
}

/**
 * Map memory of vmalloc_user() or vmalloc_32_user() into @vma, page by page, beginning with its @pgoff-th page.
 *
 * Context: process; mmap_sem is the caller's. Takes and releases vmlist_lock, from 2.6.28 on vmap_area_lock.
 * Return:  0; -EINVAL for other memory or too much of it; what vm_insert_page() says.
 */
export function remap_vmalloc_range(k: Kernel, vma: Vma, addr: Vaddr, pgoff: number): number {
  addr = vaddr(addr);
  const { vm_start, vm_end, vm_flags } = struct_vm_area_struct;
  const uaddr = k.read(vma, vm_start);
  const usize = PAGE_ALIGN(k.read(vma, vm_end) - uaddr);
  if (((addr | uaddr) & (PAGE_SIZE - 1)) !== 0) return -EINVAL;
  const from = addr + pgoff * PAGE_SIZE;
  if (!mayMap(k, areaOf(k, addr), from, usize)) return -EINVAL;
  for (let done = 0; done < usize; done += PAGE_SIZE) {
    const error = vm_insert_page(k, vma, vaddr(uaddr + done), vmalloc_to_page(k, from + done));
    if (error !== 0) return error;
  }
  k.write(vma, vm_flags, k.read(vma, vm_flags) | stays(k));
  return 0;
}

function areaOf(k: Kernel, addr: Vaddr): VmStruct {
  if (since(k, 2, 6, 28)) return find_vm_area(k, addr);
  read_lock(k, k.sym.vmlist_lock);
  const { area } = findOnVmlist(k, addr);
  read_unlock(k, k.sym.vmlist_lock);
  return area;
}
