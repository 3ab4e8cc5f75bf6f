/** The experiments of PA-RISC in parallel mode: each case ends as it claims. */
import { describe, expect, it } from 'vitest';
import { listExperiments, run } from '../../src/index.js';

const IDS = [
  '2003-01-pcxl-alloc-leaves-lock-held',
  '2003-01-pcxl-alloc-without-memory',
  '2004-10-parisc-tlb-purge-overlap-warn',
  '2006-10-parisc-kunmap-alias-stale-bytes',
  '2009-09-parisc-tlb-lock-irq-deadlock',
];

describe.each(IDS)('%s', (id) => {
  it('ends in every case as it claims', async () => {
    const race = (await listExperiments()).find((r) => r.id === id);
    for (const c of race?.cases ?? []) {
      const result = await run(id, { caseName: c.name, seconds: 0.5, patienceSeconds: 120 });
      expect([c.name, result.outcome, result.expected]).toEqual([c.name, c.outcome, true]);
    }
    expect(race?.cases.length).toBeGreaterThan(1);
  });
});
