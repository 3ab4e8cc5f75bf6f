/**
 * flush_dcache_page() of the 14 architectures that the mail of 2007-06-25 in seed 001 lists: what it says of each, what the source does, and what follows for a
 * page that SLUB has cut into objects.
 *
 * Source: arch/<arch>, include/asm-<arch>/cacheflush.h, Linux 2.6.22.19; spec/slab-dma.md §3.5. ARM and PA-RISC are modelled: mm/<arch>/flush.ts.
 */

export interface FlushArchitecture {
  readonly id: string;
  /** In the words of the mail, shortened. */
  readonly claim: string;
  /** What the function does in 2.6.22.19. */
  readonly source: string;
  /** page_mapping() is called and its answer is looked at. */
  readonly usesMapping: boolean;
  /** Whether the page is flushed at once is decided by mapping_mapped(). */
  readonly defers: boolean;
  /** The VMAs of the mapping are walked. */
  readonly walks: boolean;
}

const plain = (id: string, claim: string, source: string): FlushArchitecture => ({
  ...{ id, claim, source },
  ...{ usesMapping: false, defers: false, walks: false },
});

export const FLUSH_ARCHITECTURES: readonly FlushArchitecture[] = [
  {
    ...plain('sparc64', 'uses mapping', 'a mapping that nobody maps: marked for the CPU, else flushed now'),
    ...{ usesMapping: true, defers: true },
  },
  plain('sh', 'only PG_mapped', 'PG_mapped on SH-4 and SH7705, else nothing'),
  {
    ...plain(
      'arm',
      'uses mapping with an MMU',
      'marked, or flushed with its mappings on VIVT caches; without an MMU by address',
    ),
    ...{ usesMapping: true, defers: true, walks: true },
  },
  plain('frv', 'kmap_atomic', 'maps and writes back the page'),
  plain('ppc', 'clears PG_arch_1', 'clears PG_arch_1'),
  {
    ...plain('mips', 'uses mapping', 'only with aliases: marked, or flushed now'),
    ...{ usesMapping: true, defers: true },
  },
  plain('sh64', 'no struct page', 'by physical address'),
  {
    ...plain('parisc', 'uses mapping', 'marked, or flushed with the first mapping found'),
    ...{ usesMapping: true, defers: true, walks: true },
  },
  plain('xtensa', 'uses mapping', 'reads it into a variable that only code which is compiled out uses; always flushed'),
  plain('powerpc', 'PG_arch_1', 'clears PG_arch_1 unless the I-cache is coherent'),
  plain('ia64', 'clears PG_arch_1', 'clears PG_arch_1'),
  plain('sparc', 'address of the page', 'by address, if it has one'),
  plain('blackfin', 'page_address', 'by address with a write-back cache, else nothing'),
  plain('m68k', 'page_address', 'by address'),
];

export const VERDICTS = ['oops', 'deferred or flushed by mistake', 'none'] as const;
export type FlushVerdict = (typeof VERDICTS)[number];

/** What a kmem_cache in the place of a mapping does to the function. */
export function verdictOf({ usesMapping, defers, walks }: FlushArchitecture): FlushVerdict {
  if (usesMapping && walks) return 'oops';
  return usesMapping && defers ? 'deferred or flushed by mistake' : 'none';
}
