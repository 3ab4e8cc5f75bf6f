/**
 * Which caches of SLUB are one: struct kmem_cache is shared by users whose objects fit.
 * Source: find_mergeable(), slab_unmergeable(), mm/slub.c, Linux 2.6.22. Boot parameter `slub_nomerge`.
 */
import type { Kernel } from '../../cpu/kernel.js';
import { container_of, list_next } from '../../shared/list.js';
import { NULL } from '../../shared/types.js';
import type { Cache } from '../slab-common.js';
import {
  calculate_alignment,
  roundUp,
  SLAB_CACHE_DMA,
  SLAB_DEBUG_FREE,
  SLAB_DESTROY_BY_RCU,
  SLAB_POISON,
  SLAB_RECLAIM_ACCOUNT,
  SLAB_RED_ZONE,
  SLAB_STORE_USER,
  SLAB_TRACE,
  sizeParameters,
  slub_debug,
} from './sizes.js';

const SLUB_NEVER_MERGE = SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER | SLAB_TRACE | SLAB_DESTROY_BY_RCU;
const SLUB_MERGE_SAME = SLAB_DEBUG_FREE | SLAB_RECLAIM_ACCOUNT | SLAB_CACHE_DMA;
const WORD = 4;

function slab_unmergeable(k: Kernel, s: Cache): boolean {
  const f = k.structs.kmem_cache;
  return (k.read(s, f.flags) & SLUB_NEVER_MERGE) !== 0 || k.read(s, f.ctor) !== 0;
}

/**
 * The youngest cache that can take objects of this size, or NULL.
 *
 * Context: slub_lock held.
 */
export function find_mergeable(k: Kernel, objsize: number, asked: number, flags: number, ctor: number): Cache {
  const f = k.structs.kmem_cache;
  if (k.config.slubNomerge || (flags & SLUB_NEVER_MERGE) !== 0 || ctor !== 0) return NULL;
  const words = roundUp(objsize, WORD);
  const align = calculate_alignment(sizeParameters(k.config), flags, asked, words);
  const size = roundUp(words, align);
  const wanted = (flags | slub_debug(k.config.slubDebug)) & SLUB_MERGE_SAME;
  const head = k.sym.slab_caches;
  for (let e = list_next(k, head); e !== head; e = list_next(k, e)) {
    const s = container_of<'kmem_cache'>(e, f.list.offset);
    if (slab_unmergeable(k, s)) continue;
    const there = k.read(s, f.size);
    if (size > there || (k.read(s, f.flags) & SLUB_MERGE_SAME) !== wanted) continue;
    if ((there & ~(align - 1)) !== there || there - size >= WORD) continue;
    return s;
  }
  return NULL;
}
