import { beforeEach, describe, expect, it } from 'vitest';
import { MurphyError } from '../../src/shared/errors.js';
import { FakeHost } from './fake.js';

let host: FakeHost;
beforeEach(() => {
  host = new FakeHost();
});

describe('wrong input', () => {
  it('lists the properties of a machine when one is not known', async () => {
    expect(await host.murphy('run highmem/E1 --set obai=yes')).toBe(2);
    expect(host.stderr.text).toMatch(
      /^murphy: unknown property "obai" of a machine \(did you mean oabi\?\); there is .*lowmemPages.*, and parameters\.NAME for numbers that the experiment reads\n$/,
    );
  });

  it.each([
    ['run foo', 'unknown experiment "foo"; "murphy list" shows them'],
    [
      'run 2009-03-kmap-recycle-lost-byte',
      'unknown experiment "2009-03-kmap-recycle-lost-byte" (did you mean 2009-03-kmap-recycle-lost-bytes?); "murphy list" shows them',
    ],
    [
      'highmem/E19',
      'unknown experiment "highmem/E19" (did you mean highmem/E1, highmem/E1v or highmem/E18?); "murphy list" shows them',
    ],
    ['lsit', 'unknown experiment "lsit" (did you mean list?); "murphy list" shows them'],
    ['--cpus 4 list', 'the command "list" has to come first: murphy list ...'],
    ['--cpus 0', '--cpus "0": give a whole number from 1 to 8'],
    ['--cpus 99', '--cpus "99": give a whole number from 1 to 8'],
    ['run --cpus x', '--cpus "x": give a whole number from 1 to 8'],
    ['--cpus 2.5', '--cpus "2.5": give a whole number from 1 to 8'],
    ['--cpus -4', '--cpus "-4": give a whole number from 1 to 8'],
    ['--seconds -1', '--seconds "-1": give a number of seconds above 0, at most 604800'],
    ['--seconds 0', '--seconds "0": give a number of seconds above 0, at most 604800'],
    ['--seconds 1e9', '--seconds "1e9": give a number of seconds above 0, at most 604800'],
    ['--seed -1', '--seed "-1": give a whole number from 0 to 4294967295'],
    ['--executions 0', '--executions "0": give a whole number from 1 to 9007199254740991'],
    ['run highmem/E1 --core arm925', 'unknown core "arm925" (did you mean arm926?); "list cores" shows them'],
    ['run highmem/E1 --kernel 9.9', 'unknown kernel "9.9"; "list kernels" shows them'],
    [
      'run highmem/E1 --patch kmap-hihg-get',
      'unknown patch "kmap-hihg-get" (did you mean kmap-high-get?); "list patches" shows them',
    ],
    ['run highmem/E1 --no-patch zzz', 'unknown patch "zzz"; "list patches" shows them'],
    [
      'run highmem/E1 --patch kmap-high-get --no-patch kmap-high-get',
      '--patch kmap-high-get contradicts --no-patch kmap-high-get: leave out one of them',
    ],
    ['--core arm926', '--core changes the machine of an experiment: name the experiment'],
    ['--no-patch kmap-high-get', '--no-patch changes the machine of an experiment: name the experiment'],
    [
      'run highmem/E1 --boot slub_debugg=FZ',
      'unknown boot parameter "slub_debugg" (did you mean slub_debug?); there is slub_debug, slub_min_order, slub_max_order, slub_min_objects, slub_nomerge',
    ],
    [
      'run highmem/E1 --boot slub_debug=FQ,kmalloc',
      '--boot "slub_debug=FQ,kmalloc": "Q" is none of F (sanity checks), Z (red zones), P (poison), U (users), T (trace)',
    ],
    ['run highmem/E1 --boot slub_max_order', '--boot "slub_max_order": give a whole number from 0 to 10'],
    ['run highmem/E1 --boot slub_min_objects=0', '--boot "slub_min_objects=0": give a whole number from 1 to 512'],
    ['run highmem/E1 --boot slub_nomerge=1', '--boot "slub_nomerge=1": slub_nomerge takes no value'],
    ['run highmem/E1 --set oabi', '--set "oabi": give NAME=VALUE'],
    ['run highmem/E1 --set oabi=maybe', '--set "oabi=maybe": say yes or no'],
    ['run highmem/E1 --set lowmemPages=many', '--set "lowmemPages=many": give a whole number'],
    ['run highmem/E1 --set core=arm926', '--set "core=arm926": that is what --core is for'],
    ['--set oabi=yes', '--set changes the machine of an experiment: name the experiment'],
    ['--case unpinned', '--case belongs to one experiment: name exactly one'],
    ['--cpu 4', `unknown option '--cpu' (did you mean --cpus?); "murphy --help" shows the usage`],
    ['--cpus', `option '--cpus <n>' argument missing; "murphy --help" shows the usage`],
    ['list nonsense', 'cannot list "nonsense": there are experiments, suites, cores, kernels, patches, architectures'],
    [
      'list ptaches',
      'cannot list "ptaches" (did you mean patches?): there are experiments, suites, cores, kernels, patches, architectures',
    ],
    [
      'list cores kernels',
      `too many arguments for 'list'. Expected 1 argument but got 2; "murphy --help" shows the usage`,
    ],
    ['run gone.ts', 'cannot load gone.ts: no such file; check the path'],
  ])('murphy %s: one line with cause and mend, and exit status 2', async (line, message) => {
    expect(await host.murphy(line)).toBe(2);
    expect(host.stderr.text).toBe(`murphy: ${message}\n`);
    expect(host.stdout.text).toBe('');
  });

  it('is found in the last of several names before anything runs', async () => {
    expect(await host.murphy('run highmem/E1 foo')).toBe(2);
    expect(host.fakeLab.calls).toEqual([]);
  });

  it('is answered in terms of npm when npm was the caller', async () => {
    host.env.npm_lifecycle_event = 'smp';
    await host.murphy('run foo');
    expect(host.stderr.text).toContain('"npm run smp -- list" shows them');
  });
});

describe('a broken invariant of the program', () => {
  it('is one line too, and shows its stack on request only', async () => {
    host.fakeLab.before = () => {
      throw new MurphyError('slot\nlost');
    };
    expect(await host.murphy('-q')).toBe(2);
    expect(host.stderr.lines).toEqual([
      'murphy: internal error: MurphyError: slot lost; please report it with the stack that MURPHY_DEBUG=1 shows',
    ]);
    host.env.MURPHY_DEBUG = '1';
    await host.murphy('-q');
    expect(host.stderr.text).toContain('    at ');
  });
});
