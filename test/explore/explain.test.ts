import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Stage } from '../../src/cpu/hw.js';
import { Ev } from '../../src/cpu/tracer.js';
import { fullColumns } from '../../src/explore/explain/columns.js';
import { type Explanation, explain } from '../../src/explore/explain/explain.js';
import type { Names } from '../../src/explore/explain/names.js';
import { type ExploreOptions, explore } from '../../src/explore/explore.js';
import { packageRoot } from '../../src/lab/modules.js';

const race = (name: string): string => join(packageRoot(), 'test', 'explore', 'races', `${name}.ts`);

/** Find a failure, run it again with its history, explain it. */
async function explained(name: string, options: ExploreOptions): Promise<Explanation> {
  const found = await explore(name, { strategy: 'dfs', preemptions: 1, ...options });
  expect(found.failure).not.toBeNull();
  const { schedule } = found;
  const again = await explore(name, { ...options, strategy: 'replay', schedule, executions: 1, history: true });
  expect([again.traceHash, again.memoryHash]).toEqual([found.traceHash, found.memoryHash]);
  const explanation = explain(again);
  expect(explanation.report.length).toBeLessThan(18);
  expect(explanation.trace.length).toBeGreaterThan(again.steps);
  return explanation;
}

describe('the columns of an execution', () => {
  it('have room for more steps than a call has for arguments', () => {
    const names = { virtual: String } as unknown as Names;
    const step = { what: Ev.step, stage: Stage.threads, cpu: 0, slot: 0, irq: 0, a: 1, b: 0, step: 0, stack: ['here'] };
    const shown = { names, threads: new Map(), trace: new Int32Array(0), marked: null, mark: '' };
    const trace = fullColumns({ ...shown, events: new Array(300_000).fill(step) });
    expect(trace.length).toBe(300_001);
    expect(trace.at(-1)).toMatch(/^0 .*here$/);
  });
});

describe('the explanation of bytes that an invalidation threw away (E1)', () => {
  it('names who discarded them, where and by which operation', async () => {
    const { culprit, report } = await explained('highmem/E1', { noPatches: ['kmap-high-get'] });
    expect(culprit).toMatchObject({ kind: 'discarded', cpu: 0, operation: 'invalidate', slot: 0 });
    expect(culprit?.functions).toEqual(expect.arrayContaining(['dma_inv_range', 'dma_map_page', 'mapForDevice']));
    const text = report.join('\n');
    expect(text).toMatch(/page 0x20040 \(highmem\), offset 0x60, cache line 0x60 to 0x7f: expected 0x60, saw 0x01/);
    expect(text).toMatch(/stored step \d+, CPU1 thread1, in writeOwnPages: at V0xbfffe060 \(pkmap slot 0\)/);
    expect(text).toMatch(/lost .*CPU0 thread0, in dma_inv_range.*invalidate threw away.*dirty/);
    expect(text).toMatch(/slot 0 taken from page 0x20043.*CPU1 thread1, in flush_all_zero_pkmaps/);
    expect(text).toMatch(/slot 0 given to page 0x20040.*CPU1 thread1, in map_new_virtual/);
    expect(text).toMatch(/paused step 39, CPU0 thread0, in dma_inv_range.*: went on at step 213/);
  });

  it('has every step in columns, with locks, and points at the one that lost them', async () => {
    const { culprit, trace } = await explained('highmem/E1', { noPatches: ['kmap-high-get'] });
    expect(trace[0]).toMatch(/^step +CPU0 thread0 +CPU1 thread1$/);
    expect(trace.some((line) => /Store pkmap_count\[0\] .*\{kmap_lock\}/.test(line))).toBe(true);
    expect(trace.some((line) => /pkmap_count\[0\]: 1 -> 2/.test(line))).toBe(true);
    const marked = trace.findIndex((line) => line.startsWith('==>'));
    expect(trace[marked]).toContain('bytes lost: discarded');
    expect(trace[marked - 1]).toContain('DROPS DIRTY line pkmap slot 0+0x60 of page 0x20040+0x60 (invalidate)');
    expect(trace.findLast((line, i) => i < marked && /^\d/.test(line))).toMatch(new RegExp(`^${culprit?.step} `));
  });

  it('names the cache of the other CPU where the operation is broadcast', async () => {
    const { culprit, report } = await explained('highmem/E1', {
      ...{ noPatches: ['kmap-high-get'], core: 'cortex-a9', strategy: 'dfs' },
    });
    if (culprit?.kind === 'discarded') expect(report.join('\n')).toContain('in the cache of CPU1');
    else expect(culprit?.kind).toBe('fault');
  });
});

describe('the explanation of a stale translation (E6)', () => {
  it('names the frame that was used, since when it was remembered, and whom the flush did not reach', async () => {
    const options: ExploreOptions = { patches: ['mutant-no-remote-tlb-flush'], preemptions: 2 };
    const { culprit, report } = await explained('2009-03-kmap-stale-tlb-wrong-bytes', options);
    expect(culprit?.kind).toMatch(/-elsewhere$|^superseded$/);
    const text = report.join('\n');
    expect(text).toMatch(/at V0xbff[0-9a-f]{5} \(pkmap slot \d\), which the page tables give to page 0x/);
    expect(text).toMatch(/TLB +of CPU\d has it since step \d+/);
    expect(text).toMatch(/flush +reached only CPU\d: .*flush_tlb_kernel_range/);
  });
});

describe('the explanation of bytes that a device moves', () => {
  it('names the line that was fetched ahead of the read, and the device step that fetched it (E10)', async () => {
    const { culprit, report } = await explained('highmem/E10', {
      patches: ['mutant-inner-before-outer'],
      core: 'cortex-a9-l2',
    });
    expect(culprit).toMatchObject({ kind: 'stale-line', cpu: -1, operation: 'fill', functions: ['fetchAhead'] });
    const text = report.join('\n');
    expect(text).toMatch(/stored step \d+, device0, in fillOnce < writeBuffer: at page 0x10014, by a device/);
    expect(text).toMatch(
      /stale {2}step \d+, device[12], in fetchAhead: brought the line of page 0x10014 in the cache of CPU0, with older bytes; nothing threw it away/,
    );
    expect(text).toMatch(/^52-54 +device2 +fetchAhead {2}<== old line fetched$/m);
  });

  it('names the eviction that wrote old bytes over them', async () => {
    const { culprit, report } = await explained(race('evicted'), {});
    expect(culprit).toMatchObject({ kind: 'overwritten', cpu: -1, context: 'device1', operation: 'evict' });
    expect(report.join('\n')).toMatch(
      /lost {3}step \d+, device1.*: evict wrote the line V0x.* of page .* over newer memory/,
    );
  });

  it('says in which cache the byte stays that a device does not find in memory (E9)', async () => {
    const { report } = await explained('2010-03-dma-unmapped-highmem-stale-memory', { kernel: '2.6.31' });
    expect(report.join('\n')).toMatch(/stored step \d+, CPU1 thread1.*\n.*still in the cache of CPU1 under V0x/);
  });

  it('names the store that a line left behind under another address turned on the wrong page (E12)', async () => {
    const race = '2007-06-at91-mci-kunmap-offset-stale-bytes';
    const { culprit, report } = await explained(race, { patches: ['at91-mci-kunmap-offset'] });
    expect(culprit).toMatchObject({ kind: 'superseded', operation: 'store' });
    expect(report.join('\n')).toMatch(
      /an old line, still in the cache: stored over it at V0xfff.*, meant for page 0x20041/,
    );
  });
});

describe('the explanation of aliases in a cache by virtual address (E8)', () => {
  it('finds the line that was written back over newer memory', async () => {
    const { culprit, report } = await explained('2009-09-kmap-atomic-alias-lost-store', { kernel: '2.6.30' });
    expect(culprit).toMatchObject({ kind: 'overwritten', operation: 'flush' });
    expect(culprit?.functions).toContain('flush_cache_all');
    expect(report.join('\n')).toMatch(/stored .*updateByKmapAtomic: at V0xfff.*fixmap slot/);
  });

  it('says that nobody lost the byte where the reader looked into another copy', async () => {
    const { culprit, report } = await explained('2009-09-kmap-atomic-misses-kmap-stores', { kernel: '2.6.30' });
    expect(culprit).toBeNull();
    expect(report.join('\n')).toMatch(
      /still in the cache of CPU0 under V0xbf.*\(pkmap slot 1\); the reader looked elsewhere/,
    );
  });
});

describe('the explanation of aliases on a big-endian machine (E17)', () => {
  it('finds the store and the line that still has the byte', async () => {
    const { report } = await explained('highmem/E17', { patches: ['mutant-kunmap-no-flush'] });
    const text = report.join('\n');
    expect(text).toMatch(/stored step \d+, CPU0 thread0, in kernelSide: at V0x1/);
    expect(text).toMatch(/still in the cache of CPU0 under V0x1.*; the reader looked elsewhere/);
    expect(text).toMatch(/read .*CPU1 thread1, in userSide: at V0x4/);
  });
});

describe('the explanation of a deadlock', () => {
  it('names the interrupted context that holds the lock (E4)', async () => {
    const { report } = await explained('highmem/E4', { noPatches: ['kmap-high-get'] });
    const text = report.join('\n');
    expect(text).toMatch(/cycle +CPU\d interrupt -> CPU\d thread\d, which it interrupted/);
    expect(text).toMatch(
      /in kmap_high_get < pinInHandler.*spins on kmap_lock, held by .*the context that it interrupted/,
    );
    expect(text).toMatch(/taken at step \d+ in k(un)?map_high < k(un)?map/);
  });

  it('shows the cycle of two locks with the place where each was taken', async () => {
    const { report } = await explained(race('abba'), {});
    const text = report.join('\n');
    expect(text).toContain('cycle  CPU0 thread0 -> CPU1 thread1 -> CPU0 thread0');
    expect(text).toMatch(/CPU0 thread0.*spins on race_data\+0x40, held by CPU1 thread1 \(taken at step \d+/);
  });

  it('shows who cannot answer an inter-processor call, and the lock that it waits for', async () => {
    const { report } = await explained('2009-09-kmap-ipi-deadlock', {});
    const text = report.join('\n');
    expect(text).toMatch(/smp_call_function_many .* waits for other CPUs to answer its call; CPU1 cannot/);
    expect(text).toMatch(/CPU1 thread1, interrupts off, .*spins on kmap_lock, held by CPU0 thread0/);
  });
});

describe('the explanation of other failures', () => {
  it('says where a sleeper sleeps and when the others last looked at its queue', async () => {
    const options: ExploreOptions = { patches: ['mutant-queue-after-unlock'], preemptions: 2 };
    const { report } = await explained('2009-03-kmap-exhaustion-waiter-hangs', options);
    const text = report.join('\n');
    expect(text).toMatch(/CPU1 thread1, in map_new_virtual < kmap_high < kmap < mapOneMore: sleeps/);
    expect(text).toMatch(/CPU0 thread0 was last at pkmap_map_wait in step \d+, before it slept .*waitqueue_active/);
  });

  it('names who cleared the entry behind a fault (E1v)', async () => {
    const { culprit, report } = await explained('highmem/E1v', { noPatches: ['kmap-high-get'] });
    expect(culprit).toMatchObject({ kind: 'fault', cpu: 1 });
    expect(culprit?.functions).toContain('flush_all_zero_pkmaps');
    expect(report.join('\n')).toMatch(/fault .*CPU0 thread0, in dma_\w+_range.* at V0xbff/);
  });

  it('lists the last changes of the count behind a BUG (E14)', async () => {
    const { report } = await explained('highmem/E14', { patches: ['mutant-kunmap-twice'] });
    const text = report.join('\n');
    expect(text).toContain('died   in kunmap_high < kunmap');
    expect(text).toMatch(/pkmap_count\[\d\]: 2 -> 1: step \d+.*\n.*pkmap_count\[\d\]: 1 -> 0/);
  });

  it('finds the update of a word that another one stored over', async () => {
    const { culprit, report } = await explained(race('counter'), { noPatches: ['kmap-high-get'] });
    expect(culprit).toMatchObject({ kind: 'superseded', cpu: 0 });
    expect(report.join('\n')).toMatch(/change step \d+, CPU1 thread1, in add: race_data\+0x40: 4 -> 5/);
  });
});
