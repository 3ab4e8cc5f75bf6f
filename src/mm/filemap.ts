/**
 * The page cache as far as cache maintenance looks at it: `struct address_space`, page_mapping(), and VMAs of shared file mappings.
 *
 * Source: include/linux/{fs,mm}.h, mm/filemap.c, mm/mmap.c, Linux 2.6.22; spec/slab-dma.md §1.5, §3.1.
 */
import type { Kernel } from '../cpu/kernel.js';
import { BUG_ON } from '../shared/bug.js';
import { INIT_LIST_HEAD, type List, list_empty, list_of } from '../shared/list.js';
import type { RwLock } from '../shared/spinlock.js';
import { struct_vm_area_struct } from '../shared/structs/configured.js';
import { PG_swapcache, struct_page } from '../shared/structs/page.js';
import { NULL, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION } from '../shared/version.js';
import { initRw, initSpin } from './lock-types.js';
import type { Page } from './page.js';
import { compound_head } from './page_alloc/compound.js';
import {
  INIT_PRIO_TREE_ROOT,
  type PrioTreeRoot,
  prio_tree_empty,
  type Vma,
  vma_prio_tree_insert,
} from './prio_tree.js';
import { PageSlab } from './slab-common.js';

export type AddressSpace = Ptr<'address_space'>;

export const PAGE_MAPPING_ANON = 1;
const PAGE_MAPPING_FLAGS = 3;
export const VM_SHARED = 0x08;
export const VM_MAYSHARE = 0x80;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    swapper_space: AddressSpace;
  }
}

export const treeLockOf = (k: Kernel, mapping: AddressSpace): RwLock =>
  vaddr(mapping + k.structs.address_space.tree_lock.offset) as RwLock;
export const iMmapOf = (k: Kernel, mapping: AddressSpace): PrioTreeRoot =>
  ptr<'prio_tree_root'>(mapping + k.structs.address_space.i_mmap.offset);
const nonlinearOf = (k: Kernel, mapping: AddressSpace): List =>
  list_of(mapping, k.structs.address_space.i_mmap_nonlinear.offset);

/** inode_init_once(): nothing is mapped yet. The memory is the caller's. */
export function address_space_init_once(k: Kernel, mapping: AddressSpace): void {
  const f = k.structs.address_space;
  for (let offset = 0; offset < f.sizeof; offset += 4) k.store(vaddr(mapping + offset), 0);
  initRw(k, treeLockOf(k, mapping), '&mapping->tree_lock');
  INIT_PRIO_TREE_ROOT(k, iMmapOf(k, mapping), true);
  INIT_LIST_HEAD(k, nonlinearOf(k, mapping));
  initSpin(k, vaddr(mapping + f.i_mmap_lock.offset) as Ptr<'spinlock'>, '&mapping->i_mmap_lock');
  initSpin(k, vaddr(mapping + f.private_lock.offset) as Ptr<'spinlock'>, '&mapping->private_lock');
  INIT_LIST_HEAD(k, list_of(mapping, f.private_list.offset));
}

/** Does user space map any page of the file? Two loads, without a lock. */
export const mapping_mapped = (k: Kernel, mapping: AddressSpace): boolean =>
  !prio_tree_empty(k, iMmapOf(k, mapping)) || !list_empty(k, nonlinearOf(k, mapping));

/**
 * Whose page of the page cache is this?
 *
 * The word `mapping` is read whoever uses the page: a slab of SLUB has its kmem_cache there, an address as even as that of an address_space.
 * 2.6.22 as released tests for slab pages first (patch `page-mapping-slab`, for kernels with SLUB only).
 *
 * Context: any.
 * Return:  NULL for pages that are not in the page cache.
 * Errors:  BUG for a slab page with the patch `page-mapping-vm-bug-on` and DEBUG_VM.
 * Source:  include/linux/mm.h, Linux 2.6.22-rc5, 2.6.22, 2.6.24; mm/util.c, Linux 4.9. Seed 001.
 */
export function page_mapping(k: Kernel, page: Page): AddressSpace {
  if (k.LINUX_VERSION_CODE >= KERNEL_VERSION(4, 9, 0)) return page_mapping_4_9(k, compound_head(k, page));
  const mapping = ptr<'address_space'>(k.read(page, struct_page.mapping));
  if (k.patched['page-mapping-vm-bug-on'] && k.config.debugVm) {
    BUG_ON(k, PageSlab(k, page), 'include/linux/mm.h page_mapping: a slab page', page);
  }
  if ((k.read(page, struct_page.flags) & (1 << PG_swapcache)) !== 0) return k.sym.swapper_space;
  if (k.patched['page-mapping-slab'] && k.config.slab === 'slub' && PageSlab(k, page)) return NULL;
  return (mapping & PAGE_MAPPING_ANON) !== 0 ? NULL : mapping;
}

/** Slab pages of any allocator are nobody's, tail pages are their head's. */
function page_mapping_4_9(k: Kernel, head: Page): AddressSpace {
  if (PageSlab(k, head)) return NULL;
  if ((k.read(head, struct_page.flags) & (1 << PG_swapcache)) !== 0) return k.sym.swapper_space;
  const mapping = k.read(head, struct_page.mapping);
  return (mapping & PAGE_MAPPING_ANON) !== 0 ? NULL : ptr<'address_space'>((mapping & ~PAGE_MAPPING_FLAGS) >>> 0);
}

/** The page is the @index-th of a file. Context: the page is the caller's. */
export function add_to_page_cache(k: Kernel, page: Page, mapping: AddressSpace, index: number): void {
  k.write(page, struct_page.mapping, mapping);
  k.write(page, struct_page.index, index);
  const { nrpages } = k.structs.address_space;
  k.write(mapping, nrpages, k.read(mapping, nrpages) + 1);
}

/** What a VMA is made from. */
export interface FileMapping {
  /** The address space of the process: a thread's `mm`. */
  readonly mm: number;
  readonly start: Vaddr;
  readonly pages: number;
  readonly pgoff: number;
  readonly flags: number;
}

/** mmap(): fill in @vma. Context: process. */
export function vma_init(k: Kernel, vma: Vma, of: FileMapping): void {
  const f = struct_vm_area_struct;
  for (let offset = 0; offset < f.sizeof; offset += 4) k.store(vaddr(vma + offset), 0);
  k.write(vma, f.vm_mm, of.mm);
  k.write(vma, f.vm_start, of.start);
  k.write(vma, f.vm_end, of.start + of.pages * 4096);
  k.write(vma, f.vm_flags, of.flags);
  k.write(vma, f.vm_pgoff, of.pgoff);
}

/** mmap() of a file: fill in @vma and make it known to the file. Context: process. */
export function vma_link(k: Kernel, vma: Vma, mapping: AddressSpace, of: FileMapping): void {
  vma_init(k, vma, of);
  vma_prio_tree_insert(k, vma, iMmapOf(k, mapping));
}
