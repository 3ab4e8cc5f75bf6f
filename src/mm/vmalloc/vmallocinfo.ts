/**
 * /proc/vmallocinfo. Source: mm/vmalloc.c (`s_show`), Linux 2.6.28 and 4.12; spec/checkers.md §8.4. Left out: callers and NUMA nodes, both optional.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { list_next } from '../../shared/list.js';
import { read_lock, read_unlock, spin_lock, spin_unlock } from '../../shared/spinlock.js';
import { hex8, NULL, ptr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import {
  is_vmalloc_addr,
  struct_vm_struct,
  VM_ALLOC,
  VM_IOREMAP,
  VM_MAP,
  VM_USERMAP,
  VM_VPAGES,
  type VmStruct,
} from './vm-struct.js';
import { areaOfList, struct_vmap_area, VM_VM_AREA, va_flags } from './vmap-area.js';
import { read_lock_vmlist, read_unlock_vmlist } from './vmlist.js';

const KINDS = [
  [VM_IOREMAP, ' ioremap'],
  [VM_ALLOC, ' vmalloc'],
  [VM_MAP, ' vmap'],
  [VM_USERMAP, ' user'],
] as const;

function line(k: Kernel, area: VmStruct, modern: boolean): string {
  const addr = k.read(area, struct_vm_struct.addr);
  const size = k.read(area, struct_vm_struct.size);
  const nr_pages = k.read(area, struct_vm_struct.nr_pages);
  const phys_addr = k.read(area, struct_vm_struct.phys_addr);
  const flags = k.read(area, struct_vm_struct.flags);
  let text = `0x${hex8(addr)}-0x${hex8(addr + size)} ${String(size).padStart(7)}`;
  if (nr_pages !== 0) text += ` pages=${nr_pages}`;
  if (phys_addr !== 0) text += ` phys=${phys_addr.toString(16)}`;
  for (const [bit, word] of KINDS) if ((flags & bit) !== 0) text += word;
  const nested = modern ? is_vmalloc_addr(k, k.read(area, struct_vm_struct.pages)) : (flags & VM_VPAGES) !== 0;
  return `${text}${nested ? ' vpages' : ''}\n`;
}

/**
 * The areas by address, with their guard pages; not those of vm_map_ram() and not those that wait for a purge. Empty before 2.6.28, which has no such file.
 *
 * Context: any that may spin on vmlist_lock, from 3.x on vmap_area_lock, which it holds meanwhile.
 */
export function vmallocinfo(k: Kernel): string {
  if (k.LINUX_VERSION_CODE < KERNEL_VERSION(2, 6, 28)) return '';
  return k.LINUX_VERSION_CODE < KERNEL_VERSION(3, 10, 0) ? byVmlist(k) : byVmapAreas(k);
}

function byVmlist(k: Kernel): string {
  let text = '';
  read_lock(k, k.sym.vmlist_lock);
  let area = k.loadPtr<'vm_struct'>(k.sym.vmlist);
  for (; area !== NULL; area = ptr<'vm_struct'>(k.read(area, struct_vm_struct.next))) text += line(k, area, false);
  read_unlock(k, k.sym.vmlist_lock);
  return text;
}

function byVmapAreas(k: Kernel): string {
  let text = '';
  spin_lock(k, k.sym.vmap_area_lock);
  for (let e = list_next(k, k.sym.vmap_area_list); e !== k.sym.vmap_area_list; e = list_next(k, e)) {
    const va = areaOfList(e);
    if ((va_flags(k, va) & VM_VM_AREA) !== 0) text += line(k, ptr<'vm_struct'>(k.read(va, struct_vmap_area.vm)), true);
  }
  spin_unlock(k, k.sym.vmap_area_lock);
  return text;
}

/** VmallocUsed and VmallocChunk of /proc/meminfo, in bytes. */
export interface VmallocInfo {
  readonly used: number;
  readonly largest_chunk: number;
}

/**
 * What there is on vmlist, and the largest hole.
 *
 * Context: any that may spin on vmlist_lock, which it takes unless there is no area. Kernels with vmlist.
 * Source:  fs/proc/mmu.c, Linux 2.6.22.
 */
export function get_vmalloc_info(k: Kernel): VmallocInfo {
  const { VMALLOC_START, VMALLOC_END } = k.arch;
  if (k.load(k.sym.vmlist) === 0) return { used: 0, largest_chunk: VMALLOC_END(k) - VMALLOC_START(k) };
  let used = 0;
  let largest_chunk = 0;
  let prev_end: number = VMALLOC_START(k);
  const flags = read_lock_vmlist(k);
  let vma = k.loadPtr<'vm_struct'>(k.sym.vmlist);
  for (; vma !== NULL; vma = ptr<'vm_struct'>(k.read(vma, struct_vm_struct.next))) {
    const addr = k.read(vma, struct_vm_struct.addr);
    if (addr < VMALLOC_START(k)) continue;
    if (addr >= VMALLOC_END(k)) break;
    const size = k.read(vma, struct_vm_struct.size);
    used += size;
    largest_chunk = Math.max(largest_chunk, addr - prev_end);
    prev_end = addr + size;
  }
  largest_chunk = Math.max(largest_chunk, VMALLOC_END(k) - prev_end);
  read_unlock_vmlist(k, flags);
  return { used, largest_chunk };
}
