/**
 * The stress suites are clean on the kernels as they are, and are not when something is broken: a lock put in by a fixture, a patch taken
 * away, a mutant of the catalogue.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { listSuites, type Outcome, type RunOptions, type RunResult, run, stress } from '../../src/index.js';

/** How long a defect may take to show itself, and for how long none may; most need a second. */
const FOUND_SECONDS = 120;
/** Some defects need luck: they are looked for in a long run only (`npm run stress -- explorer`). */
const LONG = process.env.MURPHY_LONG !== undefined;
const LUCK_SECONDS = 300;
const CLEAN_SECONDS = 2;

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}.ts`, import.meta.url));
const brokenLock = (name: string): string => fixture(`broken-locks/${name}`);

async function resultsOf(suite: string, options: RunOptions): Promise<RunResult[]> {
  const results: RunResult[] = [];
  for await (const result of stress(suite, options)) results.push(result);
  return results;
}

describe('the stress suites', () => {
  it('are those of the folder, and claim to be clean', async () => {
    const suites = await listSuites();
    expect([...suites.keys()]).toEqual(['kmap', 'locks', 'slab', 'vmalloc']);
    for (const { cases } of suites.values()) expect(new Set(cases.map((c) => c.outcome))).toEqual(new Set(['clean']));
  });

  it.each([['locks'], ['kmap'], ['slab'], ['vmalloc']])(
    '%s: clean on every machine of its cases, which share the time',
    async (suite) => {
      const results = await resultsOf(suite, { seconds: CLEAN_SECONDS, cpus: 2 });
      expect(results.map((r) => r.caseName)).toEqual((await listSuites()).get(suite)?.cases.map((c) => c.name));
      for (const result of results) {
        expect(result.failure).toBeNull();
        expect(result).toMatchObject({ outcome: 'clean', expected: true, error: null });
        expect(result.executions).toBeGreaterThan(0);
      }
      expect(results.map((r) => r.cpus)).toEqual(results.map((r) => (r.core === 'arm926' ? 1 : 2)));
    },
  );

  it('run on the core that is named: the cases that have it, or the first one moved there', async () => {
    const once = { executions: 1, cpus: 2 };
    const [onA9, ...none] = await resultsOf('kmap', { ...once, core: 'cortex-a9' });
    expect([onA9?.core, onA9?.kernel, none]).toEqual(['cortex-a9', '2.6.35', []]);
    const moved = await resultsOf('locks', { ...once, core: 'cortex-a15' });
    expect(moved).toMatchObject([{ core: 'cortex-a15', caseName: 'cortex-a15', claimed: ['clean'], outcome: 'clean' }]);
  });
});

describe('the lock torture', () => {
  it.each<[string, readonly Outcome[], RegExp]>([
    ['spin-lock', ['report'], /^counter under the (plain|irqsave|bh) lock: torn/],
    ['spin-trylock', ['report'], /^counter under the plain lock: torn/],
    ['spin-lock-irqsave', ['deadlock', 'report'], /spins on race_data|an interrupt was taken under spin_lock_irqsave/],
    ['spin-unlock-irqrestore', ['report'], /^spin_unlock_irqrestore\(\) left another interrupt mask/],
    ['spin-lock-bh', ['deadlock', 'report'], /spins on race_data|a soft interrupt ran under spin_lock_bh/],
    ['read-lock', ['report'], /^(counter under the rw lock: torn|a writer came in under read_lock)/],
    ['write-lock', ['report'], /^(counter under the rw lock: torn|a writer came in under read_lock)/],
    ['wait-event', ['hang'], /nobody can wake the threads that sleep/],
    ['complete', ['hang'], /nobody can wake the threads that sleep/],
    ['test-and-set-bit', ['report'], /bit lock/],
    ['atomic-add', ['report'], /^an atomic addition was lost|differ/],
  ])('notices a broken %s', async (name, outcomes, message) => {
    const result = await run(brokenLock(name), {
      caseName: 'plain spinlocks',
      seconds: FOUND_SECONDS,
      stopAtFailure: true,
    });
    expect(outcomes).toContain(result.outcome);
    expect(result.failure?.message).toMatch(message);
    expect(result.expected).toBe(false);
  });
});

describe('the kmap torture', () => {
  it.each<[string, RunOptions, readonly Outcome[], RegExp]>([
    [
      'an unpinned mapping',
      { noPatches: ['kmap-high-get'] },
      ['wrong-bytes'],
      /^page frame 0x\w+ offset 0x\w+: expected/,
    ],
    [
      'an unpinned mapping, Cortex-A9',
      { noPatches: ['kmap-high-get'], core: 'cortex-a9' },
      ['wrong-bytes', 'oops'],
      /^page frame 0x\w+ offset|^Unable to handle kernel paging request/,
    ],
    [
      'a TLB flush that stays on its CPU',
      { patches: ['mutant-no-remote-tlb-flush'] },
      ['wrong-bytes', 'report'],
      /^page frame 0x\w+ offset|^I4: slot \d has count 0 and a translation in the TLB/,
    ],
    [
      'an invalidation of partial lines',
      { patches: ['mutant-no-edge-clean'] },
      ['wrong-bytes'],
      /offset 0x\w+: expected/,
    ],
    ['a scan that does not wrap', { patches: ['mutant-scan-without-wrap'] }, ['hang'], /nobody can wake/],
    ['a waiter that queues itself too late', { patches: ['mutant-queue-after-unlock'] }, ['hang'], /nobody can wake/],
    ['a waiter that falls asleep too late', { patches: ['mutant-state-after-unlock'] }, ['hang'], /nobody can wake/],
    ['a queue tested too early', { patches: ['mutant-queue-test-before-lock'] }, ['hang'], /nobody can wake/],
  ])('notices %s', async (_, options, outcomes, message) => {
    const [result] = await resultsOf('kmap', {
      core: 'vivt-shared',
      cpus: 2,
      seconds: FOUND_SECONDS,
      stopAtFailure: true,
      ...options,
    });
    expect(outcomes).toContain(result?.outcome);
    expect(result?.failure?.message).toMatch(message);
    expect(result?.expected).toBe(false);
  });
});

describe('the slab torture', () => {
  // A freelist that has become a ring is walked for ever: nobody has to wait long to see that.
  const watchdogSeconds = 10;
  const MUTANTS: [string, string, string][] = [
    ['slabs without their lock', 'SLUB', 'mutant-slub-no-slab-lock'],
    ['kfree() with interrupts on', 'SLUB', 'mutant-slub-free-irqs-on'],
    ['lists of SLAB without their lock', 'SLAB', 'mutant-slab-no-list-lock'],
  ];
  it.each(LONG ? MUTANTS : MUTANTS.slice(0, 2))('notices %s', async (_, caseName, patch) => {
    const result = await run(fileURLToPath(new URL('../../stress/slab.ts', import.meta.url)), {
      ...{ caseName, patches: [patch], cpus: 2, seconds: FOUND_SECONDS, stopAtFailure: true },
      watchdogSeconds,
    });
    // What becomes of a broken list is for the moment to say.
    expect(result.outcome).not.toBe('clean');
    expect([result.expected, result.error]).toEqual([false, null]);
  });
});

describe('the bus master of the slab torture', () => {
  const once = { executions: 3, seconds: 60, stopAtFailure: true };
  const slab = fileURLToPath(new URL('../../stress/slab.ts', import.meta.url));

  it('notices a kernel that maps buffers without maintenance of the caches', async () => {
    const options = { ...once, executions: 300, caseName: 'SLUB, one CPU', settings: { coherentDma: true } };
    const result = await run(slab, options);
    expect(result.outcome).toBe('report');
    expect(result.failure?.message).toMatch(/^a device reads \d+ wrong words of an object|after a transfer$/);
  });

  it.each([['SLUB, PA-8000'], ['SLUB, PA-8700, sba'], ['SLAB, PA-7200'], ['SLUB']])(
    'looks into the caches or finds them maintained: %s',
    async (caseName) => {
      const result = await run(slab, { ...once, caseName, cpus: 2 });
      expect([result.outcome, result.failure?.message ?? '']).toEqual(['clean', '']);
    },
  );
});

describe('the vmalloc torture', () => {
  /** What a lost or stale byte comes to: read back by its owner, or by the kernel where a page became a slab or a page table. */
  const LOST = {
    'wrong-bytes':
      /^page frame 0x\w+ offset 0x\w+: expected 0x\w+, saw 0x\w+, (before it is freed|while it is held|before an interrupt frees it|vread\(\)|after it is unmapped|when it has been mapped|by all CPUs)/,
    oops: /^Unable to handle kernel (paging request|NULL pointer dereference) at virtual address/,
    bug: /^(mm\/(slub|page_alloc|vmalloc)|lib\/)\S*/,
  };
  const NO_REMOTE_FLUSH = {
    ...LOST,
    report: /^CPU\d has a translation of c\w+ that is no longer so/,
  };
  /** One address, two owners, and a tree and lists with both: whatever comes of it, it is not clean. */
  const TWICE = { 'wrong-bytes': /./, oops: /./, bug: /./, report: /./, hang: /./, deadlock: /./, warn: /./ };

  function expectOneOf(result: RunResult | undefined, of: Readonly<Partial<Record<Outcome, RegExp>>>): void {
    const { outcome = 'clean', failure = null } = result ?? {};
    expect(Object.keys(of)).toContain(outcome);
    expect(failure?.message).toMatch(of[outcome] as RegExp);
    expect(result?.expected).toBe(false);
  }

  const MUTANTS = [
    ['an unmap without its cache flush, 2.6.22', 'mutant-vunmap-no-cache-flush', '2.6.22', 'vivt-shared', LOST],
    ['an unmap without its cache flush, 2.6.34', 'mutant-vunmap-no-cache-flush', '2.6.34', 'vivt-shared', LOST],
    ['an unmap without its cache flush, 4.10', 'mutant-vunmap-no-cache-flush', '4.10', 'vivt-shared', LOST],
    ['a mapping without its cache flush', 'mutant-no-vmap-flush', '2.6.22', 'vivt-shared', LOST],
    ['a TLB flush that stays on its CPU', 'mutant-no-remote-tlb-flush', '4.12', 'cortex-a9', NO_REMOTE_FLUSH],
    ['a TLB flush that stays on its CPU, 2.6.22', 'mutant-no-remote-tlb-flush', '2.6.22', 'cortex-a9', NO_REMOTE_FLUSH],
    ['a search without its lock', 'mutant-vmap-area-unlocked', '4.12', 'cortex-a9', TWICE],
  ] as const;
  // The last one takes luck, and up to half a minute.
  it.each(LONG ? MUTANTS : MUTANTS.slice(0, -1))('notices %s', async (_, patch, kernel, core, of) => {
    const options = { cpus: 2, seconds: FOUND_SECONDS, stopAtFailure: true, patches: [patch], kernel, core };
    expectOneOf((await resultsOf('vmalloc', options))[0], of);
  });

  it.each(LONG ? [['2.5.53, ARM11 MPCore'], ['2.6.34']] : [['2.5.53, ARM11 MPCore']])(
    'notices what %s cannot do on two CPUs at a time',
    { timeout: 2 * LUCK_SECONDS * 1000 },
    async (caseName) => {
      const result = await run(fixture('broken-vmalloc/two-at-a-time'), {
        caseName,
        cpus: 2,
        seconds: LONG ? LUCK_SECONDS : FOUND_SECONDS,
        stopAtFailure: true,
      });
      expectOneOf(result, TWICE);
    },
  );
});
