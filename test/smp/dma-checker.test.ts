/** The DMA checker over whole races, devices included. */
import { describe, expect, it } from 'vitest';
import { explore, replay, toReplay } from '../../src/index.js';

const RECYCLE = '2009-03-kmap-recycle-lost-bytes';
const LOST = 'DMA ownership: maintenance of a buffer throws away a line that is not of the buffer';

describe('a race under the DMA checker', () => {
  it('is told which line maintenance has thrown away, and who had written it', async () => {
    const found = await explore(RECYCLE, { caseName: 'unpinned', check: 'dma', preemptions: 1 });
    expect(['wrong-bytes', 'report']).toContain(found.outcome);
    const log = found.dmesg.join('\n');
    expect(log).toContain(LOST);
    expect(log).toMatch(/line P0x[0-9a-f]{8} of 32 bytes, in the cache of CPU0\n.*byte P0x[0-9a-f]{8}: expected 0x/);
    expect(log).toMatch(/last written by thread\d on CPU\d:\n/);
    const again = await replay(await toReplay(RECYCLE, found));
    expect(again.reproduced).toBe(true);
    expect(again.result.dmesg).toEqual(found.dmesg);
  });

  it('is left in peace where every page is pinned', async () => {
    const found = await explore(RECYCLE, { caseName: 'pinned', check: 'dma', preemptions: 1 });
    expect(found).toMatchObject({ outcome: 'clean', exhausted: true });
  });
});
