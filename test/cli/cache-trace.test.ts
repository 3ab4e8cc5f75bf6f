import { beforeEach, describe, expect, it } from 'vitest';
import { FakeHost } from './fake.js';

class TraceHost extends FakeHost {
  override async readFile(path: string): Promise<string> {
    return path === 'my.trace' ? 'r 0 4\nw 0 4\nw 20 4\n' : super.readFile(path);
  }
}

let host: TraceHost;
beforeEach(() => {
  host = new TraceHost();
});

describe('murphy cache-trace', () => {
  it('shows the cache, the counts and the sums', async () => {
    expect(await host.murphy('cache-trace my.trace --sets 2 --ways 2 --line 16')).toBe(0);
    const text = host.stdout.text;
    expect(text).toContain('2 sets × 2 ways × 16 bytes, lru, write-back, write-allocate');
    expect(text).toMatch(/^reads +1 +0 +1 +0\.00 %$/m);
    expect(text).toMatch(/^writes +2 +1 +1 +50\.00 %$/m);
    expect(text).toMatch(/^CRC-32 +[0-9a-f]{8} of 8 bytes, [0-9a-f]{8} after the final flush$/m);
    expect(host.stderr.text).toBe('');
  });

  it('prints the result as one JSON object with --json', async () => {
    const line = 'cache-trace my.trace --core arm926 --write-through --write-allocate --granule 8 --replacement random';
    expect(await host.murphy(`${line} --json`)).toBe(0);
    expect(host.stdout.lines).toHaveLength(1);
    const result = JSON.parse(host.stdout.text);
    expect(result).toMatchObject({
      file: 'my.trace',
      operations: 3,
      fills: 2,
      writes: { accesses: 2, hits: 1, misses: 1 },
    });
    expect(result.cache).toEqual({
      ...{ core: 'arm926', sets: 128, ways: 4, lineBytes: 32, granuleBytes: 8, bytes: 16384 },
      ...{ replacement: 'random', writeThrough: true, writeAllocate: true },
    });
  });

  it('takes --no-write-allocate', async () => {
    await host.murphy('cache-trace my.trace --core cortex-a9 --no-write-allocate --json');
    expect(JSON.parse(host.stdout.text).cache.writeAllocate).toBe(false);
  });

  it.each([
    ['cache-trace none.trace --core arm926', 'cannot read "none.trace" (ENOENT): give the path of a trace'],
    ['cache-trace my.trace', 'the cache has no sets, ways, line: name a core, or give sets, ways and line'],
    ['cache-trace my.trace --sets 3 --ways 1 --line 32', 'sets 3: give a power of two from 1 to 1048576'],
    ['cache-trace my.trace --sets x', '--sets "x": give a whole number from 1 to 2147483647'],
    ['cache-trace my.trace --core arm999', 'unknown core "arm999"'],
  ])('refuses "%s" in one line that names cause and mend', async (line, message) => {
    expect(await host.murphy(line)).toBe(2);
    expect(host.stderr.lines).toHaveLength(1);
    expect(host.stderr.text).toContain(message);
    expect(host.stdout.text).toBe('');
  });

  it('refuses contradictory write policies', async () => {
    expect(await host.murphy('cache-trace my.trace --core arm926 --write-back --write-through')).toBe(2);
    expect(host.stderr.text).toContain('--write-through');
  });
});
