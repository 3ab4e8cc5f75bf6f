import { beforeEach, describe, expect, it } from 'vitest';
import { FakeHost } from './fake.js';

let host: FakeHost;
beforeEach(() => {
  host = new FakeHost();
});

const called = (): string[] => host.fakeLab.calls.map(({ how, race }) => `${how} ${race}`);

describe('murphy stress', () => {
  it('runs every suite, and says with its exit status whether all were clean', async () => {
    host.fakeLab.results = [host.fakeLab.results[1]!];
    expect(await host.murphy('stress')).toBe(0);
    expect(called()).toEqual(['stress kmap', 'stress locks']);
    host.fakeLab.results = [{ ...host.fakeLab.results[0]!, outcome: 'hang', expected: false }];
    expect(await host.murphy('stress kmap')).toBe(1);
  });

  it('hands on the machine, the time and the seed', async () => {
    await host.murphy(
      'stress locks --seconds 2 --cpus 4 --seed 7 --core cortex-a9 --kernel 2.6.30 --no-patch kmap-high-get',
    );
    const { onProgress, signal, ...rest } = host.fakeLab.calls[0]!.options;
    expect(rest).toEqual({
      cpus: 4,
      core: 'cortex-a9',
      kernel: '2.6.30',
      noPatches: ['kmap-high-get'],
      seed: 7,
      seconds: 2,
    });
    expect(onProgress).toBeTypeOf('function');
    expect(signal).toBeInstanceOf(AbortSignal);
  });

  it('names an unknown suite and the nearest known one', async () => {
    expect(await host.murphy('stress lock')).toBe(2);
    expect(host.stderr.text).toBe(
      'murphy: unknown stress suite "lock" (did you mean locks?); "murphy list suites" shows them\n',
    );
    expect(host.fakeLab.calls).toEqual([]);
  });

  it('prints what was collected after Ctrl-C and starts no further suite', async () => {
    host.fakeLab.before = () => host.send('SIGINT');
    expect(await host.murphy('stress')).toBe(130);
    expect(called()).toEqual(['stress kmap']);
    expect(host.stdout.text).toContain('interrupted');
  });
});
