import { describe, expect, it } from 'vitest';
import { KERNELS, kernelIndex, PATCHES, patchesOf } from '../../src/lab/catalogue.js';
import { listExperiments } from '../../src/lab/run.js';
import { PATCH_NAMES } from '../../src/shared/patches.js';

describe('the catalogue of patches', () => {
  it('describes every patch that kernel code can ask for, and no other', () => {
    expect(PATCHES.map((p) => p.id).sort()).toEqual([...PATCH_NAMES].sort());
  });

  it('names versions that exist', () => {
    for (const p of PATCHES) if (p.since !== null) expect(kernelIndex(p.since), p.id).toBeGreaterThanOrEqual(0);
  });

  it('has a version contain what the one before contained', () => {
    for (let i = 1; i < KERNELS.length; i++) {
      const [before, after] = [KERNELS[i - 1]!.id, KERNELS[i]!.id].map(patchesOf);
      expect(after).toEqual(expect.arrayContaining(before!));
    }
  });

  it('puts the pinning of kmap pages into 2.6.30', () => {
    expect(patchesOf('2.6.29')).not.toContain('kmap-high-get');
    expect(patchesOf('2.6.30')).toContain('kmap-high-get');
  });
});

describe('the experiments', () => {
  it('name only cores, kernels and patches that exist, in every case', async () => {
    const { configureRace } = await import('../../src/lab/configure.js');
    for (const race of await listExperiments()) {
      for (const c of race.cases) expect(() => configureRace(race, c, {}), `${race.id}: ${c.name}`).not.toThrow();
    }
  });

  it('have ids of the form that STYLE prescribes, and one claim each', async () => {
    for (const race of await listExperiments()) {
      expect(race.id).toMatch(/^\d{4}-\d{2}-[a-z0-9-]+$/);
      expect(race.cases.length, race.id).toBeGreaterThan(0);
      // A row of a specification, or the kernel's source where the specifications have none.
      expect(race.spec.length > 0 || /^[\w/-]+\.c, Linux \d/.test(race.source), race.id).toBe(true);
    }
  });
});
