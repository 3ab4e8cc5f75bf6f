/**
 * Rows of spec/vmalloc-gfp.md §12.2: callers of vmalloc() that hold what reclaim needs. Each case of an experiment is explored: a deadlock names the lock and who
 * holds it, and under a fix no schedule is left in which there is one.
 */
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';
import { listExperiments } from '../../src/index.js';

const ROWS: readonly (readonly [row: string, message: RegExp])[] = [
  ['V003-01', /thread0 .* sleeps on inode\[0\], held by thread0 on CPU0/],
  ['V003-02', /thread0 .* sleeps on client\[0\], held by thread0 on CPU0/],
  ['V003-03', /thread0 .* sleeps on device\[0\], held by thread0 on CPU0/],
  ['V003-04', /thread0 .* sleeps on inode\[0\], held by thread0 on CPU0/],
  ['V003-05', /thread0 .* sleeps on transaction\[0\], held by thread0 on CPU0/],
  ['V003-06', /thread0 .* sleeps on glock\[0\], held by thread0 on CPU0/],
  ['V003-07', /thread0 .* sleeps on jhead\[0\], held by thread0 on CPU0/],
  ['V003-08', /^never$/],
  ['V003-09', /^never$/],
  ['V003-10', /^BUG: sleeping function called from invalid context/],
  ['V003-17', /^a page takes less than ten seconds/],
  ['V003-18', /thread0 .* sleeps on inode\[0\], held by thread0 on CPU0/],
];

const experiments = await listExperiments();

describe.each(ROWS)('vmalloc/%s', (row, message) => {
  const race = experiments.find((e) => e.spec.includes(`vmalloc/${row}`));
  it.each((race?.cases ?? []).map((c) => [c.name, c] as const))('ends as claimed: %s', async (name, chosen) => {
    const result = await explore(`vmalloc/${row}`, { preemptions: 1, caseName: name });
    expect([result.error, result.outcome, result.claimed]).toEqual([null, chosen.outcome, [chosen.outcome]]);
    if (chosen.outcome === 'clean') expect(result.exhausted).toBe(true);
    else expect(result.failure?.message).toMatch(message);
  });
});
