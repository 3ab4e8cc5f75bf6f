/**
 * Page-table pages of the kernel.
 *
 * Source: include/asm-arm/proc-armv/pgalloc.h, Linux 2.5.53; include/asm-arm/pgalloc.h, Linux 2.6.22; arch/arm/include/asm/pgalloc.h, Linux
 * 4.12; include/asm-parisc/pgalloc.h; spec/vmalloc-gfp.md §8. What a table looks like is the architecture's business: `pte_table_init`.
 */
import type { Kernel } from '../cpu/kernel.js';
import { NULL, type Ptr, type Vaddr, vaddr } from '../shared/types.js';
import { KERNEL_VERSION, LINUX_2_6 } from '../shared/version.js';
import { current_gfp_context, gfp, gfpflags_allow_blocking } from './gfp.js';
import { GfpSite, gfpEvent } from './gfp-events.js';
import { __get_free_page, clear_page, free_page } from './page_alloc.js';
import { schedule_timeout_uninterruptible } from './timer.js';

type PteP = Ptr<'pte'>;

const TRIES_ARM_2_5_53 = 11;

/**
 * A page-table page, empty, whose hardware half the table walker sees.
 *
 * Context: process; sleeps. With the patch `rmk1` as @gfp_mask allows.
 * Return:  its first entry; NULL without memory.
 */
export function pte_alloc_one_kernel(k: Kernel, gfp_mask: number): PteP {
  gfpEvent(k, GfpSite.pte_alloc, current_gfp_context(k, gfp_mask));
  k.contextWatch?.tables(gfp_mask);
  const retries = k.arch.id === 'arm' && k.LINUX_VERSION_CODE < LINUX_2_6;
  const page = retries ? tableRetry(k, gfp_mask) : __get_free_page(k, gfp_mask | tableFlags(k));
  if (page === NULL) return NULL;
  if (k.LINUX_VERSION_CODE < LINUX_2_6) clear_page(k, page);
  return k.arch.pte_table_init(k, page);
}

/** What PGALLOC_GFP has besides: the allocator clears the page from 2.6 on, and is asked to try hard until 4.7. */
function tableFlags(k: Kernel): number {
  const { __GFP_REPEAT, __GFP_ZERO, __GFP_NOTRACK } = gfp(k);
  const modern = k.LINUX_VERSION_CODE >= KERNEL_VERSION(4, 8, 0);
  return __GFP_ZERO | (modern ? (k.arch.id === 'arm' ? __GFP_NOTRACK : 0) : __GFP_REPEAT);
}

/** 2.5.53 asks again once a second, and sleeps meanwhile: `rmk1` must not do that for who may not sleep. */
function tableRetry(k: Kernel, gfp_mask: number): Vaddr {
  for (let tries = 1; ; tries++) {
    const page = __get_free_page(k, gfp_mask);
    if (page !== NULL || tries === TRIES_ARM_2_5_53) return page;
    if (!k.patched['mutant-rmk1-table-retry'] && !gfpflags_allow_blocking(k, gfp_mask)) return page;
    schedule_timeout_uninterruptible(k, k.config.hz);
  }
}

/** Context: any. The table must not be in use. */
export function pte_free_kernel(k: Kernel, ptep: PteP): void {
  free_page(k, vaddr(ptep & ~0xfff));
}
