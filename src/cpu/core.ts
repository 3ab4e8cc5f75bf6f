/**
 * What a core is, as data: cache geometry, coherence, TLB, and the properties that decide which maintenance is needed.
 * The rows are in `arch/<arch>/cores.ts`. Source of the parameters: spec/hardware.md §4.1.
 */

/** How a victim is chosen when a line has to be filled. */
export type Replacement =
  /** Lowest-numbered invalid way, else one round-robin counter for all sets (ARM11 family; adopted for ARM926). */
  | 'rr-invalid-first'
  /** One victim counter for all sets, used and advanced by every fill whether or not a way is free (ARM920T). */
  | 'rr-shared-unconditional'
  /** Lowest-numbered invalid way, else one counter per set (XScale). */
  | 'rr-per-set'
  /** Lowest-numbered invalid way, else pseudo-random from a shared LFSR. */
  | 'random'
  /** Lowest-numbered invalid way, else the least recently used. */
  | 'lru';

/** Who else sees what a CPU does to its data cache. */
export type Coherence =
  /** Nobody: one CPU only. */
  | 'none'
  /** Private caches kept coherent by MESI (a snoop control unit). */
  | 'mesi'
  /** One cache that all CPUs use. No such ARM was built; it runs the text of seed 002 literally. */
  | 'shared';

export interface CacheGeometry {
  readonly sets: number;
  readonly ways: number;
  readonly lineBytes: number;
  /** Bytes per dirty bit: the line, or half of it. */
  readonly granuleBytes: number;
  readonly indexBy: 'VA' | 'PA';
  readonly tagBy: 'VA' | 'PA';
  /** Does a store that misses allocate a line? If not it goes to the write buffer. */
  readonly allocOnStoreMiss: boolean;
  readonly replacement: Replacement;
  /** Words that the write buffer holds. 0: stores go to memory at once. */
  readonly writeBufferWords: number;
}

/** A physically indexed cache behind all CPUs, operated by physical address (PL310, XScale3 L2). */
export interface OuterGeometry {
  readonly sets: number;
  readonly ways: number;
  readonly lineBytes: number;
}

export type ArmProc = 'arm920' | 'arm926' | 'feroceon' | 'xscale' | 'xsc3' | 'v6' | 'v7';
export type PariscProc = 'pcxs' | 'pcxt' | 'pcxt_' | 'pcxl' | 'pcxl2' | 'pcxu' | 'pcxw2' | 'mako';

/** What only PA-RISC cores have. Source: spec/hardware.md §3. */
export interface PariscRow {
  /** PA-RISC 2.0: LDCW takes any word; 1.1: one that is 16-byte aligned. */
  readonly pa20: boolean;
  /** Does PDC write dirty bytes back, as FDC does (PA-8200)? */
  readonly pdcWritesBack: boolean;
  /** Can RAM be mapped uncached (7100LC, 7300LC)? */
  readonly uncachedRam: boolean;
  /** May only one PxTLB broadcast be outstanding (the Merced bus of the N-class)? */
  readonly singlePurge: boolean;
  /** Do I/O adapters snoop the caches, at the set that a coherence index names (U2/Uturn, Astro, Ike)? */
  readonly coherentIo: boolean;
  /** Whose I/O page directory they have: U2/Uturn (ccio-dma.c), Astro, Ike and later (sba_iommu.c). */
  readonly iommu: 'ccio' | 'sba' | null;
  /** After a line or translation of a page was flushed: does the page have to be referenced before lines may be moved in again? */
  readonly moveInNeedsReference: boolean;
  /** Are access rights and unaligned references traps of their own (26, 28), not one (18)? All but PCX-S. */
  readonly splitsTrap18: boolean;
}

export interface CoreRow {
  readonly id: string;
  readonly title: string;
  readonly arch: 'arm' | 'parisc';
  /** Which byte of a word the lowest address is. Memory keeps words as the host does; the byte order turns up in bytes and half words. */
  readonly byteOrder: 'little' | 'big';
  /** The CPU type whose maintenance functions the kernel uses; on PA-RISC the kernel's `enum cpu_type`. */
  readonly proc: ArmProc | PariscProc;
  readonly cpusMax: number;
  readonly dcache: CacheGeometry;
  readonly coherence: Coherence;
  /** Do maintenance operations by address act on every CPU's cache? */
  readonly cacheOpsBroadcast: boolean;
  /** Do TLB maintenance operations reach every CPU (ID_MMFR3[15:12] = 2)? */
  readonly tlbOpsBroadcast: boolean;
  readonly tlbEntries: number;
  /** Where page-table walks read: RAM only, the outer cache before RAM, or coherent with the data cache. */
  readonly walkReads: 'memory' | 'outer' | 'l1';
  /** May the cache load lines that nobody asked for? They come by `Mmu.speculativeFill()`. */
  readonly speculativeFill: boolean;
  readonly outer: OuterGeometry | null;
  readonly physBase: number;
  readonly parisc?: PariscRow;
  /** Is there such a machine? */
  readonly real: boolean;
  readonly note: string;
}
