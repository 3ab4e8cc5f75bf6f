/** `__alloc_pages()` of Linux 2.6.22. Source: mm/page_alloc.c; spec/vmalloc-gfp.md §4.5. Left out: fault injection, real-time tasks. */
import type { Kernel } from '../../cpu/kernel.js';
import { cond_resched, congestion_wait } from '../../cpu/timer.js';
import { comm, in_interrupt, might_sleep_if } from '../../shared/irqflags.js';
import { HZ } from '../../shared/jiffies.js';
import { clear_task_flags, is_oom_victim, PF_MEMALLOC, set_task_flags, task_flags } from '../../shared/task.js';
import { NULL } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { GfpSite, gfpEvent } from '../gfp-events.js';
import { wakeup_kswapd } from '../kswapd.js';
import {
  lockdep_clear_current_reclaim_state,
  lockdep_set_current_reclaim_state,
  lockdep_trace_alloc,
} from '../lockdep.js';
import { zonelist } from '../mmzone.js';
import { out_of_memory_2_6_22 } from '../oom_kill.js';
import type { Page } from '../page.js';
import { __ratelimit, DEFAULT_RATELIMIT_BURST, DEFAULT_RATELIMIT_INTERVAL } from '../ratelimit.js';
import { show_mem } from '../show_mem.js';
import { try_to_free_pages_2_6_22 } from '../vmscan.js';
import { type AllocRequest, get_page_from_freelist } from './freelist.js';
import {
  ALLOC_CPUSET,
  ALLOC_HARDER,
  ALLOC_HIGH,
  ALLOC_NO_WATERMARKS,
  ALLOC_WMARK_HIGH,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MIN,
} from './watermark.js';
import { gfp_zone } from './zonelist.js';

const LAST_LOOPING_ORDER = 3;

function failed(k: Kernel, r: AllocRequest): Page {
  if ((r.gfp_mask & gfp(k).__GFP_NOWARN) !== 0) return NULL;
  if (!__ratelimit(k, k.sym.nopage_rs, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST)) return NULL;
  k.printk(`${comm(k)}: page allocation failure. order:${r.order}, mode:0x${r.gfp_mask.toString(16)}`);
  k.dumpStack();
  show_mem(k);
  return NULL;
}

/** A task that frees memory takes what there is. */
function fromReserves(k: Kernel, r: AllocRequest): Page {
  const { __GFP_NOMEMALLOC, __GFP_NOFAIL } = gfp(k);
  if ((r.gfp_mask & __GFP_NOMEMALLOC) !== 0) return failed(k, r);
  for (;;) {
    const page = get_page_from_freelist(k, r, ALLOC_NO_WATERMARKS);
    if (page !== NULL) return page;
    if ((r.gfp_mask & __GFP_NOFAIL) === 0) return failed(k, r);
    congestion_wait(k, HZ / 50);
  }
}

function reclaim(k: Kernel, r: AllocRequest): number {
  cond_resched(k, 'mm/page_alloc.c:0');
  set_task_flags(k, PF_MEMALLOC);
  const traced = lockdep_set_current_reclaim_state(k, r.gfp_mask);
  const progress = try_to_free_pages_2_6_22(k, zonelist(k, r.high_zoneidx), r.gfp_mask);
  lockdep_clear_current_reclaim_state(k, traced);
  // Whatever it was before.
  clear_task_flags(k, PF_MEMALLOC);
  cond_resched(k, 'mm/page_alloc.c:0');
  return progress;
}

const reclaims = (k: Kernel): boolean =>
  ((task_flags(k) & PF_MEMALLOC) !== 0 || is_oom_victim(k, k.current)) && !in_interrupt(k);

/** What becomes of a request when reclaim has ended: a page, another round, or from the start. */
type Next = Page | 'rebalance' | 'restart';

function afterReclaim(k: Kernel, r: AllocRequest, alloc_flags: number, progress: number): Next {
  const { __GFP_FS, __GFP_NORETRY, __GFP_REPEAT, __GFP_NOFAIL } = gfp(k);
  const has = (flag: number): boolean => (r.gfp_mask & flag) !== 0;
  if (progress !== 0) {
    const page = get_page_from_freelist(k, r, alloc_flags);
    if (page !== NULL) return page;
  } else if (has(__GFP_FS) && !has(__GFP_NORETRY)) {
    const page = get_page_from_freelist(k, r, ALLOC_WMARK_HIGH | ALLOC_CPUSET);
    if (page !== NULL) return page;
    out_of_memory_2_6_22(k, r.gfp_mask, r.order);
    return 'restart';
  }
  const again = !has(__GFP_NORETRY) && (r.order <= LAST_LOOPING_ORDER || has(__GFP_REPEAT) || has(__GFP_NOFAIL));
  if (!again) return failed(k, r);
  congestion_wait(k, HZ / 50);
  return 'rebalance';
}

function slowPath(k: Kernel, r: AllocRequest, wait: boolean): Page | 'restart' {
  let alloc_flags = ALLOC_WMARK_MIN;
  if (!wait) alloc_flags |= ALLOC_HARDER;
  if ((r.gfp_mask & gfp(k).__GFP_HIGH) !== 0) alloc_flags |= ALLOC_HIGH;
  if (wait) alloc_flags |= ALLOC_CPUSET;
  const page = get_page_from_freelist(k, r, alloc_flags);
  if (page !== NULL) return page;
  for (;;) {
    if (reclaims(k)) return fromReserves(k, r);
    if (!wait) return failed(k, r);
    const next = afterReclaim(k, r, alloc_flags, reclaim(k, r));
    if (next !== 'rebalance') return next;
  }
}

/** See alloc_pages(). */
export function __alloc_pages_2_6_22(k: Kernel, gfp_mask: number, order: number): Page {
  const wait = (gfp_mask & gfp(k).__GFP_WAIT) !== 0;
  gfpEvent(k, GfpSite.might_sleep, gfp_mask);
  lockdep_trace_alloc(k, gfp_mask);
  might_sleep_if(k, wait, 'mm/page_alloc.c:0');
  const r: AllocRequest = { gfp_mask, order, high_zoneidx: gfp_zone(k, gfp_mask) };
  for (;;) {
    gfpEvent(k, GfpSite.fast_path, gfp_mask);
    const page = get_page_from_freelist(k, r, ALLOC_WMARK_LOW | ALLOC_CPUSET);
    if (page !== NULL) return page;
    gfpEvent(k, GfpSite.slow_path, gfp_mask);
    for (const zone of zonelist(k, r.high_zoneidx)) wakeup_kswapd(k, zone, order);
    const next = slowPath(k, r, wait);
    if (next !== 'restart') return next;
  }
}
