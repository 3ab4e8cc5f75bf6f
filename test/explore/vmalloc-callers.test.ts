/**
 * Rows of spec/vmalloc-gfp.md §12.2 and §12.3: callers of vmalloc() that hold what reclaim needs. Each case of an experiment is explored: a deadlock names the lock and who
 * holds it, and under a fix no schedule is left in which there is one.
 */
import { describe, expect, it } from 'vitest';
import { explain } from '../../src/explore/explain/explain.js';
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
  ['V004-01', /^nobody is killed while pages of highmem are free \(00003000\)/],
  ['V004-02', /^never$/],
  ['V004-03', /^never$/],
  ['V004-05', /read through the vmalloc address|paging request at virtual address 00000000|NULL pointer/],
  ['V004-06', /of a page that the device was not given/],
  ['V004-07', /read by a device through its DMA mask/],
  ['V004-10', /read through the vmalloc address/],
  ['V004-11', /read by vread\(\)/],
  ['V004-13', /paging request at virtual address 00000000|NULL pointer/],
];

/** Two tasks: found with one preemption, too many schedules to search them all in a test. */
const TWO_TASKS = ['V003-19', 'V003-20'];

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

describe.each(TWO_TASKS)('vmalloc/%s', (row) => {
  const race = experiments.find((e) => e.spec.includes(`vmalloc/${row}`));
  it.each((race?.cases ?? []).map((c) => [c.name, c] as const))(
    'is not other than claimed: %s',
    async (name, chosen) => {
      const result = await explore(`vmalloc/${row}`, {
        preemptions: 1,
        caseName: name,
        executions: row === 'V003-19' ? 1200 : 100,
      });
      expect([result.error, result.outcome, result.claimed]).toEqual([null, chosen.outcome, [chosen.outcome]]);
      if (chosen.outcome !== 'deadlock') return;
      if (row === 'V003-20') {
        expect(result.failure?.message).toMatch(/thread0 .* sleeps on jhead\[0\], held by thread0 on CPU0/);
        return;
      }
      expect(result.failure?.state?.join('\n')).toMatch(/thread0 .* sleeps on glock\[0\], held by thread1/);
      expect(result.failure?.state?.join('\n')).toMatch(/thread1 .* sleeps on jhead\[0\], held by thread0/);
    },
  );
});

describe('the explanation of a task that waits for itself', () => {
  it('goes from the lock through reclaim and page table to the call of vmalloc()', async () => {
    const options = { patches: ['mutant-no-caller-scopes'], preemptions: 0 };
    const { schedule } = await explore('vmalloc/V003-01', options);
    const replay = { strategy: 'replay', schedule, executions: 1, history: true } as const;
    const { report } = explain(await explore('vmalloc/V003-01', { ...options, ...replay }));
    expect(report).toContain('cycle  CPU0 thread0 -> CPU0 thread0');
    const chain = report.find((line) =>
      line.includes('sleeps on inode[0], held by CPU0 thread0, itself (taken at step'),
    );
    const stations = ['mutex_lock', 'xfs_reclaim_inodes', 'try_to_free_pages_4_12', '__pte_alloc_kernel', '__vmalloc'];
    expect(chain).toMatch(new RegExp(stations.join(' .*')));
    expect(chain).toContain('kmem_zalloc_large');
  });
});
