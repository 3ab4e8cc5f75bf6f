/** From a mask to the zones that may serve it. Source: include/linux/gfp.h, mm/page_alloc.c (`build_zonelists`); spec/vmalloc-gfp.md §2.4. */
import type { Kernel } from '../../cpu/kernel.js';
import { LINUX_2_6, LINUX_4_4 } from '../../shared/version.js';
import { gfp } from '../gfp.js';
import { ZONE_DMA, ZONE_HIGHMEM, ZONE_NORMAL } from '../page.js';

/** Zone by the four low bits: N normal, D DMA, H highmem, M movable; x what no caller may ask for. Source: GFP_ZONE_TABLE, Linux 4.10. */
const GFP_ZONE_TABLE = 'NDHxNxxxNDMxNxxx';

/** The highest zone of a request. A zone that the machine does not have is in no zonelist, so it does not matter here. */
export function gfp_zone(k: Kernel, gfp_mask: number): number {
  const { __GFP_DMA, __GFP_HIGHMEM } = gfp(k);
  if (k.LINUX_VERSION_CODE >= LINUX_4_4) {
    const entry = GFP_ZONE_TABLE[gfp_mask & 0xf];
    if (entry === 'H' || entry === 'M') return ZONE_HIGHMEM;
    if (entry === 'N') return ZONE_NORMAL;
    return k.config.dmaPages === 0 ? ZONE_NORMAL : ZONE_DMA;
  }
  if ((gfp_mask & __GFP_DMA) !== 0)
    return k.config.dmaPages === 0 && k.LINUX_VERSION_CODE >= LINUX_2_6 ? ZONE_NORMAL : ZONE_DMA;
  return (gfp_mask & __GFP_HIGHMEM) !== 0 ? ZONE_HIGHMEM : ZONE_NORMAL;
}
