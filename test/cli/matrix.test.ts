import { beforeEach, describe, expect, it } from 'vitest';
import type { ExploreOptions, ExploreResult } from '../../src/explore/explore.js';
import { StuckError, UsageError } from '../../src/shared/errors.js';
import { clean } from '../report/sample.js';
import { FakeHost } from './fake.js';

const RECYCLE = '2009-03-kmap-recycle-lost-bytes';

let host: FakeHost;
beforeEach(() => {
  host = new FakeHost();
  host.fakeLab.explored = asClaimed;
});

/** Found with one preemption without the pin; no schedule left with it. */
function asClaimed(_: string, { caseName, preemptions }: ExploreOptions): Partial<ExploreResult> {
  if (caseName !== 'unpinned' || preemptions === 0) return {};
  const failure = { outcome: 'wrong-bytes', message: 'page B lost bytes', execution: 3 } as const;
  return { outcome: 'wrong-bytes', failure, exhausted: false, preemptions: 1, executions: 3 };
}

const calls = (): string[] =>
  host.fakeLab.calls.map(({ how, options }) => `${how} ${options.caseName} ${options.preemptions ?? ''}`.trim());
const rows = () => host.stdout.lines.map((line) => JSON.parse(line));

describe('murphy matrix', () => {
  it('takes the report of a checker for the failure that it sees coming, and no other', async () => {
    const says = (checker: string, claimed: string): string => {
      const failure = {
        outcome: 'report',
        message: 'possible circular locking dependency',
        execution: 1,
        checker,
      } as const;
      host.fakeLab.explored = () => ({ outcome: 'report', failure, exhausted: false, executions: 1 });
      host.fakeLab.experiments = host.fakeLab.experiments.map((race) => ({
        ...race,
        cases: [{ name: 'one', outcome: claimed as 'deadlock' }],
      }));
      return `matrix ${RECYCLE} --check lockdep --mode controlled`;
    };
    expect(await host.murphy(says('lockdep', 'deadlock'))).toBe(0);
    expect(host.stdout.text).toContain('as claimed');
    expect(await host.murphy(says('lockdep', 'wrong-bytes'))).toBe(1);
    expect(await host.murphy(says('dma', 'wrong-bytes'))).toBe(0);
    expect(await host.murphy(says('memory', 'clean'))).toBe(1);
  });

  it('searches each case with more and more preemptions and compares what is found with the claim', async () => {
    expect(await host.murphy(`matrix ${RECYCLE}`)).toBe(0);
    expect(calls()).toEqual([
      'explore unpinned 0',
      'explore unpinned 1',
      'explore pinned 0',
      'explore pinned 1',
      'explore pinned 2',
    ]);
    expect(host.stdout.text).toContain(
      `as claimed  ${RECYCLE} (unpinned): wrong-bytes; controlled, found with 1 preemption, 13 executions`,
    );
    expect(host.stdout.text).toContain('(pinned): clean; controlled, exhausted at 2 preemptions, 30 executions');
    expect(host.stdout.text).toMatch(/^highmem\/E1 +2 +2 +1 +1 +0 +0$/m);
    expect(host.stdout.text).toMatch(/2 cases, every outcome as claimed\n$/);
  });

  it('prints one JSON object a line with the claim and the observation', async () => {
    expect(await host.murphy(`matrix --json ${RECYCLE}`)).toBe(0);
    expect(rows().map((r) => [r.caseName, r.claimed, r.outcome, r.expected, r.exhausted, r.preemptions])).toEqual([
      ['unpinned', ['wrong-bytes'], 'wrong-bytes', true, false, 1],
      ['pinned', ['clean', 'warn'], 'clean', true, true, 2],
    ]);
  });

  it('ends with 1 when an outcome is not what is claimed, and names the case', async () => {
    host.fakeLab.explored = () => ({});
    expect(await host.murphy('matrix')).toBe(1);
    expect(host.stdout.text).toContain(
      `1 of 3 cases not as claimed:\n  ${RECYCLE} (unpinned): clean, claimed wrong-bytes`,
    );
  });

  it('goes on in parallel mode where the search does not end in time, and only there', async () => {
    host.fakeLab.explored = () => ({ exhausted: false });
    host.fakeLab.results = [clean()];
    await host.murphy('matrix highmem/E18');
    expect(calls()).toEqual(['explore all CPUs 0', 'run all CPUs']);
    expect(host.stdout.text).toMatch(/clean; parallel, 1,200 executions/);
  });

  it('runs in the mode asked for', async () => {
    host.fakeLab.explored = () => ({ exhausted: false });
    await host.murphy('matrix --mode controlled highmem/E18');
    await host.murphy('matrix --mode parallel highmem/E18 --seconds 2');
    expect(calls()).toEqual(['explore all CPUs 0', 'run all CPUs']);
    expect(host.fakeLab.calls[1]?.options.seconds).toBe(2);
  });

  it('takes ids, rows and whole specifications, and says what fits nothing', async () => {
    await host.murphy('matrix --json highmem/E18');
    expect(rows()).toHaveLength(1);
    await host.murphy('matrix --json highmem');
    expect(rows()).toHaveLength(4);
    expect(await host.murphy('matrix higmem')).toBe(2);
    expect(host.stderr.text).toContain('nothing to run for "higmem" (did you mean highmem');
  });

  it('keeps what it has when it is interrupted', async () => {
    host.fakeLab.explored = (_, options) => {
      if (options.caseName === 'pinned') host.send('SIGINT');
      return asClaimed(_, options);
    };
    expect(await host.murphy('matrix')).toBe(130);
    expect(host.stdout.text).toMatch(/1 case, every outcome as claimed, interrupted\n$/);
    expect(host.stdout.text).not.toContain('(pinned)');
  });

  it('goes on behind a case that stands still, and says so of it', async () => {
    host.fakeLab.explored = (_, options) => {
      if (options.caseName === 'unpinned') throw new StuckError('thread 0 makes no step for 5 s: an endless loop');
      return asClaimed(_, options);
    };
    expect(await host.murphy('matrix --json')).toBe(2);
    expect(rows().map((r) => [r.caseName, r.error, r.expected])).toEqual([
      ['unpinned', 'thread 0 makes no step for 5 s: an endless loop', false],
      ['pinned', null, true],
      ['all CPUs', null, true],
    ]);
    expect(host.stderr.text).toContain('(unpinned) ended early: thread 0 makes no step for 5 s');
    // The race names a core and nothing else.
    const [{ core, cpus, kernel, patches }] = rows();
    expect([core, cpus, kernel, patches.length > 0]).toEqual(['vivt-shared', 2, '2.6.31', true]);
  });

  it('ends at once where no case could be run', async () => {
    host.fakeLab.explored = () => {
      throw new UsageError('unknown strategy');
    };
    expect(await host.murphy('matrix --json')).toBe(2);
    expect(host.stdout.text).toBe('');
  });

  it('ends with 2 when a case ended in an error, and shows the others', async () => {
    host.fakeLab.explored = () => ({ error: 'setup threw Error: no page' });
    expect(await host.murphy('matrix highmem/E18')).toBe(2);
    expect(host.stderr.text).toContain('2010-05-kmap-flush-unused (all CPUs) ended early: setup threw Error: no page');
  });
});
