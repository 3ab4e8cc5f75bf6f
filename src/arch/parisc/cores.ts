/**
 * The PA-RISC cores as catalogue rows. Source: spec/hardware.md §3.1, §4.1 and the pages named there. L1 sizes of cores with external caches are
 * a common configuration, not the maximum; what could not be verified is said in `note`.
 */
import type { CacheGeometry, CoreRow, PariscRow } from '../../cpu/core.js';

const vipt = (sets: number, ways: number, lineBytes: number): CacheGeometry => ({
  sets,
  ways,
  lineBytes,
  granuleBytes: lineBytes,
  indexBy: 'VA',
  tagBy: 'PA',
  allocOnStoreMiss: true,
  replacement: 'rr-per-set',
  writeBufferWords: 0,
});

const up = {
  arch: 'parisc',
  byteOrder: 'big',
  cpusMax: 1,
  coherence: 'none',
  cacheOpsBroadcast: false,
  tlbOpsBroadcast: false,
  // The miss handler is software: it loads entries through the data cache.
  walkReads: 'l1',
  speculativeFill: false,
  outer: null,
  physBase: 0,
  real: true,
} as const;

const smp = { ...up, coherence: 'mesi', cacheOpsBroadcast: true, tlbOpsBroadcast: true, cpusMax: 4 } as const;

const pa11: PariscRow = {
  pa20: false,
  pdcWritesBack: false,
  uncachedRam: false,
  singlePurge: false,
  coherentIo: false,
  iommu: null,
  moveInNeedsReference: false,
  splitsTrap18: true,
};
const pa20: PariscRow = {
  ...pa11,
  pa20: true,
  coherentIo: true,
  iommu: 'sba',
  moveInNeedsReference: true,
};

export const CORES: readonly CoreRow[] = [
  {
    ...up,
    id: 'pcxs',
    title: 'PA-7000 (PCX-S): 256 KB VIPT, direct mapped, RAM cannot be mapped uncached',
    proc: 'pcxs',
    dcache: vipt(8192, 1, 32),
    tlbEntries: 96,
    parisc: { ...pa11, splitsTrap18: false },
    note: 'associativity is not documented',
  },
  {
    ...up,
    id: 'pcxt',
    title: 'PA-7100 (PCX-T): 256 KB VIPT, direct mapped, RAM cannot be mapped uncached',
    proc: 'pcxt',
    dcache: vipt(8192, 1, 32),
    tlbEntries: 120,
    parisc: pa11,
    note: 'built with up to 2 MB; used by Linux on one CPU only; associativity is not documented',
  },
  {
    ...up,
    id: 'pcxl',
    title: 'PA-7100LC (PCX-L): 256 KB VIPT, direct mapped, uncached mappings',
    proc: 'pcxl',
    dcache: vipt(8192, 1, 32),
    tlbEntries: 64,
    parisc: { ...pa11, uncachedRam: true },
    note: 'built with up to 1 MB; associativity is not documented',
  },
  {
    ...up,
    id: 'pcxl2',
    title: 'PA-7300LC (PCX-L2): 64 KB VIPT, 2 ways, uncached mappings',
    proc: 'pcxl2',
    dcache: vipt(1024, 2, 32),
    tlbEntries: 96,
    parisc: { ...pa11, uncachedRam: true },
    note: 'the write-through L2 is left out; replacement is not documented',
  },
  {
    ...smp,
    id: 'pcxt-prime',
    title: "PA-7200 (PCX-T'): 256 KB VIPT per CPU, coherent by index, coherent I/O",
    proc: 'pcxt_',
    dcache: vipt(8192, 1, 32),
    tlbEntries: 120,
    parisc: { ...pa11, coherentIo: true, iommu: 'ccio' },
    note: 'the assist cache of 64 lines is left out',
  },
  {
    ...smp,
    id: 'pcxu',
    title: 'PA-8000 (PCX-U): 1 MB VIPT per CPU, coherent by index, speculative move-ins, PDC writes back',
    proc: 'pcxu',
    dcache: vipt(16384, 1, 64),
    tlbEntries: 96,
    speculativeFill: true,
    parisc: { ...pa20, pdcWritesBack: true, iommu: 'ccio' },
    note: 'associativity is not documented; that PDC writes back is known of PA-8200',
  },
  {
    ...smp,
    id: 'pcxw2',
    title: 'PA-8700 (PCX-W2): 1 MB VIPT per CPU, 4 ways, coherent by index, speculative move-ins',
    proc: 'pcxw2',
    dcache: vipt(4096, 4, 64),
    tlbEntries: 240,
    speculativeFill: true,
    parisc: pa20,
    note: 'built with 1.5 MB, which is no power of two',
  },
  {
    ...smp,
    id: 'pcxw2-merced',
    title: 'PA-8700 on the Merced bus (N-class): one TLB purge at a time',
    proc: 'pcxw2',
    dcache: vipt(4096, 4, 64),
    tlbEntries: 240,
    speculativeFill: true,
    parisc: { ...pa20, singlePurge: true },
    note: 'what happens to the second of two purges is not documented: here one other CPU misses it',
  },
  {
    ...smp,
    id: 'pa8800',
    title: 'PA-8800 (Mako): 1 MB VIPT per CPU, moves lines in from any page in its TLB, wants a flush at kunmap()',
    proc: 'mako',
    cpusMax: 8,
    dcache: vipt(4096, 4, 64),
    tlbEntries: 240,
    speculativeFill: true,
    parisc: { ...pa20, moveInNeedsReference: false },
    note: 'built with 768 KB, which is no power of two; the physically indexed L2 is left out',
  },
];
