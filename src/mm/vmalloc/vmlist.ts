/**
 * mm/vmalloc.c of 2.5.53: a sorted list under a rwlock, and page tables under init_mm.page_table_lock.
 *
 * Source: mm/vmalloc.c, Linux 2.5.53; spec/vmalloc-gfp.md §6.2. Patch `rmk1`, seed 000: the caller's mask goes to every allocation, and vmlist_lock
 * is taken with interrupts off everywhere, vread() and vwrite() included. What that makes necessary besides has a mutant each that leaves
 * it out (`mutant-rmk1-*`, spec §11).
 */
import type { Kernel } from '../../cpu/kernel.js';
import { BUG_ON } from '../../shared/bug.js';
import { type IrqFlags, in_interrupt, irqs_disabled } from '../../shared/irqflags.js';
import {
  read_lock,
  read_lock_irqsave,
  read_unlock,
  read_unlock_irqrestore,
  write_lock,
  write_lock_irqsave,
  write_unlock,
  write_unlock_irqrestore,
} from '../../shared/spinlock.js';
import { hex8, NULL, type Ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { kasan_reserve_vmalloc } from '../kasan.js';
import { kfree, kmalloc } from '../kmalloc.js';
import { lock_kernel_page_tables, pmd_alloc, pte_alloc_kernel_locked, unlock_kernel_page_tables } from '../memory.js';
import { type Page, page_to_pfn } from '../page.js';
import { __free_page, alloc_page } from '../page_alloc.js';
import * as areas from './areas.js';
import { vfree_later } from './deferred.js';
import {
  findOnVmlist,
  nextArea,
  nextLink,
  num_physpages,
  PAGE_ALIGN,
  PAGE_SIZE,
  type Place,
  setup_vmlist_area,
  struct_vm_struct,
  VM_ALLOC,
  type VmStruct,
  wraps,
} from './vm-struct.js';

/** The largest block that kmalloc() has. Source: include/linux/kmalloc_sizes.h, Linux 2.5.53. */
const KMALLOC_MAX = 128 << 10;

// ---- vmlist_lock -------------------------------------------------------------------------------------------------------

function write_lock_vmlist(k: Kernel): IrqFlags {
  if (k.patched.rmk1) return write_lock_irqsave(k, k.sym.vmlist_lock);
  write_lock(k, k.sym.vmlist_lock);
  return 0;
}

function write_unlock_vmlist(k: Kernel, flags: IrqFlags): void {
  if (k.patched.rmk1) write_unlock_irqrestore(k, k.sym.vmlist_lock, flags);
  else write_unlock(k, k.sym.vmlist_lock);
}

export function read_lock_vmlist(k: Kernel): IrqFlags {
  if (k.patched.rmk1) return read_lock_irqsave(k, k.sym.vmlist_lock);
  read_lock(k, k.sym.vmlist_lock);
  return 0;
}

export function read_unlock_vmlist(k: Kernel, flags: IrqFlags): void {
  if (k.patched.rmk1) read_unlock_irqrestore(k, k.sym.vmlist_lock, flags);
  else read_unlock(k, k.sym.vmlist_lock);
}

// ---- areas -------------------------------------------------------------------------------------------------------------

/**
 * Reserve a range of addresses, with a guard page behind it. Readers of the list see it from now on, without pages.
 *
 * Context: process, sleeps, whatever the caller's mask says; with `rmk1` as @gfp_mask allows. Takes and releases vmlist_lock for writing.
 * Return:  NULL without memory or room.
 */
export function get_vm_area(k: Kernel, size: number, flags: number, gfp_mask: number): VmStruct {
  const mask = k.patched.rmk1 ? gfp_mask & ~gfp(k).__GFP_HIGHMEM : gfp(k).GFP_KERNEL;
  const area = kmalloc<'vm_struct'>(k, struct_vm_struct.sizeof, mask);
  if (area === NULL) return NULL;
  const bytes = (size + PAGE_SIZE) >>> 0;
  if (bytes === 0) {
    kfree(k, area);
    return NULL;
  }
  const irq = write_lock_vmlist(k);
  const place = findRoom(k, bytes);
  if (place !== null) setup_vmlist_area(k, area, place, bytes, flags);
  write_unlock_vmlist(k, irq);
  if (place === null) {
    kfree(k, area);
    return NULL;
  }
  kasan_reserve_vmalloc(k, place.addr, size);
  return area;
}

/** First fit. At the end of the list nothing is compared with VMALLOC_END, as in the source. vmlist_lock is held. */
function findRoom(k: Kernel, size: number): Place | null {
  const end = k.arch.VMALLOC_END(k);
  let addr: number = k.arch.VMALLOC_START(k);
  let link: Vaddr = k.sym.vmlist;
  for (let tmp = k.loadPtr<'vm_struct'>(link); tmp !== NULL; tmp = nextArea(k, tmp)) {
    if (wraps(size, addr)) return null;
    const start = k.read(tmp, struct_vm_struct.addr);
    if (addr + size <= start) break;
    addr = (start + k.read(tmp, struct_vm_struct.size)) >>> 0;
    if (addr > end - size) return null;
    link = nextLink(tmp);
  }
  return { addr, link };
}

/** Take the area that begins at @addr off the list. Context: as get_vm_area(). Return: the area, or NULL. */
export function remove_vm_area(k: Kernel, addr: Vaddr): VmStruct {
  const irq = write_lock_vmlist(k);
  const { area, link } = findOnVmlist(k, addr);
  if (area !== NULL) {
    k.store(link, nextArea(k, area));
    if (k.patched['mutant-rmk1-unmap']) unmap_vm_area(k, area);
  }
  write_unlock_vmlist(k, irq);
  return area;
}

// ---- page tables -------------------------------------------------------------------------------------------------------

/**
 * Enter @pages, an array of struct page *, for all of the area but its guard page.
 *
 * Context: process, sleeps; with `rmk1` as @gfp_mask allows. Takes and releases init_mm.page_table_lock.
 * Return:  false without memory; what has been entered stays.
 */
export function map_vm_area(k: Kernel, area: VmStruct, prot: number, pages: Vaddr, gfp_mask: number): boolean {
  const start = k.read(area, struct_vm_struct.addr);
  const end = start + k.read(area, struct_vm_struct.size) - PAGE_SIZE;
  const flags = lock_kernel_page_tables(k);
  let ok = true;
  for (let addr = start; addr < end && ok; addr = pgd_addr_end(k, addr, end)) {
    const pmd = pmd_alloc(k, k.arch.pgd_offset_k(k, addr), addr);
    const array = vaddr(pages + ((addr - start) >>> 10));
    ok = map_area_pmd(k, pmd, addr, pgd_addr_end(k, addr, end), prot, array, gfp_mask, flags);
  }
  unlock_kernel_page_tables(k, flags);
  k.arch.flush_cache_all(k);
  return ok;
}

/** Where the first-level entry of @addr ends, or @end. */
const pgd_addr_end = (k: Kernel, addr: number, end: number): number => stepEnd(k.arch.PGDIR_SIZE, addr, end);
const pmd_addr_end = (k: Kernel, addr: number, end: number): number => stepEnd(k.arch.PMD_SIZE(k), addr, end);
const stepEnd = (step: number, addr: number, end: number): number => Math.min(addr - (addr % step) + step, end);

function map_area_pmd(
  k: Kernel,
  pmd: Ptr<'pmd'>,
  start: number,
  end: number,
  prot: number,
  pages: Vaddr,
  gfp_mask: number,
  flags: IrqFlags,
): boolean {
  for (let addr = start; addr < end; addr = pmd_addr_end(k, addr, end)) {
    const pte = pte_alloc_kernel_locked(k, pmd, addr, gfp_mask, flags);
    if (pte === NULL) return false;
    const array = vaddr(pages + ((addr - start) >>> 10));
    if (!map_area_pte(k, pte, addr, pmd_addr_end(k, addr, end), prot, array)) return false;
  }
  return true;
}

/** An entry that is there already is complained of and overwritten. */
function map_area_pte(k: Kernel, ptep: Ptr<'pte'>, start: number, end: number, prot: number, pages: Vaddr): boolean {
  for (let i = 0; start + i * PAGE_SIZE < end; i++) {
    const pte = (ptep + i * 4) as Ptr<'pte'>;
    const page = k.loadPtr<'page'>(vaddr(pages + i * 4));
    if (!k.arch.pte_none(k.arch.pte_read(k, pte))) k.printk('alloc_area_pte: page already exists');
    if (page === NULL) return false;
    k.arch.set_pte(k, pte, k.arch.mk_pte(page_to_pfn(k, page), prot));
  }
  return true;
}

/**
 * Clear the entries of the whole area, guard page included. Holds no lock: the area is on no list any more.
 *
 * Context: interrupts enabled where the TLB is flushed by inter-processor call. Does not sleep.
 */
export function unmap_vm_area(k: Kernel, area: VmStruct): void {
  const start = k.read(area, struct_vm_struct.addr);
  const end = start + k.read(area, struct_vm_struct.size);
  k.arch.flush_cache_all(k);
  clear_vm_area(k, area);
  k.arch.flush_tlb_kernel_range(k, vaddr(start), vaddr(end));
}

/** Clear the entries, without maintenance of caches and TLB. */
function clear_vm_area(k: Kernel, area: VmStruct): void {
  const start = k.read(area, struct_vm_struct.addr);
  const end = start + k.read(area, struct_vm_struct.size);
  for (let addr = start; addr < end; addr = pgd_addr_end(k, addr, end)) {
    unmap_area_pmd(k, k.arch.pgd_offset_k(k, addr), addr, pgd_addr_end(k, addr, end));
  }
}

function unmap_area_pmd(k: Kernel, pmd: Ptr<'pmd'>, start: number, end: number): void {
  if (k.arch.pmd_none(k, pmd)) return;
  if (k.arch.pmd_bad(k, pmd)) {
    k.printk(`mm/vmalloc.c: bad pmd ${hex8(k.load(pmd as Vaddr))}.`);
    return;
  }
  for (let addr = start; addr < end; addr += PAGE_SIZE) {
    const ptep = k.arch.pte_offset_kernel(k, pmd, addr);
    const pte = k.arch.pte_read(k, ptep);
    k.arch.pte_clear(k, ptep);
    if (!k.arch.pte_none(pte) && (pte & 1) === 0) k.printk('Whee.. Swapped out page in kernel page table');
  }
}

// ---- allocate and free -------------------------------------------------------------------------------------------------

/**
 * @size bytes of virtually contiguous memory.
 *
 * Context: process, sleeps even if @gfp_mask does not allow it: vm_struct and page tables use GFP_KERNEL. With `rmk1` it means what it says.
 * Return:  the address, page aligned; NULL without memory or room.
 * Errors:  the failure path is a vfree(), so BUG in an interrupt.
 */
export function __vmalloc(k: Kernel, size: number, gfp_mask: number, prot: number): Vaddr {
  const bytes = PAGE_ALIGN(size);
  const nr_pages = bytes >>> 12;
  if (bytes === 0 || nr_pages > num_physpages(k)) return NULL;
  const area = get_vm_area(k, bytes, VM_ALLOC, gfp_mask);
  if (area === NULL) return NULL;
  const addr = vaddr(k.read(area, struct_vm_struct.addr));
  k.write(area, struct_vm_struct.nr_pages, nr_pages);
  const array = nr_pages * 4;
  const pages = array > KMALLOC_MAX ? NULL : kmalloc<'page *'>(k, array, gfp_mask & ~gfp(k).__GFP_HIGHMEM);
  k.write(area, struct_vm_struct.pages, pages);
  if (pages === NULL) {
    remove_vm_area(k, addr);
    kfree(k, area);
    return NULL;
  }
  for (let i = 0; i < nr_pages; i++) k.store(vaddr(pages + i * 4), NULL);
  for (let i = 0; i < nr_pages; i++) {
    const page = alloc_page(k, gfp_mask);
    k.store(vaddr(pages + i * 4), page);
    if (page === NULL) {
      // The pages that have been allocated are freed, no others.
      k.write(area, struct_vm_struct.nr_pages, i);
      return giveUp(k, addr);
    }
  }
  return map_vm_area(k, area, prot, vaddr(pages), gfp_mask) ? addr : giveUp(k, addr);
}

/** The failure path. vfree() is not for interrupts: `rmk1` has to go past that. */
function giveUp(k: Kernel, addr: Vaddr): Vaddr {
  if (!k.patched.rmk1) vfree(k, addr);
  else if (k.patched['mutant-rmk1-failure-path']) {
    BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c vfree: in interrupt', addr);
    __vunmap(k, addr, true);
  } else if (!in_interrupt(k) && !irqs_disabled(k)) __vunmap(k, addr, true);
  else undoUnmapped(k, addr);
  return NULL;
}

/**
 * Take back an area that nobody has been given. Its pages were never touched through it, so no TLB has their translations and no CPU need be
 * called; map_vm_area() may have entered some, which go with it.
 */
function undoUnmapped(k: Kernel, addr: Vaddr): void {
  const area = remove_vm_area(k, addr);
  clear_vm_area(k, area);
  freePages(k, area);
  kfree(k, area);
}

/** vfree() and vunmap() without their question where they are called. */
export function __vunmap(k: Kernel, addr: Vaddr, deallocate_pages: boolean): void {
  if (addr === NULL) return;
  if ((addr & (PAGE_SIZE - 1)) !== 0) {
    k.printk(`Trying to vfree() bad address (${hex8(addr)})`);
    return;
  }
  const area = remove_vm_area(k, addr);
  if (area === NULL) {
    k.printk(`Trying to vfree() nonexistent vm area (${hex8(addr)})`);
    return;
  }
  if (!k.patched['mutant-rmk1-unmap']) unmap_vm_area(k, area);
  if (deallocate_pages) freePages(k, area);
  kfree(k, area);
}

function freePages(k: Kernel, area: VmStruct): void {
  const pages = vaddr(k.read(area, struct_vm_struct.pages));
  const nr_pages = k.read(area, struct_vm_struct.nr_pages);
  for (let i = 0; i < nr_pages; i++) {
    const page: Page = k.loadPtr<'page'>(vaddr(pages + i * 4));
    BUG_ON(k, page === NULL, 'mm/vmalloc.c __vunmap: page of an area', pages + i * 4);
    __free_page(k, page);
  }
  kfree(k, pages);
}

/**
 * Context: process, with interrupts on: the TLB may be flushed by an inter-processor call. With `rmk1` any, since it is put off where the call
 *          must not be made.
 * Errors:  BUG in an interrupt.
 */
export function vfree(k: Kernel, addr: Vaddr): void {
  const defers = k.patched.rmk1 && !k.patched['mutant-rmk1-no-deferral'];
  if (defers && addr !== NULL && (in_interrupt(k) || irqs_disabled(k))) {
    vfree_later(k, addr);
    return;
  }
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c vfree: in interrupt', addr);
  __vunmap(k, addr, true);
}

/** As vfree(), but the pages are the caller's. */
export function vunmap(k: Kernel, addr: Vaddr): void {
  BUG_ON(k, in_interrupt(k), 'mm/vmalloc.c vunmap: in interrupt', addr);
  __vunmap(k, addr, false);
}

const ERA: areas.AreaEra = {
  get_vm_area,
  map_vm_area,
  remove_vm_area,
  vunmap,
  vfree,
  nested: (k, size, mask) => __vmalloc(k, size, mask, k.arch.PAGE_KERNEL(k)),
};

export const vmap = (k: Kernel, pages: Vaddr, count: number, prot: number): Vaddr =>
  areas.vmap(k, pages, count, prot, ERA);

// ---- read and write ----------------------------------------------------------------------------------------------------

/** A byte each at a vmalloc address and in the caller's buffer. */
type CopyByte = (k: Kernel, addr: Vaddr, buf: Vaddr) => void;

/**
 * Walk the list for [addr, addr + count) and call @copy for each byte of an area, @skip for each byte below one.
 *
 * Context: any that may spin on vmlist_lock. Holds it for reading all the time. Nothing tests whether an area has its pages yet.
 * Return:  bytes handled, up to the end of the last area.
 */
function eachByte(k: Kernel, addr: Vaddr, count: number, buf: Vaddr, copy: CopyByte, hole: CopyByte): number {
  // Don't allow overflow.
  const bytes = wraps(addr, count) ? 0x100000000 - addr : count;
  let done = 0;
  const flags = read_lock_vmlist(k);
  for (let tmp = k.loadPtr<'vm_struct'>(k.sym.vmlist); tmp !== NULL && done < bytes; tmp = nextArea(k, tmp)) {
    const start = k.read(tmp, struct_vm_struct.addr);
    const end = start + k.read(tmp, struct_vm_struct.size) - PAGE_SIZE;
    if (addr + done >= end) continue;
    for (; addr + done < start && done < bytes; done++) hole(k, vaddr(addr + done), vaddr(buf + done));
    for (; addr + done < end && done < bytes; done++) copy(k, vaddr(addr + done), vaddr(buf + done));
  }
  read_unlock_vmlist(k, flags);
  return done;
}

/** Copy from vmalloc addresses to a buffer; holes read as zero. */
export const vread = (k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number =>
  eachByte(
    k,
    addr,
    count,
    buf,
    (k, from, to) => k.store8(to, k.load8(from)),
    (k, _, to) => k.store8(to, 0),
  );

/** Copy from a buffer to vmalloc addresses; holes are skipped. */
export const vwrite = (k: Kernel, buf: Vaddr, addr: Vaddr, count: number): number =>
  eachByte(
    k,
    addr,
    count,
    buf,
    (k, to, from) => k.store8(to, k.load8(from)),
    () => {},
  );
