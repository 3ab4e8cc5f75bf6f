/** The PA-RISC rows against spec/hardware.md §3.1 and §4.1. */
import { describe, expect, it } from 'vitest';
import { CORES } from '../../../src/arch/parisc/cores.js';
import type { CoreRow } from '../../../src/cpu/core.js';

const row = (id: string): CoreRow => CORES.find((c) => c.id === id) as CoreRow;

describe('the PA-RISC cores', () => {
  it.each([
    ['pcxs', 32, 1, 96],
    ['pcxt', 32, 1, 120],
    ['pcxl', 32, 1, 64],
    ['pcxl2', 32, 1, 96],
    ['pcxt-prime', 32, 4, 120],
    ['pcxu', 64, 4, 96],
    ['pcxw2', 64, 4, 240],
  ])('has line, CPUs and TLB of %s', (id, line, cpus, tlb) => {
    const core = row(id);
    expect([core.dcache.lineBytes, core.cpusMax, core.tlbEntries]).toEqual([line, cpus, tlb]);
  });

  it('index by virtual and tag by physical address, within the 4 MB that make addresses equivalent', () => {
    for (const { dcache } of CORES) {
      expect([dcache.indexBy, dcache.tagBy]).toEqual(['VA', 'PA']);
      expect(dcache.sets * dcache.lineBytes).toBeLessThanOrEqual(4 << 20);
      expect(Math.log2(dcache.sets) % 1).toBe(0);
    }
  });

  it('map RAM uncached on 7100LC and 7300LC alone, and need one purge at a time on the Merced bus alone', () => {
    expect(CORES.filter((c) => c.parisc?.uncachedRam).map((c) => c.id)).toEqual(['pcxl', 'pcxl2']);
    expect(CORES.filter((c) => c.parisc?.singlePurge).map((c) => c.id)).toEqual(['pcxw2-merced']);
  });

  it('speculate on PA-RISC 2.0 alone', () => {
    for (const core of CORES) expect(core.speculativeFill).toBe(core.parisc?.pa20 === true);
  });
});
