/** The table of the mail of 2007-06-25. spec/slab-dma.md §3.5. */
import { describe, expect, it } from 'vitest';
import { FLUSH_ARCHITECTURES, verdictOf } from '../../src/mm/flush-architectures.js';

const withVerdict = (verdict: string): string[] =>
  FLUSH_ARCHITECTURES.filter((row) => verdictOf(row) === verdict).map((row) => row.id);

describe('flush_dcache_page() of 14 architectures on a page of SLUB', () => {
  it('oopses on two, decides wrongly on two, and is not concerned on the others', () => {
    expect(FLUSH_ARCHITECTURES).toHaveLength(14);
    expect(withVerdict('oops')).toEqual(['arm', 'parisc']);
    expect(withVerdict('deferred or flushed by mistake')).toEqual(['sparc64', 'mips']);
    expect(withVerdict('none')).toContain('xtensa');
  });

  it('has the five that the mail calls problems, one of which is none', () => {
    const claimed = FLUSH_ARCHITECTURES.filter((row) => row.claim.startsWith('uses mapping'));
    expect(claimed.map((row) => row.id)).toEqual(['sparc64', 'arm', 'mips', 'parisc', 'xtensa']);
    expect(claimed.filter((row) => verdictOf(row) === 'none').map((row) => row.id)).toEqual(['xtensa']);
  });
});
