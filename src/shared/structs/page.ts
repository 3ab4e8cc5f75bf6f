/** `struct page`. Source: include/linux/mm_types.h, Linux 2.6.22 to 2.6.34, 32-bit, without WANT_PAGE_VIRTUAL. */
import { defineStruct } from '../layout.js';

export const struct_page = defineStruct(
  'page',
  32,
  {
    flags: 0, // PG_* bits, zone in the top bits; changed by atomic bit operations only
    _count: 4, // references; 0 = free
    _mapcount: 8, // user mappings - 1
    private: 12,
    mapping: 16, // page cache owner, or anon_vma with PAGE_MAPPING_ANON set
    slab: 16, // SLUB keeps its kmem_cache in the word of mapping
    index: 20,
    lru: [24, 8],
  },
  [['mapping', 'slab']],
);

/**
 * Bits of page->flags that the models use. Source: include/linux/page-flags.h, Linux 2.6.22.
 * Differs: the same bits in every version.
 */
export const PG_reserved = 10;
export const PG_compound = 14;
/** Tail of a compound page together with PG_compound. */
export const PG_reclaim = 17;
export const PG_buddy = 19;
export const PG_arch_1 = 9;
export const PG_dcache_dirty = PG_arch_1;
