/** One pass over the zones of a request. Source: mm/page_alloc.c (`get_page_from_freelist`), Linux 2.6.22 and 4.12. */
import type { Kernel } from '../../cpu/kernel.js';
import { NULL } from '../../shared/types.js';
import { zonelist } from '../mmzone.js';
import type { Page } from '../page.js';
import { check_new_pages } from './bad-page.js';
import { buffered_rmqueue } from './pcp.js';
import { prep_new_page } from './prep.js';
import { ALLOC_NO_WATERMARKS, markOf, watermark_ok } from './watermark.js';

/** What a request is: its mask as the caller gave it, and what follows from it. */
export interface AllocRequest {
  readonly gfp_mask: number;
  readonly order: number;
  /** The highest zone that may serve it. */
  readonly high_zoneidx: number;
}

/**
 * The first zone that keeps its mark serves the request.
 *
 * Context: any; masks interrupts, takes and releases zone->lock.
 * Return:  the block, prepared; NULL when no zone can.
 */
export function get_page_from_freelist(k: Kernel, r: AllocRequest, alloc_flags: number): Page {
  for (const zone of zonelist(k, r.high_zoneidx)) {
    if ((alloc_flags & ALLOC_NO_WATERMARKS) === 0) {
      const mark = markOf(k, zone, alloc_flags);
      if (!watermark_ok(k, zone, r.order, mark, r.high_zoneidx, alloc_flags)) continue;
    }
    let page = buffered_rmqueue(k, zone, r.order, r.gfp_mask);
    while (page !== NULL && check_new_pages(k, page, r.order)) page = buffered_rmqueue(k, zone, r.order, r.gfp_mask);
    if (page === NULL) continue;
    prep_new_page(k, page, r.order, r.gfp_mask);
    return page;
  }
  return NULL;
}
