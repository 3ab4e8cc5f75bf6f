/** `__alloc_pages()` of Linux 2.5.53. Source: mm/page_alloc.c; spec/vmalloc-gfp.md §4.4. */
import type { Kernel } from '../../cpu/kernel.js';
import { sched_yield } from '../../cpu/timer.js';
import { comm, in_interrupt, might_sleep } from '../../shared/irqflags.js';
import { clear_task_flags, PF_MEMALLOC, PF_MEMDIE, set_task_flags, task_flags } from '../../shared/task.js';
import { NULL } from '../../shared/types.js';
import { gfp } from '../gfp.js';
import { GfpSite, gfpEvent } from '../gfp-events.js';
import { wakeup_kswapd } from '../kswapd.js';
import { struct_zone, type Zone, zonelist } from '../mmzone.js';
import type { Page } from '../page.js';
import { try_to_free_pages_2_5_53 } from '../vmscan.js';
import { buffered_rmqueue } from './pcp.js';
import { prep_new_page } from './prep.js';
import { gfp_zone } from './zonelist.js';

/** From this order on the allocator gives up after one reclaim. */
const LAST_LOOPING_ORDER = 3;

type Mark = 'pages_low' | 'pages_min';

/** A request on its way through the passes. */
interface Request {
  readonly gfp_mask: number;
  readonly order: number;
  readonly zones: readonly Zone[];
  readonly wait: boolean;
}

const take = (k: Kernel, r: Request, zone: Zone): Page => {
  const page = buffered_rmqueue(k, zone, r.order, r.gfp_mask);
  if (page !== NULL) prep_new_page(k, page, r.order, r.gfp_mask);
  return page;
};

/**
 * The first zone whose free pages exceed the sum of its mark and those of the zones tried before it: so a lower zone is left alone longer.
 * @urgent: a quarter of each mark will do. sysctl_lower_zone_protection is 0, so that nothing more is added.
 */
function pass(k: Kernel, r: Request, mark: Mark, urgent: boolean): Page {
  let min = 1 << r.order;
  for (const zone of r.zones) {
    const own = k.read(zone, struct_zone[mark]);
    min += urgent ? own >>> 2 : own;
    const free = k.read(zone, struct_zone.free_pages);
    const enough = free >= min || (!r.wait && free >= k.read(zone, struct_zone.pages_high));
    if (k.config.watermarks && !enough) continue;
    const page = take(k, r, zone);
    if (page !== NULL) return page;
  }
  return NULL;
}

function anyZone(k: Kernel, r: Request): Page {
  for (const zone of r.zones) {
    const page = take(k, r, zone);
    if (page !== NULL) return page;
  }
  return NULL;
}

/** Reclaim until it works, or for a large order once. */
function rebalance(k: Kernel, r: Request): Page {
  for (;;) {
    if ((task_flags(k) & (PF_MEMALLOC | PF_MEMDIE)) !== 0 && !in_interrupt(k)) return anyZone(k, r);
    if (!r.wait) return NULL;
    set_task_flags(k, PF_MEMALLOC);
    try_to_free_pages_2_5_53(k, r.zones, r.gfp_mask);
    // Whatever it was before: of an interrupted task too.
    clear_task_flags(k, PF_MEMALLOC);
    const page = pass(k, r, 'pages_min', false);
    if (page !== NULL) return page;
    if (r.order > LAST_LOOPING_ORDER) return NULL;
    sched_yield(k);
  }
}

/** See alloc_pages(). Without end for order 0 to 3 in a task that may wait and is no reclaimer. */
export function __alloc_pages_2_5_53(k: Kernel, gfp_mask: number, order: number): Page {
  const { __GFP_WAIT, __GFP_HIGH, __GFP_NOWARN } = gfp(k);
  const wait = (gfp_mask & __GFP_WAIT) !== 0;
  gfpEvent(k, GfpSite.might_sleep, gfp_mask);
  if (wait) might_sleep(k, 'mm/page_alloc.c:0');
  const r: Request = { gfp_mask, order, zones: zonelist(k, gfp_zone(k, gfp_mask)), wait };
  if (r.zones.length === 0) return NULL;
  gfpEvent(k, GfpSite.fast_path, gfp_mask);
  let page = pass(k, r, 'pages_low', false);
  if (page !== NULL) return page;
  gfpEvent(k, GfpSite.slow_path, gfp_mask);
  for (const zone of r.zones) wakeup_kswapd(k, zone, order);
  page = pass(k, r, 'pages_min', (gfp_mask & __GFP_HIGH) !== 0);
  if (page === NULL) page = rebalance(k, r);
  if (page === NULL && (gfp_mask & __GFP_NOWARN) === 0) {
    k.printk(`${comm(k)}: page allocation failure. order:${order}, mode:0x${gfp_mask.toString(16)}`);
  }
  return page;
}
