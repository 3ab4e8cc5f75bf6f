/** PA-RISC in controlled mode: what the defect loses is found, and without the defect no schedule within the bound shows anything. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { explore } from '../../src/explore/explore.js';
import { packageRoot } from '../../src/lab/modules.js';

const COUNTER = join(packageRoot(), 'test', 'explore', 'races', 'parisc-counter.ts');

describe.each(['pa8800', 'pcxt-prime'])('two threads that count on %s', (core) => {
  it('lose no update under an LDCW lock, nor with atomic operations', async () => {
    const result = await explore(COUNTER, { core, preemptions: 2 });
    expect([result.outcome, result.exhausted]).toEqual(['clean', true]);
  });

  it('lose an update without the lock, and still none of the atomic ones', async () => {
    const result = await explore(COUNTER, { core, preemptions: 1, patches: ['mutant-kunmap-no-flush'] });
    expect(result.outcome).toBe('report');
    expect(result.failure?.message).toMatch(/^updates lost/);
  });
});

describe.each([
  ['highmem/E17', ['mutant-kunmap-no-flush'], 'wrong-bytes', /expected 0xa1, saw 0x11, read by the user/],
  ['highmem/E17', ['mutant-flush-without-purge'], 'wrong-bytes', /expected 0xb2, saw 0xa1, read by the kernel/],
  ['hardware/T6', ['mutant-no-pa-tlb-lock'], 'warn', /PXTLB_OVERLAP/],
  ['hardware/T7', ['-pa-tlb-lock-irqsave'], 'deadlock', /in an interrupt\) spins on pa_tlb_lock, held by thread0/],
] as const)('%s with %s', (row, patches, outcome, says) => {
  const asked = patches.filter((p) => !p.startsWith('-'));
  const taken = patches.filter((p) => p.startsWith('-')).map((p) => p.slice(1));

  it('is found', async () => {
    const result = await explore(row, { preemptions: 1, patches: asked, noPatches: taken });
    expect([result.outcome, result.failure?.message]).toEqual([outcome, expect.stringMatching(says)]);
  });

  it('is not there without it', async () => {
    const result = await explore(row, { preemptions: 1, seconds: 120 });
    expect(result.outcome).toBe('clean');
    expect(result.exhausted).toBe(true);
  });
});
