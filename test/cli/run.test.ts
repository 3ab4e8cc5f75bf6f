import { beforeEach, describe, expect, it } from 'vitest';
import { main } from '../../src/cli/main.js';
import { UsageError } from '../../src/shared/errors.js';
import { clean, lostBytes, progress } from '../report/sample.js';
import { FakeHost } from './fake.js';

let host: FakeHost;
beforeEach(() => {
  host = new FakeHost();
});

/** Options of the only call, without the functions. */
function options() {
  expect(host.fakeLab.calls).toHaveLength(1);
  const { onProgress, signal, ...rest } = host.fakeLab.calls[0]!.options;
  return rest;
}

const called = (): string[] => host.fakeLab.calls.map(({ how, race }) => `${how} ${race}`);

describe('murphy without a name', () => {
  it('runs every case of the experiments that stem from seed 002', async () => {
    expect(await host.murphy('--cpus 4')).toBe(0);
    expect(called()).toEqual(['runCases 2009-03-kmap-recycle-lost-bytes']);
    expect(options()).toEqual({ cpus: 4, seconds: 3, patienceSeconds: 15 });
  });

  it('shares its time among many cases', async () => {
    const [race] = host.fakeLab.experiments;
    host.fakeLab.experiments = Array.from({ length: 36 }, (_, i) => ({ ...race!, id: `race-${i}` }));
    await host.murphy('');
    expect(host.fakeLab.calls).toHaveLength(36);
    expect(host.fakeLab.calls[0]?.options.seconds).toBe(0.5);
  });

  it('prints each result as it comes, then a table of CPUs, a table of cases and a verdict', async () => {
    await host.murphy('');
    const text = host.stdout.text;
    const order = [
      '2009-03-kmap-recycle-lost-bytes (unpinned)',
      'page frame 0x1a3, offset 0x040, expected 0x5a, seen 0xa5',
      '[    0.000125] CPU0: highmem: 4 pkmap slots',
      '2009-03-kmap-recycle-lost-bytes (pinned)',
      'CPU   ops/s',
      'experiment ',
      'verdict: 2 cases, every outcome as claimed',
    ].map((part) => text.indexOf(part));
    expect(order).not.toContain(-1);
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });
});

describe('murphy run', () => {
  it('finds an experiment by its id or by a row of a specification', async () => {
    await host.murphy('run highmem/E18 2009-03-kmap-recycle-lost-bytes');
    expect(called()).toEqual(['runCases 2010-05-kmap-flush-unused', 'runCases 2009-03-kmap-recycle-lost-bytes']);
  });

  it('hands a path to the lab as it is', async () => {
    await host.murphy('run ./my-race.js');
    expect(called()).toEqual(['runCases ./my-race.js']);
  });

  it('runs one configuration when the machine or a case is chosen', async () => {
    host.fakeLab.results = [lostBytes()];
    expect(await host.murphy('run highmem/E1 --cpus 4 --no-patch kmap-high-get --seconds 20 --json')).toBe(0);
    expect(called()).toEqual(['run 2009-03-kmap-recycle-lost-bytes']);
    expect(options()).toEqual({ cpus: 4, noPatches: ['kmap-high-get'], seconds: 20 });
  });

  it('takes patches from repeated and comma-separated options', async () => {
    await host.murphy('run highmem/E1 --core cortex-a9 --kernel 2.6.29 --patch no-tlb-flush,kmap-high-get --seed 0x10');
    expect(options()).toEqual({
      ...{ core: 'cortex-a9', kernel: '2.6.29', patches: ['no-tlb-flush', 'kmap-high-get'], seed: 16, seconds: 3 },
      patienceSeconds: 15,
    });
  });

  it('takes boot parameters and properties of the machine, the last of each', async () => {
    host.fakeLab.results = [lostBytes()];
    const boot = ['--boot', 'slub_debug=FZ,kmalloc slub_max_order=2', '--boot', 'slub_nomerge slub_max_order=3'];
    const set = ['--set', 'oabi=yes', '--set', 'lowmemPages=0x200', '--set', 'parameters.partial=6'];
    expect(await main(['run', 'highmem/E1', ...boot, ...set, '--set', 'parameters.bytes=8'], host)).toBe(0);
    expect(called()).toEqual(['run 2009-03-kmap-recycle-lost-bytes']);
    expect(options().settings).toEqual({
      ...{ slubDebug: 'FZ,kmalloc', slubMaxOrder: 3, slubNomerge: true, oabi: true, lowmemPages: 512 },
      parameters: { partial: 6, bytes: 8 },
    });
  });

  it('understands slub_debug without letters as the kernel does', async () => {
    for (const [text, slubDebug] of [
      ['slub_debug', '-'],
      ['slub_debug=', '-'],
      ['slub_debug=,kmalloc', ',kmalloc'],
    ] as const) {
      const one = new FakeHost();
      await main(['run', 'highmem/E1', '--boot', text], one);
      expect(one.fakeLab.calls[0]?.options.settings).toEqual({ slubDebug });
    }
  });

  it('knows no letter that switches slub_debug off: 2.6.22 has none', async () => {
    expect(await host.murphy('run highmem/E1 --boot slub_debug=-')).toBe(2);
    expect(host.stderr.text).toContain('"-" is none of F (sanity checks)');
  });

  it('sets no time limit of its own when executions are counted', async () => {
    await host.murphy('run highmem/E1 --case pinned --executions 5 --stop-at-failure --watchdog .5');
    expect(options()).toEqual({ caseName: 'pinned', executions: 5, stopAtFailure: true, watchdogSeconds: 0.5 });
  });

  it('exits with 1 when an outcome is not what was claimed', async () => {
    host.fakeLab.results = [lostBytes(), clean({ outcome: 'oops', expected: false })];
    expect(await host.murphy('run highmem/E1')).toBe(1);
    expect(host.stdout.text).toContain('verdict: 1 of 2 cases not as claimed');
  });

  it('exits with 2 and names the cause when a worker died, after printing what there is', async () => {
    host.fakeLab.results = [lostBytes({ interrupted: true, error: 'the worker of CPU1 died: exit status 9' })];
    expect(await host.murphy('run highmem/E1 -q')).toBe(2);
    expect(host.stdout.text).toContain('verdict:');
    expect(host.stderr.text).toBe(
      'murphy: 2009-03-kmap-recycle-lost-bytes (unpinned) ended early: the worker of CPU1 died: exit status 9; ' +
        'what it had collected is shown\n',
    );
  });

  it('prints what was collected when an error ends the run', async () => {
    host.fakeLab.before = (index) => {
      if (index === 1) throw new UsageError('core arm926 has one CPU: use --cpus 1');
    };
    expect(await host.murphy('run highmem/E1 -q')).toBe(2);
    expect(host.stdout.text).toContain('verdict: 1 case,');
    expect(host.stderr.text).toBe('murphy: core arm926 has one CPU: use --cpus 1\n');
  });

  it('says on standard error what it is doing, unless told to be quiet', async () => {
    host.fakeLab.before = (_, { onProgress }) => onProgress?.(progress(0));
    await host.murphy('run highmem/E1');
    expect(host.stderr.lines[0]).toMatch(/^murphy: 2009-03-kmap-recycle-lost-bytes \(unpinned\): 0\.0 of 10\.0 s/);
    const quiet = new FakeHost();
    quiet.fakeLab.before = host.fakeLab.before;
    await quiet.murphy('run highmem/E1 --quiet');
    expect(quiet.stderr.text).toBe('');
    expect(quiet.stdout.text).not.toContain('CPU0: highmem');
  });
});

describe('murphy run --json', () => {
  it('prints one object a line on standard output and nothing else there', async () => {
    expect(await host.murphy('--json')).toBe(0);
    expect(host.stdout.lines.map((line) => JSON.parse(line).caseName)).toEqual(['unpinned', 'pinned']);
    expect(host.stderr.text).toBe('[    0.000125] CPU0: highmem: 4 pkmap slots\n');
  });

  it('keeps the lines that were printed when an error follows', async () => {
    host.fakeLab.before = (index) => {
      if (index === 1) throw new UsageError('no more');
    };
    expect(await host.murphy('--json --quiet')).toBe(2);
    expect(host.stdout.lines).toHaveLength(1);
    expect(host.stderr.text).toBe('murphy: no more\n');
  });
});

describe('Ctrl-C', () => {
  it('aborts the run, prints what was collected and exits with 130', async () => {
    host.fakeLab.before = () => host.send('SIGINT');
    expect(await host.murphy('run highmem/E1')).toBe(130);
    expect(host.stdout.text).toContain('wrong-bytes (interrupted)');
    expect(host.stdout.text).toContain('verdict: 1 case, every outcome as claimed, interrupted');
    expect(host.stderr.text).toContain('murphy: stopping; press Ctrl-C again to quit at once\n');
    expect(host.exits).toEqual([]);
  });

  it('marks the JSON as interrupted', async () => {
    host.fakeLab.before = () => host.send('SIGINT');
    expect(await host.murphy('run highmem/E1 --json -q')).toBe(130);
    expect(host.stdout.lines.map((line) => JSON.parse(line).interrupted)).toEqual([true]);
  });

  it('is no error when it comes before the first result', async () => {
    host.fakeLab.before = () => {
      host.send('SIGINT');
      throw new DOMException('stopped', 'AbortError');
    };
    expect(await host.murphy('run highmem/E1')).toBe(130);
    expect(host.stdout.text).toBe('');
    expect(host.stderr.text).toContain('murphy: interrupted before the first result\n');
  });

  it('quits at once the second time', async () => {
    host.fakeLab.before = () => {
      host.send('SIGINT');
      host.time += 1000;
      host.send('SIGINT');
    };
    await host.murphy('run highmem/E1');
    expect(host.exits).toEqual([130]);
  });

  it('counts once when npm passes on what the terminal has sent', async () => {
    host.fakeLab.before = () => {
      host.send('SIGINT');
      host.time += 5;
      host.send('SIGINT');
    };
    expect(await host.murphy('run highmem/E1')).toBe(130);
    expect(host.exits).toEqual([]);
  });

  it('leaves no signal handler behind', async () => {
    await host.murphy('run highmem/E1');
    expect(host.listensToSignals).toBe(false);
  });

  it('has the exit status of SIGTERM when that was the signal', async () => {
    host.fakeLab.before = () => host.send('SIGTERM');
    expect(await host.murphy('run highmem/E1')).toBe(143);
  });
});
