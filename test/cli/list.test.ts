import { beforeEach, describe, expect, it } from 'vitest';
import { FakeHost } from './fake.js';

let host: FakeHost;
beforeEach(() => {
  host = new FakeHost();
});

describe('murphy list', () => {
  it('shows experiments with their cases and claims, cores, kernels and patches', async () => {
    expect(await host.murphy('list')).toBe(0);
    const lines = host.stdout.lines.map((line) => line.replaceAll(/ {2,}/g, '  '));
    expect(lines).toEqual(
      expect.arrayContaining([
        'experiments:',
        '2009-03-kmap-recycle-lost-bytes',
        '  from seed 002; shows highmem/E1, highmem/E1v',
        '  unpinned  wrong-bytes',
        '  pinned  clean or warn',
        'cores:',
        'arm926  ARM926EJ-S',
        'kernels:',
        '2.6.30  June 2009',
        'patches:',
        'kmap-high-get  patch  2.6.30  002  N. Pitre, 2009-03-06  pin the mapping',
      ]),
    );
  });

  it('shows one kind, named in the singular or the plural', async () => {
    await host.murphy('list patch');
    expect(host.stdout.lines[0]).toMatch(/^patch +kind +since +seed +from +what it does$/);
    expect(host.stdout.text).toMatch(/no-tlb-flush +mutant +never/);
    expect(host.stdout.text).not.toContain('arm926');
  });

  it('shows what flush_dcache_page() does on each architecture, when asked for it', async () => {
    await host.murphy('list architectures');
    expect(host.stdout.text).toMatch(/^parisc +uses mapping .* oops$/m);
    expect(host.stdout.text).toMatch(/^xtensa +uses mapping .* none$/m);
    expect(host.stdout.lines.filter((line) => line !== '')).toHaveLength(15);
  });

  it('prints one JSON object a line with --json', async () => {
    expect(await host.murphy('list --json')).toBe(0);
    const rows = host.stdout.lines.map((line) => JSON.parse(line));
    expect(rows.map((row) => `${row.kind} ${row.id}`)).toEqual([
      'experiment 2009-03-kmap-recycle-lost-bytes',
      'experiment 2010-05-kmap-flush-unused',
      'suite kmap',
      'suite locks',
      'core arm926',
      'core cortex-a9',
      'kernel 2.6.29',
      'kernel 2.6.30',
      'patch kmap-high-get',
      'mutant no-tlb-flush',
    ]);
    expect(rows[0].cases[1]).toEqual({
      name: 'pinned',
      machine: { patches: ['kmap-high-get'] },
      outcome: ['clean', 'warn'],
    });
  });
});

describe('murphy --help', () => {
  it('shows commands, the options of the default command, examples and exit status', async () => {
    expect(await host.murphy('--help')).toBe(0);
    for (const part of ['list [options] [what]', '--no-patch <name>', '--seconds <s>', 'Examples:', 'Exit status:']) {
      expect(host.stdout.text).toContain(part);
    }
    expect(host.stderr.text).toBe('');
  });

  it('shows one command', async () => {
    expect(await host.murphy('run --help')).toBe(0);
    expect(host.stdout.text).toMatch(/^Usage: murphy run/);
    expect(await new FakeHost().murphy('help list')).toBe(0);
  });

  it('prints the version of the package', async () => {
    expect(await host.murphy('--version')).toBe(0);
    expect(host.stdout.text).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
