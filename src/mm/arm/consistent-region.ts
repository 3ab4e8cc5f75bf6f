/**
 * arch/arm/mm/consistent.c as rewritten in January 2003: consistent memory in a region of its own.
 *
 * Source: arch/arm/mm/consistent.c, Linux 2.6.0 and its first version of 2003-01-10; spec/vmalloc-gfp.md §9.3. 2 MB of addresses, one table
 * that is there from boot, a sorted list of what is in use and one lock with interrupts off. It never sleeps by itself and takes neither
 * vmlist_lock nor page_table_lock, so any context will do if the mask says so.
 */
import { dma_inv_range } from '../../arch/arm/cache.js';
import {
  mk_pte,
  PAGE_KERNEL_UNCACHED,
  type PteP,
  pte_clear,
  pte_none,
  pte_pfn,
  pte_read,
  set_pte_ext,
} from '../../arch/arm/pgtable.js';
import { flush_tlb_kernel_range } from '../../arch/arm/tlb.js';
import type { Kernel } from '../../cpu/kernel.js';
import { atomic_set } from '../../shared/atomic.js';
import { BUG_ON, WARN_ON } from '../../shared/bug.js';
import { irqs_disabled } from '../../shared/irqflags.js';
import type { SymbolSpec } from '../../shared/kernel-base.js';
import { defineStruct } from '../../shared/layout.js';
import {
  container_of,
  INIT_LIST_HEAD,
  type List,
  list_add_tail,
  list_del,
  list_next,
  list_of,
} from '../../shared/list.js';
import { type SpinLock, spin_lock_irqsave, spin_unlock_irqrestore } from '../../shared/spinlock.js';
import { PG_reserved, struct_page } from '../../shared/structs/page.js';
import { hex8, NULL, type Paddr, type Ptr, ptr, type Vaddr, vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { gfp } from '../gfp.js';
import { kfree, kmalloc } from '../kmalloc.js';
import {
  get_order,
  lowmem_page_address,
  type Page,
  page_plus,
  page_to_pfn,
  page_to_phys,
  pfn_to_page,
} from '../page.js';
import { __free_page, __free_pages, alloc_pages } from '../page_alloc.js';
import { PAGE_ALIGN, PAGE_SIZE } from '../vmalloc/vm-struct.js';
import type { Consistent } from './consistent.js';

export const CONSISTENT_BASE = 0xffc00000;
export const CONSISTENT_END = 0xffe00000;

/** `struct vm_region`. */
const struct_vm_region = defineStruct('vm_region', 24, { list: [0, 8], start: 8, end: 12, vm_active: 16 });
type Region = Ptr<'vm_region'>;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    consistent_lock: SpinLock;
    /** `consistent_head.vm_list`. */
    consistent_head: List;
    consistent_pte_page: Vaddr;
  }
}

export const consistentSymbols: Readonly<Record<string, SymbolSpec>> = {
  consistent_lock: { bytes: 4, align: 32 },
  consistent_head: { bytes: 8 },
  consistent_pte_page: { bytes: 4096, align: 4096 },
};

/** core_initcall: the one table of the region. */
export function consistent_init(k: Kernel): void {
  INIT_LIST_HEAD(k, k.sym.consistent_head);
  const table = k.arch.pte_table_init(k, k.sym.consistent_pte_page);
  k.arch.pmd_populate_kernel(k, k.arch.pgd_offset_k(k, CONSISTENT_BASE), table);
}

const pteOf = (k: Kernel, addr: number): PteP =>
  k.arch.pte_offset_kernel(k, k.arch.pgd_offset_k(k, CONSISTENT_BASE), addr);
const regionOf = (entry: List): Region => container_of<'vm_region'>(entry, struct_vm_region.list.offset);
const entryOf = (region: Region): List => list_of(region, struct_vm_region.list.offset);

/** First fit: the entry before which a region of @size goes, and its address; null when there is no room. consistent_lock is held. */
function findRoom(k: Kernel, size: number): { readonly before: List; readonly addr: number } | null {
  const head = k.sym.consistent_head;
  let addr = CONSISTENT_BASE;
  let entry = list_next(k, head);
  for (; entry !== head; entry = list_next(k, entry)) {
    if (addr + size > 0x100000000) return null;
    if (addr + size <= k.read(regionOf(entry), struct_vm_region.start)) break;
    addr = k.read(regionOf(entry), struct_vm_region.end);
    if (addr > CONSISTENT_END - size) return null;
  }
  return { before: entry, addr };
}

/**
 * Context: any, as far as @gfp_mask does not allow to sleep. Takes and releases consistent_lock (irqsave).
 * Return:  NULL without memory or room.
 */
export function region_alloc(k: Kernel, gfp_mask: number, size: number): Consistent {
  const failed: Consistent = { addr: NULL, handle: 0 as Paddr };
  const bytes = PAGE_ALIGN(size);
  const order = get_order(bytes);
  if (bytes > CONSISTENT_END - CONSISTENT_BASE) return failed;
  const page = alloc_pages(k, gfp_mask, order);
  if (page === NULL) return failed;
  const linear = lowmem_page_address(k, page);
  // Nothing that is dirty in the linear alias may reach memory later. It is thrown away, not cleaned.
  if (!k.patched['mutant-rmk2-no-invalidate']) dma_inv_range(k, linear, vaddr(linear + bytes));
  const { __GFP_DMA, __GFP_HIGHMEM } = gfp(k);
  const region = kmalloc<'vm_region'>(k, struct_vm_region.sizeof, gfp_mask & ~(__GFP_DMA | __GFP_HIGHMEM));
  if (region === NULL) {
    __free_pages(k, page, order);
    return failed;
  }
  const flags = spin_lock_irqsave(k, k.sym.consistent_lock);
  const place = findRoom(k, bytes);
  if (place !== null) {
    k.write(region, struct_vm_region.start, place.addr);
    k.write(region, struct_vm_region.end, place.addr + bytes);
    k.write(region, struct_vm_region.vm_active, 1);
    list_add_tail(k, entryOf(region), place.before);
    mapPages(k, place.addr, page, bytes >>> 12, order);
  }
  spin_unlock_irqrestore(k, k.sym.consistent_lock, flags);
  if (place === null) {
    kfree(k, region);
    __free_pages(k, page, order);
    return failed;
  }
  return { addr: vaddr(place.addr), handle: page_to_phys(k, page) };
}

/** Enter @count pages, and free what the rounding to an order has added. consistent_lock is held. */
function mapPages(k: Kernel, addr: number, first: Page, count: number, order: number): void {
  for (let i = 0; i < 1 << order; i++) {
    const page = page_plus(first, i);
    atomic_set(k, vaddr(page + struct_page._count.offset), 1);
    if (i >= count) {
      __free_page(k, page);
      continue;
    }
    const pte = pteOf(k, addr + i * PAGE_SIZE);
    BUG_ON(k, !pte_none(pte_read(k, pte)), 'arch/arm/mm/consistent.c: entry in use', addr + i * PAGE_SIZE);
    k.write(page, struct_page.flags, k.read(page, struct_page.flags) | (1 << PG_reserved));
    set_pte_ext(k, pte, mk_pte(page_to_pfn(k, page), PAGE_KERNEL_UNCACHED));
  }
}

/** The region that begins at @addr, or NULL. consistent_lock is held. */
function findRegion(k: Kernel, addr: Vaddr): Region {
  const head = k.sym.consistent_head;
  for (let entry = list_next(k, head); entry !== head; entry = list_next(k, entry)) {
    if (k.read(regionOf(entry), struct_vm_region.start) === addr) return regionOf(entry);
  }
  return ptr<'vm_region'>(NULL);
}

/**
 * Context: any that may wait for other CPUs where the TLB is flushed by inter-processor call: the flush is made with consistent_lock held and
 *          interrupts off, which is a deadlock against a CPU that spins on the lock.
 */
export function region_free(k: Kernel, addr: Vaddr, size: number): void {
  if (k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 22)) dma_free_coherent(k, addr, size);
  else freeUnderLock(k, addr, size);
}

function freeUnderLock(k: Kernel, addr: Vaddr, size: number): void {
  const flags = spin_lock_irqsave(k, k.sym.consistent_lock);
  const region = findRegion(k, addr);
  if (region === NULL) {
    spin_unlock_irqrestore(k, k.sym.consistent_lock, flags);
    k.printk(`consistent_free: trying to free invalid area: ${hex8(addr)}`);
    return;
  }
  const end = checkedEnd(k, region, addr, size);
  for (let at: number = addr; at < end; at += PAGE_SIZE) freePage(k, at);
  flush_tlb_kernel_range(k, addr, vaddr(end));
  list_del(k, entryOf(region));
  spin_unlock_irqrestore(k, k.sym.consistent_lock, flags);
  kfree(k, region);
}

/** The size of the region is what counts; another one is complained of. */
function checkedEnd(k: Kernel, region: Region, addr: Vaddr, size: number): number {
  const end = k.read(region, struct_vm_region.end);
  if (end - addr !== PAGE_ALIGN(size)) {
    const [has, given] = [end - addr, PAGE_ALIGN(size)];
    k.printk(
      k.LINUX_VERSION_CODE >= KERNEL_VERSION(2, 6, 22)
        ? `dma_free_coherent: freeing wrong coherent size (${has} != ${given})`
        : `consistent_free: wrong size (${has.toString(16)} != ${given.toString(16)})`,
    );
  }
  return end;
}

/**
 * The order of 2.6.22: the region is set inactive, cleared and flushed without the lock, and comes off the list only then, so that nobody gets its
 * addresses before.
 *
 * Context: process, interrupts on.
 * Errors:  WARN with interrupts off.
 */
function dma_free_coherent(k: Kernel, addr: Vaddr, size: number): void {
  WARN_ON(k, irqs_disabled(k), 'arch/arm/mm/consistent.c dma_free_coherent()');
  let flags = spin_lock_irqsave(k, k.sym.consistent_lock);
  const region = findRegion(k, addr);
  const found = region !== NULL && k.read(region, struct_vm_region.vm_active) !== 0;
  if (found) k.write(region, struct_vm_region.vm_active, 0);
  spin_unlock_irqrestore(k, k.sym.consistent_lock, flags);
  if (!found) {
    k.printk(`dma_free_coherent: trying to free invalid coherent area: ${hex8(addr)}`);
    return;
  }
  const end = checkedEnd(k, region, addr, size);
  for (let at: number = addr; at < end; at += PAGE_SIZE) freePage(k, at);
  flush_tlb_kernel_range(k, addr, vaddr(end));
  flags = spin_lock_irqsave(k, k.sym.consistent_lock);
  list_del(k, entryOf(region));
  spin_unlock_irqrestore(k, k.sym.consistent_lock, flags);
  kfree(k, region);
}

function freePage(k: Kernel, addr: number): void {
  const ptep = pteOf(k, addr);
  const pte = pte_read(k, ptep);
  pte_clear(k, ptep);
  if (pte_none(pte)) return;
  const page = pfn_to_page(k, pte_pfn(pte));
  k.write(page, struct_page.flags, k.read(page, struct_page.flags) & ~(1 << PG_reserved));
  __free_page(k, page);
}
