/**
 * mm/memory.c: tables of the kernel's own mappings, and pages that a driver enters into a user's.
 *
 * Source: mm/memory.c, Linux 2.5.53, 2.6.22 and 4.12; spec/vmalloc-gfp.md §8. The middle level is folded on every machine that is modelled.
 * Kernel tables, once entered, are never freed.
 */
import type { Kernel } from '../cpu/kernel.js';
import { atomic_add_return } from '../shared/atomic.js';
import { type IrqFlags, local_irq_restore, local_irq_save } from '../shared/irqflags.js';
import type { SymbolSpec } from '../shared/kernel-base.js';
import { type SpinLock, spin_lock, spin_unlock } from '../shared/spinlock.js';
import { struct_vm_area_struct } from '../shared/structs/configured.js';
import { NULL, type Pfn, type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import { LINUX_4_4 } from '../shared/version.js';
import { flush_dcache_page, PAGE_SHARED, pte_offset_user } from './flush.js';
import { gfp } from './gfp.js';
import { type Page, page_to_pfn, pfn_to_page } from './page.js';
import { page_count_addr } from './page_alloc/prep.js';
import { pte_alloc_one_kernel, pte_free_kernel } from './pgalloc.js';
import type { Vma } from './prio_tree.js';

const EFAULT = 14;
const EBUSY = 16;
const EINVAL = 22;

type PmdP = Ptr<'pmd'>;
type PteP = Ptr<'pte'>;

declare module '../shared/kernel-base.js' {
  interface Symbols {
    /** `init_mm.page_table_lock`. */
    init_mm_page_table_lock: SpinLock;
  }
}

export const memorySymbols: Readonly<Record<string, SymbolSpec>> = {
  init_mm_page_table_lock: { bytes: 4, align: 32 },
};

/** Take init_mm.page_table_lock. With the patch `rmk1` interrupt handlers take it too, so interrupts go off. */
export function lock_kernel_page_tables(k: Kernel): IrqFlags {
  const flags = irqSafe(k) ? local_irq_save(k) : 0;
  spin_lock(k, k.sym.init_mm_page_table_lock);
  return flags;
}

export function unlock_kernel_page_tables(k: Kernel, flags: IrqFlags): void {
  spin_unlock(k, k.sym.init_mm_page_table_lock);
  if (irqSafe(k)) local_irq_restore(k, flags);
}

const irqSafe = (k: Kernel): boolean => k.patched.rmk1 && !k.patched['mutant-rmk1-page-table-lock'];

/** Folded: the entry of the level above, which is always there. */
export const pmd_alloc = (_k: Kernel, pgd: PmdP, _addr: number): PmdP => pgd;

/** The mask that allocations of kernel page tables use: GFP_KERNEL whatever the caller may do, until `rmk1` passes it on. */
const tableMask = (k: Kernel, gfp_mask: number): number => (k.patched.rmk1 ? gfp_mask : gfp(k).GFP_KERNEL);

/**
 * The entry of @addr in the table below @pmd; a table is allocated if there is none.
 *
 * Context: process, sleeps. init_mm.page_table_lock is held, and dropped while a table is allocated; @flags are those of the lock.
 * Return:  NULL without memory; the lock is held again in any case.
 * Source:  mm/memory.c, Linux 2.5.53.
 */
export function pte_alloc_kernel_locked(k: Kernel, pmd: PmdP, addr: number, gfp_mask: number, flags: IrqFlags): PteP {
  if (k.arch.pmd_none(k, pmd)) {
    unlock_kernel_page_tables(k, flags);
    const table = pte_alloc_one_kernel(k, tableMask(k, gfp_mask));
    lock_kernel_page_tables(k);
    if (table === NULL) return NULL;
    // Somebody else may have entered one meanwhile.
    if (!k.arch.pmd_none(k, pmd)) pte_free_kernel(k, table);
    else k.arch.pmd_populate_kernel(k, pmd, table);
  }
  return k.arch.pte_offset_kernel(k, pmd, addr);
}

/**
 * The same for callers that hold nothing.
 *
 * Context: process, sleeps. Takes and releases init_mm.page_table_lock.
 * Source:  mm/memory.c, Linux 2.6.22.
 */
export function pte_alloc_kernel(k: Kernel, pmd: PmdP, addr: number): PteP {
  if (k.arch.pmd_none(k, pmd) && !__pte_alloc_kernel(k, pmd)) return NULL;
  return k.arch.pte_offset_kernel(k, pmd, addr);
}

function __pte_alloc_kernel(k: Kernel, pmd: PmdP): boolean {
  const table = pte_alloc_one_kernel(k, gfp(k).GFP_KERNEL);
  if (table === NULL) return false;
  const flags = lock_kernel_page_tables(k);
  const taken = !k.arch.pmd_none(k, pmd);
  if (!taken) k.arch.pmd_populate_kernel(k, pmd, table);
  unlock_kernel_page_tables(k, flags);
  if (taken) pte_free_kernel(k, table);
  return true;
}

/**
 * The page behind a vmalloc address.
 *
 * Context: any; nothing keeps the mapping from going.
 * Return:  NULL when any level is empty.
 * Source:  mm/memory.c, Linux 2.5.53 and 2.6.22; mm/vmalloc.c, Linux 4.12.
 */
export function vmalloc_to_page(k: Kernel, addr: number): Page {
  const pgd = k.arch.pgd_offset_k(k, addr);
  if (k.arch.pmd_none(k, pgd)) return NULL;
  const pte = k.arch.pte_read(k, k.arch.pte_offset_kernel(k, pgd, addr));
  return k.arch.pte_present(pte) ? pfn_to_page(k, k.arch.pte_pfn(pte)) : NULL;
}

/** Which page it is. Context: as vmalloc_to_page(). Errors: a number out of nowhere for an address that has none. */
export const vmalloc_to_pfn = (k: Kernel, addr: number): Pfn => page_to_pfn(k, vmalloc_to_page(k, addr));

/** VM_MIXEDMAP; VM_INSERTPAGE in 2.6.22. Source: include/linux/mm.h. */
const insertedFlag = (k: Kernel): number => (k.LINUX_VERSION_CODE < LINUX_4_4 ? 0x02000000 : 0x10000000);

/**
 * Map a page of the driver's own at a user address, with a reference of its own.
 *
 * Context: process; mmap_sem of @vma is the caller's.
 * Return:  0; -EINVAL for a page that is free, -EFAULT for an address outside of @vma, -EBUSY where something is mapped.
 * Source:  mm/memory.c, Linux 2.6.22, 4.12. Left out: tables, since user addresses have theirs from boot on; counts of mapped pages.
 */
export function vm_insert_page(k: Kernel, vma: Vma, addr: Vaddr, page: Page): number {
  vma = ptr<'vm_area_struct'>(vma);
  addr = vaddr(addr);
  page = ptr<'page'>(page);
  const { vm_start, vm_end, vm_flags } = struct_vm_area_struct;
  if (addr < k.read(vma, vm_start) || addr >= k.read(vma, vm_end)) return -EFAULT;
  if (k.load(page_count_addr(page)) === 0) return -EINVAL;
  k.write(vma, vm_flags, k.read(vma, vm_flags) | insertedFlag(k));
  flush_dcache_page(k, page);
  const ptep = pte_offset_user(k, addr);
  if (!k.arch.pte_none(k.arch.pte_read(k, ptep))) return -EBUSY;
  atomic_add_return(k, 1, page_count_addr(page));
  k.arch.set_pte(k, ptep, k.arch.mk_pte(page_to_pfn(k, page), PAGE_SHARED(k)));
  return 0;
}
