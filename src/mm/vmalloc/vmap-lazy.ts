/**
 * mm/vmalloc.c of 2.6.28 to 2.6.34: areas keep their addresses, page-table entries and TLB entries until many of them are purged at once.
 *
 * Two layers: vmap_area below (vmap-area.ts), vm_struct on vmlist above, for vread() and /proc. The pages go back to the page allocator at vfree(), while
 * every CPU still reaches them by the old address until the purge.
 * Source: mm/vmalloc.c, Linux 2.6.28, 2.6.32, 2.6.34; spec/vmalloc-gfp.md §6.4.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_add_return, atomic_read } from '../../shared/atomic.js';
import { BUG_ON } from '../../shared/bug.js';
import { in_interrupt, might_sleep } from '../../shared/irqflags.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { list_next } from '../../shared/list.js';
import {
  read_lock,
  read_unlock,
  type SpinLock,
  spin_lock,
  spin_trylock,
  spin_unlock,
  write_lock,
  write_unlock,
} from '../../shared/spinlock.js';
import { NULL, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { gfp } from '../gfp.js';
import { kasan_reserve_vmalloc } from '../kasan.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { rcu_process_callbacks, rcu_read_lock, rcu_read_unlock } from '../rcu.js';
import * as areas from './areas.js';
import { flush_cache_vunmap, vmap_debug_free_range, vmap_page_range, vunmap_page_range } from './page-range.js';
import { metadataMask } from './pages.js';
import {
  ioremapAlign,
  nextArea,
  nextLink,
  PAGE_ALIGN,
  PAGE_SIZE,
  struct_vm_struct,
  VM_IOREMAP,
  type VmStruct,
} from './vm-struct.js';
import {
  __free_vmap_area,
  allocAnywhere,
  areaOfList,
  find_vmap_area,
  lazy_max_pages,
  struct_vmap_area,
  VM_LAZY_FREE,
  VM_LAZY_FREEING,
  VM_VM_AREA,
  type VmapArea,
  va_end,
  va_flags,
  va_pages,
  va_start,
  vmOf,
} from './vmap-area.js';
import * as blocks from './vmap-block.js';
import * as vmlist from './vmlist.js';
import * as byPages from './vread-pages.js';

export { find_vm_area } from './vmap-area.js';

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    purge_lock: SpinLock;
    /** The local variable of __get_vm_area_node() that is declared static. */
    __get_vm_area_node_va: Vaddr;
  }
}

export const vmapLazySymbols: Readonly<Record<string, SymbolSpec>> = {
  purge_lock: { bytes: 4, align: 32 },
  __get_vm_area_node_va: { bytes: 4, align: 32 },
};

const LINUX_2_6_30 = KERNEL_VERSION(2, 6, 30);
const LINUX_2_6_32 = KERNEL_VERSION(2, 6, 32);

const ERA: areas.AreaEra = {
  get_vm_area,
  map_vm_area,
  remove_vm_area,
  vunmap,
  vfree,
  nested: (k, size, mask) => __vmalloc(k, size, mask, k.arch.PAGE_KERNEL(k)),
};

const BLOCKS: blocks.BlockEra = {
  purge: purge_vmap_area_lazy,
  free_unmap_vmap_area,
  free_vmap_area_noflush: free_unmap_vmap_area_noflush,
};

// ---- the purge ---------------------------------------------------------------------------------------------------------

/**
 * Take back the areas that wait: clear their entries, flush one range of the TLB that covers them all, give their addresses back.
 *
 * Context: process, interrupts on: purge_lock is held while other CPUs are called. Unless @sync or @force, nothing is done while somebody else purges.
 * Return:  nothing; [start, end) is the least range that is flushed.
 */
export function __purge_vmap_area_lazy(k: Kernel, from: number, to: number, sync: boolean, force_flush: boolean): void {
  if (!sync && !force_flush) {
    if (!spin_trylock(k, k.sym.purge_lock)) return;
  } else spin_lock(k, k.sym.purge_lock);
  if (sync && k.LINUX_VERSION_CODE >= LINUX_2_6_32) blocks.purge_fragmented_blocks_allcpus(k, BLOCKS);
  const { start, end, nr, areas } = collect(k, from, to);
  if (nr !== 0) {
    if (k.LINUX_VERSION_CODE < LINUX_2_6_32) {
      BUG_ON(k, nr > atomic_read(k, k.sym.vmap_lazy_nr), 'mm/vmalloc.c __purge_vmap_area_lazy: vmap_lazy_nr', nr);
    }
    atomic_add_return(k, -nr, k.sym.vmap_lazy_nr);
  }
  if (nr !== 0 || force_flush) k.arch.flush_tlb_kernel_range(k, vaddr(start), vaddr(end));
  if (nr !== 0) {
    spin_lock(k, k.sym.vmap_area_lock);
    for (let va = areas; va !== NULL; ) {
      const next = k.loadPtr<'vmap_area'>(vaddr(va + struct_vmap_area.purge_list.offset));
      __free_vmap_area(k, va);
      va = next;
    }
    spin_unlock(k, k.sym.vmap_area_lock);
  }
  spin_unlock(k, k.sym.purge_lock);
  rcu_process_callbacks(k);
}

interface Collected {
  readonly start: number;
  readonly end: number;
  readonly nr: number;
  /** Chained by purge_list. */
  readonly areas: VmapArea;
}

/** Every area that was freed lazily, unmapped. purge_lock is held. */
function collect(k: Kernel, from: number, to: number): Collected {
  let start = from;
  let end = to;
  let nr = 0;
  let areas: VmapArea = NULL;
  rcu_read_lock(k);
  for (let entry = list_next(k, k.sym.vmap_area_list); entry !== k.sym.vmap_area_list; entry = list_next(k, entry)) {
    const va = areaOfList(entry);
    if ((va_flags(k, va) & VM_LAZY_FREE) === 0) continue;
    start = Math.min(start, va_start(k, va));
    end = Math.max(end, va_end(k, va));
    nr += va_pages(k, va);
    vunmap_page_range(k, va_start(k, va), va_end(k, va));
    k.store(vaddr(va + struct_vmap_area.purge_list.offset), areas);
    areas = va;
    k.write(va, struct_vmap_area.flags, (va_flags(k, va) | VM_LAZY_FREEING) & ~VM_LAZY_FREE);
  }
  rcu_read_unlock(k);
  return { start, end, nr, areas };
}

const NOTHING = 0xffffffff;

/** Context: as __purge_vmap_area_lazy(). */
export function purge_vmap_area_lazy(k: Kernel): void {
  __purge_vmap_area_lazy(k, NOTHING, 0, true, false);
}

/** Context: as __purge_vmap_area_lazy(). */
export function vm_unmap_aliases(k: Kernel): void {
  const { start, end } = blocks.collectDirty(k);
  __purge_vmap_area_lazy(k, start, end, true, start < end);
}

export const vm_map_ram = (k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr =>
  blocks.vm_map_ram(k, pages, count, prot, gfp(k).GFP_KERNEL, BLOCKS);

export const vm_unmap_ram = (k: Kernel, addr: Vaddr, count: number): void =>
  blocks.vm_unmap_ram(k, addr, count, BLOCKS);

/** The area's entries and translations stay until a purge. */
function free_unmap_vmap_area(k: Kernel, va: VmapArea): void {
  flush_cache_vunmap(k, va_start(k, va), va_end(k, va));
  free_unmap_vmap_area_noflush(k, va);
}

export function free_unmap_vmap_area_noflush(k: Kernel, va: VmapArea): void {
  const pages = va_pages(k, va);
  k.write(va, struct_vmap_area.flags, va_flags(k, va) | VM_LAZY_FREE);
  const lazy = atomic_add_return(k, pages, k.sym.vmap_lazy_nr);
  if (lazy > lazy_max_pages(k)) __purge_vmap_area_lazy(k, NOTHING, 0, false, false);
}

// ---- areas -------------------------------------------------------------------------------------------------------------

/** Context: process, sleeps. Return: NULL without memory or room. Errors: BUG in an interrupt. */
export function get_vm_area(k: Kernel, size: number, flags: number, gfp_mask: number, wanted = 1): VmStruct {
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c __get_vm_area_node: in interrupt');
  const align = (flags & VM_IOREMAP) !== 0 ? ioremapAlign(k, size) : wanted;
  const bytes = PAGE_ALIGN(size);
  if (bytes === 0) return NULL;
  const area = kmalloc<'vm_struct'>(k, struct_vm_struct.sizeof, metadataMask(k, gfp_mask));
  if (area === NULL) return NULL;
  const total = bytes + PAGE_SIZE;
  const found = allocAnywhere(k, total, align, gfp_mask, purge_vmap_area_lazy);
  // One variable for all CPUs: what another has stored meanwhile is what is read below.
  const variable = k.sym.__get_vm_area_node_va;
  k.store(variable, found);
  if (k.load(variable) === 0) {
    kfree(k, area);
    return NULL;
  }
  k.write(area, struct_vm_struct.flags, flags);
  const start = va_start(k, k.loadPtr<'vmap_area'>(variable));
  kasan_reserve_vmalloc(k, start, bytes);
  k.write(area, struct_vm_struct.addr, start);
  k.write(area, struct_vm_struct.size, total);
  k.write(area, struct_vm_struct.pages, NULL);
  k.write(area, struct_vm_struct.nr_pages, 0);
  k.write(area, struct_vm_struct.phys_addr, 0);
  const va = k.loadPtr<'vmap_area'>(variable);
  k.write(va, struct_vmap_area.vm, area);
  k.write(va, struct_vmap_area.flags, va_flags(k, va) | VM_VM_AREA);
  insertSorted(k, area);
  return area;
}

function insertSorted(k: Kernel, area: VmStruct): void {
  const addr = k.read(area, struct_vm_struct.addr);
  write_lock(k, k.sym.vmlist_lock);
  let link: Vaddr = k.sym.vmlist;
  for (let tmp = k.loadPtr<'vm_struct'>(link); tmp !== NULL; tmp = k.loadPtr<'vm_struct'>(link)) {
    if (k.read(tmp, struct_vm_struct.addr) >= addr) break;
    link = nextLink(tmp);
  }
  k.write(area, struct_vm_struct.next, k.load(link));
  k.store(link, area);
  write_unlock(k, k.sym.vmlist_lock);
}

/**
 * The list is not asked where it ends: an area that is not on it, as at a second vfree() before the purge, is looked for beyond.
 *
 * Errors: oops at address 0, with vmlist_lock held.
 */
function unlinkFromList(k: Kernel, area: VmStruct): void {
  write_lock(k, k.sym.vmlist_lock);
  let link: Vaddr = k.sym.vmlist;
  let tmp = k.loadPtr<'vm_struct'>(link);
  while (tmp !== area) {
    link = nextLink(tmp);
    tmp = k.loadPtr<'vm_struct'>(link);
  }
  k.store(link, k.loadPtr<'vm_struct'>(nextLink(tmp)));
  write_unlock(k, k.sym.vmlist_lock);
}

/** Context: process; no lock that a TLB flush could wait for. Return: the area, its size without the guard page; or NULL. */
export function remove_vm_area(k: Kernel, addr: Vaddr): VmStruct {
  const va = find_vmap_area(k, addr);
  if (va === NULL || (va_flags(k, va) & VM_VM_AREA) === 0) return NULL;
  const area = vmOf(k, va);
  // Until 2.6.31 the address may have another owner before the list has lost this one.
  const listFirst = k.LINUX_VERSION_CODE >= LINUX_2_6_32;
  if (listFirst) unlinkFromList(k, area);
  vmap_debug_free_range(k, va_start(k, va), va_end(k, va));
  free_unmap_vmap_area(k, va);
  k.write(area, struct_vm_struct.size, k.read(area, struct_vm_struct.size) - PAGE_SIZE);
  if (!listFirst) unlinkFromList(k, area);
  return area;
}

/** Context: process, sleeps. Return: whether all @pages have been entered. */
export function map_vm_area(k: Kernel, area: VmStruct, prot: number, pages: Vaddr, _gfp_mask: number): boolean {
  const start = k.read(area, struct_vm_struct.addr);
  const end = start + k.read(area, struct_vm_struct.size) - PAGE_SIZE;
  return vmap_page_range(k, start, end, prot, pages) === 0;
}

export const __vmalloc = (k: Kernel, size: number, gfp_mask: number, prot: number, align = 1): Vaddr =>
  areas.__vmalloc_node(k, size, align, gfp_mask, prot, ERA);
export const __vunmap = (k: Kernel, addr: Vaddr, deallocate_pages: boolean): void =>
  areas.__vunmap(k, addr, deallocate_pages, ERA);

/** Context: process, interrupts on. Errors: BUG in an interrupt. */
export function vfree(k: Kernel, addr: Vaddr): void {
  areas.unmapInProcess(k, addr, true, ERA);
}

export function vunmap(k: Kernel, addr: Vaddr): void {
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c vunmap: in interrupt', addr);
  if (k.LINUX_VERSION_CODE >= LINUX_2_6_30) might_sleep(k, 'mm/vmalloc.c:0');
  __vunmap(k, addr, false);
}

/** Context: process, sleeps. Return: NULL without memory or room. */
export function vmap(k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr {
  if (k.LINUX_VERSION_CODE >= LINUX_2_6_30) might_sleep(k, 'mm/vmalloc.c:0');
  return areas.vmap(k, pages, count, prot, ERA);
}

// ---- read and write ----------------------------------------------------------------------------------------------------

const LIST: byPages.AreaList = {
  first: (k) => k.loadPtr<'vm_struct'>(k.sym.vmlist),
  next: (k, at) => nextArea(k, at as VmStruct),
  vm: (_k, at) => at as VmStruct,
};

/** Context: any that may spin on vmlist_lock. By the vmalloc address until 2.6.31, page by page from then on. */
export function vread(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number {
  if (k.LINUX_VERSION_CODE < LINUX_2_6_32) return vmlist.vread(k, buf, addr, count);
  read_lock(k, k.sym.vmlist_lock);
  const done = byPages.vread(k, LIST, buf, addr, count);
  read_unlock(k, k.sym.vmlist_lock);
  return done;
}

export function vwrite(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number {
  if (k.LINUX_VERSION_CODE < LINUX_2_6_32) return vmlist.vwrite(k, buf, addr, count);
  read_lock(k, k.sym.vmlist_lock);
  const done = byPages.vwrite(k, LIST, buf, addr, count);
  read_unlock(k, k.sym.vmlist_lock);
  return done;
}
