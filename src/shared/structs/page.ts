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
    // SLUB's names for the words of a slab's first page.
    inuse: [8, 2], // objects that are not on freelist
    offset: [10, 2], // of the free pointer in an object, words
    lockless_freelist: 12, // chain of the CPU that has the slab
    freelist: 20, // chain under the slab's lock
  },
  [
    ['mapping', 'slab'],
    ['_mapcount', 'inuse', 'offset'],
    ['private', 'lockless_freelist'],
    ['index', 'freelist'],
  ],
);

/**
 * Bits of page->flags that the models use. Source: include/linux/page-flags.h, Linux 2.6.22.
 * Differs: the same bits in every version.
 */
export const PG_locked = 0;
export const PG_error = 1;
/** On the list of pages that reclaim looks at. */
export const PG_lru = 5;
export const PG_active = 6;
export const PG_slab = 7;
export const PG_reserved = 10;
export const PG_compound = 14;
export const PG_swapcache = 15;
/** Tail of a compound page together with PG_compound. */
export const PG_reclaim = 17;
export const PG_buddy = 19;
export const PG_arch_1 = 9;
export const PG_dcache_dirty = PG_arch_1;
