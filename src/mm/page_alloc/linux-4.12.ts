/**
 * `__alloc_pages_nodemask()` of Linux 4.10 and 4.12. Source: mm/page_alloc.c; spec/vmalloc-gfp.md §4.6.
 * Left out: compaction, the highatomic reserve, cpusets, fault injection, real-time tasks.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { cond_resched, schedule_timeout } from '../../cpu/timer.js';
import { atomic_cmpxchg, atomic_set } from '../../shared/atomic.js';
import { WARN_ON_ONCE } from '../../shared/bug.js';
import { comm, in_interrupt, in_serving_softirq, might_sleep_if } from '../../shared/irqflags.js';
import { HZ, jiffies, jiffies_to_msecs } from '../../shared/jiffies.js';
import {
  is_oom_victim,
  memalloc_noreclaim_restore,
  memalloc_noreclaim_save,
  PF_MEMALLOC,
  task_flags,
} from '../../shared/task.js';
import { NULL, type Vaddr } from '../../shared/types.js';
import { KERNEL_VERSION } from '../../shared/version.js';
import { current_gfp_context, gfp, showGfp } from '../gfp.js';
import { GfpSite, gfpEvent } from '../gfp-events.js';
import { wakeup_kswapd } from '../kswapd.js';
import {
  lockdep_clear_current_reclaim_state,
  lockdep_set_current_reclaim_state,
  lockdep_trace_alloc,
} from '../lockdep.js';
import { MAX_ORDER, struct_zone, zonelist } from '../mmzone.js';
import { out_of_memory_4_12 } from '../oom_kill.js';
import { type Page, ZONE_NORMAL } from '../page.js';
import { __ratelimit, DEFAULT_RATELIMIT_BURST, DEFAULT_RATELIMIT_INTERVAL } from '../ratelimit.js';
import { show_mem } from '../show_mem.js';
import { try_to_free_pages_4_12 } from '../vmscan.js';
import { type AllocRequest, get_page_from_freelist } from './freelist.js';
import {
  __zone_watermark_ok,
  ALLOC_CPUSET,
  ALLOC_HARDER,
  ALLOC_HIGH,
  ALLOC_NO_WATERMARKS,
  ALLOC_WMARK_HIGH,
  ALLOC_WMARK_LOW,
  ALLOC_WMARK_MIN,
} from './watermark.js';
import { gfp_zone } from './zonelist.js';

const PAGE_ALLOC_COSTLY_ORDER = 3;
const MAX_RECLAIM_RETRIES = 16;
const STALL_TICKS = 10 * HZ;

declare module '../../shared/kernel-base.js' {
  interface Symbols {
    /** Mutex that is only ever tried: one task at a time looks for a victim. */
    oom_lock: Vaddr;
  }
}

/**
 * "page allocation failure", or what else @what says.
 *
 * Source: warn_alloc(), mm/page_alloc.c, Linux 4.10, 4.12. Node masks and cpusets are named from 4.11 on.
 */
export function warn_alloc(k: Kernel, gfp_mask: number, what: string): void {
  if ((gfp_mask & gfp(k).__GFP_NOWARN) !== 0) return;
  if (!__ratelimit(k, k.sym.nopage_rs, DEFAULT_RATELIMIT_INTERVAL, DEFAULT_RATELIMIT_BURST)) return;
  const mode = `mode:0x${gfp_mask.toString(16)}(${showGfp(k, gfp_mask)})`;
  if (k.LINUX_VERSION_CODE >= KERNEL_VERSION(4, 11, 0)) {
    k.printk(`${comm(k)}: ${what}, ${mode}, nodemask=(null)`);
    k.printk(`${comm(k)} cpuset=/ mems_allowed=0`);
  } else k.printk(`${comm(k)}: ${what}, ${mode}`);
  k.dumpStack();
  if (__ratelimit(k, k.sym.show_mem_rs, HZ, 1)) show_mem(k);
}

function gfp_to_alloc_flags(k: Kernel, gfp_mask: number): number {
  const { __GFP_HIGH, __GFP_ATOMIC, __GFP_NOMEMALLOC } = gfp(k);
  let flags = ALLOC_WMARK_MIN | ALLOC_CPUSET;
  if ((gfp_mask & __GFP_HIGH) !== 0) flags |= ALLOC_HIGH;
  if ((gfp_mask & __GFP_ATOMIC) === 0) return flags;
  if ((gfp_mask & __GFP_NOMEMALLOC) === 0) flags |= ALLOC_HARDER;
  return flags & ~ALLOC_CPUSET;
}

/** May the request take what is there, whatever the marks? */
export function gfp_pfmemalloc_allowed(k: Kernel, gfp_mask: number): boolean {
  const { __GFP_NOMEMALLOC, __GFP_MEMALLOC } = gfp(k);
  if ((gfp_mask & __GFP_NOMEMALLOC) !== 0) return false;
  if ((gfp_mask & __GFP_MEMALLOC) !== 0) return true;
  const memalloc = (task_flags(k) & PF_MEMALLOC) !== 0;
  if (in_serving_softirq(k) && memalloc) return true;
  return !in_interrupt(k) && (memalloc || is_oom_victim(k, k.current));
}

/** Could a zone meet its min mark if all that is reclaimable were free? Then another round makes sense. */
function should_reclaim_retry(k: Kernel, r: AllocRequest, alloc_flags: number, noProgress: number): boolean {
  if (noProgress > MAX_RECLAIM_RETRIES) return false;
  for (const zone of zonelist(k, r.high_zoneidx)) {
    const reclaimable = k.read(zone, struct_zone.nr_inactive) + k.read(zone, struct_zone.nr_active);
    const available = reclaimable + k.read(zone, struct_zone.free_pages);
    const min = k.read(zone, struct_zone.pages_min);
    if (!__zone_watermark_ok(k, zone, r.order, min, r.high_zoneidx, alloc_flags, available)) continue;
    cond_resched(k, 'mm/page_alloc.c:0');
    return true;
  }
  return false;
}

/** Progress is a page, or the hope of one: somebody else kills, or a victim was found. */
function __alloc_pages_may_oom(k: Kernel, r: AllocRequest): { page: Page; progress: boolean } {
  if (atomic_cmpxchg(k, k.sym.oom_lock, 0, 1) !== 0) {
    schedule_timeout(k, 1);
    return { page: NULL, progress: true };
  }
  let progress = false;
  let page = get_page_from_freelist(k, r, ALLOC_WMARK_HIGH | ALLOC_CPUSET);
  if (page === NULL && r.order <= PAGE_ALLOC_COSTLY_ORDER && r.high_zoneidx >= ZONE_NORMAL) {
    progress = out_of_memory_4_12(k, r.gfp_mask, r.order);
    if (progress && (r.gfp_mask & gfp(k).__GFP_NOFAIL) !== 0) page = get_page_from_freelist(k, r, ALLOC_NO_WATERMARKS);
  }
  atomic_set(k, k.sym.oom_lock, 0);
  return { page, progress };
}

function reclaim(k: Kernel, r: AllocRequest): number {
  cond_resched(k, 'mm/page_alloc.c:0');
  const old = memalloc_noreclaim_save(k);
  const traced = lockdep_set_current_reclaim_state(k, r.gfp_mask);
  const progress = try_to_free_pages_4_12(k, zonelist(k, r.high_zoneidx), r.gfp_mask);
  lockdep_clear_current_reclaim_state(k, traced);
  memalloc_noreclaim_restore(k, old);
  cond_resched(k, 'mm/page_alloc.c:0');
  return progress;
}

/** The end of a request that has to succeed and may wait: the last reserves, then all over again. */
function nofail(k: Kernel, r: AllocRequest, canReclaim: boolean): Page | 'retry' {
  if (WARN_ON_ONCE(k, !canReclaim, 'mm/page_alloc.c: __GFP_NOFAIL without __GFP_DIRECT_RECLAIM')) return NULL;
  WARN_ON_ONCE(k, (task_flags(k) & PF_MEMALLOC) !== 0, 'mm/page_alloc.c: __GFP_NOFAIL in a reclaimer');
  WARN_ON_ONCE(k, r.order > PAGE_ALLOC_COSTLY_ORDER, 'mm/page_alloc.c: __GFP_NOFAIL of a costly order');
  const page = get_page_from_freelist(k, r, ALLOC_WMARK_MIN | ALLOC_HARDER);
  if (page !== NULL) return page;
  cond_resched(k, 'mm/page_alloc.c:0');
  return 'retry';
}

/** One round after another until there is a page or no hope. Return: NULL: none. */
class SlowPath {
  readonly #k: Kernel;
  readonly #r: AllocRequest;
  readonly #canReclaim: boolean;
  readonly #start: number;
  #alloc_flags: number;
  #stall = STALL_TICKS;
  #noProgress = 0;

  constructor(k: Kernel, r: AllocRequest) {
    this.#k = k;
    this.#r = r;
    this.#canReclaim = (r.gfp_mask & gfp(k).__GFP_DIRECT_RECLAIM) !== 0;
    this.#start = jiffies(k);
    this.#alloc_flags = gfp_to_alloc_flags(k, r.gfp_mask);
  }

  #wakeKswapd(): void {
    const { __GFP_KSWAPD_RECLAIM } = gfp(this.#k);
    if ((this.#r.gfp_mask & __GFP_KSWAPD_RECLAIM) === 0) return;
    for (const zone of zonelist(this.#k, this.#r.high_zoneidx)) wakeup_kswapd(this.#k, zone, this.#r.order);
  }

  run(): Page {
    this.#wakeKswapd();
    let next: Page | 'retry' = get_page_from_freelist(this.#k, this.#r, this.#alloc_flags);
    if (next !== NULL) return next;
    for (;;) {
      do next = this.#round();
      while (next === 'retry');
      if (next !== NULL || (this.#r.gfp_mask & gfp(this.#k).__GFP_NOFAIL) === 0) break;
      next = nofail(this.#k, this.#r, this.#canReclaim);
      if (next !== 'retry') break;
    }
    if (next === NULL) warn_alloc(this.#k, this.#r.gfp_mask, `page allocation failure: order:${this.#r.order}`);
    return next;
  }

  #stalls(): void {
    const ticks = jiffies(this.#k) - this.#start;
    if (ticks <= this.#stall) return;
    const ms = jiffies_to_msecs(ticks);
    warn_alloc(this.#k, this.#r.gfp_mask, `page allocation stalls for ${ms}ms, order:${this.#r.order}`);
    this.#stall += STALL_TICKS;
  }

  #round(): Page | 'retry' {
    const k = this.#k;
    const r = this.#r;
    this.#wakeKswapd();
    if (gfp_pfmemalloc_allowed(k, r.gfp_mask)) this.#alloc_flags = ALLOC_NO_WATERMARKS;
    let page = get_page_from_freelist(k, r, this.#alloc_flags);
    if (page !== NULL || !this.#canReclaim) return page;
    this.#stalls();
    if ((task_flags(k) & PF_MEMALLOC) !== 0) return NULL;
    const progress = reclaim(k, r);
    page = get_page_from_freelist(k, r, this.#alloc_flags);
    return page !== NULL ? page : this.#again(progress);
  }

  /** Reclaim has not been enough. */
  #again(progress: number): Page | 'retry' {
    const k = this.#k;
    const r = this.#r;
    const { __GFP_NORETRY, __GFP_REPEAT, __GFP_NOMEMALLOC } = gfp(k);
    if ((r.gfp_mask & __GFP_NORETRY) !== 0) return NULL;
    const costly = r.order > PAGE_ALLOC_COSTLY_ORDER;
    if (costly && (r.gfp_mask & __GFP_REPEAT) === 0) return NULL;
    this.#noProgress = progress !== 0 && !costly ? 0 : this.#noProgress + 1;
    if (should_reclaim_retry(k, r, this.#alloc_flags, this.#noProgress)) return 'retry';
    const oom = __alloc_pages_may_oom(k, r);
    if (oom.page !== NULL) return oom.page;
    // A victim that finds nothing without marks either must not loop.
    const useless = this.#alloc_flags === ALLOC_NO_WATERMARKS || (r.gfp_mask & __GFP_NOMEMALLOC) !== 0;
    if (is_oom_victim(k, k.current) && useless) return NULL;
    if (!oom.progress) return NULL;
    this.#noProgress = 0;
    return 'retry';
  }
}

/** See alloc_pages(). */
export function __alloc_pages_4_12(k: Kernel, gfp_mask: number, order: number): Page {
  const { __GFP_DIRECT_RECLAIM, __GFP_ATOMIC, __GFP_NOWARN } = gfp(k);
  gfpEvent(k, GfpSite.might_sleep, gfp_mask);
  lockdep_trace_alloc(k, gfp_mask);
  might_sleep_if(k, (gfp_mask & __GFP_DIRECT_RECLAIM) !== 0, 'mm/page_alloc.c:0');
  const high_zoneidx = gfp_zone(k, gfp_mask);
  gfpEvent(k, GfpSite.fast_path, gfp_mask);
  const page = get_page_from_freelist(k, { gfp_mask, order, high_zoneidx }, ALLOC_WMARK_LOW | ALLOC_CPUSET);
  if (page !== NULL) return page;
  let effective = current_gfp_context(k, gfp_mask);
  gfpEvent(k, GfpSite.slow_path, effective);
  if (order >= MAX_ORDER) {
    WARN_ON_ONCE(k, (gfp_mask & __GFP_NOWARN) === 0, 'mm/page_alloc.c: order of no block');
    return NULL;
  }
  const both = __GFP_ATOMIC | __GFP_DIRECT_RECLAIM;
  if (WARN_ON_ONCE(k, (effective & both) === both, 'mm/page_alloc.c: __GFP_ATOMIC may not block')) {
    effective &= ~__GFP_ATOMIC;
  }
  return new SlowPath(k, { gfp_mask: effective, order, high_zoneidx }).run();
}
