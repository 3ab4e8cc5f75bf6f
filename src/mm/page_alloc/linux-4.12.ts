/** `__alloc_pages()` of Linux 4.12: the attempt at the low mark. Source: mm/page_alloc.c. */
import type { Kernel } from '../../cpu/kernel.js';
import type { Page } from '../page.js';
import { get_page_from_freelist } from './freelist.js';
import { ALLOC_WMARK_LOW } from './watermark.js';
import { gfp_zone } from './zonelist.js';

export function __alloc_pages_4_12(k: Kernel, gfp_mask: number, order: number): Page {
  return get_page_from_freelist(k, { gfp_mask, order, high_zoneidx: gfp_zone(k, gfp_mask) }, ALLOC_WMARK_LOW);
}
