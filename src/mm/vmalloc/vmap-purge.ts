/**
 * mm/vmalloc.c of 4.10 and 4.12: one layer, one lock; entries are cleared at vfree(), translations and addresses wait for a purge.
 *
 * From vfree() to the purge a CPU whose TLB has a translation still reaches the page, which is free; one whose TLB has not faults.
 * Source: mm/vmalloc.c, Linux 4.10, 4.12; spec/vmalloc-gfp.md §6.5. Left out: notifiers for lack of room, memory cgroups.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_add_return, atomic_cmpxchg } from '../../shared/atomic.js';
import { BUG_ON } from '../../shared/bug.js';
import { in_interrupt, might_sleep } from '../../shared/irqflags.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { list_next } from '../../shared/list.js';
import { type Mutex, mutex_init, mutex_lock, mutex_trylock, mutex_unlock, struct_mutex } from '../../shared/mutex.js';
import { spin_lock, spin_unlock } from '../../shared/spinlock.js';
import { NULL, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { kasan_reserve_vmalloc } from '../kasan.js';
import { kfree, kzalloc } from '../kmalloc.js';
import { warn_alloc } from '../page_alloc/linux-4.12.js';
import { rcu_process_callbacks } from '../rcu.js';
import * as areas from './areas.js';
import { llist_del_all, vfree_later } from './deferred.js';
import { enterMapScope, leaveMapScope } from './map-scope.js';
import { flush_cache_vunmap, vmap_debug_free_range, vmap_page_range, vunmap_page_range } from './page-range.js';
import { allocArray, allocPages, metadataMask } from './pages.js';
import {
  ioremapAlign,
  num_physpages,
  PAGE_ALIGN,
  PAGE_SIZE,
  struct_vm_struct,
  VM_ALLOC,
  VM_IOREMAP,
  VM_NO_GUARD,
  VM_UNINITIALIZED,
  type VmStruct,
} from './vm-struct.js';
import {
  __free_vmap_area,
  allocAnywhere,
  areaOfList,
  find_vmap_area,
  lazy_max_pages,
  struct_vmap_area,
  VM_VM_AREA,
  type VmapArea,
  va_end,
  va_flags,
  va_pages,
  va_start,
  vmOf,
} from './vmap-area.js';
import * as blocks from './vmap-block.js';
import * as byPages from './vread-pages.js';

export { find_vm_area } from './vmap-area.js';

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    /** First area that waits for a purge; the llist's word is purge_list. */
    vmap_purge_list: Vaddr;
    vmap_purge_lock: Mutex;
  }
}

export const vmapPurgeSymbols: Readonly<Record<string, SymbolSpec>> = {
  vmap_purge_list: { bytes: 4, align: 32 },
  vmap_purge_lock: { bytes: struct_mutex.sizeof, align: 32 },
};

/** Boot. */
export function vmap_purge_init(k: Kernel): void {
  mutex_init(k, k.sym.vmap_purge_lock);
}

const ERA: areas.AreaEra = {
  get_vm_area,
  map_vm_area,
  remove_vm_area,
  vunmap,
  vfree,
  nested: (k, size, mask) => __vmalloc(k, size, mask, k.arch.PAGE_KERNEL(k)),
};

const BLOCKS: blocks.BlockEra = { purge: purge_vmap_area_lazy, free_unmap_vmap_area, free_vmap_area_noflush };

const linkOf = (va: VmapArea): Vaddr => vaddr(va + struct_vmap_area.purge_list.offset);
const areaOfLink = (link: Vaddr): VmapArea => ptr<'vmap_area'>(link - struct_vmap_area.purge_list.offset);

// ---- the purge ---------------------------------------------------------------------------------------------------------

/**
 * One flush of a range that covers all areas that wait, then their addresses are free.
 *
 * Context: process, may sleep; vmap_purge_lock is held, interrupts are on.
 * Return:  whether there was anything.
 */
export function __purge_vmap_area_lazy(k: Kernel, from: number, to: number): boolean {
  const first = llist_del_all(k, k.sym.vmap_purge_list);
  if (first === NULL) return false;
  let start = from;
  let end = to;
  for (let link: Vaddr = first; link !== NULL; link = k.loadPtr<'llist_node'>(link)) {
    start = Math.min(start, va_start(k, areaOfLink(link)));
    end = Math.max(end, va_end(k, areaOfLink(link)));
  }
  k.arch.flush_tlb_kernel_range(k, vaddr(start), vaddr(end));
  spin_lock(k, k.sym.vmap_area_lock);
  for (let link: Vaddr = first; link !== NULL; ) {
    const next = k.loadPtr<'llist_node'>(link);
    const va = areaOfLink(link);
    const pages = va_pages(k, va);
    __free_vmap_area(k, va);
    atomic_add_return(k, -pages, k.sym.vmap_lazy_nr);
    link = next;
  }
  spin_unlock(k, k.sym.vmap_area_lock);
  rcu_process_callbacks(k);
  return true;
}

const NOTHING = 0xffffffff;

/** Context: process, may sleep. */
export function purge_vmap_area_lazy(k: Kernel): void {
  mutex_lock(k, k.sym.vmap_purge_lock);
  blocks.purge_fragmented_blocks_allcpus(k, BLOCKS);
  __purge_vmap_area_lazy(k, NOTHING, 0);
  mutex_unlock(k, k.sym.vmap_purge_lock);
}

/** Context: process, may sleep. */
export function vm_unmap_aliases(k: Kernel): void {
  might_sleep(k, 'mm/vmalloc.c:0');
  const { start, end } = blocks.collectDirty(k);
  mutex_lock(k, k.sym.vmap_purge_lock);
  blocks.purge_fragmented_blocks_allcpus(k, BLOCKS);
  const purged = __purge_vmap_area_lazy(k, start, end);
  if (!purged && start < end) k.arch.flush_tlb_kernel_range(k, vaddr(start), vaddr(end));
  mutex_unlock(k, k.sym.vmap_purge_lock);
}

export const vm_map_ram = (k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr =>
  blocks.vm_map_ram(k, pages, count, prot, gfp(k).GFP_KERNEL, BLOCKS);

export function vm_unmap_ram(k: Kernel, addr: Vaddr, count: number): void {
  might_sleep(k, 'mm/vmalloc.c:0');
  blocks.vm_unmap_ram(k, addr, count, BLOCKS);
}

/** Nothing if somebody purges already. Context: process. */
function try_purge_vmap_area_lazy(k: Kernel): void {
  if (!mutex_trylock(k, k.sym.vmap_purge_lock)) return;
  __purge_vmap_area_lazy(k, NOTHING, 0);
  mutex_unlock(k, k.sym.vmap_purge_lock);
}

/** The entries go now; translations and addresses wait. */
export function free_unmap_vmap_area(k: Kernel, va: VmapArea): void {
  flush_cache_vunmap(k, va_start(k, va), va_end(k, va));
  vunmap_page_range(k, va_start(k, va), va_end(k, va));
  free_vmap_area_noflush(k, va);
}

/** Source: lib/llist.c; the list's words are kernel data, so they are reached as such. */
export function free_vmap_area_noflush(k: Kernel, va: VmapArea): void {
  const lazy = atomic_add_return(k, va_pages(k, va), k.sym.vmap_lazy_nr);
  for (;;) {
    const first = k.load(k.sym.vmap_purge_list);
    k.store(linkOf(va), first);
    if (atomic_cmpxchg(k, k.sym.vmap_purge_list, first, linkOf(va) | 0) === first) break;
  }
  if (lazy > lazy_max_pages(k)) try_purge_vmap_area_lazy(k);
}

// ---- areas -------------------------------------------------------------------------------------------------------------

/** Context: process, may sleep. Return: NULL without memory or room. Errors: BUG in an interrupt. */
export function get_vm_area(k: Kernel, size: number, flags: number, gfp_mask: number, wanted = 1): VmStruct {
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c __get_vm_area_node: in interrupt');
  const bytes = PAGE_ALIGN(size);
  if (bytes === 0) return NULL;
  const align = (flags & VM_IOREMAP) !== 0 ? ioremapAlign(k, bytes) : wanted;
  const area = kzalloc<'vm_struct'>(k, struct_vm_struct.sizeof, metadataMask(k, gfp_mask));
  if (area === NULL) return NULL;
  const total = (flags & VM_NO_GUARD) === 0 ? bytes + PAGE_SIZE : bytes;
  const va = allocAnywhere(k, total, align, gfp_mask, purge_vmap_area_lazy);
  if (va === NULL) {
    kfree(k, area);
    return NULL;
  }
  spin_lock(k, k.sym.vmap_area_lock);
  k.write(area, struct_vm_struct.flags, flags);
  const start = va_start(k, va);
  kasan_reserve_vmalloc(k, start, bytes);
  k.write(area, struct_vm_struct.addr, start);
  k.write(area, struct_vm_struct.size, va_end(k, va) - va_start(k, va));
  k.write(va, struct_vmap_area.vm, area);
  k.write(va, struct_vmap_area.flags, va_flags(k, va) | VM_VM_AREA);
  spin_unlock(k, k.sym.vmap_area_lock);
  return area;
}

/** Context: process, may sleep. Return: the area that contains @addr, or NULL. */
export function remove_vm_area(k: Kernel, addr: Vaddr): VmStruct {
  might_sleep(k, 'mm/vmalloc.c:0');
  const va = find_vmap_area(k, addr);
  if (va === NULL || (va_flags(k, va) & VM_VM_AREA) === 0) return NULL;
  const area = vmOf(k, va);
  spin_lock(k, k.sym.vmap_area_lock);
  k.write(va, struct_vmap_area.vm, NULL);
  k.write(va, struct_vmap_area.flags, va_flags(k, va) & ~VM_VM_AREA);
  spin_unlock(k, k.sym.vmap_area_lock);
  vmap_debug_free_range(k, va_start(k, va), va_end(k, va));
  free_unmap_vmap_area(k, va);
  return area;
}

/** Context: process, sleeps. Return: whether all @pages have been entered. */
export function map_vm_area(k: Kernel, area: VmStruct, prot: number, pages: Vaddr, _gfp_mask: number): boolean {
  const start = k.read(area, struct_vm_struct.addr);
  const end = start + byPages.get_vm_area_size(k, area);
  return vmap_page_range(k, start, end, prot, pages) === 0;
}

/** map_vm_area() as far as @gfp_mask allows, if the patch `mp` is there; else as far as the task's own scopes do. */
function mapInScope(k: Kernel, area: VmStruct, prot: number, pages: Vaddr, gfp_mask: number): boolean {
  const old = enterMapScope(k, gfp_mask);
  const mapped = map_vm_area(k, area, prot, pages, gfp_mask);
  leaveMapScope(k, gfp_mask, old);
  return mapped;
}

/**
 * Context: process, sleeps: page tables use GFP_KERNEL, restricted only by the task's scope.
 * Return:  NULL without memory or room.
 * Source:  __vmalloc_node_range(), Linux 4.12.
 */
export function __vmalloc(k: Kernel, size: number, gfp_mask: number, prot: number, align = 1): Vaddr {
  const bytes = PAGE_ALIGN(size);
  const fits = bytes !== 0 && bytes >>> 12 <= num_physpages(k);
  const area = fits ? get_vm_area(k, bytes, VM_ALLOC | VM_UNINITIALIZED, gfp_mask, align) : NULL;
  if (area === NULL) {
    warn_alloc(k, gfp_mask, `vmalloc: allocation failure: ${bytes} bytes`);
    return NULL;
  }
  if (!__vmalloc_area_node(k, area, gfp_mask, prot)) return NULL;
  k.write(area, struct_vm_struct.flags, k.read(area, struct_vm_struct.flags) & ~VM_UNINITIALIZED);
  return vaddr(k.read(area, struct_vm_struct.addr));
}

function __vmalloc_area_node(k: Kernel, area: VmStruct, gfp_mask: number, prot: number): boolean {
  const { __GFP_HIGHMEM, __GFP_NOWARN } = gfp(k);
  const addr = vaddr(k.read(area, struct_vm_struct.addr));
  const bytes = byPages.get_vm_area_size(k, area);
  const nr_pages = bytes >>> 12;
  const pages = allocArray(k, area, nr_pages, gfp_mask, ERA);
  if (pages === NULL) return false;
  // Seed 004: from 4.12 on data pages may be highmem whatever the caller says.
  const mask = gfp_mask | __GFP_NOWARN | (k.patched.hm ? __GFP_HIGHMEM : 0);
  const allocated = allocPages(k, area, nr_pages, mask);
  if (allocated === nr_pages && mapInScope(k, area, prot, pages, gfp_mask)) return true;
  warn_alloc(k, gfp_mask, `vmalloc: allocation failure, allocated ${allocated * PAGE_SIZE} of ${bytes} bytes`);
  vfree(k, addr);
  return false;
}

// ---- free --------------------------------------------------------------------------------------------------------------

export const __vunmap = (k: Kernel, addr: Vaddr, deallocate_pages: boolean): void =>
  areas.__vunmap(k, addr, deallocate_pages, ERA);

/** Context: any but NMI. In interrupts the work is put off, and the first word of the area is lost at once. */
export function vfree(k: Kernel, addr: Vaddr): void {
  if (addr === NULL) return;
  if (in_interrupt(k)) vfree_later(k, addr);
  else __vunmap(k, addr, true);
}

/** Context: process, may sleep. Errors: BUG in an interrupt. */
export function vunmap(k: Kernel, addr: Vaddr): void {
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c vunmap: in interrupt', addr);
  might_sleep(k, 'mm/vmalloc.c:0');
  __vunmap(k, addr, false);
}

/** Context: process, sleeps. Return: NULL without memory or room. */
export function vmap(k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr {
  might_sleep(k, 'mm/vmalloc.c:0');
  return areas.vmap(k, pages, count, prot, ERA);
}

// ---- read and write ----------------------------------------------------------------------------------------------------

const fromEntry = (k: Kernel, entry: Vaddr): Vaddr => (entry === k.sym.vmap_area_list ? NULL : entry);

const LIST: byPages.AreaList = {
  first: (k) => fromEntry(k, list_next(k, k.sym.vmap_area_list)),
  next: (k, at) => fromEntry(k, list_next(k, at as never)),
  vm(k, at) {
    const va = areaOfList(at as never);
    return (va_flags(k, va) & VM_VM_AREA) === 0 ? NULL : vmOf(k, va);
  },
};

/** Context: any that may spin on vmap_area_lock, which is held during the whole copy. */
export function vread(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number {
  spin_lock(k, k.sym.vmap_area_lock);
  const done = byPages.vread(k, LIST, buf, addr, count);
  spin_unlock(k, k.sym.vmap_area_lock);
  return done;
}

export function vwrite(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number {
  spin_lock(k, k.sym.vmap_area_lock);
  const done = byPages.vwrite(k, LIST, buf, addr, count);
  spin_unlock(k, k.sym.vmap_area_lock);
  return done;
}
