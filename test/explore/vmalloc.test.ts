/** Rows of spec/vmalloc-gfp.md §12.1: the deadlock is found within the bound, and under the fix the bounded space holds none. */
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';

describe('consistent_alloc() in an interrupt that comes while vmlist_lock is held', () => {
  it('spins on the lock of the context it interrupted', async () => {
    const found = await explore('vmalloc/V000-12', { preemptions: 1 });
    expect([found.outcome, found.preemptions]).toEqual(['deadlock', 1]);
    expect(found.failure?.message).toMatch(/in an interrupt\) spins on vmlist_lock, held by thread0 on CPU0/);
  });

  it.each(['rmk1', 'rmk2'])('comes to an end in every schedule of one preemption with %s', async (patch) => {
    const result = await explore('vmalloc/V000-12', { preemptions: 1, patches: [patch] });
    expect([result.outcome, result.exhausted, result.expected]).toEqual(['clean', true, true]);
  });
});
