/**
 * Rows of spec/vmalloc-gfp.md §12.1: the failure is found within the bound, and under the fix the bounded space holds none. Each case of an experiment is
 * explored, so the claims are the experiments' own.
 */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { main } from '../../src/cli/main.js';
import { explore } from '../../src/explore/explore.js';
import { replay, toReplay } from '../../src/explore/replay-file.js';
import { listExperiments } from '../../src/index.js';
import { RealHost } from '../cli/real.js';

const LONG = process.env.MURPHY_LONG !== undefined;

const ROWS: readonly (readonly [row: string, message: RegExp])[] = [
  ['V000-01', /^never$/],
  ['V000-02', /sleeping function called from illegal context/],
  ['V000-03', /PF_MEMALLOC/],
  ['V000-04', /init_mm\.page_table_lock is held/],
  ['V000-05', /^the CPU reads what the device has written \(ffffffff, f0000000\)$/],
  ['V000-06', /^Kernel Fault: Code=15 \(Addr=00400000\)/],
  ['V000-07', /sleeping function called from illegal context/],
  ['V000-10', /vfree: in interrupt/],
  ['V000-11', /consistent_alloc: in interrupt/],
  ['V000-12', /in an interrupt\) spins on vmlist_lock, held by thread0 on CPU0/],
  ['V000-13', /in an interrupt\) spins on vmlist_lock, held by thread0 on CPU0/],
  ['V000-14', /^never$/],
  ['V000-15', /in an interrupt\) spins on init_mm_page_table_lock, held by thread0 on CPU0/],
  ['V000-16', /^an interrupt is taken by a CPU that waits for a reader of vmlist/],
  ['V000-17', /thread0 \(interrupts off\) waits for other CPUs .* holds vmlist_lock/],
  ['V000-18', /\(interrupts off\) waits for other CPUs/],
  ['V000-19', /waits for other CPUs/],
  ['V000-20', /thread0 \(interrupts off\) waits for other CPUs .* holds consistent_lock/],
  ['V000-21', /^never$/],
  ['V000-22', /written by the device/],
  ['V000-23', /^never$/],
];

/** Experiments and cases whose failure is another one than their row's. */
const OTHER: Readonly<Record<string, RegExp>> = {
  '2003-01-pcxl-alloc-vmalloc-deadlock': /spins on init_mm_page_table_lock/,
  '2003-01-xfs-kmem-nosleep-deadlock': /thread1 \(interrupts on\) spins on lock, held by thread0/,
  '2003-01-xfs-kmem-nosleep-sleeps (without CONFIG_PREEMPT, masks)':
    /^a request under a spinlock may sleep \(000001d0\)$/,
  '2003-01-vmalloc-atomic-fails-bug (2.5.53, with memory)':
    /^Debug: sleeping function called from illegal context at mm\/page_alloc\.c/,
};

/** Experiments, and cases, with so many schedules that only the long run goes through all of them. */
const MANY_SCHEDULES = [
  '2003-01-vmalloc-same-window-one-table',
  '2003-01-vfree-unmap-under-lock-deadlock',
  '2003-01-consistent-free-ipi-deadlock (2.6.22)',
  '2003-01-vread-writer-takes-irq (interrupts off (RMK1))',
  '2003-01-consistent-region-in-irq (2.6.22)',
  '2003-01-vmlist-lock-irq-deadlock (own region (RMK2))',
];

const experiments = await listExperiments();

function casesOf(row: string) {
  const here = (...names: string[]): boolean => LONG || !names.some((name) => MANY_SCHEDULES.includes(name));
  const races = experiments.filter((e) => e.spec.includes(`vmalloc/${row}`));
  const all = races.flatMap(({ id, cases }) => cases.map((c) => [id, c.name, c] as const));
  return all.filter(([id, name]) => here(id, `${id} (${name})`));
}

describe.each(ROWS.filter(([row]) => casesOf(row).length > 0))(
  'vmalloc/%s, in all schedules of one preemption',
  (row, message) => {
    const cases = casesOf(row);
    it.each(cases)('ends as claimed: %s (%s)', { timeout: 180_000 }, async (id, name, chosen) => {
      const result = await explore(id, { preemptions: 1, caseName: name });
      expect([result.outcome, result.claimed]).toEqual([chosen.outcome, [chosen.outcome]]);
      if (chosen.outcome === 'clean') expect(result.exhausted).toBe(true);
      else expect(result.failure?.message).toMatch(OTHER[`${id} (${name})`] ?? OTHER[id] ?? message);
    });
  },
);

describe('`explore vmalloc/V000-12 --json`', () => {
  async function said(...options: string[]): Promise<{ status: number; result: Record<string, unknown> }> {
    const host = new RealHost();
    const status = await main(
      ['explore', 'vmalloc/V000-12', '--seconds', '240', '--json', '--quiet', ...options],
      host,
    );
    return { status, result: JSON.parse(host.stdout.text) };
  }

  it('names vmlist_lock and the interrupted holder', async () => {
    const replay = join(mkdtempSync(join(tmpdir(), 'murphy-v000-12-')), 'replay.json');
    const { status, result } = await said('--output', replay);
    expect(status).toBe(0);
    expect(result).toMatchObject({ outcome: 'deadlock', expected: true, kernel: '2.5.53', spec: ['vmalloc/V000-12'] });
    expect((result.failure as { message: string }).message).toBe(
      'CPU0: thread0 (interrupts off, in an interrupt) spins on vmlist_lock, held by thread0 on CPU0; holds vmlist_lock',
    );
  });

  const SEARCHES = [
    ['rmk1', 'one preemption', ['--preemptions', '1']],
    ['rmk2', 'any number of preemptions', ['--states']],
    ['rmk2', 'one preemption', ['--preemptions', '1']],
    ['rmk1', 'any number of preemptions', ['--states']],
  ] as const;
  it.each(LONG ? SEARCHES : SEARCHES.slice(0, 2))(
    'is clean with %s, in all schedules of %s',
    async (patch, _, bound) => {
      const { status, result } = await said('--patch', patch, ...bound);
      expect(status).toBe(0);
      expect(result).toMatchObject({ outcome: 'clean', exhausted: true, expected: true, failure: null });
      expect(result.patches).toContain(patch);
    },
  );
});

describe('V000-12 on a kernel that has not complained lately', () => {
  it('says that the handler may sleep, and has the deadlock as well', async () => {
    const search = {
      strategy: 'dfs',
      preemptions: 1,
      keepGoing: true,
      settings: { parameters: { complained: 0 } },
    } as const;
    const { failures, exhausted } = await explore('2003-01-vmlist-lock-irq-deadlock', search);
    expect(exhausted).toBe(true);
    expect([...new Set(failures.map((f) => f.failure.outcome))].sort()).toEqual(['deadlock', 'warn']);
    expect(failures.find((f) => f.failure.outcome === 'warn')?.failure.message).toMatch(
      /sleeping function called from illegal context/,
    );
  });
});

describe('vfree() of 2.5.53, which gives addresses away before it clears their entries', () => {
  const id = '2003-01-vfree-unlink-before-unmap-oops';

  it('takes those of the new owner: a fault that is recorded and comes again', async () => {
    const found = await explore(id, { caseName: '2.5.53', strategy: 'pos', seed: 3, executions: 1000 });
    expect([found.outcome, found.error]).toEqual(['oops', null]);
    expect(found.failure?.message).toMatch(/^Unable to handle kernel paging request at virtual address c0800000/);
    expect((await replay(await toReplay(id, found))).reproduced).toBe(true);
  });

  it.each(['2.6.22', '4.12'])('does not in %s', async (caseName) => {
    const result = await explore(id, { caseName, strategy: 'pos', seed: 3, executions: 300 });
    expect([result.outcome, result.error]).toEqual(['clean', null]);
  });
});
