/**
 * mm/vmalloc.c, whichever the running kernel has: the functions that others call, and the eras behind them.
 *
 * vmalloc/vmlist.ts is 2.5.53, vmalloc/vmlist-node.ts 2.6.22, vmalloc/vmap-lazy.ts 2.6.28 to 2.6.34,
 * vmalloc/vmap-purge.ts 4.10 and 4.12.
 * Source: mm/vmalloc.c, Linux 2.5.53 to 4.12; spec/vmalloc-gfp.md §6.
 */
import type { Kernel } from '../cpu/kernel.js';
import { atomic_set } from '../shared/atomic.js';
import { UsageError } from '../shared/errors.js';
import { NULL, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION, LINUX_2_6 } from '../shared/version.js';
import { gfp, gfpOfVersion } from './gfp.js';
import {
  kasan_disable_current,
  kasan_enable_current,
  kasan_poison_vmalloc,
  kasan_unpoison_vmalloc,
  kasan_vmalloc_enter,
  kasan_vmalloc_exit,
} from './kasan.js';
import { free_deferred, vfree_later } from './vmalloc/deferred.js';
import { markUserMapped, userAlign } from './vmalloc/user.js';
import type { VmStruct } from './vmalloc/vm-struct.js';
import { lazy_max_pages } from './vmalloc/vmap-area.js';

export { unmap_kernel_range } from './vmalloc/page-range.js';
export { remap_vmalloc_range } from './vmalloc/user.js';

import * as vmapLazy from './vmalloc/vmap-lazy.js';
import * as vmapPurge from './vmalloc/vmap-purge.js';
import * as vmlist from './vmalloc/vmlist.js';
import * as vmlistNode from './vmalloc/vmlist-node.js';

/** What each era has. */
interface VmallocEra {
  /** @align: of the address, from 2.6.32 on. */
  __vmalloc(k: Kernel, size: number, gfp_mask: number, prot: number, align?: number): Vaddr;
  get_vm_area(k: Kernel, size: number, flags: number, gfp_mask: number): VmStruct;
  remove_vm_area(k: Kernel, addr: Vaddr): VmStruct;
  map_vm_area(k: Kernel, area: VmStruct, prot: number, pages: Vaddr, gfp_mask: number): boolean;
  __vunmap(k: Kernel, addr: Vaddr, deallocate_pages: boolean): void;
  vfree(k: Kernel, addr: Vaddr): void;
  vunmap(k: Kernel, addr: Vaddr): void;
  vmap(k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr;
  vread(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number;
  vwrite(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number;
}

/** What those from 2.6.22 on have besides. */
interface ListedEra extends VmallocEra {
  find_vm_area(k: Kernel, addr: Vaddr): VmStruct;
}

/** What those with vmap areas have besides. */
interface VmapEra extends ListedEra {
  vm_map_ram(k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr;
  vm_unmap_ram(k: Kernel, addr: Vaddr, count: number): void;
  vm_unmap_aliases(k: Kernel): void;
  purge_vmap_area_lazy(k: Kernel): void;
}

function eraOf(k: Kernel): VmallocEra {
  const version = k.LINUX_VERSION_CODE;
  if (version >= KERNEL_VERSION(3, 10, 0)) return vmapPurge;
  if (version >= KERNEL_VERSION(2, 6, 28)) return vmapLazy;
  return version >= LINUX_2_6 ? vmlistNode : vmlist;
}

/** From 2.6.22 on. Throws UsageError before. */
function listedEraOf(k: Kernel, what: string): ListedEra {
  const era = eraOf(k);
  if (era === vmlistNode) return vmlistNode;
  return vmapEraOf(k, what);
}

/** Throws UsageError where the kernel has no such function. */
function vmapEraOf(k: Kernel, what: string): VmapEra {
  const era = eraOf(k);
  if (era === vmapPurge) return vmapPurge;
  if (era === vmapLazy) return vmapLazy;
  throw new UsageError(`${what} is there from 2.6.28 on, not in ${k.config.kernel}`);
}

/** @size bytes of virtually contiguous memory for which @gfp_mask holds as far as the version lets it. Return: NULL without memory or room. */
export function __vmalloc(k: Kernel, size: number, gfp_mask: number, prot = k.arch.PAGE_KERNEL(k)): Vaddr {
  return __vmalloc_node(k, eraOf(k), size, 1, gfpOfVersion(k, gfp_mask), prot);
}

function __vmalloc_node(
  k: Kernel,
  era: VmallocEra,
  size: number,
  align: number,
  gfp_mask: number,
  prot: number,
): Vaddr {
  kasan_vmalloc_enter(k);
  k.contextWatch?.request(gfp_mask);
  const addr = era.__vmalloc(k, size, gfp_mask, prot, align);
  k.contextWatch?.requestEnds();
  kasan_vmalloc_exit(k);
  return kasan_unpoison_vmalloc(k, addr, size);
}

/** Context: process, sleeps. */
export function vmalloc(k: Kernel, size: number): Vaddr {
  const { GFP_KERNEL, __GFP_HIGHMEM } = gfp(k);
  return __vmalloc(k, size, GFP_KERNEL | __GFP_HIGHMEM);
}

/** Memory that a device with a 32-bit mask can reach: on a 32-bit machine GFP_KERNEL, no more. */
export function vmalloc_32(k: Kernel, size: number): Vaddr {
  return __vmalloc(k, size, gfp(k).GFP_KERNEL);
}

export function vfree(k: Kernel, addr: Vaddr): void {
  addr = vaddr(addr);
  kasan_poison_vmalloc(k, addr);
  // The list of what is to be freed later goes through the areas themselves.
  kasan_disable_current(k);
  eraOf(k).vfree(k, addr);
  kasan_enable_current(k);
}

export function vunmap(k: Kernel, addr: Vaddr): void {
  addr = vaddr(addr);
  kasan_poison_vmalloc(k, addr);
  eraOf(k).vunmap(k, addr);
}

/** Map @count pages that an array of struct page * names. Context: process, sleeps. Return: NULL without memory or room. */
export function vmap(k: Kernel, pages: Vaddr, count: number, prot = k.arch.PAGE_KERNEL(k)): Vaddr {
  pages = vaddr(pages);
  kasan_vmalloc_enter(k);
  const addr = eraOf(k).vmap(k, pages, count, prot);
  kasan_vmalloc_exit(k);
  return kasan_unpoison_vmalloc(k, addr, count << 12);
}

export function get_vm_area(k: Kernel, size: number, flags: number, gfp_mask = gfp(k).GFP_KERNEL): VmStruct {
  return eraOf(k).get_vm_area(k, size, flags, gfp_mask);
}

export const remove_vm_area = (k: Kernel, addr: Vaddr): VmStruct => eraOf(k).remove_vm_area(k, vaddr(addr));

/** Return: whether all @pages have been entered. */
export function map_vm_area(
  k: Kernel,
  area: VmStruct,
  pages: Vaddr,
  prot = k.arch.PAGE_KERNEL(k),
  gfp_mask = gfp(k).GFP_KERNEL,
): boolean {
  area = ptr<'vm_struct'>(area);
  pages = vaddr(pages);
  return eraOf(k).map_vm_area(k, area, prot, pages, gfp_mask);
}

export function vread(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number {
  buf = vaddr(buf);
  addr = vaddr(addr);
  kasan_disable_current(k);
  const done = eraOf(k).vread(k, buf, addr, count);
  kasan_enable_current(k);
  return done;
}

export function vwrite(k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number {
  buf = vaddr(buf);
  addr = vaddr(addr);
  kasan_disable_current(k);
  const done = eraOf(k).vwrite(k, buf, addr, count);
  kasan_enable_current(k);
  return done;
}

/** The work item of vfree() in interrupts. */
export function free_work(k: Kernel): void {
  kasan_disable_current(k);
  free_deferred(k, (k, addr) => eraOf(k).__vunmap(k, addr, true));
  kasan_enable_current(k);
}

/** Take back what vfree() has left for later. Nothing before 2.6.28. Context: process, may sleep. */
export function purge_vmap_area_lazy(k: Kernel): void {
  if (k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 28)) vmapEraOf(k, 'the purge').purge_vmap_area_lazy(k);
}

/**
 * Map @count pages that an array of struct page * names, for a short time: cheaper than vmap(), and fragments the vmalloc area if kept.
 *
 * Context: process, may sleep. From 2.6.28 on.
 * Return:  NULL without memory or room.
 */
export function vm_map_ram(k: Kernel, pages: Vaddr, count: number, prot = k.arch.PAGE_KERNEL(k)): Vaddr {
  pages = vaddr(pages);
  const era = vmapEraOf(k, 'vm_map_ram()');
  kasan_vmalloc_enter(k);
  const addr = era.vm_map_ram(k, pages, count, prot);
  kasan_vmalloc_exit(k);
  return kasan_unpoison_vmalloc(k, addr, count << 12);
}

/** @addr and @count are those of vm_map_ram(). Translations stay until vm_unmap_aliases() or a purge. */
export function vm_unmap_ram(k: Kernel, addr: Vaddr, count: number): void {
  addr = vaddr(addr);
  const era = vmapEraOf(k, 'vm_unmap_ram()');
  kasan_poison_vmalloc(k, addr);
  era.vm_unmap_ram(k, addr, count);
}

/** No CPU keeps a translation of addresses that have been unmapped. Nothing to do before 2.6.28. Context: process, may sleep. */
export function vm_unmap_aliases(k: Kernel): void {
  if (k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 28)) vmapEraOf(k, 'vm_unmap_aliases()').vm_unmap_aliases(k);
}

/** The area that begins at @addr, from 4.x on that contains it; nothing keeps it from going. From 2.6.18 on. Context: any. */
export const find_vm_area = (k: Kernel, addr: Vaddr): VmStruct =>
  listedEraOf(k, 'find_vm_area()').find_vm_area(k, vaddr(addr));

/** vmalloc() of zeros. Source: mm/vmalloc.c, Linux 3.4. */
export function vzalloc(k: Kernel, size: number): Vaddr {
  const { GFP_KERNEL, __GFP_HIGHMEM, __GFP_ZERO } = gfp(k);
  return __vmalloc(k, size, GFP_KERNEL | __GFP_HIGHMEM | __GFP_ZERO);
}

/** Zeroed memory that user space may map by remap_vmalloc_range(), from 2.6.32 on at an address of any colour. From 2.6.18 on. Context: process, sleeps. */
export function vmalloc_user(k: Kernel, size: number): Vaddr {
  const { GFP_KERNEL, __GFP_HIGHMEM, __GFP_ZERO } = gfp(k);
  const era = listedEraOf(k, 'vmalloc_user()');
  const mask = GFP_KERNEL | __GFP_HIGHMEM | __GFP_ZERO;
  return markUserMapped(k, __vmalloc_node(k, era, size, userAlign(k), mask, k.arch.PAGE_KERNEL(k)));
}

/** The same of vmalloc_32(), aligned to pages. */
export function vmalloc_32_user(k: Kernel, size: number): Vaddr {
  const { GFP_KERNEL, __GFP_ZERO } = gfp(k);
  const era = listedEraOf(k, 'vmalloc_32_user()');
  return markUserMapped(k, __vmalloc_node(k, era, size, 1, GFP_KERNEL | __GFP_ZERO, k.arch.PAGE_KERNEL(k)));
}

/** vfree() from any context, put off always. From 4.10 on. */
export function vfree_atomic(k: Kernel, addr: Vaddr): void {
  addr = vaddr(addr);
  if (k.LINUX_VERSION_CODE < KERNEL_VERSION(4, 10, 0))
    throw new UsageError(`vfree_atomic() is there from 4.10 on, not in ${k.config.kernel}`);
  if (addr === NULL) return;
  kasan_poison_vmalloc(k, addr);
  kasan_disable_current(k);
  vfree_later(k, addr);
  kasan_enable_current(k);
}

/** The next area that is freed is not left for later: for who unmaps I/O memory and must know that it is. From 2.6.34 on. Context: any. */
export function set_iounmap_nonlazy(k: Kernel): void {
  vmapEraOf(k, 'set_iounmap_nonlazy()');
  atomic_set(k, k.sym.vmap_lazy_nr, lazy_max_pages(k) + 1);
}
