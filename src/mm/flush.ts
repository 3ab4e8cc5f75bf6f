/** flush_dcache_page() and its neighbours, of the architecture that the kernel was built for. Source: include/asm-{arm,parisc}/cacheflush.h. */
import { flush_kernel_dcache_range } from '../arch/parisc/cache.js';
import * as pgtable from '../arch/parisc/pgtable.js';
import type { Kernel } from '../cpu/kernel.js';
import { type Ptr, ptr, type Vaddr, vaddr } from '../shared/types.js';
import * as arm from './arm/flush.js';
import type { Page } from './page.js';
import * as parisc from './parisc/flush.js';
import type { Vma } from './prio_tree.js';

const isArm = (k: Kernel): boolean => k.arch.id === 'arm';

/** The kernel has written a page that user space may map, or is about to read one. Context: any; interrupts may be on afterwards. */
export function flush_dcache_page(k: Kernel, page: Page): void {
  page = ptr<'page'>(page);
  if (isArm(k)) arm.flush_dcache_page(k, page);
  else parisc.flush_dcache_page(k, page);
}

/** The same for a range of addresses: it needs no struct page. Differs: neither architecture has it under this name. Context: any. */
export function flush_dcache_range(k: Kernel, addr: Vaddr, bytes: number): void {
  addr = vaddr(addr);
  if (isArm(k)) arm.flush_dcache_range(k, addr, bytes);
  else flush_kernel_dcache_range(k, addr, bytes);
}

/** A page fault has been dealt with: @page is mapped at a user address. Context: process. */
export function set_user_pte(k: Kernel, vma: Vma, addr: Vaddr, page: Page): void {
  vma = ptr<'vm_area_struct'>(vma);
  addr = vaddr(addr);
  page = ptr<'page'>(page);
  if (isArm(k)) arm.set_user_pte(k, vma, addr, page);
  else parisc.set_user_pte(k, vma, addr, page);
}

/** The entry of a user address, of the one table that there is of them. */
export const pte_offset_user = (k: Kernel, addr: Vaddr): Ptr<'pte'> =>
  isArm(k) ? arm.pte_offset_user(k, addr) : pgtable.pte_offset_user(k, addr);

/** Protection of a page that user space may read and write. */
export const PAGE_SHARED = (k: Kernel): number => (isArm(k) ? arm.PAGE_SHARED : pgtable.PAGE_SHARED);
