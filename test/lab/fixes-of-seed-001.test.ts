/**
 * The summary of fixes of spec/slab-dma.md §6: every cell is a case of an experiment, and claims what the specification says. `matrix slab-dma` runs them all; their
 * outcomes are tested in test/smp/slab-dma.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { listExperiments } from '../../src/index.js';

const OOPS = '2007-06-slub-page-mapping-oops';
/** Column of the summary: experiment, and the case of a fix. */
const COLUMNS = {
  S1: [OOPS, (fix: string) => ({ none: '2.6.22-rc5', 'PageSlab test': '2.6.22' })[fix] ?? fix],
  'S4 (SLAB)': [OOPS, (fix: string) => `SLAB: ${fix}`],
  'S7 tail': ['2007-06-slub-tail-page-flush', (fix: string) => `object 2: ${fix}`],
  'S8 straddle': ['2007-06-slab-object-across-pages-stale', (fix: string) => `1024 bytes: ${fix}`],
  'S12 sharing': ['2007-06-slub-small-objects-share-line', (fix: string) => `B is read: ${fix}`],
  'S13 sharing': ['2007-06-slub-small-objects-share-line', (fix: string) => `B is stored to: ${fix}`],
  'S14 sharing, noncoherent': ['2007-06-parisc-unmap-flush-overwrites-device', (fix: string) => fix],
  'S14 sharing, streaming': ['2007-06-parisc-unmap-flush-overwrites-device', (fix: string) => `streaming: ${fix}`],
} as const;
type Column = keyof typeof COLUMNS;

const [oops, ok, bug] = ['oops', 'clean', 'bug'];
const [partial, corrupt, complete, fixed] = ['wrong-bytes', 'wrong-bytes', 'clean', 'clean'];
const sharing = (noncoherent = corrupt) => [corrupt, corrupt, noncoherent, corrupt] as const;

/** In the order of the columns. */
const CELLS = {
  none: [oops, ok, ok, partial, ...sharing()],
  'PageSlab test': [ok, ok, ok, partial, ...sharing()],
  'VM_BUG_ON, DEBUG_VM': [bug, bug, ok, bug, ...sharing()],
  VM_BUG_ON: [oops, ok, ok, partial, ...sharing()],
  'pages for DMA memory, ARM': [oops, ok, ok, partial, ...sharing()],
  'flush_dcache_range()': [ok, ok, ok, complete, ...sharing()],
  'PageSlab() in the caller': [ok, ok, ok, partial, ...sharing()],
} as const;

const experiments = new Map((await listExperiments()).map((race) => [race.id, race]));
function claimAt(column: Column, fix: string): unknown {
  const [id, nameOf] = COLUMNS[column];
  return experiments.get(id)?.cases.find((c) => c.name === nameOf(fix))?.outcome;
}

describe('the summary of fixes', () => {
  it.each(Object.entries(CELLS))('has a case for every cell of: %s', (fix, cells) => {
    const columns = Object.keys(COLUMNS) as Column[];
    expect(Object.fromEntries(columns.map((column) => [column, claimAt(column, fix)]))).toEqual(
      Object.fromEntries(columns.map((column, i) => [column, cells[i]])),
    );
  });

  it('has pages instead of kmalloc() on PA-RISC, which mends what the driver has from dma_alloc_noncoherent() only', () => {
    const fix = 'pages for DMA memory, PA-RISC';
    expect(claimAt('S14 sharing, noncoherent', fix)).toBe(fixed);
    expect(claimAt('S14 sharing, streaming', fix)).toBe(corrupt);
    expect(claimAt('S12 sharing', fix)).toBe(corrupt);
  });
});
