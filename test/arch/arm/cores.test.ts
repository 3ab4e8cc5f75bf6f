/** The catalogue against the manuals: spec/hardware.md §2.1, §2.3, §4.1 and the cache type registers that the cores report. */
import { describe, expect, it } from 'vitest';
import { CORES, isPrivateVivt } from '../../../src/arch/arm/cores.js';
import type { CoreRow } from '../../../src/cpu/core.js';

const row = (id: string): CoreRow => CORES.find((c) => c.id === id) as CoreRow;
const bytes = ({ dcache: d }: CoreRow): number => d.sets * d.ways * d.lineBytes;

describe('the core catalogue', () => {
  it.each([
    // id, D-cache KB, ways, sets, line, bytes per dirty bit, TLB entries (0: not documented)
    ['arm920t', 16, 64, 8, 32, 16, 64],
    ['arm926', 16, 4, 128, 32, 16, 64],
    ['feroceon', 16, 4, 128, 32, 32, 64],
    ['xscale', 32, 32, 32, 32, 16, 32],
    ['xsc3', 32, 4, 256, 32, 32, 0],
    ['arm1136', 32, 4, 256, 32, 16, 64],
    ['arm11mpcore', 32, 4, 256, 32, 32, 0],
    ['cortex-a9', 32, 4, 256, 32, 32, 0],
    ['cortex-a15', 32, 2, 256, 64, 64, 512],
  ])('has the geometry of %s', (id, kb, ways, sets, line, granule, tlb) => {
    const core = row(id);
    expect(bytes(core)).toBe(kb * 1024);
    expect(core.dcache).toMatchObject({ ways, sets, lineBytes: line, granuleBytes: granule });
    if (tlb !== 0) expect(core.tlbEntries).toBe(tlb);
  });

  it('agrees with the cache type register of ARM11 MPCore, 0x1d192992', () => {
    const dsize = (0x1d192992 >>> 12) & 0xfff;
    expect(bytes(row('arm11mpcore'))).toBe(512 << ((dsize >>> 6) & 15));
    expect(row('arm11mpcore').dcache.ways).toBe(1 << ((dsize >>> 3) & 7));
    expect(row('arm11mpcore').dcache.lineBytes).toBe(8 << (dsize & 3));
    expect(dsize >>> 11).toBe(0); // no aliases to take care of: looked up by physical address here
    expect(row('arm11mpcore').dcache.tagBy).toBe('PA');
  });

  it('has virtually tagged caches that allocate on loads only before v6, physically tagged ones from v6 on', () => {
    for (const { id, proc, dcache } of CORES) {
      const old = proc !== 'v6' && proc !== 'v7';
      expect(dcache.tagBy).toBe(old ? 'VA' : 'PA');
      // A way of ARM1136 is larger than a page.
      expect(dcache.indexBy).toBe(old || id === 'arm1136' ? 'VA' : 'PA');
      expect(dcache.allocOnStoreMiss).toBe(!old && id !== 'arm1136');
    }
  });

  it('broadcasts maintenance on v7 alone, speculates there alone, and walks coherently there alone', () => {
    for (const core of CORES.filter((c) => c.real)) {
      const v7 = core.proc === 'v7';
      expect([core.cacheOpsBroadcast, core.tlbOpsBroadcast, core.speculativeFill]).toEqual([v7, v7, v7]);
      expect(core.walkReads === 'l1').toBe(v7);
    }
  });

  it('has no real machine of several private virtually tagged caches', () => {
    for (const core of CORES) expect(isPrivateVivt(core) && core.cpusMax > 1).toBe(false);
    expect(CORES.filter((c) => !c.real).map((c) => c.id)).toEqual(['vivt-shared']);
  });

  it('has geometries that the cache can index: powers of two, at most eight dirty bits a line', () => {
    for (const { dcache, outer } of CORES) {
      for (const n of [dcache.sets, dcache.lineBytes, dcache.granuleBytes, outer?.sets ?? 1, outer?.lineBytes ?? 1]) {
        expect(Math.log2(n) % 1).toBe(0);
      }
      expect(dcache.lineBytes / dcache.granuleBytes).toBeLessThanOrEqual(8);
    }
  });
});
